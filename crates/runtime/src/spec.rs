//! What one worker process is to run, in plain data: the product of a deployment and the server's settings.
//!
//! Nothing here knows workerd's configuration format (`config`) or how a process is started (`process`).

use std::path::PathBuf;

/// Everything that decides what a worker process runs and what it may reach.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// Name of the script, for messages.
    pub script: String,
    /// Name of the module that holds the user's exports; an ES module among `modules`.
    pub main_module: String,
    /// The user's modules under their own names.
    pub modules: Vec<Module>,
    /// `YYYY-MM-DD`, at most [`crate::WORKERD_DATE`].
    pub compatibility_date: String,
    /// As the user wrote them.
    pub compatibility_flags: Vec<String>,
    /// What user code finds in `env`.
    pub bindings: Vec<Binding>,
    /// Names of the workflow classes that the main module must export.
    pub classes: Vec<String>,
    /// Whether classes that cannot be workflows keep the Worker from starting. Code that was deployed runs as it is.
    pub checks_classes: bool,
    /// Workflows that stand in `ctx.exports` under the names of their classes.
    pub exports: Vec<WorkflowExport>,
    /// Where user code may connect to.
    pub outbound: Outbound,
    /// Host names whose requests go to a script of this server instead of the network: (host, script). The host may
    /// carry a port; without one it means every port. Empty in `serve`.
    pub dev_outbound: Vec<(String, String)>,
    /// Path of the Unix socket on which the server answers bindings.
    pub host_socket: PathBuf,
}

/// A module of the user's Worker.
#[derive(Debug, Clone)]
pub struct Module {
    /// Specifier relative to the root of the upload, such as `index.js` or `lib/data.wasm`.
    pub name: String,
    /// The content, by kind.
    pub body: ModuleBody,
}

/// The content of a module, by kind.
#[derive(Debug, Clone)]
pub enum ModuleBody {
    /// ECMAScript source.
    EsModule(String),
    /// CommonJS source.
    CommonJs(String),
    /// Default export is a string.
    Text(String),
    /// Default export is an `ArrayBuffer`.
    Data(Vec<u8>),
    /// Default export is a `WebAssembly.Module`.
    Wasm(Vec<u8>),
    /// Default export is the parsed value.
    Json(String),
}

/// A workflow that is declared by its class alone, without a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowExport {
    /// Exported class.
    pub class: String,
    /// Its workflow on this server.
    pub workflow: String,
}

/// One member of `env`.
#[derive(Debug, Clone)]
pub enum Binding {
    /// A plain variable.
    Text { name: String, text: String },
    /// A variable with a JSON value, given as JSON text.
    Json { name: String, json: String },
    /// A secret: a string that must not show in diagnostics.
    Secret { name: String, text: SecretText },
    /// A workflow of this server, by its name.
    Workflow { name: String, workflow: String },
    /// A D1 database of this server, by its id.
    D1 { name: String, database_id: String },
    /// Another script of this server; `fetch` only.
    Service { name: String, script: String },
}

impl Binding {
    /// Name of the member of `env`.
    pub fn name(&self) -> &str {
        match self {
            Self::Text { name, .. }
            | Self::Json { name, .. }
            | Self::Secret { name, .. }
            | Self::Workflow { name, .. }
            | Self::D1 { name, .. }
            | Self::Service { name, .. } => name,
        }
    }
}

/// Where user code may connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outbound {
    /// Any address, loopback included; never Unix sockets.
    Any,
    /// Public addresses, and those named: CIDR ranges such as `10.1.0.0/16`, or workerd's `private` and `local`.
    PublicOnly { allow: Vec<String> },
}

/// The text of a secret; its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(pub String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

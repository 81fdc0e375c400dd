//! The command line of one esbuild run, and what it leaves in its output directory.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use super::metafile::Metafile;
use super::{BundleError, Purpose, read};
use crate::project::ProjectConfig;
use crate::project::compatibility::{NodeModules, has_navigator};

const METAFILE: &str = "meta.json";

/// wrangler's `COMMON_ESBUILD_OPTIONS`, conditions, and what is always external.
const COMMON: &[&str] = &[
    "--bundle",
    "--format=esm",
    "--target=es2024",
    "--supported:import-source=true",
    "--loader:.js=jsx",
    "--loader:.mjs=jsx",
    "--loader:.cjs=jsx",
    "--conditions=workerd,worker,browser",
    "--sourcemap=external",
    "--asset-names=[hash]-[name]",
    "--external:cloudflare:*",
    "--external:workerd:*",
    "--external:node:*",
    "--external:__STATIC_CONTENT_MANIFEST",
    "--log-level=warning",
    "--color=false",
];

/// Node's modules as they may be imported without `node:`.
const BARE_NODE_MODULES: &[&str] = &[
    "_http_agent",
    "_http_client",
    "_http_common",
    "_http_incoming",
    "_http_outgoing",
    "_http_server",
    "_stream_duplex",
    "_stream_passthrough",
    "_stream_readable",
    "_stream_transform",
    "_stream_wrap",
    "_stream_writable",
    "_tls_common",
    "_tls_wrap",
    "assert",
    "assert/strict",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "dns/promises",
    "domain",
    "events",
    "fs",
    "fs/promises",
    "http",
    "http2",
    "https",
    "inspector",
    "inspector/promises",
    "module",
    "net",
    "os",
    "path",
    "path/posix",
    "path/win32",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "readline/promises",
    "repl",
    "stream",
    "stream/consumers",
    "stream/promises",
    "stream/web",
    "string_decoder",
    "sys",
    "timers",
    "timers/promises",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "util/types",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

/// Gives CommonJS dependencies a `require` for Node's modules. As in wrangler, a module is its default export, also at dates
/// where workerd's own `require` answers with the namespace.
const REQUIRE_BANNER: &str = "import { createRequire as __stepwellCreateRequire } from \"node:module\"; \
    const __stepwellRequire = __stepwellCreateRequire(\"/\"); \
    const require = (id) => { const m = __stepwellRequire(id); \
    return Object.prototype.toString.call(m) === \"[object Module]\" && m.default !== undefined ? m.default : m; };";

/// What only a run tells about a Worker's use of Node's modules, and the next run heeds.
#[derive(Debug, Default)]
pub(super) struct NodeUse {
    /// Bundled CommonJS code calls `require` for them.
    requires: bool,
    /// Files of packages that are named like one of them, as in `process/browser`; an alias covers these too.
    package_files: BTreeSet<String>,
}

impl NodeUse {
    /// True when `metafile` shows something new, so that another run is needed. It ends: names are only added, and one that
    /// was added is bundled or an error.
    pub fn learn(&mut self, metafile: &Metafile) -> bool {
        let names = metafile.node_imports().into_iter().filter_map(|path| path.strip_prefix("node:"));
        let files = names.filter(|name| name.contains('/') && !BARE_NODE_MODULES.contains(name));
        let known = (self.requires, self.package_files.len());
        self.package_files.extend(files.map(str::to_owned));
        self.requires |= metafile.requires_node_modules();
        known != (self.requires, self.package_files.len())
    }
}

pub(super) struct Build<'a> {
    pub project: &'a ProjectConfig,
    pub purpose: Purpose,
    pub program: &'a Path,
    pub output: &'a Path,
    pub node_use: NodeUse,
}

impl Build<'_> {
    /// Runs esbuild; what it printed are warnings.
    pub fn run(&self) -> Result<String, BundleError> {
        let output = Command::new(self.program)
            .args(self.arguments())
            .current_dir(&self.project.root)
            .stdin(Stdio::null())
            .output()
            .map_err(|cause| BundleError::NoEsbuild { program: self.program.to_owned(), cause })?;
        let printed = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.success() {
            return Ok(printed);
        }
        Err(BundleError::Failed { messages: without_external_advice(&printed) + self.advice(&printed) })
    }

    /// The entry's name with `.js`, as wrangler names it.
    pub fn main_module(&self) -> String {
        let stem = self.project.main.file_stem().unwrap_or_default().to_string_lossy();
        format!("{stem}.js")
    }

    pub fn metafile(&self) -> Result<Metafile, BundleError> {
        Metafile::parse(&read(&self.output.join(METAFILE))?, &self.main_module())
    }

    /// esbuild names sources from its output directory, which means nothing later; here they start at the project.
    pub fn source_map(&self) -> Result<Vec<u8>, BundleError> {
        let bytes = read(&self.output.join(format!("{}.map", self.main_module())))?;
        let broken = |error: serde_json::Error| BundleError::Metafile { detail: error.to_string() };
        let mut map: serde_json::Value = serde_json::from_slice(&bytes).map_err(broken)?;
        let output =
            self.output.canonicalize().map_err(|cause| BundleError::Io { path: self.output.to_owned(), cause })?;
        for source in map["sources"].as_array_mut().into_iter().flatten() {
            if let Some(text) = source.as_str() {
                let path = normalized(&output.join(text));
                let path = path.strip_prefix(&self.project.root).unwrap_or(&path);
                *source = path.to_string_lossy().into();
            }
        }
        serde_json::to_vec(&map).map_err(broken)
    }

    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec![self.project.main.clone().into()];
        arguments.extend(COMMON.iter().map(Into::into));
        arguments.push(joined("--outfile=", &self.output.join(self.main_module())));
        arguments.push(joined("--metafile=", &self.output.join(METAFILE)));
        arguments.extend(self.settings().into_iter().map(Into::into));
        arguments.extend(self.node().into_iter().map(Into::into));
        arguments.extend(self.defines().into_iter().map(Into::into));
        arguments
    }

    fn settings(&self) -> Vec<String> {
        let build = &self.project.build;
        let mut arguments: Vec<_> =
            build.rules.extensions.iter().map(|(extension, _)| format!("--loader:.{extension}=copy")).collect();
        arguments.extend(build.keep_names.then(|| "--keep-names".to_owned()));
        arguments.extend(build.minify.then(|| "--minify".to_owned()));
        arguments.extend(build.tsconfig.iter().map(|path| format!("--tsconfig={}", path.display())));
        arguments.extend(build.jsx_factory.iter().map(|name| format!("--jsx-factory={name}")));
        arguments.extend(build.jsx_fragment.iter().map(|name| format!("--jsx-fragment={name}")));
        arguments.extend(build.alias.iter().map(|(from, to)| format!("--alias:{from}={to}")));
        arguments
    }

    /// The user's own alias for a module wins.
    fn node(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if self.project.node_modules() == NodeModules::Bare {
            let bare = BARE_NODE_MODULES.iter().filter(|name| !self.project.build.alias.contains_key(**name));
            arguments.extend(bare.map(|name| format!("--alias:{name}=node:{name}")));
            arguments.extend(self.node_use.package_files.iter().map(|name| format!("--alias:{name}={name}")));
        }
        if self.node_use.requires {
            arguments.push(format!("--banner:js={REQUIRE_BANNER}"));
        }
        arguments
    }

    fn defines(&self) -> Vec<String> {
        let project = self.project;
        let default = match self.purpose {
            Purpose::Development => "development",
            Purpose::Production => "production",
        };
        let node_env =
            env::var("NODE_ENV").ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned());
        let node_env = serde_json::Value::from(node_env).to_string();
        let user_agent = has_navigator(&project.compatibility_date, &project.compatibility_flags)
            .then(|| ("navigator.userAgent".to_owned(), "\"Cloudflare-Workers\"".to_owned()));
        let environment =
            ["", "global.", "globalThis."].map(|prefix| (format!("{prefix}process.env.NODE_ENV"), node_env.clone()));
        let defaults =
            environment.into_iter().chain(user_agent).filter(|(name, _)| !project.build.define.contains_key(name));
        let own = project.build.define.iter().map(|(name, value)| (name.clone(), value.clone()));
        defaults.chain(own).map(|(name, value)| format!("--define:{name}={value}")).collect()
    }

    fn advice(&self, text: &str) -> &'static str {
        let node_module = BARE_NODE_MODULES.iter().any(|name| text.contains(&format!("Could not resolve \"{name}\"")));
        match (node_module, self.project.node_modules()) {
            (true, NodeModules::Off) => "\nModules of Node need compatibility_flags = [\"nodejs_compat\"].",
            (true, _) => {
                "\nWrite \"node:\" before the names of Node's modules, or set compatibility_date to 2024-09-23 or later."
            }
            (false, _) if text.contains("Could not resolve") => {
                "\nInstall missing packages with `npm install`; `alias` in the configuration replaces a module by another."
            }
            (false, _) => "",
        }
    }
}

/// esbuild advises to mark a path as external, an option that our users do not have.
fn without_external_advice(messages: &str) -> String {
    let kept: Vec<_> =
        messages.lines().filter(|line| !line.trim_start().starts_with("You can mark the path")).collect();
    kept.join("\n")
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut text = OsString::from(option);
    text.push(path);
    text
}

/// Without `.` and `..`, by the text alone.
pub(super) fn normalized(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(result.pop()),
            Component::CurDir => {}
            other => result.push(other),
        }
    }
    result
}

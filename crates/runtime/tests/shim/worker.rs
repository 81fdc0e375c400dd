//! A workerd process with the shim and a user module, on a socket in a temporary directory.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use stepwell_runtime::session::{self, SessionReceiver, SessionSender};
use stepwell_runtime::shim::SHIM_MODULES;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub const TOKEN: &str = "a-token";

pub struct Worker {
    dir: tempfile::TempDir,
    _process: Child,
}

impl Worker {
    pub async fn start(user_module: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_modules(dir.path(), user_module);
        let mut process = Command::new(workerd())
            .args(["serve", "config.capnp", "--control-fd=1"])
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("workerd says that it listens");
        assert!(line.contains("listen"), "{line}");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { dir, _process: process }
    }

    pub async fn connect(&self, token: &str) -> Result<(SessionSender, SessionReceiver), session::SessionError> {
        session::connect(&self.dir.path().join("session"), token).await
    }
}

fn write_modules(dir: &Path, user_module: &str) {
    let wrapper = format!(
        "import {{ createSession }} from './stepwell/shim.js';\n\
         import * as user from './user.js';\n\
         export * from './user.js';\n\
         export const Session = createSession(user, ['Flow'], '{TOKEN}');\n\
         export default {{ fetch: () => new Response('ok') }};\n"
    );
    std::fs::create_dir_all(dir.join("stepwell/vendor")).unwrap();
    let mut modules = vec![("wrapper.js".to_owned(), wrapper), ("user.js".to_owned(), user_module.to_owned())];
    modules.extend(SHIM_MODULES.iter().map(|(name, text)| (format!("stepwell/{name}"), (*text).to_owned())));
    let mut list = String::new();
    for (name, text) in &modules {
        std::fs::write(dir.join(name), text).unwrap();
        list.push_str(&format!("(name = \"{name}\", esModule = embed \"{name}\"),\n"));
    }
    std::fs::write(dir.join("host.js"), include_str!("host.js")).unwrap();
    let socket = dir.join("session");
    let config = format!(
        "using Workerd = import \"/workerd/workerd.capnp\";\n\
         const config :Workerd.Config = (\n\
           services = [(name = \"main\", worker = (modules = [{list}],\n\
             compatibilityDate = \"2026-06-01\", compatibilityFlags = [\"nodejs_compat\"],\n\
             bindings = [(name = \"GREETING\", text = \"hello\"), (name = \"__stepwell_host__\", service = \"host\")])),\n\
             (name = \"host\", worker = (modules = [(name = \"host.js\", esModule = embed \"host.js\")],\n\
             compatibilityDate = \"2026-06-01\"))],\n\
           sockets = [(name = \"session\", address = \"unix:{}\", http = (),\n\
             service = (name = \"main\", entrypoint = \"Session\"))]);\n",
        socket.display()
    );
    std::fs::write(dir.join("config.capnp"), config).unwrap();
}

fn workerd() -> PathBuf {
    if let Some(path) = std::env::var_os("STEPWELL_WORKERD") {
        return path.into();
    }
    let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/node_modules/workerd/bin/workerd");
    assert!(
        Path::new(installed).exists(),
        "no workerd: set STEPWELL_WORKERD, or install npm's `workerd` into target/tools"
    );
    installed.into()
}

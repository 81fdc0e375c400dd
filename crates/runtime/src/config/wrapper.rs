//! The generated main module: loads the shim before user code, passes the user's exports on, adds the
//! entrypoints of sessions and of followed requests. It is the one way into the user's isolate.

use crate::config::{Identity, PREFIX};
use crate::shim::SHIM_MODULES;
use crate::spec::WorkerSpec;

/// What the generated module throws when the user's exports are not fit, followed by JSON; read by `process::diagnosis`.
pub const EXPORTS_MARK: &str = "stepwell-exports:";

/// Source of the generated main module.
///
/// Imports are evaluated in order, so the shim captures its built-ins before user code can replace them.
pub fn wrapper(spec: &WorkerSpec, identity: &Identity) -> String {
    let shim = quoted(&format!("./{PREFIX}{}", SHIM_MODULES[0].0));
    let user = quoted(&format!("./{}", spec.main_module.trim_start_matches("./")));
    let classes = serde_json::to_string(&spec.classes).expect("strings are JSON");
    let runs = if spec.checks_classes {
        r#" && (typeof value.prototype?.run === "function" || value.prototype instanceof WorkflowEntrypoint)"#
    } else {
        ""
    };
    let token = quoted(&identity.token);
    let Identity { session, traced, .. } = identity;
    format!(
        r#"import {{ WorkflowEntrypoint }} from "cloudflare:workers";
import {{ createSession, createTraced }} from {shim};
import * as user from {user};
export * from {user};

// No built-in is called where all is well: user code may have replaced them.
const classes = {classes};
const fits = (value) => typeof value === "function"{runs};
let fit = false;
for (const name in user) fit = true;
for (let i = 0; i < classes.length; i += 1) fit &&= fits(user[classes[i]]);
if (!fit) {{
  const missing = classes.filter((name) => typeof user[name] !== "function");
  const unfit = classes.filter((name) => !fits(user[name]));
  const names = Object.keys(user);
  const isWorkflow = (name) => user[name]?.prototype instanceof WorkflowEntrypoint;
  throw new Error("{EXPORTS_MARK}" + JSON.stringify({{ missing, unfit, names, workflows: names.filter(isWorkflow) }}));
}}

const main = user.default ?? {{
  fetch() {{
    return new Response("This Worker has no fetch handler.\n", {{ status: 404 }});
  }},
}};
export default main;
export const {session} = createSession(user, classes, {token});
export const {traced} = createTraced(main);
"#
    )
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is JSON")
}

//! The shim's modules, as they go into a worker's configuration. Their names are relative to one another, so all of them
//! belong into the same folder of module names.

/// Name and text of every module of the shim; the first is the one that a wrapper imports.
pub const SHIM_MODULES: &[(&str, &str)] = &[
    ("shim.js", include_str!("../js/shim.js")),
    ("shim-attempt.js", include_str!("../js/shim-attempt.js")),
    ("shim-builtins.js", include_str!("../js/shim-builtins.js")),
    ("shim-call.js", include_str!("../js/shim-call.js")),
    ("shim-config.js", include_str!("../js/shim-config.js")),
    ("shim-console.js", include_str!("../js/shim-console.js")),
    ("shim-context.js", include_str!("../js/shim-context.js")),
    ("shim-course.js", include_str!("../js/shim-course.js")),
    ("shim-duration.js", include_str!("../js/shim-duration.js")),
    ("shim-errors.js", include_str!("../js/shim-errors.js")),
    ("shim-history.js", include_str!("../js/shim-history.js")),
    ("shim-host.js", include_str!("../js/shim-host.js")),
    ("shim-natives.js", include_str!("../js/shim-natives.js")),
    ("shim-rollback.js", include_str!("../js/shim-rollback.js")),
    ("shim-run.js", include_str!("../js/shim-run.js")),
    ("shim-scope.js", include_str!("../js/shim-scope.js")),
    ("shim-session.js", include_str!("../js/shim-session.js")),
    ("shim-step.js", include_str!("../js/shim-step.js")),
    ("shim-stream.js", include_str!("../js/shim-stream.js")),
    ("shim-timers.js", include_str!("../js/shim-timers.js")),
    ("shim-trace.js", include_str!("../js/shim-trace.js")),
    ("value.js", include_str!("../js/value.js")),
    ("vendor/devalue.js", include_str!("../js/vendor/devalue.js")),
];

#[cfg(test)]
mod tests {
    use super::SHIM_MODULES;
    use crate::protocol::{PROTOCOL, ToShim, parse_frame};

    /// What the shim must understand; `name_of` keeps it complete.
    const TO_SHIM: &[&str] = &[
        "start",
        "history",
        "held",
        "settle",
        "attempt",
        "roll_back",
        "undo",
        "value",
        "stop",
        "go",
        "forget",
        "ping",
        "bye",
    ];

    fn name_of(message: &ToShim<'_>) -> &'static str {
        match message {
            ToShim::Start { .. } => "start",
            ToShim::History { .. } => "history",
            ToShim::Held { .. } => "held",
            ToShim::Settle { .. } => "settle",
            ToShim::Attempt { .. } => "attempt",
            ToShim::RollBack { .. } => "roll_back",
            ToShim::Undo { .. } => "undo",
            ToShim::Value { .. } => "value",
            ToShim::Stop { .. } => "stop",
            ToShim::Go { .. } => "go",
            ToShim::Forget { .. } => "forget",
            ToShim::Ping { .. } => "ping",
            ToShim::Bye {} => "bye",
        }
    }

    fn all() -> String {
        SHIM_MODULES.iter().map(|(_, text)| *text).collect()
    }

    #[test]
    fn the_shim_speaks_this_version() {
        assert!(all().contains(&format!("const PROTOCOL = {PROTOCOL};")));
    }

    #[test]
    fn the_shim_takes_the_binding_that_leads_to_the_server() {
        assert!(all().contains(&format!("const HOST_BINDING = '{}';", crate::config::HOST_BINDING)));
    }

    #[test]
    fn the_shim_understands_every_message() {
        assert!(TO_SHIM.contains(&name_of(&ToShim::Bye {})));
        let missing: Vec<_> = TO_SHIM.iter().filter(|name| !all().contains(&format!("message.{name}"))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn the_shim_sends_every_message() {
        let known = parse_frame(r#"[{"nonsense":{}}]"#).unwrap_err().to_string();
        let (_, list) = known.split_once("expected one of ").unwrap();
        let (list, _) = list.split_once(" at line").unwrap();
        let names: Vec<_> = list.split(", ").map(|name| name.trim_matches('`')).collect();
        assert!(names.len() > 10, "{names:?}");
        let sent =
            |name: &str| all().contains(&format!("{{\"{name}\":{{")) || all().contains(&format!("{{ {name}: {{"));
        let missing: Vec<_> = names.into_iter().filter(|name| !sent(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn every_module_that_is_imported_is_listed() {
        for (module, text) in SHIM_MODULES {
            for line in text.lines().filter(|line| line.contains(" from './") && !line.starts_with(" *")) {
                let (_, path) = line.split_once(" from './").unwrap();
                let path = path.trim_end_matches("';");
                assert!(SHIM_MODULES.iter().any(|(name, _)| *name == path), "{module} imports {path}");
            }
        }
    }
}

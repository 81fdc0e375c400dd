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
    ("shim-duration.js", include_str!("../js/shim-duration.js")),
    ("shim-errors.js", include_str!("../js/shim-errors.js")),
    ("shim-history.js", include_str!("../js/shim-history.js")),
    ("shim-run.js", include_str!("../js/shim-run.js")),
    ("shim-scope.js", include_str!("../js/shim-scope.js")),
    ("shim-session.js", include_str!("../js/shim-session.js")),
    ("shim-step.js", include_str!("../js/shim-step.js")),
    ("shim-timers.js", include_str!("../js/shim-timers.js")),
    ("value.js", include_str!("../js/value.js")),
    ("vendor/devalue.js", include_str!("../js/vendor/devalue.js")),
];

//! Node's modules as wrangler gives them to a Worker with `nodejs_compat`: what workerd has natively at the Worker's date and
//! flags stays an import, the rest comes from `unenv` and `@cloudflare/unenv-preset`, which the tools' lock file pins.
//!
//! The tables say what those packages say in code (`getCloudflarePreset` and `defineEnv`); `tools/node-compat.mjs` asks the
//! packages themselves, and a test compares. From `nodejs_compat` of before its second version, nothing is here: then only
//! `node:…` is left to workerd.

/// Native at every date at which `nodejs_compat` has its second version.
const ALWAYS_NATIVE: &[&str] = &[
    "_stream_duplex",
    "_stream_passthrough",
    "_stream_readable",
    "_stream_transform",
    "_stream_writable",
    "_tls_common",
    "_tls_wrap",
    "assert",
    "assert/strict",
    "async_hooks",
    "buffer",
    "constants",
    "crypto",
    "diagnostics_channel",
    "dns",
    "dns/promises",
    "events",
    "module",
    "net",
    "path",
    "path/posix",
    "path/win32",
    "querystring",
    "stream",
    "stream/consumers",
    "stream/promises",
    "stream/web",
    "string_decoder",
    "sys",
    "timers",
    "timers/promises",
    "tls",
    "url",
    "util",
    "util/types",
    "zlib",
];

/// Modules that became native at a date, with the middle of their flags' names: `enable_nodejs_…`, `disable_nodejs_…`.
const NATIVE_SINCE: &[(&str, &str, &[&str])] = &[
    (
        "http_modules",
        "2025-08-15",
        &["_http_agent", "_http_client", "_http_common", "_http_incoming", "_http_outgoing", "http", "https"],
    ),
    ("http_server_modules", "2025-09-01", &["_http_server"]),
    ("http2_module", "2025-09-01", &["http2"]),
    ("os_module", "2025-09-15", &["os"]),
    ("fs_module", "2025-09-15", &["fs", "fs/promises"]),
    ("process_v2", "2025-09-15", &["process"]),
    ("console_module", "2025-09-21", &["console"]),
    ("vm_module", "2025-10-01", &["vm"]),
    ("cluster_module", "2025-12-04", &["cluster"]),
    ("domain_module", "2025-12-04", &["domain"]),
    ("punycode_module", "2025-12-04", &["punycode"]),
    ("trace_events_module", "2025-12-04", &["trace_events"]),
    ("wasi_module", "2025-12-04", &["wasi"]),
    ("dgram_module", "2026-01-29", &["dgram"]),
    ("inspector_module", "2026-01-29", &["inspector", "inspector/promises"]),
    ("sqlite_module", "2026-01-29", &["sqlite"]),
    ("stream_wrap_module", "2026-01-29", &["_stream_wrap"]),
    ("child_process_module", "2026-03-17", &["child_process"]),
    ("perf_hooks_module", "2026-03-17", &["perf_hooks"]),
    ("readline_module", "2026-03-17", &["readline", "readline/promises"]),
    ("repl_module", "2026-03-17", &["repl"]),
    ("tty_module", "2026-03-17", &["tty"]),
    ("v8_module", "2026-03-17", &["v8"]),
    ("worker_threads_module", "2026-03-17", &["worker_threads"]),
];

/// Packages that need Node and have a stand-in.
const PACKAGES: &[(&str, &str)] = &[
    ("cross-fetch", "unenv/npm/cross-fetch"),
    ("cross-fetch/polyfill", "unenv/mock/empty"),
    ("fsevents", "unenv/npm/fsevents"),
    ("inherits", "unenv/npm/inherits"),
    ("isomorphic-fetch", "unenv/mock/empty"),
    ("node-fetch", "unenv/npm/node-fetch"),
    ("node-fetch-native", "unenv/npm/node-fetch"),
    ("node-fetch-native/polyfill", "unenv/mock/empty"),
    ("whatwg-url", "unenv/npm/whatwg-url/index"),
    ("whatwg-url/webidl2js-wrapper", "unenv/npm/whatwg-url/webidl2js-wrapper"),
];

const PRESET_PROCESS: &str = "@cloudflare/unenv-preset/node/process";
const PRESET_CONSOLE: &str = "@cloudflare/unenv-preset/node/console";
const PRESET_PERFORMANCE: &str = "@cloudflare/unenv-preset/polyfill/performance";
const MOCK: &str = "unenv/mock/proxy-cjs";

/// Where an import leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A module of workerd's, with its `node:`.
    Native(String),
    /// A file of the packages, as it is imported.
    Polyfill(String),
}

/// Node's modules at a Worker's date and flags.
pub(super) struct Node<'a> {
    pub date: &'a str,
    pub flags: &'a [String],
}

impl Node<'_> {
    /// True for what is one of Node's modules, by its name.
    pub fn is_module(name: &str) -> bool {
        name.starts_with("node:") || (name != "sqlite" && names().any(|other| other == name))
    }

    /// Where the import of `name` leads, if it is not an ordinary package or file.
    pub fn target(&self, name: &str) -> Option<Target> {
        if let Some((_, file)) = PACKAGES.iter().find(|(package, _)| *package == name) {
            return Some(Target::Polyfill((*file).to_owned()));
        }
        let bare = name.strip_prefix("node:").unwrap_or(name);
        if !Self::is_module(name) || !names().any(|other| other == bare) {
            return None;
        }
        Some(if self.is_native(bare) { Target::Native(format!("node:{bare}")) } else { polyfill(bare) })
    }

    /// Globals that code expects and workerd does not have: name, and the file whose default export it is.
    pub fn globals(&self) -> Vec<(&'static str, &'static str)> {
        let globals = [("process", PRESET_PROCESS), ("console", PRESET_CONSOLE)];
        globals.into_iter().filter(|(name, _)| !self.is_native(name)).collect()
    }

    /// Files that are imported for what they do to globals.
    pub fn effects(&self) -> Vec<&'static str> {
        if self.is_native("perf_hooks") { Vec::new() } else { vec![PRESET_PERFORMANCE] }
    }

    fn is_native(&self, name: &str) -> bool {
        let since = NATIVE_SINCE.iter().find(|(_, _, names)| names.contains(&name));
        ALWAYS_NATIVE.contains(&name)
            || since.is_some_and(|(feature, date, _)| {
                self.switch(&format!("enable_nodejs_{feature}"), &format!("disable_nodejs_{feature}"), date)
                    && self.needs_met(feature)
            })
    }

    /// What a feature needs beside its own flag.
    fn needs_met(&self, feature: &str) -> bool {
        match feature {
            // Without the other modules of HTTP there is no server.
            "http_server_modules" => self.is_native("http"),
            "process_v2" => self.fetch_takes_iterables(),
            _ => true,
        }
    }

    fn fetch_takes_iterables(&self) -> bool {
        let adjusted = "fetch_iterable_type_support_override_adjustment";
        self.switch("fetch_iterable_type_support", "no_fetch_iterable_type_support", "2026-02-19")
            && self.switch(adjusted, &format!("no_{adjusted}"), "2026-01-15")
    }

    fn switch(&self, enabling: &str, disabling: &str, since: &str) -> bool {
        let has = |flag: &str| self.flags.iter().any(|other| other == flag);
        (has(enabling) || self.date >= since) && !has(disabling)
    }
}

/// The names of all modules, without `node:`.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let since = NATIVE_SINCE.iter().flat_map(|(_, _, names)| names.iter());
    ALWAYS_NATIVE.iter().chain(since).copied()
}

/// The names of packages that have a stand-in.
pub(super) fn packages() -> impl Iterator<Item = &'static str> {
    PACKAGES.iter().map(|(name, _)| *name)
}

fn polyfill(name: &str) -> Target {
    Target::Polyfill(match name {
        "process" => PRESET_PROCESS.to_owned(),
        "console" => PRESET_CONSOLE.to_owned(),
        _ if name.starts_with('_') => MOCK.to_owned(),
        _ => format!("unenv/node/{name}"),
    })
}

/// The file below a `node_modules` directory that an import of the packages means, by their `exports`.
pub(super) fn package_file(import: &str) -> String {
    if import == MOCK {
        return "unenv/lib/mock.cjs".to_owned();
    }
    let (package, file) = match import.strip_prefix("unenv/") {
        Some(file) => ("unenv", file),
        None => ("@cloudflare/unenv-preset", import.trim_start_matches("@cloudflare/unenv-preset/")),
    };
    format!("{package}/dist/runtime/{file}.mjs")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    /// What `tools/node-compat.mjs` writes.
    #[derive(Deserialize)]
    struct Packages {
        /// Native in all cases.
        always: Vec<String>,
        /// What stands for each other name while it is not native.
        polyfills: BTreeMap<String, String>,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        date: String,
        flags: Vec<String>,
        native: Vec<String>,
        globals: BTreeMap<String, String>,
        effects: Vec<String>,
    }

    const PACKAGES_SAY: &str = include_str!("../../../tests/fixtures/node-compat.json");

    fn check(case: &Case, packages: &Packages) {
        let node = Node { date: &case.date, flags: &case.flags };
        let at = format!("{} {:?}", case.date, case.flags);
        for name in packages.always.iter().chain(packages.polyfills.keys()) {
            let is_native = [&packages.always, &case.native].iter().any(|names| {
                names.contains(name) || name.strip_prefix("node:").is_some_and(|bare| names.iter().any(|n| n == bare))
            });
            let expected = if is_native {
                Target::Native(format!("node:{}", name.trim_start_matches("node:")))
            } else {
                Target::Polyfill(packages.polyfills[name].clone())
            };
            // Before it is native, the name is a package's.
            let expected = (name != "sqlite").then_some(expected);
            assert_eq!(node.target(name), expected, "{at}: {name}");
        }
        let globals: BTreeMap<_, _> =
            node.globals().into_iter().map(|(name, file)| (name.to_owned(), file.to_owned())).collect();
        assert_eq!(globals, case.globals, "{at}");
        assert_eq!(node.effects(), case.effects, "{at}");
    }

    #[test]
    fn the_tables_say_what_the_packages_say() {
        let packages: Packages = serde_json::from_str(PACKAGES_SAY).unwrap();
        assert!(packages.cases.len() > 50 && packages.polyfills.len() > 60);
        packages.cases.iter().for_each(|case| check(case, &packages));
        let said: Vec<_> = packages.always.iter().chain(packages.polyfills.keys()).map(String::as_str).collect();
        assert!(names().all(|name| said.contains(&name) || said.contains(&format!("node:{name}").as_str())));
    }

    #[test]
    fn the_fixture_is_what_the_pinned_packages_say_today() {
        let esbuild = std::env::var_os("STEPWELL_ESBUILD").map(std::path::PathBuf::from);
        let modules = crate::tools::polyfills(&esbuild.unwrap_or_default()).expect("run `stepwell setup`");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/node-compat.mjs");
        let output = std::process::Command::new("node").arg(script).arg(modules).output().expect("node runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), PACKAGES_SAY);
    }

    #[test]
    fn other_packages_are_left_alone() {
        let node = Node { date: "2024-12-01", flags: &[] };
        for name in ["lodash", "process/browser", "node:nothing", "debug", "sqlite"] {
            assert_eq!(node.target(name), None, "{name}");
        }
        assert!(Node::is_module("node:nothing") && !Node::is_module("process/browser"));
    }
}

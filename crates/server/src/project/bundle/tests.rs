//! These run the real esbuild: a stand-in would test nothing.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Bundle, BundleError, Purpose, bundle};
use crate::project::{ModuleKind, ProjectConfig};
use crate::tools::Tools;

fn esbuild() -> PathBuf {
    let named = std::env::var_os("STEPWELL_ESBUILD").map(PathBuf::from);
    let program = named.or_else(|| Tools::locate().map(|tools| tools.esbuild));
    program.expect("these tests need esbuild: run `stepwell setup`, or set STEPWELL_ESBUILD")
}

fn example(name: &str) -> (ProjectConfig, Bundle) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    let project = ProjectConfig::load(&directory, None).unwrap();
    let bundle = bundle(&project, &esbuild(), Purpose::Development).unwrap();
    (project, bundle)
}

/// Writes `files` into a directory with a minimal configuration (plus `extra`) and bundles it.
fn build(extra: &str, files: &[(&str, &str)]) -> Result<Bundle, String> {
    build_configured(&format!("name = \"w\"\nmain = \"src/index.ts\"\n{extra}"), files)
}

fn build_configured(config: &str, files: &[(&str, &str)]) -> Result<Bundle, String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files.iter().chain([&("wrangler.toml", config)]) {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let project = ProjectConfig::load(directory.path(), None).unwrap();
    let root = project.root.display().to_string();
    bundle(&project, &esbuild(), Purpose::Development).map_err(|error| error.to_string().replace(&root, "<project>"))
}

fn main_text(bundle: &Bundle) -> &str {
    std::str::from_utf8(&bundle.modules[0].bytes).unwrap()
}

const DATE: &str = "compatibility_date = \"2024-12-01\"\n";
const HANDLER: &str = "export default { async fetch() { return new Response('ok') } };";

#[test]
fn every_example_bundles_without_warnings() {
    for (name, main_module, exports) in [
        ("starter", "index.js", ["MyWorkflow", "default"].as_slice()),
        ("starter/ips-stub", "index.js", &["default"]),
        ("onboarding", "index.js", &["OnboardingWorkflow", "default"]),
        ("onboarding/mail-stub", "index.js", &["default"]),
        ("bench", "index.js", &["Bench", "Sleeper", "Streamer", "default"]),
    ] {
        let (project, bundle) = example(name);
        assert_eq!(bundle.main_module, main_module, "{name}");
        assert_eq!(bundle.exports, exports, "{name}");
        assert_eq!((&project.warnings, &bundle.warnings), (&vec![], &vec![]), "{name}");
        assert_eq!(bundle.inputs, std::slice::from_ref(&project.main), "{name}");
    }
}

#[test]
fn names_that_are_only_types_are_dropped_from_value_imports() {
    let (_, bundle) = example("onboarding");
    assert!(main_text(&bundle).contains("import {\n  WorkflowEntrypoint\n} from \"cloudflare:workers\";"));
    let satisfies = "export default { async fetch() { return new Response('') } } satisfies ExportedHandler<{}>;";
    assert!(build(DATE, &[("src/index.ts", satisfies)]).is_ok());
}

#[test]
fn the_source_map_names_sources_from_the_project() {
    let (_, bundle) = example("starter");
    let map: serde_json::Value = serde_json::from_slice(&bundle.source_map.unwrap()).unwrap();
    assert_eq!(map["sources"], serde_json::json!(["src/index.ts"]));
}

#[test]
fn the_same_sources_give_the_same_bytes() {
    let (_, first) = example("onboarding");
    let (_, second) = example("onboarding");
    assert_eq!(first, second);
}

#[test]
fn text_data_and_wasm_files_become_modules() {
    let index = "import t from './a.txt'; import q from './q.sql'; import b from './b.bin';
        import w from './m.wasm'; import v from './m.wasm?module'; import n from './n.md';
        export default { fetch() { return Response.json([t, q, b, w, v, n]) } };";
    let rules = "[[rules]]\ntype = \"Text\"\nglobs = [\"**/*.md\"]\nfallthrough = true\n";
    let files = [
        ("src/index.ts", index),
        ("src/a.txt", "a"),
        ("src/q.sql", "q"),
        ("src/b.bin", "b"),
        ("src/m.wasm", "m"),
        ("src/n.md", "n"),
    ];
    let bundle = build(&format!("{DATE}{rules}"), &files).unwrap();
    let mut found: Vec<_> = bundle.modules[1..]
        .iter()
        .map(|module| {
            (module.name.split_once('-').unwrap().1, module.kind, String::from_utf8_lossy(&module.bytes).into_owned())
        })
        .collect();
    found.sort_by_key(|(name, ..)| *name);
    assert_eq!(
        found,
        [
            ("a.txt", ModuleKind::Text, "a".to_owned()),
            ("b.bin", ModuleKind::Data, "b".to_owned()),
            ("m.wasm", ModuleKind::Wasm, "m".to_owned()),
            ("n.md", ModuleKind::Text, "n".to_owned()),
            ("q.sql", ModuleKind::Text, "q".to_owned()),
        ]
    );
    assert!(!main_text(&bundle).contains("?module"));
    for module in &bundle.modules[1..] {
        assert!(main_text(&bundle).contains(&format!("\"./{}\"", module.name)), "{}", module.name);
    }
    assert_eq!(bundle.inputs.len(), files.len());
}

#[test]
fn a_file_of_a_rule_that_was_switched_off_is_refused() {
    let index = format!("import t from './a.txt'; console.log(t); {HANDLER}");
    let rules = "[[rules]]\ntype = \"Text\"\nglobs = [\"**/*.md\"]\n";
    let error = build(&format!("{DATE}{rules}"), &[("src/index.ts", &index), ("src/a.txt", "a")]).unwrap_err();
    assert!(error.contains("./a.txt matches a module rule that an earlier rule"), "{error}");
    assert!(error.contains("src/index.ts:1:14"), "{error}");
}

#[test]
fn rules_match_imports_by_their_globs() {
    let index = "import a from './texts/a.js'; import b from './b.js'; import m from 'pkg/readme.md';
        export default { fetch() { return Response.json([a, b, m]) } };";
    let rules = "[[rules]]\ntype = \"Text\"\nglobs = [\"./texts/*\", \"**/*.md\"]\n";
    let files = [
        ("src/index.ts", index),
        ("src/texts/a.js", "not code"),
        ("src/b.js", "export default 'code';"),
        ("node_modules/pkg/readme.md", "# read me"),
    ];
    let bundle = build(&format!("{DATE}{rules}"), &files).unwrap();
    let mut texts: Vec<_> = bundle.modules[1..].iter().map(|module| String::from_utf8_lossy(&module.bytes)).collect();
    texts.sort();
    assert_eq!(texts, ["# read me", "not code"]);
    assert!(main_text(&bundle).contains("\"code\""));
    assert_eq!(bundle.inputs.len(), files.len());
}

#[test]
fn modules_that_no_import_names_are_found_by_the_rules() {
    let index = "import { one } from './lib/one.mjs';
        export default { async fetch() { return Response.json([one, (await import('./lib/' + 'two.mjs')).two]) } };";
    let extra = "find_additional_modules = true\n[[rules]]\ntype = \"ESModule\"\nglobs = [\"**/*.mjs\"]\n";
    let files = [
        ("src/index.ts", index),
        ("src/lib/one.mjs", "export const one = 1;"),
        ("src/lib/two.mjs", "export const two = 2;"),
        ("src/lib/three.txt", "three"),
    ];
    let bundle = build(&format!("{DATE}{extra}"), &files).unwrap();
    let found: Vec<_> = bundle.modules[1..].iter().map(|module| (module.name.as_str(), module.kind)).collect();
    let (code, text) = (ModuleKind::EsModule, ModuleKind::Text);
    assert_eq!(found, [("lib/one.mjs", code), ("lib/three.txt", text), ("lib/two.mjs", code)]);
    assert!(main_text(&bundle).contains("from \"./lib/one.mjs\""), "{}", main_text(&bundle));
}

#[test]
fn a_worker_that_is_not_bundled_is_uploaded_as_it_is() {
    let index = "import { one } from './one.js';\nexport default { fetch: () => new Response(one) };\n";
    let config = "main = \"src/index.js\"\nno_bundle = true\n[[rules]]\ntype = \"ESModule\"\nglobs = [\"**/*.js\"]\n";
    let files = [("src/index.js", index), ("src/one.js", "export const one = '1';")];
    let bundle = build_configured(&format!("name = \"w\"\n{DATE}{config}"), &files).unwrap();
    assert_eq!((bundle.main_module.as_str(), main_text(&bundle)), ("index.js", index));
    assert_eq!(bundle.modules[1].name, "one.js");
    assert_eq!(bundle.exports, ["default"]);
    let error = build(&format!("{DATE}no_bundle = true\n"), &[("src/index.ts", HANDLER)]).unwrap_err();
    assert!(error.ends_with("so it must be JavaScript: a .js or .mjs file."), "{error}");
}

#[test]
fn modules_of_node_are_external_with_and_without_prefix() {
    let index = format!("import c from 'crypto'; import {{ join }} from 'node:path'; console.log(c, join); {HANDLER}");
    let bundle =
        build(&format!("{DATE}compatibility_flags = [\"nodejs_compat\"]"), &[("src/index.ts", &index)]).unwrap();
    let text = main_text(&bundle);
    assert!(text.contains("from \"node:crypto\"") && text.contains("from \"node:path\""), "{text}");
    assert_eq!(bundle.warnings, Vec::<String>::new());
    assert!(!text.contains("createRequire"));
}

#[test]
fn what_workerd_does_not_have_at_a_date_comes_from_the_stand_ins() {
    let index = format!("import fs from 'node:fs'; import f from 'node-fetch'; console.log(fs, f); {HANDLER}");
    let flags = "compatibility_flags = [\"nodejs_compat\"]\n";
    let old = build(&format!("{DATE}{flags}"), &[("src/index.ts", &index)]).unwrap();
    let text = main_text(&old);
    assert!(text.contains("/unenv/dist/runtime/node/fs.mjs") && !text.contains("\"node:fs\""), "{text}");
    assert!(text.contains("/unenv/dist/runtime/npm/node-fetch.mjs"), "{text}");
    assert!(text.contains("globalThis.process = ") && text.contains("globalThis.console = "), "{text}");
    let new = build(&format!("compatibility_date = \"2026-03-17\"\n{flags}"), &[("src/index.ts", &index)]).unwrap();
    let text = main_text(&new);
    assert!(text.contains("from \"node:fs\"") && !text.contains("globalThis.process = "), "{text}");
}

#[test]
fn an_alias_of_the_users_wins_over_nodes_module() {
    let index = format!("import fs from 'fs'; console.log(fs); {HANDLER}");
    let extra = format!("{DATE}compatibility_flags = [\"nodejs_compat\"]\n[alias]\nfs = \"./src/mine.ts\"\n");
    let files = [("src/index.ts", index.as_str()), ("src/mine.ts", "export default 'my own files';")];
    assert!(main_text(&build(&extra, &files).unwrap()).contains("my own files"));
}

#[test]
fn only_async_local_storage_needs_no_more_than_its_own_flag() {
    let index = format!("import a from 'node:async_hooks'; import f from 'node:fs'; console.log(a, f); {HANDLER}");
    let bundle = build(&format!("{DATE}compatibility_flags = [\"nodejs_als\"]"), &[("src/index.ts", &index)]).unwrap();
    assert_eq!(bundle.warnings.len(), 1, "{:?}", bundle.warnings);
    assert!(bundle.warnings[0].contains("\"node:fs\""));
}

#[test]
fn dependencies_in_commonjs_may_require_modules_of_node() {
    let index = format!("import dep from 'dep'; console.log(dep); {HANDLER}");
    let dep = "module.exports = class extends require('node:events') {};";
    let files = [("src/index.ts", index.as_str()), ("node_modules/dep/index.js", dep)];
    for date in ["2024-12-01", "2024-09-01"] {
        let config = format!("compatibility_date = \"{date}\"\ncompatibility_flags = [\"nodejs_compat\"]");
        let bundle = build(&config, &files).unwrap();
        assert!(main_text(&bundle).contains("import libDefault from \"node:events\";"), "{}", main_text(&bundle));
    }
}

#[test]
fn files_of_packages_named_like_a_module_of_node_are_bundled() {
    let index =
        format!("import p from 'process/browser'; import dns from 'dns/promises'; console.log(p, dns); {HANDLER}");
    let files = [("src/index.ts", index.as_str()), ("node_modules/process/browser.js", "module.exports = 'from npm';")];
    let bundle = build(&format!("{DATE}compatibility_flags = [\"nodejs_compat\"]"), &files).unwrap();
    let text = main_text(&bundle);
    assert!(text.contains("from npm") && text.contains("\"node:dns/promises\""), "{text}");
}

#[test]
fn a_module_of_node_without_the_flag_is_a_warning_or_an_error_with_advice() {
    let prefixed = format!("import fs from 'node:fs'; console.log(fs); {HANDLER}");
    let bundle = build(DATE, &[("src/index.ts", &prefixed)]).unwrap();
    assert!(bundle.warnings[0].contains("\"node:fs\""), "{:?}", bundle.warnings);
    let bare = format!("import fs from 'fs'; console.log(fs); {HANDLER}");
    let error = build(DATE, &[("src/index.ts", &bare)]).unwrap_err();
    assert!(error.contains("compatibility_flags = [\"nodejs_compat\"]"), "{error}");
}

#[test]
fn defines_aliases_and_names_are_as_in_wrangler() {
    let index = "import { x } from 'swapped'; class Named {}
        export default { fetch() { return Response.json([x, Named.name, process.env.NODE_ENV, navigator.userAgent, VERSION]) } };";
    let extra = format!("{DATE}[alias]\nswapped = \"./src/other.ts\"\n[define]\nVERSION = \"'1.2'\"\n");
    let bundle = build(&extra, &[("src/index.ts", index), ("src/other.ts", "export const x = 42;")]).unwrap();
    let text = main_text(&bundle);
    let node_env = format!("{:?}", std::env::var("NODE_ENV").unwrap_or_else(|_| "development".to_owned()));
    for part in ["x = 42", "__name(this, \"Named\")", &node_env, "\"Cloudflare-Workers\"", "\"1.2\""] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_build_command_runs_first_and_its_failure_is_shown() {
    let made =
        build(&format!("{DATE}[build]\ncommand = \"mkdir -p src && echo \\\"{HANDLER}\\\" > src/index.ts\"\n"), &[]);
    assert_eq!(made.unwrap().exports, ["default"]);
    let error = build(&format!("{DATE}[build]\ncommand = \"echo no such thing; exit 3\"\n"), &[]).unwrap_err();
    assert_eq!(error, "the build command `echo no such thing; exit 3` failed (exit status: 3):\nno such thing");
}

#[test]
fn errors_say_where_and_what_to_do() {
    let workflow = "[[workflows]]\nbinding = \"W\"\nname = \"w\"\nclass_name = \"Missing\"\n";
    let cases = [
        ("syntax error", String::new(), "export default {\n  fetch( { return 1 }\n};"),
        ("missing package", String::new(), "import x from 'nowhere'; export default { x };"),
        ("class not exported", workflow.to_owned(), "export class Other {}; export default {};"),
        ("service worker", String::new(), "addEventListener('fetch', (e) => e.respondWith(new Response('')));"),
    ];
    let mut report = String::new();
    for (case, extra, index) in cases {
        let error = build(&format!("{DATE}{extra}"), &[("src/index.ts", index)]).unwrap_err();
        report += &format!("--- {case}\n{error}\n");
    }
    insta::assert_snapshot!(report);
}

#[test]
fn esbuild_that_cannot_be_run_is_named() {
    let (project, _) = example("bench");
    let error = bundle(&project, Path::new("/nonexistent/esbuild"), Purpose::Development).unwrap_err();
    assert!(matches!(error, BundleError::NoEsbuild { .. }), "{error}");
}

//! One table: configuration files in, warnings or errors out, as snapshots. `<project>` stands for the directory.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use stepwell_runtime::WORKERD_DATE;

use super::{ConfigError, D1Config, D1Seed, ModuleKind, OutboundTarget, ProjectConfig, ServiceConfig, Var};

const TODAY: &str = "2026-11-21";

struct Project(tempfile::TempDir);

impl Project {
    /// A directory with these files and `src/index.ts`.
    fn new(files: &[(&str, &str)]) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        for (name, text) in files.iter().chain(&[("src/index.ts", "")]) {
            let path = project.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        project
    }

    fn root(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    fn load(&self, environment: Option<&str>) -> Result<ProjectConfig, ConfigError> {
        ProjectConfig::load_on(self.0.path(), environment, TODAY)
    }

    /// Errors, or warnings, or `ok`.
    fn report(&self, environment: Option<&str>) -> String {
        let text = match self.load(environment) {
            Ok(config) if config.warnings.is_empty() => "ok".to_owned(),
            Ok(config) => {
                config.warnings.iter().map(|warning| format!("warning: {warning}")).collect::<Vec<_>>().join("\n")
            }
            Err(error) => error.to_string(),
        };
        text.replace(&self.root().display().to_string(), "<project>")
    }
}

const HEAD: &str = "name = \"w\"\nmain = \"src/index.ts\"\ncompatibility_date = \"2024-12-01\"\n";

fn toml(rest: &str) -> Project {
    Project::new(&[("wrangler.toml", &format!("{HEAD}{rest}"))])
}

fn snapshot(cases: &[(&str, Project, Option<&str>)]) -> String {
    cases.iter().fold(String::new(), |mut text, (case, project, environment)| {
        writeln!(text, "--- {case}\n{}", project.report(*environment)).unwrap();
        text
    })
}

#[test]
fn mistakes_are_named_with_file_line_key_and_advice() {
    let whole = |text: &str| Project::new(&[("wrangler.toml", text)]);
    let workflow = |rest: &str| toml(&format!("[[workflows]]\nbinding = \"W\"\n{rest}"));
    let json = |text: &str| Project::new(&[("wrangler.jsonc", text)]);
    let report = snapshot(&[
        ("no configuration", Project::new(&[]), None),
        ("broken TOML", toml("vars = [\n"), None),
        ("broken JSON", json("{\n  \"name\": \"w\"\n  \"main\": 1\n}"), None),
        ("JSON that is no object", json("[]"), None),
        ("nothing in it", whole(""), None),
        (
            "a misspelt key that must be there",
            whole("nmae = \"w\"\nmain = \"src/index.ts\"\ncompatibility_date = \"2024-12-01\""),
            None,
        ),
        (
            "wrong types",
            whole(
                "name = 1\nmain = []\ncompatibility_date = 2024-01-01\ncompatibility_flags = \"x\"\nminify = \"yes\"",
            ),
            None,
        ),
        (
            "main that does not exist",
            whole("name = \"w\"\nmain = \"src/gone.ts\"\ncompatibility_date = \"2024-12-01\""),
            None,
        ),
        ("Python", whole("name = \"w\"\nmain = \"src/index.py\"\ncompatibility_date = \"2024-12-01\""), None),
        ("bad script name", whole(&HEAD.replace("\"w\"", "\"My Worker\"")), None),
        ("date with dashes of a text program", whole(&HEAD.replace("2024-12-01", "2024–12–01")), None),
        ("date in the future", whole(&HEAD.replace("2024-12-01", "2030-01-01")), None),
        ("unknown keys", toml("compatability_flags = []\nfrobnicate = true\n[limits]\ncpu = 1"), None),
        (
            "bindings that Stepwell does not have",
            toml(
                "[[kv_namespaces]]\nbinding = \"KV\"\nid = \"1\"\n[[r2_buckets]]\nbinding = \"R2\"\nbucket_name = \"b\"\n[[queues.producers]]\nbinding = \"Q\"\nqueue = \"q\"\n[durable_objects]\nbindings = [{ name = \"DO\", class_name = \"D\" }]\n[ai]\nbinding = \"AI\"",
            ),
            None,
        ),
        (
            "such keys with nothing in them",
            toml("kv_namespaces = []\nno_bundle = false\n[durable_objects]\nbindings = []\n[triggers]\ncrons = []"),
            None,
        ),
        (
            "what has no effect is silent, what is lost is said",
            toml(
                "account_id = \"1\"\nworkers_dev = true\n[observability]\nenabled = true\n[triggers]\ncrons = [\"* * * * *\"]",
            ),
            None,
        ),
        ("workflow without fields", toml("[[workflows]]\n"), None),
        ("workflows that are no list", toml("workflows = { binding = \"W\" }"), None),
        ("bad workflow name", workflow("name = \"-x\"\nclass_name = \"C\""), None),
        (
            "workflow name with 65 characters",
            workflow(&format!("name = \"{}\"\nclass_name = \"C\"", "x".repeat(65))),
            None,
        ),
        ("bad class name", workflow("name = \"w\"\nclass_name = \"My-Class\""), None),
        (
            "duplicate workflow",
            workflow(
                "name = \"w\"\nclass_name = \"C\"\n[[workflows]]\nbinding = \"X\"\nname = \"w\"\nclass_name = \"D\"",
            ),
            None,
        ),
        (
            "duplicate binding",
            workflow("name = \"w\"\nclass_name = \"C\"\n[[d1_databases]]\nbinding = \"W\"\n[vars]\nW = 1"),
            None,
        ),
        (
            "workflow settings",
            workflow(
                "name = \"w\"\nclass_name = \"C\"\nlimit = 1\nremote = true\nschedules = [\"nightly\"]\njurisdiction = \"mars\"\n[workflows.limits]\nsteps = 0",
            ),
            None,
        ),
        (
            "more steps than an instance may have",
            workflow("name = \"w\"\nclass_name = \"C\"\nlimits = { steps = 30000 }"),
            None,
        ),
        (
            "settings of a workflow in another script",
            workflow("name = \"w\"\nclass_name = \"C\"\nscript_name = \"other\"\nlimits = { steps = 5 }"),
            None,
        ),
        (
            "services and databases",
            toml("[[services]]\nbinding = \"S\"\n[[d1_databases]]\ndatabase_name = 5\ndatabse_id = \"x\""),
            None,
        ),
        (
            "names that cannot stand in `env`, and databases that cannot be",
            toml(
                "[[services]]\nbinding = \"a b\"\nservice = \"s\"\n[[d1_databases]]\nbinding = \"\"\n[[d1_databases]]\nbinding = \"D\"\n\
                 database_name = \"-d\"\ndatabase_id = \"a b\"\n[vars]\n__proto__ = 1\n\"a\\nb\" = 2",
            ),
            None,
        ),
        ("a date as a var", toml("[vars]\nRELEASED = 2024-01-01"), None),
        (
            "rules",
            toml(
                "[[rules]]\ntype = \"Txt\"\nglobs = [\"**/*.md\"]\n[[rules]]\ntype = \"Text\"\nglobs = [\"src/*.md\", \"**/*.js\"]",
            ),
            None,
        ),
    ]);
    insta::assert_snapshot!(report);
}

#[test]
fn environments_inherit_and_warn_as_in_wrangler() {
    let base = "minify = true\n[vars]\nA = \"top\"\nB = \"top\"\n[[workflows]]\nbinding = \"W\"\nname = \"w\"\nclass_name = \"C\"\n";
    let with = |environment: &str| toml(&format!("{base}{environment}"));
    let report = snapshot(&[
        ("not asked for", with("[env.staging]\n"), None),
        ("nothing repeated", with("[env.staging]\n"), Some("staging")),
        (
            "vars in part",
            with(
                "[env.staging.vars]\nA = \"staging\"\n[[env.staging.workflows]]\nbinding = \"W\"\nname = \"w2\"\nclass_name = \"C\"\n",
            ),
            Some("staging"),
        ),
        (
            "unknown key, and one of the top level",
            with("[env.staging]\nmian = \"x\"\nalias = {}\nvars = {}\nworkflows = []"),
            Some("staging"),
        ),
        ("misspelt", with("[env.staging]\n"), Some("stagng")),
        ("no environments at all", with(""), Some("staging")),
        ("an error inside", with("[env.staging]\nmain = \"gone.ts\"\nvars = 5\nworkflows = [5]"), Some("staging")),
        ("bad name", toml("[env.Staging]\n"), Some("Staging")),
    ]);
    insta::assert_snapshot!(report);
}

#[test]
fn an_environment_has_its_own_name_vars_and_bindings() {
    let project = toml(
        "minify = true\n[vars]\nA = \"top\"\n[env.staging.vars]\nA = \"staging\"\nN = { deep = [1, true] }\n\
         [env.named]\nname = \"other\"\nminify = false\n",
    );
    let top = project.load(None).unwrap();
    let staging = project.load(Some("staging")).unwrap();
    let named = project.load(Some("named")).unwrap();
    assert_eq!((top.name.as_str(), staging.name.as_str(), named.name.as_str()), ("w", "w-staging", "other"));
    assert_eq!((top.build.minify, staging.build.minify, named.build.minify), (true, true, false));
    assert_eq!(top.vars["A"], Var::Text("top".to_owned()));
    assert_eq!(staging.vars["A"], Var::Text("staging".to_owned()));
    assert_eq!(staging.vars["N"], Var::Json(serde_json::json!({ "deep": [1, true] })));
    assert!(named.vars.is_empty());
}

#[test]
fn the_first_of_json_jsonc_and_toml_is_read() {
    let json = |name: &str| {
        format!(
            "{{ \"name\": \"{name}\", \"main\": \"src/index.ts\", /* c */ \"compatibility_date\": \"2024-12-01\", }}"
        )
    };
    let (json, jsonc) = (json("from-json"), json("from-jsonc"));
    let files = [("wrangler.toml", HEAD), ("wrangler.jsonc", jsonc.as_str()), ("wrangler.json", json.as_str())];
    for (count, expected) in [(1, "w"), (2, "from-jsonc"), (3, "from-json")] {
        let config = Project::new(&files[..count]).load(None).unwrap();
        assert_eq!(config.name, expected);
    }
    let project = Project::new(&files);
    let file = project.root().join("wrangler.toml");
    assert_eq!(ProjectConfig::load(&file, None).unwrap().path, file);
}

#[test]
fn a_directory_inside_a_project_is_told_where_the_project_is() {
    let project = toml("");
    let error = ProjectConfig::load(&project.root().join("src"), None).unwrap_err().to_string();
    let file = project.root().join("wrangler.toml").display().to_string();
    assert!(error.ends_with(&format!("There is {file}: did you mean its directory?")), "{error}");
}

#[test]
fn a_missing_date_is_today_and_never_later_than_workerd_knows() {
    let project = Project::new(&[("wrangler.toml", "name = \"w\"\nmain = \"src/index.ts\"")]);
    let date = |today| ProjectConfig::load_on(project.0.path(), None, today).unwrap();
    assert_eq!(date("2026-11-10").compatibility_date, "2026-11-10");
    assert_eq!(date("2031-01-01").compatibility_date, WORKERD_DATE);
    let warning = "wrangler.toml: compatibility_date: not set; using 2026-11-10. \
                   Add compatibility_date = \"2026-11-10\" so that it does not change by itself";
    assert_eq!(date("2026-11-10").warnings, [warning]);
}

#[test]
fn a_date_that_workerd_does_not_know_yet_becomes_its_newest_with_a_warning() {
    let project = Project::new(&[(
        "wrangler.toml",
        "name = \"w\"\nmain = \"src/index.ts\"\ncompatibility_date = \"2030-12-31\"",
    )]);
    let on = |today| ProjectConfig::load_on(project.0.path(), None, today);
    let config = on("2031-01-01").unwrap();
    assert_eq!(config.compatibility_date, WORKERD_DATE);
    let warning = format!(
        "wrangler.toml:3: compatibility_date: 2030-12-31 is later than the pinned workerd knows; using {WORKERD_DATE}"
    );
    assert_eq!(config.warnings, [warning]);
    assert!(on("2030-12-30").unwrap_err().to_string().contains("2030-12-31 is in the future"));
}

#[test]
fn local_secrets_come_from_the_files_that_wrangler_reads() {
    let check = |files: &[(&str, &str)], environment: Option<&str>, expected: &[(&str, &str)]| {
        let config = format!("{HEAD}[env.staging]\n");
        let files: Vec<_> = files.iter().copied().chain([("wrangler.toml", config.as_str())]).collect();
        let secrets = Project::new(&files).load(environment).unwrap().secrets;
        let secrets: Vec<_> = secrets.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(secrets, expected, "{files:?}");
    };
    let (general, staging) = ((".dev.vars", "A=general"), (".dev.vars.staging", "B=staging"));
    check(&[general, staging], None, &[("A", "general")]);
    check(&[general, staging], Some("staging"), &[("B", "staging")]);
    check(&[general], Some("staging"), &[("A", "general")]);
    let dot_env = [(".env", "A=1\nB=1\nC=1"), (".env.local", "B=2"), (".env.staging", "C=$A-3")];
    check(&dot_env, Some("staging"), &[("A", "1"), ("B", "2"), ("C", "1-3")]);
    check(&dot_env, None, &[("A", "1"), ("B", "2"), ("C", "1")]);
    check(&[general, dot_env[0]], None, &[("A", "general")]);
}

#[test]
fn a_secret_may_have_the_name_of_a_var_and_not_of_a_binding() {
    let files =
        |config: &str| Project::new(&[("wrangler.toml", &format!("{HEAD}{config}")), (".dev.vars", "KEY=secret")]);
    let config = files("[vars]\nKEY = \"plain\"").load(None).unwrap();
    assert!(matches!(&config.vars["KEY"], Var::Text(text) if text == "plain"));
    assert_eq!(config.secrets["KEY"], "secret");
    let error = files("[[services]]\nbinding = \"KEY\"\nservice = \"s\"").load(None).unwrap_err().to_string();
    assert!(
        error.ends_with("the local secret \"KEY\" has the name of a service binding; rename one of them"),
        "{error}"
    );
}

#[test]
fn required_secrets_are_the_only_ones_and_missing_ones_are_named() {
    let project = Project::new(&[
        ("wrangler.toml", &format!("{HEAD}[secrets]\nrequired = [\"A\", \"STEPWELL_TEST_ABSENT\"]")),
        (".dev.vars", "A=1\nB=2"),
    ]);
    let config = project.load(None).unwrap();
    assert_eq!(config.secrets.into_iter().collect::<Vec<_>>(), [("A".to_owned(), "1".to_owned())]);
    assert!(config.warnings[0].contains("missing: STEPWELL_TEST_ABSENT"), "{:?}", config.warnings);
}

#[test]
fn bindings_are_read_whole() {
    let project = toml(
        "[[workflows]]\nbinding = \"W\"\nname = \"wf\"\nclass_name = \"C\"\nschedules = \"0 3 * * *\"\nlimits = { steps = 7 }\n\
         concurrency = { limit = 3 }\ndefault_retention = { success_retention = \"3 days\", error_retention = 5000 }\n\
         [[workflows]]\nbinding = \"X\"\nname = \"wx\"\nclass_name = \"D\"\nscript_name = \"other\"\n\
         [[workflows]]\nbinding = \"Y\"\nname = \"wy\"\nclass_name = \"E\"\nscript_name = \"w\"\n\
         [[d1_databases]]\nbinding = \"A\"\ndatabase_name = \"n\"\ndatabase_id = \"id\"\nmigrations_dir = \"sql\"\n\
         [[d1_databases]]\nbinding = \"B\"\ndatabase_name = \"n\"\n[[d1_databases]]\nbinding = \"C\"\n\
         [[services]]\nbinding = \"S\"\nservice = \"other\"\nentrypoint = \"Admin\"\n[limits]\ncpu_ms = 100\n",
    );
    let config = project.load(None).unwrap();
    let workflow = &config.workflows[0];
    assert_eq!((workflow.steps_max, workflow.concurrency_max), (Some(7), Some(3)));
    assert_eq!(workflow.schedules, ["0 3 * * *"]);
    assert_eq!(
        (workflow.success_retention.as_deref(), workflow.error_retention.as_deref()),
        (Some("3 days"), Some("5000"))
    );
    assert_eq!(config.workflows[1].script_name.as_deref(), Some("other"));
    assert_eq!(config.workflows[2].script_name, None, "its own name is no other script");
    let ids: Vec<_> = config.d1.iter().map(|database| database.database_id.as_str()).collect();
    assert_eq!(ids, ["id", "n", "C"]);
    let first = D1Config {
        binding: "A".to_owned(),
        database_name: Some("n".to_owned()),
        database_id: "id".to_owned(),
        migrations_dir: project.root().join("sql"),
        migrations_table: None,
    };
    assert_eq!(config.d1[0], first);
    let service =
        ServiceConfig { binding: "S".to_owned(), service: "other".to_owned(), entrypoint: Some("Admin".to_owned()) };
    assert_eq!(config.services, [service]);
    assert_eq!(config.cpu_ms, Some(100));
    let first = &config.build.rules.rules[0];
    assert_eq!((first.kind, first.globs[2].as_str()), (ModuleKind::Text, "**/*.sql"));
}

#[test]
fn stepwell_toml_maps_hosts_and_seeds_databases() {
    let stub = ("stub/wrangler.toml", "");
    let own = "[dev.outbound]\n\"API.Example.com\" = \"./stub\"\n\"other.example:8080\" = \"script\"\n[dev.d1]\nid = \"./schema.sql\"\n";
    let config = format!("{HEAD}[[d1_databases]]\nbinding = \"A\"\ndatabase_id = \"id\"\n");
    let project = Project::new(&[("wrangler.toml", &config), ("stepwell.toml", own), ("schema.sql", ""), stub]);
    let config = project.load(None).unwrap();
    let stubs: Vec<_> = config.dev.outbound.into_iter().map(|stub| (stub.host, stub.target)).collect();
    let directory = OutboundTarget::Directory(project.root().join("stub"));
    let script = OutboundTarget::Script("script".to_owned());
    assert_eq!(stubs, [("api.example.com".to_owned(), directory), ("other.example:8080".to_owned(), script)]);
    let file = project.root().join("schema.sql");
    assert_eq!(config.dev.d1_seeds, [D1Seed { database_id: "id".to_owned(), file: file.clone() }]);
    assert!(config.inputs.contains(&file) && config.inputs.contains(&project.root().join("stepwell.toml")));
}

#[test]
fn mistakes_in_stepwell_toml_are_errors() {
    let with = |text: &str| {
        let config = format!("{HEAD}[[d1_databases]]\nbinding = \"A\"\ndatabase_id = \"main-id\"\n");
        Project::new(&[("wrangler.toml", &config), ("stepwell.toml", text)])
    };
    let report = snapshot(&[
        ("unknown keys", with("[devv]\n"), None),
        ("unknown keys in dev", with("[dev.outbund]\n\"a.example\" = \"x\"\n"), None),
        (
            "a URL, a number, a directory without a Worker",
            with(
                "[dev.outbound]\n\"https://a.example/x\" = \"s\"\n\"b.example\" = 1\n\"c.example\" = \"./src\"\n\"d.example\" = \"./gone\"\n",
            ),
            None,
        ),
        (
            "a database and a file that are not there",
            with("[dev.d1]\nmain-ib = \"./schema.sql\"\nmain-id = \"./schema.sql\"\n"),
            None,
        ),
        ("broken", with("[dev\n"), None),
    ]);
    insta::assert_snapshot!(report);
}

#[test]
fn a_build_command_is_read_and_its_entry_may_come_later() {
    let config = "name = \"w\"\nmain = \"dist/index.js\"\ncompatibility_date = \"2024-12-01\"\n[build]\ncommand = \"make\"\ncwd = \"sub\"\nwatch_dir = [\"a\", \"b\"]\n";
    let project = Project::new(&[("wrangler.toml", config)]);
    let custom = project.load(None).unwrap().build.custom.unwrap();
    let root = project.root();
    assert_eq!((custom.command.as_str(), custom.cwd.as_path()), ("make", Path::new(&root.join("sub"))));
    assert_eq!(custom.watch_dirs, [root.join("a"), root.join("b")]);
}

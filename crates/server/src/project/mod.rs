//! A Workers project on disk: its wrangler configuration for one environment, its local secrets, our own `stepwell.toml`,
//! and its bundle. Reading it tells everything that is wrong at once, with file, line, key and what to do.
//!
//! Facts about wrangler are those of wrangler 4.86.0, with keys of later versions added. What is left out on purpose:
//! wrangler's search in parent directories (the directory is given), redirected configurations of build tools, and
//! everything remote.

mod bindings;
pub mod bundle;
mod compatibility;
mod dev;
mod diagnostics;
mod document;
mod dotenv;
mod environment;
mod exports;
mod glob;
mod keys;
mod rules;
mod section;
mod settings;
#[cfg(test)]
mod tests;
mod tsconfig;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

pub use bindings::{D1Config, ServiceConfig, WorkflowConfig};
pub use dev::{D1Seed, DevConfig, OutboundStub, OutboundTarget};
pub use diagnostics::{ConfigError, Problem};
pub use dotenv::parse as parse_dot_env;
pub use rules::{ModuleKind, ModuleRule, ModuleRules};
pub use settings::{BuildConfig, CustomBuild, Var};

use diagnostics::Diagnostics;
pub use document::BYTE_ORDER_MARK;
use document::Table;
use dotenv::LocalSecrets;
use environment::Environment;

use crate::script::{BINDING_NAME_RULE, is_binding_name};

/// In wrangler's order of preference.
const CONFIG_NAMES: [&str; 3] = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];
const CONFIG_EXTENSIONS: [&str; 3] = ["json", "jsonc", "toml"];
/// A script's name is a label of a host name.
const SCRIPT_NAME_CHARS_MAX: usize = 63;

/// Everything a server needs to know about one Worker, for one environment. Paths are absolute.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectConfig {
    /// The configuration file.
    pub path: PathBuf,
    /// Its directory, against which relative paths were resolved.
    pub root: PathBuf,
    /// The script's name, with `-<environment>` where wrangler adds it.
    pub name: String,
    pub environment: Option<String>,
    pub main: PathBuf,
    /// `YYYY-MM-DD`, never later than the pinned workerd knows.
    pub compatibility_date: String,
    pub compatibility_flags: Vec<String>,
    /// All of them; a local secret of the same name stands in for one.
    pub vars: BTreeMap<String, Var>,
    /// From `.dev.vars` or `.env`; for local use only.
    pub secrets: BTreeMap<String, String>,
    pub workflows: Vec<WorkflowConfig>,
    pub d1: Vec<D1Config>,
    pub services: Vec<ServiceConfig>,
    /// `limits.cpu_ms`, the most CPU time of one invocation.
    pub cpu_ms: Option<u32>,
    pub build: BuildConfig,
    /// From `stepwell.toml`.
    pub dev: DevConfig,
    /// Files whose change or appearance changes this configuration.
    pub inputs: Vec<PathBuf>,
    /// Lines for the user, each with file, line and key.
    pub warnings: Vec<String>,
}

impl ProjectConfig {
    /// Reads the project at `path`, a directory or a configuration file, for the environment `environment`.
    ///
    /// # Errors
    /// When there is no configuration file, when it cannot be read or parsed, or with every problem that is in it. The
    /// entry point must exist; it is not opened.
    pub fn load(path: &Path, environment: Option<&str>) -> Result<Self, ConfigError> {
        Self::load_on(path, environment, &jiff::Zoned::now().strftime("%Y-%m-%d").to_string())
    }

    /// The configuration file of a project, as an absolute path: that of a directory, or the file itself.
    ///
    /// # Errors
    /// When there is none.
    pub fn locate(path: &Path) -> Result<PathBuf, ConfigError> {
        locate(path)
    }

    /// The script's name alone, and warnings: what else is in the configuration may be wrong.
    ///
    /// # Errors
    /// As [`ProjectConfig::load`], of the name.
    pub fn script_name(path: &Path, environment: Option<&str>) -> Result<(String, Vec<String>), ConfigError> {
        let file = locate(path)?;
        let table = document::read(&file)?;
        let mut diagnostics = Diagnostics::default();
        warn_of_others(path, &file, &mut diagnostics);
        let name = name(&Environment::choose(&table, environment, &mut diagnostics), environment, &mut diagnostics);
        Ok((name, diagnostics.finish(&file)?))
    }

    /// The databases of a configuration that is read for them alone, and its warnings.
    ///
    /// # Errors
    /// As [`ProjectConfig::load`], of the databases.
    pub fn d1_databases(path: &Path, environment: Option<&str>) -> Result<(Vec<D1Config>, Vec<String>), ConfigError> {
        let file = locate(path)?;
        let table = document::read(&file)?;
        let mut diagnostics = Diagnostics::default();
        warn_of_others(path, &file, &mut diagnostics);
        let root = file.parent().unwrap_or(Path::new("/"));
        let databases =
            bindings::d1_databases(&Environment::choose(&table, environment, &mut diagnostics), root, &mut diagnostics);
        Ok((databases, diagnostics.finish(&file)?))
    }

    /// Files and directories to watch when there is no bundle that could name its inputs: those of the configuration, and
    /// where the sources are.
    #[must_use]
    pub fn watched(&self) -> Vec<PathBuf> {
        let mut paths = self.inputs.clone();
        match &self.build.custom {
            Some(custom) => paths.extend(custom.watch_dirs.iter().cloned()),
            None => paths.extend(self.main.parent().map(Path::to_owned)),
        }
        paths
    }

    fn load_on(path: &Path, environment: Option<&str>, today: &str) -> Result<Self, ConfigError> {
        let file = locate(path)?;
        let root = file.parent().unwrap_or(Path::new("/")).to_owned();
        let table = document::read(&file)?;
        let local = LocalSecrets::load(&root, environment)?;
        let mut diagnostics = Diagnostics::default();
        warn_of_others(path, &file, &mut diagnostics);
        let mut config = read(&table, &file, environment, &local, today, &mut diagnostics);
        let warnings = diagnostics.finish(&file)?;
        config.dev = dev::load(&root, &config.d1)?;
        config.inputs = [root.join(dev::FILE_NAME)].into_iter().chain(local.candidates).collect();
        match path.is_file() {
            true => config.inputs.push(file),
            false => config.inputs.extend(CONFIG_NAMES.map(|name| root.join(name))),
        }
        config.inputs.extend(tsconfig::files(&config.main, &root, config.build.tsconfig.as_deref()));
        config.inputs.extend(config.dev.d1_seeds.iter().map(|seed| seed.file.clone()));
        config.warnings.extend(warnings);
        Ok(config)
    }
}

/// The configuration file of a directory (or the file itself), as an absolute path.
fn locate(path: &Path) -> Result<PathBuf, ConfigError> {
    let unreadable = |cause| ConfigError::Unreadable { file: path.to_owned(), cause };
    let path = path.canonicalize().map_err(unreadable)?;
    if path.is_file() {
        let is_configuration =
            path.extension().is_some_and(|extension| CONFIG_EXTENSIONS.iter().any(|known| extension == *known));
        return if is_configuration { Ok(path) } else { Err(ConfigError::NotConfiguration { file: path }) };
    }
    config_in(&path).ok_or_else(|| {
        let above = path.ancestors().skip(1).find_map(config_in);
        let advice = above.map_or_else(
            || " Name the directory of a Workers project, or create one with `npm create cloudflare`.".to_owned(),
            |above| format!(" There is {}: did you mean its directory?", above.display()),
        );
        ConfigError::Missing { directory: path.clone(), advice }
    })
}

/// A directory with several configurations is meant by one of them: wrangler takes the first of its order as well, in silence.
fn warn_of_others(path: &Path, file: &Path, diagnostics: &mut Diagnostics) {
    let Some(directory) = file.parent().filter(|_| !path.is_file()) else { return };
    let others: Vec<&str> = CONFIG_NAMES.into_iter().filter(|name| directory.join(name).is_file()).skip(1).collect();
    if !others.is_empty() {
        let message = format!(
            "is taken, and {} beside it is not; remove one, or name the file that is meant",
            others.join(" and ")
        );
        diagnostics.warn(None, "", message);
    }
}

fn config_in(directory: &Path) -> Option<PathBuf> {
    CONFIG_NAMES.iter().map(|name| directory.join(name)).find(|file| file.is_file())
}

/// Where something is wrong, a placeholder stands in the result; the caller drops it when `diagnostics` has errors.
fn read(
    table: &Table,
    file: &Path,
    environment_name: Option<&str>,
    local: &LocalSecrets,
    today: &str,
    diagnostics: &mut Diagnostics,
) -> ProjectConfig {
    let root = file.parent().unwrap_or(Path::new("/")).to_owned();
    let environment = Environment::choose(table, environment_name, diagnostics);
    environment.check_keys(diagnostics);
    let name = name(&environment, environment_name, diagnostics);
    let vars = settings::vars(&environment, diagnostics);
    let secrets = secrets(&environment, local, diagnostics);
    let mut workflows = bindings::workflows(&environment, &name, diagnostics);
    exports::add_exports(&environment, &mut workflows, diagnostics);
    let d1 = bindings::d1_databases(&environment, &root, diagnostics);
    let services = bindings::services(&environment, diagnostics);
    let names = binding_names(&vars, &workflows, &d1, &services);
    bindings::refuse_duplicates(&names, diagnostics);
    refuse_hidden(&secrets, &names, diagnostics);
    refuse_unnameable(&secrets, diagnostics);
    let compatibility = compatibility::read(&environment, today, diagnostics);
    ProjectConfig {
        path: file.to_owned(),
        name,
        environment: environment_name.map(str::to_owned),
        main: main(&environment, &root, diagnostics),
        compatibility_date: compatibility.date,
        compatibility_flags: compatibility.flags,
        vars,
        secrets,
        workflows,
        d1,
        services,
        cpu_ms: cpu_ms(&environment, diagnostics),
        build: BuildConfig::read(&environment, &root, diagnostics),
        dev: DevConfig::default(),
        inputs: Vec::new(),
        warnings: Vec::new(),
        root,
    }
}

fn name(environment: &Environment<'_>, environment_name: Option<&str>, diagnostics: &mut Diagnostics) -> String {
    let section = environment.section_with("name");
    let Some(name) = section.required_text("name", "the script's name, as in name = \"my-worker\"", diagnostics) else {
        return String::new();
    };
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let full = match environment_name {
        Some(suffix) if !environment.overrides("name") => format!("{name}-{suffix}"),
        _ => name,
    };
    if full.starts_with('-') || !full.chars().all(legal) || full.len() > SCRIPT_NAME_CHARS_MAX {
        let message = format!(
            "\"{full}\" is not a script name; use at most {SCRIPT_NAME_CHARS_MAX} lower-case letters, digits, hyphens and \
             underscores, the first one no hyphen"
        );
        diagnostics.error(section.line_of("name"), section.key("name"), message);
    }
    full
}

fn main(environment: &Environment<'_>, root: &Path, diagnostics: &mut Diagnostics) -> PathBuf {
    let section = environment.section_with("main");
    let meaning = "the entry point of the Worker, as in main = \"src/index.ts\"";
    let Some(main) = section.required_text("main", meaning, diagnostics) else { return PathBuf::new() };
    let path: PathBuf = root.join(&main).components().collect();
    let built_later = environment.get("build").is_some();
    if main.ends_with(".py") {
        diagnostics.error(section.line_of("main"), section.key("main"), "Stepwell does not run Python Workers yet");
    } else if path.is_dir() {
        let message = format!(
            "{} is a directory; name a file in it, as in \"{}/index.js\"",
            path.display(),
            main.trim_end_matches('/')
        );
        diagnostics.error(section.line_of("main"), section.key("main"), message);
    } else if !path.is_file() && !built_later {
        let message = format!("the entry point {} does not exist; correct the path or create the file", path.display());
        diagnostics.error(section.line_of("main"), section.key("main"), message);
    }
    path
}

fn cpu_ms(environment: &Environment<'_>, diagnostics: &mut Diagnostics) -> Option<u32> {
    let limits = environment.section("limits", diagnostics)?;
    limits.warn_of_unknown(&["cpu_ms", "subrequests"], diagnostics);
    limits.positive_integer("cpu_ms", diagnostics)
}

/// With `secrets.required`, only those named there are loaded, also from the process's own environment.
fn secrets(
    environment: &Environment<'_>,
    local: &LocalSecrets,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, String> {
    let Some(section) = environment.section("secrets", diagnostics) else { return local.values.clone() };
    section.warn_of_unknown(&["required"], diagnostics);
    let required = section.texts("required", diagnostics).unwrap_or_default();
    let mut found = BTreeMap::new();
    let mut missing = Vec::new();
    for name in required {
        match local.values.get(&name).cloned().or_else(|| env::var(&name).ok()) {
            Some(value) => drop(found.insert(name, value)),
            None => missing.push(name),
        }
    }
    if !missing.is_empty() {
        let message = format!("missing: {}; add them to .dev.vars or .env", missing.join(", "));
        diagnostics.warn(section.line_of("required"), section.key("required"), message);
    }
    found
}

fn binding_names(
    vars: &BTreeMap<String, Var>,
    workflows: &[WorkflowConfig],
    d1: &[D1Config],
    services: &[ServiceConfig],
) -> Vec<(String, &'static str)> {
    let vars = vars.keys().map(|name| (name.clone(), "var"));
    let workflows = workflows.iter().filter_map(|workflow| Some((workflow.binding.clone()?, "workflow")));
    let d1 = d1.iter().map(|database| (database.binding.clone(), "D1 database"));
    let services = services.iter().map(|service| (service.binding.clone(), "service"));
    vars.chain(workflows).chain(d1).chain(services).collect()
}

/// A file of secrets may name what no object can have as a member.
fn refuse_unnameable(secrets: &BTreeMap<String, String>, diagnostics: &mut Diagnostics) {
    for name in secrets.keys().filter(|name| !is_binding_name(name)) {
        let message = format!("the local secret {name:?} cannot stand in `env`; use {BINDING_NAME_RULE}");
        diagnostics.error(None, "", message);
    }
}

/// A secret of a binding's name would be hidden by the binding.
fn refuse_hidden(secrets: &BTreeMap<String, String>, names: &[(String, &'static str)], diagnostics: &mut Diagnostics) {
    for (name, kind) in names.iter().filter(|(name, kind)| *kind != "var" && secrets.contains_key(name)) {
        let message = format!("the local secret \"{name}\" has the name of a {kind} binding; rename one of them");
        diagnostics.error(None, "", message);
    }
}

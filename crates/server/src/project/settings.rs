//! Vars, and the settings that say how the Worker is bundled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::bindings::check_binding_name;
use super::compatibility::NodeModules;
use super::diagnostics::Diagnostics;
use super::document::Value;
use super::environment::Environment;
use super::rules::ModuleRules;
use super::section::Section;

/// A plain value in `env`.
#[derive(Debug, Clone, PartialEq)]
pub enum Var {
    Text(String),
    Json(serde_json::Value),
}

pub(super) fn vars(environment: &Environment<'_>, diagnostics: &mut Diagnostics) -> BTreeMap<String, Var> {
    let Some(section) = environment.section("vars", diagnostics) else { return BTreeMap::new() };
    let mut vars = BTreeMap::new();
    for (name, node) in section.table.iter() {
        check_binding_name(name, node.line, section.path.clone(), diagnostics);
        let var = match &node.value {
            Value::Text(text) => Var::Text(text.clone()),
            Value::Date(date) => {
                let message = format!("is a TOML date, which a var cannot be; quote it: {name} = \"{date}\"");
                diagnostics.error(node.line, section.key(name), message);
                continue;
            }
            other => Var::Json(other.to_json()),
        };
        vars.insert(name.to_owned(), var);
    }
    vars
}

/// How the Worker is bundled, as wrangler would. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildConfig {
    pub custom: Option<CustomBuild>,
    pub rules: ModuleRules,
    /// Module names replaced by other names or paths.
    pub alias: BTreeMap<String, String>,
    /// Expressions replaced by JavaScript text.
    pub define: BTreeMap<String, String>,
    pub tsconfig: Option<PathBuf>,
    pub jsx_factory: Option<String>,
    pub jsx_fragment: Option<String>,
    pub minify: bool,
    pub keep_names: bool,
    /// The entry is uploaded as it is, with the modules that the rules find.
    pub no_bundle: bool,
    /// Files below `base_dir` that match a rule are uploaded, imported or not.
    pub find_additional_modules: bool,
    /// The entry's directory where it is not set.
    pub base_dir: Option<PathBuf>,
    /// Collected files keep their names instead of getting a hash of their content in front.
    pub preserve_file_names: bool,
}

/// A command of the user's that makes the entry point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomBuild {
    /// For a shell.
    pub command: String,
    pub cwd: PathBuf,
    /// What to watch instead of the bundle's inputs.
    pub watch_dirs: Vec<PathBuf>,
}

impl BuildConfig {
    /// Whether files go in that the bundle's inputs do not name before they exist.
    #[must_use]
    pub fn reads_unnamed_files(&self) -> bool {
        self.custom.is_some() || self.find_additional_modules
    }

    pub(super) fn read(environment: &Environment<'_>, root: &Path, diagnostics: &mut Diagnostics) -> Self {
        let mut text = |key| environment.section_with(key).text(key, diagnostics);
        let base_dir = text("base_dir").map(|path| root.join(path).components().collect());
        let tsconfig = text("tsconfig").map(|path| root.join(path));
        let (jsx_factory, jsx_fragment) = (text("jsx_factory"), text("jsx_fragment"));
        let mut boolean = |key| environment.section_with(key).boolean(key, diagnostics);
        let (minify, keep_names) = (boolean("minify").unwrap_or(false), boolean("keep_names").unwrap_or(true));
        let no_bundle = boolean("no_bundle").unwrap_or(false);
        let find_additional_modules = boolean("find_additional_modules").unwrap_or(no_bundle);
        let preserve_file_names = boolean("preserve_file_names").unwrap_or(false);
        Self {
            custom: custom(environment, root, diagnostics),
            rules: ModuleRules::read(environment, diagnostics),
            alias: texts(environment, "alias", diagnostics),
            define: texts(environment, "define", diagnostics),
            tsconfig,
            jsx_factory,
            jsx_fragment,
            minify,
            keep_names,
            no_bundle,
            find_additional_modules,
            base_dir,
            preserve_file_names,
        }
    }
}

fn texts(environment: &Environment<'_>, key: &str, diagnostics: &mut Diagnostics) -> BTreeMap<String, String> {
    let Some(section) = environment.section(key, diagnostics) else { return BTreeMap::new() };
    let names = section.table.iter().map(|(name, _)| name);
    names.filter_map(|name| Some((name.to_owned(), section.text(name, diagnostics)?))).collect()
}

fn custom(environment: &Environment<'_>, root: &Path, diagnostics: &mut Diagnostics) -> Option<CustomBuild> {
    let section = environment.section("build", diagnostics)?;
    section.warn_of_unknown(&["command", "cwd", "watch_dir"], diagnostics);
    let cwd = section.text("cwd", diagnostics).map_or_else(|| root.to_owned(), |cwd| root.join(cwd));
    let watch_dirs = watch_dirs(&section, diagnostics).iter().map(|dir| root.join(dir)).collect();
    let command = section.text("command", diagnostics)?;
    Some(CustomBuild { command, cwd, watch_dirs })
}

fn watch_dirs(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Vec<String> {
    match section.table.get("watch_dir").map(|node| &node.value) {
        None => vec!["src".to_owned()],
        Some(Value::Text(dir)) => vec![dir.clone()],
        Some(_) => section.texts("watch_dir", diagnostics).unwrap_or_default(),
    }
}

impl super::ProjectConfig {
    pub(super) fn node_modules(&self) -> NodeModules {
        NodeModules::of(&self.compatibility_date, &self.compatibility_flags)
    }
}

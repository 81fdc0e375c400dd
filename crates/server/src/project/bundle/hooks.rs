//! What our bundling answers when esbuild asks about an import: wrangler's plugins for module rules and for Node's modules.
//!
//! What is not answered here resolves as esbuild does by itself, with the aliases and externals of its command line.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::node::{self, Node, Target};
use super::packet::Value;
use super::service::Service;
use super::{Module, additional::Found};
use crate::project::compatibility::NodeModules;
use crate::project::{ModuleKind, ProjectConfig, glob};
use crate::script::hex;

/// Prefix of the paths that are injected to define globals; the rest is the global's name.
pub(super) const GLOBALS: &str = "/stepwell-globals/";
/// Where code lives that turns a module of Node's into what `require` gives.
const REQUIRED: &str = "stepwell-required";
const DEFINED: &str = "stepwell-globals";
/// Enough of a content's hash that no two files of a Worker share it.
const HASH_HEX_CHARS: usize = 40;

const NODE_FILTER: u32 = 0;
const GLOBALS_FILTER: u32 = 1;
/// Filters of the rules' globs follow.
const RULE_FILTERS: u32 = 2;

pub(super) struct Hooks<'a> {
    project: &'a ProjectConfig,
    node: Option<Node<'a>>,
    /// The `node_modules` in which the stand-ins for Node's modules are.
    polyfills: Option<PathBuf>,
    globs: Vec<Glob>,
    found: &'a [Found],
    /// Files that became modules of their own, in the order in which they were asked for.
    pub collected: Vec<Collected>,
}

pub(super) struct Collected {
    pub module: Module,
    pub path: PathBuf,
}

struct Glob {
    pattern: String,
    means: Means,
}

#[derive(Clone, Copy)]
enum Means {
    Kind(ModuleKind),
    /// Code, which is bundled unless the file has been found as a module.
    Code,
    SwitchedOff,
}

impl<'a> Hooks<'a> {
    pub const NAME: &'static str = "stepwell";

    pub fn new(project: &'a ProjectConfig, polyfills: Option<PathBuf>, found: &'a [Found]) -> Self {
        let node = (project.node_modules() == NodeModules::Bare)
            .then_some(Node { date: &project.compatibility_date, flags: &project.compatibility_flags });
        Self { project, node, polyfills, globs: globs(project), found, collected: Vec::new() }
    }

    /// The plugin as it is told to esbuild: which questions are asked.
    pub fn registration(&self) -> Value {
        let filter = |id: u32, filter: String, namespace: &str| {
            Value::map([
                ("id", Value::Number(id)),
                ("filter", Value::Text(filter)),
                ("namespace", Value::Text(namespace.to_owned())),
            ])
        };
        let rules = (RULE_FILTERS..).zip(&self.globs).map(|(id, glob)| filter(id, glob.pattern.clone(), ""));
        let node = [filter(NODE_FILTER, node_filter(), ""), filter(GLOBALS_FILTER, format!("^{GLOBALS}"), "")];
        let loads = [REQUIRED, DEFINED].map(|namespace| filter(0, ".*".to_owned(), namespace));
        Value::map([
            ("name", Self::NAME.into()),
            ("onStart", Value::Bool(false)),
            ("onEnd", Value::Bool(false)),
            ("onResolve", Value::List(rules.chain(node).collect())),
            ("onLoad", Value::List(loads.into())),
        ])
    }

    /// What the options of esbuild must say for the globals.
    pub fn injections(&self) -> Vec<String> {
        let Some(node) = &self.node else { return Vec::new() };
        let effects = node.effects().into_iter().filter_map(|import| self.polyfill(import));
        let globals = node.globals().into_iter().map(|(name, _)| format!("{GLOBALS}{name}"));
        globals.chain(effects).map(|path| format!("--inject:{path}")).collect()
    }

    /// Answers where an import leads; an empty answer leaves it to esbuild.
    pub fn on_resolve(&mut self, question: &Value, service: &mut Service) -> io::Result<Value> {
        if question.text("kind") == "entry-point" && !question.text("path").starts_with(GLOBALS) {
            return Ok(Value::map([]));
        }
        for id in question.list("ids") {
            let Value::Number(id) = *id else { continue };
            let answer = match id {
                NODE_FILTER => self.node_import(question),
                GLOBALS_FILTER => Some(placed(question.text("path").trim_start_matches(GLOBALS), DEFINED)),
                _ => self.rule(self.globs[(id - RULE_FILTERS) as usize].means, question, service)?,
            };
            if let Some(Value::Map(mut members)) = answer {
                members.push(("id".to_owned(), Value::Number(id)));
                return Ok(Value::Map(members));
            }
        }
        Ok(Value::map([]))
    }

    fn node_import(&self, question: &Value) -> Option<Value> {
        let (path, is_require) = (question.text("path"), question.text("kind") == "require-call");
        if self.project.build.alias.contains_key(path) {
            return None;
        }
        let mode = self.project.node_modules();
        let is_node = path.starts_with("node:") || (mode == NodeModules::Bare && Node::is_module(path));
        if is_require && is_node && mode.are_on() {
            return Some(placed(path, REQUIRED));
        }
        match self.node.as_ref()?.target(path)? {
            Target::Native(name) => Some(external(&name)),
            Target::Polyfill(import) if is_require && !import.starts_with("unenv/node/") => {
                Some(placed(path, REQUIRED))
            }
            Target::Polyfill(import) => Some(match self.polyfill(&import) {
                Some(file) => Value::map([("path", Value::Text(file))]),
                None => refused(format!(
                    "\"{path}\" is not in workerd at this compatibility date, and its stand-in from npm ({import}) is not \
                     installed: run `stepwell setup` (with STEPWELL_ESBUILD unset, if it names an esbuild elsewhere)"
                )),
            }),
        }
    }

    fn polyfill(&self, import: &str) -> Option<String> {
        let file = self.polyfills.as_ref()?.join(node::package_file(import));
        file.is_file().then(|| file.to_string_lossy().into_owned())
    }

    fn rule(&mut self, means: Means, question: &Value, service: &mut Service) -> io::Result<Option<Value>> {
        let path = question.text("path");
        let name = path.split('?').next().unwrap_or(path);
        let beside = super::normalized(&Path::new(question.text("resolveDir")).join(name));
        if let Some(found) = self.found.iter().find(|found| found.path == beside) {
            return Ok(Some(external(&format!("./{}", found.module.name))));
        }
        match means {
            Means::Code => Ok(None),
            Means::SwitchedOff => Ok(Some(refused(format!(
                "{path} matches a module rule that an earlier rule of the same type switched off; set fallthrough = true \
                 on the earlier rule, or add the pattern to it"
            )))),
            Means::Kind(kind) => {
                let resolved = service.resolve(question, name, self)?;
                let file = resolved.map_or(beside, |resolved| PathBuf::from(resolved.path));
                Ok(Some(self.collect(kind, name, &file)))
            }
        }
    }

    fn collect(&mut self, kind: ModuleKind, import: &str, file: &Path) -> Value {
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) => return refused(format!("{}: {error}", file.display())),
        };
        let hash = &hex(&Sha256::digest(&bytes))[..HASH_HEX_CHARS];
        let base = Path::new(import).file_name().unwrap_or_default().to_string_lossy();
        let name = match self.project.build.preserve_file_names {
            true if Path::new(import).is_absolute() => format!("{hash}/{base}"),
            true => import.trim_start_matches("./").to_owned(),
            false => format!("{hash}-{base}"),
        };
        let path = file.to_owned();
        if !self.collected.iter().any(|other| other.path == path && other.module.name == name) {
            self.collected.push(Collected { module: Module { name: name.clone(), kind, bytes }, path });
        }
        external(&if name.starts_with("../") { name } else { format!("./{name}") })
    }

    /// The text of a module that exists only here.
    pub fn on_load(&self, question: &Value) -> Value {
        let path = question.text("path");
        let contents = match question.text("namespace") {
            DEFINED => self.definition(path),
            _ => required(path),
        };
        Value::map([
            ("id", Value::Number(0)),
            ("contents", Value::Bytes(contents.into_bytes())),
            ("loader", "js".into()),
            ("resolveDir", Value::Text(self.project.root.to_string_lossy().into_owned())),
        ])
    }

    fn definition(&self, global: &str) -> String {
        let globals = self.node.as_ref().map(Node::globals).unwrap_or_default();
        let file = globals.into_iter().find(|(name, _)| *name == global).and_then(|(_, import)| self.polyfill(import));
        // As an import it would be answered with the advice; the name itself leads there.
        let import = serde_json::Value::from(file.unwrap_or_else(|| global.to_owned()));
        format!("import value from {import};\nglobalThis.{global} = value;\n")
    }
}

/// What `require` gives: for Node's modules the default export, for stand-ins of packages that with the names on it.
fn required(path: &str) -> String {
    let import = serde_json::Value::from(path);
    if Node::is_module(path) {
        return format!("import libDefault from {import};\nmodule.exports = libDefault;\n");
    }
    format!(
        "import * as esm from {import};\n\
         module.exports = Object.entries(esm).filter(([k]) => k !== 'default').reduce(\n\
         (cjs, [k, value]) => Object.defineProperty(cjs, k, {{ value, enumerable: true }}),\n\
         'default' in esm ? esm.default : {{}},\n);\n"
    )
}

fn globs(project: &ProjectConfig) -> Vec<Glob> {
    let rules = &project.build.rules;
    let code = [ModuleKind::EsModule, ModuleKind::CommonJs];
    let live = rules.rules.iter().flat_map(|rule| {
        let means = if code.contains(&rule.kind) { Means::Code } else { Means::Kind(rule.kind) };
        rule.globs.iter().map(move |glob| (glob, means))
    });
    // Code rules matter only where modules are looked for.
    let live = live.filter(|(_, means)| project.build.find_additional_modules || !matches!(means, Means::Code));
    let removed = rules.removed.iter().flat_map(|rule| rule.globs.iter().map(|glob| (glob, Means::SwitchedOff)));
    live.chain(removed).map(|(glob, means)| Glob { pattern: glob::import_pattern(glob), means }).collect()
}

/// All names that [`Node`] may know.
fn node_filter() -> String {
    let names = node::names().chain(node::packages()).map(|name| name.replace('.', "\\."));
    format!("^(?:node:.+|{})$", names.collect::<Vec<_>>().join("|"))
}

fn placed(path: &str, namespace: &str) -> Value {
    Value::map([("path", path.into()), ("namespace", namespace.into())])
}

fn external(path: &str) -> Value {
    Value::map([("path", path.into()), ("external", Value::Bool(true))])
}

fn refused(text: String) -> Value {
    let message = Value::map([
        ("id", "".into()),
        ("pluginName", Hooks::NAME.into()),
        ("text", Value::Text(text)),
        ("location", Value::Null),
        ("notes", Value::List(Vec::new())),
        ("detail", Value::Number(0)),
    ]);
    Value::map([("errors", Value::List(vec![message]))])
}

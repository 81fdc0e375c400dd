//! Module rules: which imported files become modules of their own (text, data, compiled WebAssembly) instead of bundled code.
//!
//! wrangler matches globs in a plugin. esbuild without plugins chooses by extension, so a rule must name extensions, as all
//! default rules do; other globs are refused when the configuration is read.

use super::diagnostics::Diagnostics;
use super::environment::Environment;
use super::section::Section;

/// What a file is to the Worker that imports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleKind {
    EsModule,
    /// The default export is a string.
    Text,
    /// The default export is an `ArrayBuffer`.
    Data,
    /// The default export is a `WebAssembly.Module`.
    Wasm,
}

/// Which extensions (without the dot) are which kind of module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleRules {
    pub extensions: Vec<(String, ModuleKind)>,
    /// Extensions of rules that an earlier rule of the same type switched off; importing such a file is an error.
    pub removed: Vec<String>,
}

struct Rule {
    kind: Option<ModuleKind>,
    type_name: String,
    extensions: Vec<String>,
    fallthrough: bool,
}

const TYPES: &[(&str, Option<ModuleKind>)] = &[
    ("Text", Some(ModuleKind::Text)),
    ("Data", Some(ModuleKind::Data)),
    ("CompiledWasm", Some(ModuleKind::Wasm)),
    ("ESModule", None),
    ("CommonJS", None),
];
/// wrangler's own rules; `.wasm` stands for `.wasm?module` too.
const DEFAULTS: &[(&str, &[&str])] =
    &[("Text", &["txt", "html", "sql"]), ("Data", &["bin"]), ("CompiledWasm", &["wasm"])];

impl Default for ModuleRules {
    fn default() -> Self {
        Self::merge(Vec::new())
    }
}

impl ModuleRules {
    pub(super) fn read(environment: &Environment<'_>, diagnostics: &mut Diagnostics) -> Self {
        let sections = environment.sections("rules", diagnostics);
        Self::merge(sections.iter().filter_map(|section| rule(section, diagnostics)).collect())
    }

    /// The user's rules, then the defaults; a type is complete after its first rule without `fallthrough`.
    fn merge(mut rules: Vec<Rule>) -> Self {
        rules.extend(DEFAULTS.iter().map(|(type_name, extensions)| Rule {
            kind: kind_of(type_name).flatten(),
            type_name: (*type_name).to_owned(),
            extensions: extensions.iter().map(|extension| (*extension).to_owned()).collect(),
            fallthrough: false,
        }));
        let mut merged = Self { extensions: Vec::new(), removed: Vec::new() };
        let mut complete: Vec<String> = Vec::new();
        for rule in rules {
            let Some(kind) = rule.kind else { continue };
            let removed = complete.contains(&rule.type_name);
            for extension in rule.extensions {
                merged.add(extension, kind, removed);
            }
            if !rule.fallthrough {
                complete.push(rule.type_name);
            }
        }
        let Self { extensions, removed } = &mut merged;
        removed.retain(|extension| extensions.iter().all(|(other, _)| other != extension));
        merged
    }

    fn add(&mut self, extension: String, kind: ModuleKind, removed: bool) {
        if removed {
            self.removed.push(extension);
        } else if self.kind_of_extension(&extension).is_none() {
            self.extensions.push((extension, kind));
        }
    }

    fn kind_of_extension(&self, extension: &str) -> Option<ModuleKind> {
        self.extensions.iter().find(|(other, _)| other == extension).map(|(_, kind)| *kind)
    }

    /// The kind of the file at `path`; the longest extension counts.
    #[must_use]
    pub fn kind_of_file(&self, path: &str) -> Option<ModuleKind> {
        let matching = self.extensions.iter().filter(|(extension, _)| has_extension(path, extension));
        matching.max_by_key(|(extension, _)| extension.len()).map(|(_, kind)| *kind)
    }

    pub(super) fn is_removed(&self, path: &str) -> bool {
        self.removed.iter().any(|extension| has_extension(path, extension))
    }
}

fn has_extension(path: &str, extension: &str) -> bool {
    path.strip_suffix(extension).is_some_and(|stem| stem.ends_with('.'))
}

fn kind_of(type_name: &str) -> Option<Option<ModuleKind>> {
    TYPES.iter().find(|(name, _)| *name == type_name).map(|(_, kind)| *kind)
}

fn rule(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Option<Rule> {
    section.warn_of_unknown(&["type", "globs", "fallthrough"], diagnostics);
    let type_name =
        section.required_text("type", "one of Text, Data, CompiledWasm, ESModule, CommonJS", diagnostics)?;
    let Some(kind) = kind_of(&type_name) else {
        let message = format!("\"{type_name}\" is not one of Text, Data, CompiledWasm, ESModule, CommonJS");
        diagnostics.error(section.line_of("type"), section.key("type"), message);
        return None;
    };
    let globs = section.texts("globs", diagnostics).unwrap_or_default();
    if globs.is_empty() {
        diagnostics.error(section.line, section.path.as_str(), "\"globs\" should list patterns such as \"**/*.md\"");
    }
    let fallthrough = section.boolean("fallthrough", diagnostics).unwrap_or(false);
    let extensions = match kind {
        Some(_) => globs.iter().filter_map(|glob| extension_of(glob, section, diagnostics)).collect(),
        None => Vec::new(),
    };
    Some(Rule { kind, type_name, extensions, fallthrough })
}

/// Extensions that are code; as a rule they would take the Worker itself away from the bundler.
const CODE_EXTENSIONS: &[&str] = &["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "json"];

fn extension_of(glob: &str, section: &Section<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let pattern = glob.strip_suffix("?module").unwrap_or(glob);
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    let extension = pattern.strip_prefix("**/*.").or_else(|| pattern.strip_prefix("*."));
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let extension = extension.filter(|extension| !extension.is_empty() && extension.chars().all(legal));
    if extension.is_none_or(|extension| CODE_EXTENSIONS.contains(&extension)) {
        let message = format!(
            "\"{glob}\" is not supported: Stepwell chooses modules by file extension, as in \"**/*.md\"; \
             give such files an extension of their own"
        );
        diagnostics.error(section.line_of("globs"), section.key("globs"), message);
        return None;
    }
    extension.map(str::to_owned)
}

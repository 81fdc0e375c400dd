//! Module rules: which imported files become modules of their own (text, data, compiled WebAssembly) instead of bundled
//! code, by globs, with wrangler's defaults. How an import is matched is `bundle`'s business.

use super::diagnostics::Diagnostics;
use super::environment::Environment;
use super::section::Section;

/// What a file is to the Worker that imports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleKind {
    EsModule,
    CommonJs,
    /// The default export is a string.
    Text,
    /// The default export is an `ArrayBuffer`.
    Data,
    /// The default export is a `WebAssembly.Module`.
    Wasm,
}

/// The rules in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleRules {
    pub rules: Vec<ModuleRule>,
    /// Rules that an earlier rule of the same type switched off; importing what they match is an error.
    pub removed: Vec<ModuleRule>,
}

/// The files that are modules of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleRule {
    pub kind: ModuleKind,
    /// With `*` as the only sign that stands for others.
    pub globs: Vec<String>,
    /// Whether later rules of the same kind count too.
    pub fallthrough: bool,
}

const TYPES: &[(&str, ModuleKind)] = &[
    ("Text", ModuleKind::Text),
    ("Data", ModuleKind::Data),
    ("CompiledWasm", ModuleKind::Wasm),
    ("ESModule", ModuleKind::EsModule),
    ("CommonJS", ModuleKind::CommonJs),
];
const DEFAULTS: &[(ModuleKind, &[&str])] = &[
    (ModuleKind::Text, &["**/*.txt", "**/*.html", "**/*.sql"]),
    (ModuleKind::Data, &["**/*.bin"]),
    (ModuleKind::Wasm, &["**/*.wasm", "**/*.wasm?module"]),
];

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

    /// The user's rules, then the defaults; a kind is complete after its first rule without `fallthrough`.
    fn merge(own: Vec<ModuleRule>) -> Self {
        let defaults = DEFAULTS.iter().map(|(kind, globs)| ModuleRule {
            kind: *kind,
            globs: globs.iter().map(|glob| (*glob).to_owned()).collect(),
            fallthrough: false,
        });
        let mut merged = Self { rules: Vec::new(), removed: Vec::new() };
        for rule in own.into_iter().chain(defaults) {
            let is_complete = merged.rules.iter().any(|earlier| earlier.kind == rule.kind && !earlier.fallthrough);
            if is_complete { merged.removed.push(rule) } else { merged.rules.push(rule) }
        }
        merged
    }
}

fn rule(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Option<ModuleRule> {
    section.warn_of_unknown(&["type", "globs", "fallthrough"], diagnostics);
    let type_name =
        section.required_text("type", "one of Text, Data, CompiledWasm, ESModule, CommonJS", diagnostics)?;
    let Some((_, kind)) = TYPES.iter().find(|(name, _)| *name == type_name) else {
        let message = format!("\"{type_name}\" is not one of Text, Data, CompiledWasm, ESModule, CommonJS");
        diagnostics.error(section.line_of("type"), section.key("type"), message);
        return None;
    };
    let globs = section.texts("globs", diagnostics).unwrap_or_default();
    if globs.is_empty() {
        diagnostics.error(section.line, section.path.as_str(), "\"globs\" should list patterns such as \"**/*.md\"");
    }
    let fallthrough = section.boolean("fallthrough", diagnostics).unwrap_or(false);
    Some(ModuleRule { kind: *kind, globs, fallthrough })
}

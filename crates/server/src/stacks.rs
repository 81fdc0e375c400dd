//! Stacks as the author of the code reads them: frames lead to source files, by the source maps of the deployment, and the
//! frames of our own shim are gone. Used when an error is recorded; a deployment without errors never parses its maps.
//!
//! What is left out: names of functions stay as the engine gives them, because maps name variables, not functions.

use std::collections::HashMap;

use sourcemap::SourceMap;

use crate::script::{Script, ScriptModuleKind};

/// How the newer of workerd's two module registries begins the place of a module; the other one writes the name alone.
const REGISTRY_ROOT: &str = "file:///bundle/";
/// Folder of the shim's modules, and name of the module that was generated around the user's.
const OWN_PREFIX: &str = "__stepwell__";

/// The source maps of one deployment.
#[derive(Debug, Default)]
pub struct SourceMaps {
    /// By the module that each is for.
    maps: HashMap<String, SourceMap>,
}

impl SourceMaps {
    /// Parses the maps of a script. One that is broken is left out, with a warning: it is no reason not to run.
    #[must_use]
    pub fn of(script: &Script) -> Self {
        let mut maps = HashMap::new();
        for module in script.modules.iter().filter(|module| module.kind == ScriptModuleKind::SourceMap) {
            match SourceMap::from_slice(&module.bytes) {
                Ok(map) => drop(maps.insert(module.name.trim_end_matches(".map").to_owned(), map)),
                Err(error) => tracing::warn!(module = module.name, %error, "a source map cannot be read"),
            }
        }
        Self { maps }
    }

    /// Rewrites the frames of a stack. The text above them, which repeats `message`, stays.
    #[must_use]
    pub fn rewrite(&self, stack: &str, message: &str) -> String {
        let head = stack.find(message).map_or(0, |at| at + message.len());
        let (head, frames) = stack.split_at(head);
        let frames = frames.split('\n').filter_map(|line| self.line(line));
        head.to_owned() + &frames.collect::<Vec<_>>().join("\n")
    }

    /// A line of a stack; none for a frame of the shim.
    fn line(&self, line: &str) -> Option<String> {
        let Some(frame) = Frame::parse(line) else { return Some(line.to_owned()) };
        let module = frame.module.strip_prefix(REGISTRY_ROOT).unwrap_or(frame.module);
        if module.starts_with(OWN_PREFIX) {
            return None;
        }
        let place = self.source(module, frame.line, frame.column);
        let place = place.unwrap_or_else(|| format!("{module}:{}:{}", frame.line, frame.column));
        Some(format!("{}{place}{}", frame.before, frame.after))
    }

    /// The place in a source file; lines and columns from 1.
    fn source(&self, module: &str, line: u32, column: u32) -> Option<String> {
        let token = self.maps.get(module)?.lookup_token(line.checked_sub(1)?, column.checked_sub(1)?)?;
        let source = project_path(token.get_source()?);
        Some(format!("{source}:{}:{}", token.get_src_line() + 1, token.get_src_col() + 1))
    }
}

/// A source as it is named from the project. wrangler names sources from where it wrote the bundle, with or without a
/// `sourceRoot` that leads there.
fn project_path(source: &str) -> String {
    if source.starts_with('/') || source.contains("://") {
        return source.to_owned();
    }
    let mut parts = Vec::new();
    for part in source.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// `    at async name (module:line:column)`, or without the name and the parentheses. Where workerd itself tells of an error, it
/// writes `  at module:line:column in name`.
struct Frame<'a> {
    before: &'a str,
    module: &'a str,
    line: u32,
    column: u32,
    after: &'a str,
}

impl<'a> Frame<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let call = text.trim_start().strip_prefix("at ")?;
        let (place, after) = match call.strip_suffix(')') {
            Some(inner) => (inner.rsplit_once('(')?.1, ")"),
            None => {
                let place = call.strip_prefix("async ").unwrap_or(call);
                place.split_at(place.find(" in ").unwrap_or(place.len()))
            }
        };
        let (rest, column) = place.rsplit_once(':')?;
        let (module, line) = rest.rsplit_once(':')?;
        let before = &text[..text.len() - after.len() - place.len()];
        Some(Self { before, module, line: line.parse().ok()?, column: column.parse().ok()?, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{ScriptModule, ScriptSettings};

    /// Line 10, column 5 of `index.js` is line 3, column 2 of `src/index.ts`.
    fn maps() -> SourceMaps {
        let mappings = format!("{}IAEC", ";".repeat(9));
        let map = format!(r#"{{"version":3,"sources":["../src/index.ts"],"names":[],"mappings":"{mappings}"}}"#);
        let settings = r#"{"script":"s","main_module":"index.js","compatibility_date":"2025-01-01"}"#;
        let settings: ScriptSettings = serde_json::from_str(settings).unwrap();
        let module = |name: &str, bytes: &str| ScriptModule {
            name: name.to_owned(),
            kind: ScriptModuleKind::SourceMap,
            bytes: bytes.as_bytes().to_vec(),
        };
        SourceMaps::of(&Script { settings, modules: vec![module("index.js.map", &map), module("broken.js.map", "{")] })
    }

    #[track_caller]
    fn check(frame: &str, expected: &[&str]) {
        let stack = format!("Error: no\n{frame}");
        let rewritten = maps().rewrite(&stack, "no");
        assert_eq!(rewritten.lines().skip(1).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn frames_of_both_registries_lead_to_the_source() {
        for root in ["", "file:///bundle/"] {
            check(&format!("    at W.run ({root}index.js:10:5)"), &["    at W.run (src/index.ts:3:2)"]);
            check(&format!("    at {root}index.js:10:5"), &["    at src/index.ts:3:2"]);
            check(&format!("    at async {root}index.js:10:5"), &["    at async src/index.ts:3:2"]);
            check(&format!("    at async W.run ({root}index.js:10:9)"), &["    at async W.run (src/index.ts:3:2)"]);
        }
    }

    #[test]
    fn frames_as_workerd_tells_them_lead_to_the_source() {
        let told =
            "Uncaught Error: no\n  at index.js:10:5 in must\n  at file:///bundle/index.js:10:5\n  at lib.js:1:2 in a";
        let expected = "Uncaught Error: no\n  at src/index.ts:3:2 in must\n  at src/index.ts:3:2\n  at lib.js:1:2 in a";
        assert_eq!(maps().rewrite(told, ""), expected);
    }

    #[test]
    fn frames_of_the_shim_are_gone() {
        check("    at f (__stepwell__/shim-run.js:1:2)\n    at g (lib.js:1:2)", &["    at g (lib.js:1:2)"]);
        check("    at async file:///bundle/__stepwell__/shim-run.js:79:14", &[]);
        check("    at __stepwell__.js:1:1", &[]);
    }

    #[test]
    fn what_has_no_map_or_is_no_frame_stays() {
        check("    at f (file:///bundle/other.js:1:2)", &["    at f (other.js:1:2)"]);
        check("    at index.js:1:1", &["    at index.js:1:1"]);
        check("    at Array.map (<anonymous>)", &["    at Array.map (<anonymous>)"]);
        check("    at node:internal", &["    at node:internal"]);
    }

    #[test]
    fn sources_are_named_from_the_project() {
        for (source, expected) in [
            ("src/index.ts", "src/index.ts"),
            ("../src/index.ts", "src/index.ts"),
            ("dist/../src/./index.ts", "src/index.ts"),
            ("/home/me/lib.ts", "/home/me/lib.ts"),
            ("webpack://w/../a.ts", "webpack://w/../a.ts"),
        ] {
            assert_eq!(project_path(source), expected);
        }
    }

    #[test]
    fn a_message_that_looks_like_frames_is_left_alone() {
        let message = "first\n    at index.js:10:5";
        let stack = format!("Error: {message}\n    at index.js:10:5");
        assert_eq!(maps().rewrite(&stack, message), format!("Error: {message}\n    at src/index.ts:3:2"));
    }
}

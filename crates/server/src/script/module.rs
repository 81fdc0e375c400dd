//! A module of a script: what it is, in the words of an upload, of the store and of the runtime.

use stepwell_runtime::{Module, ModuleBody};

/// A module of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptModule {
    /// Its path.
    pub name: String,
    /// What it is.
    pub kind: ScriptModuleKind,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What a module is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptModuleKind {
    /// ECMAScript.
    EsModule,
    /// CommonJS.
    CommonJs,
    /// A string.
    Text,
    /// Bytes.
    Data,
    /// WebAssembly.
    Wasm,
    /// A JSON value.
    Json,
    /// A source map, which no code sees.
    SourceMap,
}

impl ScriptModuleKind {
    /// Each with its word in the store and its content type in an upload.
    const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::EsModule, "esm", "application/javascript+module"),
        (Self::CommonJs, "cjs", "application/javascript"),
        (Self::Text, "text", "text/plain"),
        (Self::Data, "data", "application/octet-stream"),
        (Self::Wasm, "wasm", "application/wasm"),
        (Self::Json, "json", "application/json"),
        (Self::SourceMap, "source_map", "application/source-map"),
    ];

    /// Its word in the store.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.row().1
    }

    /// Its content type in an upload.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        self.row().2
    }

    /// The kind of that word in the store.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, other, _)| *other == word).map(|(kind, ..)| *kind)
    }

    /// The kind of that content type, whatever its parameters.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        Self::ALL.iter().find(|(.., other)| other.eq_ignore_ascii_case(essence)).map(|(kind, ..)| *kind)
    }

    fn row(self) -> &'static (Self, &'static str, &'static str) {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).expect("ALL holds every kind")
    }
}

impl ScriptModule {
    /// As a worker process takes it; none for what no code sees.
    pub(super) fn to_runtime(&self) -> Option<Module> {
        let text = || String::from_utf8_lossy(&self.bytes).into_owned();
        let body = match self.kind {
            ScriptModuleKind::EsModule => ModuleBody::EsModule(text()),
            ScriptModuleKind::CommonJs => ModuleBody::CommonJs(text()),
            ScriptModuleKind::Text => ModuleBody::Text(text()),
            ScriptModuleKind::Data => ModuleBody::Data(self.bytes.clone()),
            ScriptModuleKind::Wasm => ModuleBody::Wasm(self.bytes.clone()),
            ScriptModuleKind::Json => ModuleBody::Json(text()),
            ScriptModuleKind::SourceMap => return None,
        };
        Some(Module { name: self.name.clone(), body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_those_of_wrangler() {
        for (kind, word, content_type) in ScriptModuleKind::ALL {
            assert_eq!(ScriptModuleKind::of_word(word), Some(kind));
            assert_eq!(ScriptModuleKind::of_content_type(content_type), Some(kind));
        }
        let with_charset = ScriptModuleKind::of_content_type("Text/Plain; charset=utf-8");
        assert_eq!(with_charset, Some(ScriptModuleKind::Text));
        assert_eq!(ScriptModuleKind::of_content_type("text/x-python"), None);
    }
}

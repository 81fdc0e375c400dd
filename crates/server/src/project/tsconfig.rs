//! The TypeScript configurations that esbuild reads, for watching: those beside the sources and above them, and what they
//! extend. Left out: configurations that come from packages.

use std::path::{Path, PathBuf};

use super::bundle::normalized;
use super::document::{self, Value};

/// esbuild takes the first that is there.
const NAMES: [&str; 2] = ["tsconfig.json", "jsconfig.json"];
/// Configurations that extend each other in a circle end here.
const EXTENSIONS_MAX: usize = 16;

/// Files whose change or appearance changes what esbuild makes of `main`, in a project at `root`.
pub(super) fn files(main: &Path, root: &Path, named: Option<&Path>) -> Vec<PathBuf> {
    let mut files: Vec<_> = match named {
        Some(named) => vec![named.to_owned()],
        None => main.ancestors().skip(1).flat_map(|directory| found_in(directory, root)).collect(),
    };
    let mut next = 0;
    while next < files.len() && next < EXTENSIONS_MAX {
        let extended = extended(&files[next]);
        files.extend(extended);
        next += 1;
    }
    files
}

/// Above the project only those that are there: nobody begins to write one in `/`.
fn found_in<'a>(directory: &'a Path, root: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
    let is_in_project = directory.starts_with(root);
    NAMES.iter().map(|name| directory.join(name)).filter(move |file| is_in_project || file.is_file())
}

/// What a configuration says that it builds on, by paths. What cannot be read is for esbuild to tell.
fn extended(file: &Path) -> Vec<PathBuf> {
    let table = document::read(file).unwrap_or_default();
    let names = match table.get("extends").map(|node| &node.value) {
        Some(Value::Text(name)) => vec![name.as_str()],
        Some(Value::List(names)) => names.iter().filter_map(|name| name.value.as_text()).collect(),
        _ => Vec::new(),
    };
    let directory = file.parent().unwrap_or(Path::new("/"));
    let paths = names.into_iter().filter(|name| name.starts_with(['.', '/']));
    let paths = paths.map(|name| normalized(&directory.join(name)));
    paths.map(|path| if path.extension().is_some() { path } else { path.with_extension("json") }).collect()
}

#[cfg(test)]
mod tests {
    use super::files;

    #[test]
    fn configurations_beside_and_above_the_sources_are_named_and_what_they_extend() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().join("app");
        std::fs::create_dir_all(root.join("src")).expect("a directory");
        let base = r#"{ "extends": ["../base", "@tsconfig/strictest"] } // as people write it"#;
        std::fs::write(root.join("tsconfig.json"), base).expect("a file");
        let found = files(&root.join("src/index.ts"), &root, None);
        let names = ["src/tsconfig.json", "src/jsconfig.json", "tsconfig.json", "jsconfig.json"];
        let expected: Vec<_> =
            names.iter().map(|name| root.join(name)).chain([directory.path().join("base.json")]).collect();
        assert_eq!(found, expected);
        assert_eq!(files(&root.join("src/index.ts"), &root, Some(&root.join("other.json"))), [root.join("other.json")]);
    }
}

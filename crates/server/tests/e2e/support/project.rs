//! Projects on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// A compatibility date that needs nothing special.
const DATE: &str = "2025-06-01";

/// A directory with a wrangler configuration and code; removed when nobody uses it any more.
#[derive(Clone)]
pub struct Project {
    directory: Arc<TempDir>,
}

impl Project {
    /// A project of these files.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let project = Self { directory: Arc::new(tempfile::tempdir().expect("a temporary directory")) };
        for (name, text) in files {
            project.write(name, text);
        }
        project
    }

    /// A Worker of one module. Each class is a workflow whose name and binding are the class's.
    pub fn worker(name: &str, classes: &[&str], source: &str) -> Self {
        Self::configured(name, classes, json!({}), source)
    }

    /// As [`Project::worker`], with more configuration.
    pub fn configured(name: &str, classes: &[&str], more: Json, source: &str) -> Self {
        let own = classes.iter().map(|class| json!({ "name": class, "binding": class, "class_name": class }));
        let mut config = json!({ "name": name, "main": "index.js", "compatibility_date": DATE });
        let mut workflows: Vec<Json> = own.collect();
        for (key, value) in more.as_object().expect("an object") {
            match (key.as_str(), value) {
                ("workflows", Json::Array(others)) => workflows.extend(others.iter().cloned()),
                _ => config[key] = value.clone(),
            }
        }
        config["workflows"] = workflows.into();
        Self::new(&[("wrangler.json", &config.to_string()), ("index.js", source)])
    }

    /// A copy of one of the repository's examples.
    pub fn example(name: &str) -> Self {
        Self::copy_of(&format!("examples/{name}"))
    }

    /// A copy of a directory of the repository.
    pub fn copy_of(directory: &str) -> Self {
        let project = Self::new(&[]);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        copy(&root.join(directory), project.path());
        project
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).expect(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect(name);
    }

    /// Replaces text that must be there once.
    pub fn change(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {name}");
        self.write(name, &text.replace(from, to));
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("an example") {
        let entry = entry.expect("an entry");
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a copy");
        }
    }
}

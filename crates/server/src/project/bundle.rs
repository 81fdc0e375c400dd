//! From a project's source files to the modules that workerd loads: esbuild, called as its native program, with the options
//! that wrangler gives it and, through its service protocol, with the answers that wrangler's plugins give. What is left out:
//! wrangler's own middleware.

mod additional;
mod esbuild;
mod hooks;
mod metafile;
mod node;
mod packet;
mod service;

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use super::compatibility::NodeModules;
use super::{CustomBuild, ModuleKind, ProjectConfig};
use additional::Found;
use esbuild::{Build, Output};

/// A Worker as it is uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The name of the entry among `modules`; it is the first.
    pub main_module: String,
    pub modules: Vec<Module>,
    /// For the main module; sources are relative to the project's directory.
    pub source_map: Option<Vec<u8>>,
    /// Absolute paths of the files that went in, for watching.
    pub inputs: Vec<PathBuf>,
    /// What the main module exports, `default` included.
    pub exports: Vec<String>,
    /// esbuild's warnings and ours, for the user.
    pub warnings: Vec<String>,
}

/// One module of a Worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// As the main module's imports name it, without `./`.
    pub name: String,
    pub kind: ModuleKind,
    pub bytes: Vec<u8>,
}

/// What the bundle is for: the value of `process.env.NODE_ENV`, unless the variable is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Development,
    Production,
}

/// Bundles `project` with the program `esbuild`. Blocking: tens of milliseconds, plus the user's build command if any.
///
/// # Errors
/// When the build command or esbuild fails (with its location lines), when the entry exports nothing or not the class of a
/// workflow, and when files cannot be read or written.
pub fn bundle(project: &ProjectConfig, esbuild: &Path, purpose: Purpose) -> Result<Bundle, BundleError> {
    if let Some(custom) = &project.build.custom {
        run_custom(custom)?;
    }
    if !project.main.is_file() {
        return Err(BundleError::NoEntry { main: project.main.clone() });
    }
    let found = additional::find(project)?;
    let build = Build { project, purpose, program: esbuild, found: &found };
    let output = build.run()?;
    check(project, output.metafile.exports())?;
    if project.build.no_bundle { as_it_is(project, output, found) } else { Ok(collect(&build, output, &found)) }
}

fn run_custom(custom: &CustomBuild) -> Result<(), BundleError> {
    let io_error = |cause| BundleError::Io { path: custom.cwd.clone(), cause };
    let run = Command::new("sh").arg("-c").arg(&custom.command).current_dir(&custom.cwd).stdin(Stdio::null()).output();
    let output = run.map_err(io_error)?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).trim_end().to_owned();
    Err(BundleError::Command { command: custom.command.clone(), status: output.status.to_string(), output: text })
}

fn check(project: &ProjectConfig, exports: &[String]) -> Result<(), BundleError> {
    if exports.is_empty() {
        return Err(BundleError::NoExports { main: project.main.clone() });
    }
    let own = project.workflows.iter().filter(|workflow| workflow.script_name.is_none());
    for workflow in own {
        if !exports.contains(&workflow.class_name) {
            return Err(BundleError::ClassMissing {
                workflow: workflow.name.clone(),
                class_name: workflow.class_name.clone(),
                main: project.main.clone(),
                exports: exports.to_vec(),
            });
        }
    }
    Ok(())
}

fn collect(build: &Build<'_>, output: Output, found: &[Found]) -> Bundle {
    let project = build.project;
    let main_module = build.main_module();
    let main = Module { name: main_module.clone(), kind: ModuleKind::EsModule, bytes: output.main };
    let mut warnings = Vec::new();
    if !output.printed.is_empty() {
        warnings.push(output.printed);
    }
    let mode = project.node_modules();
    if !mode.are_on() {
        let imports = output.metafile.node_imports().into_iter();
        let missing = imports.filter(|name| !(mode == NodeModules::Als && *name == "node:async_hooks"));
        warnings.extend(missing.map(needs_nodejs_compat));
    }
    let bundled = output.metafile.inputs().map(|file| normalized(&project.root.join(file)));
    let own = bundled.chain(output.collected.iter().map(|collected| collected.path.clone()));
    let inputs: Vec<_> = own.chain(found.iter().map(|found| found.path.clone())).collect();
    let collected = output.collected.into_iter().map(|collected| collected.module);
    let mut others: Vec<_> = collected.chain(found.iter().map(|found| found.module.clone())).collect();
    others.sort_by(|one, other| one.name.cmp(&other.name));
    others.dedup_by(|second, first| second.name == first.name);
    Bundle {
        source_map: Some(output.source_map),
        inputs,
        exports: output.metafile.exports().to_vec(),
        modules: std::iter::once(main).chain(others).collect(),
        main_module,
        warnings,
    }
}

/// The entry's own text; what the bundle would have been told only its exports, and what it imports.
fn as_it_is(project: &ProjectConfig, output: Output, found: Vec<Found>) -> Result<Bundle, BundleError> {
    let is_javascript = project.main.extension().is_some_and(|extension| extension == "js" || extension == "mjs");
    if !is_javascript {
        return Err(BundleError::NotJavaScript { main: project.main.clone() });
    }
    let main_module = project.main.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let main = Module { name: main_module.clone(), kind: ModuleKind::EsModule, bytes: read(&project.main)? };
    let inputs = std::iter::once(project.main.clone()).chain(found.iter().map(|found| found.path.clone())).collect();
    Ok(Bundle {
        source_map: None,
        inputs,
        exports: output.metafile.exports().to_vec(),
        modules: std::iter::once(main).chain(found.into_iter().map(|found| found.module)).collect(),
        main_module,
        warnings: Vec::new(),
    })
}

fn needs_nodejs_compat(module: &str) -> String {
    format!(
        "the Worker imports \"{module}\", which exists at run time only with the compatibility flag \"nodejs_compat\" \
         (some Node modules have flags of their own)"
    )
}

/// Without `.` and `..`, by the text alone.
pub(super) fn normalized(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(result.pop()),
            Component::CurDir => {}
            other => result.push(other),
        }
    }
    result
}

fn read(path: &Path) -> Result<Vec<u8>, BundleError> {
    fs::read(path).map_err(|cause| BundleError::Io { path: path.to_owned(), cause })
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("esbuild cannot be run at {}: {cause}. Run `stepwell setup`, or correct STEPWELL_ESBUILD.", .program.display())]
    NoEsbuild { program: PathBuf, cause: io::Error },
    /// esbuild's own words, with file, line and column.
    #[error("the Worker could not be bundled:\n{messages}")]
    Failed { messages: String },
    #[error("the build command `{command}` failed ({status}):\n{output}")]
    Command { command: String, status: String, output: String },
    #[error("the entry point {} does not exist, also after the build command.", .main.display())]
    NoEntry { main: PathBuf },
    #[error(
        "{} exports nothing. Workers in service-worker syntax (addEventListener) are not supported: export a class that \
         extends WorkflowEntrypoint, and a handler with `export default {{ fetch(request, env) {{ … }} }}`.",
        .main.display()
    )]
    NoExports { main: PathBuf },
    #[error(
        "the workflow \"{workflow}\" has class_name \"{class_name}\", which {} does not export; it exports: {}.\n\
         Export the class, or correct class_name.",
        .main.display(), exports.join(", ")
    )]
    ClassMissing { workflow: String, class_name: String, main: PathBuf, exports: Vec<String> },
    #[error("{} is not bundled (no_bundle = true), so it must be JavaScript: a .js or .mjs file.", .main.display())]
    NotJavaScript { main: PathBuf },
    #[error("esbuild's report about the bundle cannot be read: {detail}. This is a mistake in Stepwell.")]
    Metafile { detail: String },
    #[error("{}: {cause}", .path.display())]
    Io { path: PathBuf, cause: io::Error },
}

#[cfg(test)]
mod tests;

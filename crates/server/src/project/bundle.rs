//! From a project's source files to the modules that workerd loads: esbuild, called as its native program, with the options
//! that wrangler gives it.
//!
//! wrangler does several things in esbuild plugins, which need JavaScript. Here the `copy` loader makes modules of text, data
//! and WebAssembly files, aliases and externals stand for Node's modules, and the metafile tells the rest. What is left out:
//! wrangler's own middleware, and unenv's substitutes for Node modules that workerd does not have at a project's date.

mod esbuild;
mod metafile;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{CustomBuild, ModuleKind, ProjectConfig};
use esbuild::NodeUse;
use metafile::Metafile;

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
    let output = tempfile::tempdir().map_err(|cause| BundleError::Io { path: std::env::temp_dir(), cause })?;
    let mut build =
        esbuild::Build { project, purpose, program: esbuild, output: output.path(), node_use: NodeUse::default() };
    let mut printed = build.run()?;
    let mut metafile = build.metafile()?;
    while project.node_modules().are_on() && build.node_use.learn(&metafile) {
        printed = build.run()?;
        metafile = build.metafile()?;
    }
    check(project, &metafile)?;
    collect(project, &build, &metafile, &printed)
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

fn check(project: &ProjectConfig, metafile: &Metafile) -> Result<(), BundleError> {
    let exports = metafile.exports();
    if exports.is_empty() {
        return Err(BundleError::NoExports { main: project.main.clone() });
    }
    if let Some(file) = metafile.inputs().find(|file| project.build.rules.is_removed(file)) {
        return Err(BundleError::RemovedRule { file: file.to_owned() });
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

fn collect(
    project: &ProjectConfig,
    build: &esbuild::Build<'_>,
    metafile: &Metafile,
    printed: &str,
) -> Result<Bundle, BundleError> {
    let main_module = build.main_module();
    let mut main = read(&build.output.join(&main_module))?;
    let mut modules = Vec::new();
    for import in metafile.copied_modules() {
        let file = import.split('?').next().unwrap_or(&import);
        if file != import {
            main = without_suffix(&main, &import, file);
        }
        let kind = project.build.rules.kind_of_file(file).unwrap_or(ModuleKind::Data);
        modules.push(Module { name: file.to_owned(), kind, bytes: read(&build.output.join(file))? });
    }
    modules.dedup_by(|second, first| second.name == first.name);
    modules.insert(0, Module { name: main_module.clone(), kind: ModuleKind::EsModule, bytes: main });
    let mut warnings = Vec::new();
    if !printed.is_empty() {
        warnings.push(printed.to_owned());
    }
    if !project.node_modules().are_on() {
        warnings.extend(metafile.node_imports().into_iter().map(needs_nodejs_compat));
    }
    Ok(Bundle {
        source_map: Some(build.source_map()?),
        inputs: metafile.inputs().map(|file| esbuild::normalized(&project.root.join(file))).collect(),
        exports: metafile.exports().to_vec(),
        main_module,
        modules,
        warnings,
    })
}

/// workerd's two module registries disagree about `?module`, so it goes, as in wrangler. The names hold a hash of the
/// file's content and occur nowhere else.
fn without_suffix(main: &[u8], import: &str, file: &str) -> Vec<u8> {
    String::from_utf8_lossy(main).replace(import, file).into_bytes()
}

fn needs_nodejs_compat(module: &str) -> String {
    format!(
        "the Worker imports \"{module}\", which exists at run time only with the compatibility flag \"nodejs_compat\" \
         (some Node modules have flags of their own)"
    )
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
    #[error(
        "{file} matches a module rule that an earlier rule of the same type switched off; \
         set fallthrough = true on the earlier rule, or add the pattern to it."
    )]
    RemovedRule { file: String },
    #[error("esbuild's report about the bundle cannot be read: {detail}. This is a mistake in Stepwell.")]
    Metafile { detail: String },
    #[error("{}: {cause}", .path.display())]
    Io { path: PathBuf, cause: io::Error },
}

#[cfg(test)]
mod tests;

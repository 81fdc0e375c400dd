//! The options of one esbuild run, and what comes out of it.

use std::env;
use std::path::{Path, PathBuf};

use super::additional::Found;
use super::hooks::{Collected, Hooks};
use super::metafile::Metafile;
use super::node::Node;
use super::service::{Built, Service};
use super::{BundleError, Purpose, normalized};
use crate::project::ProjectConfig;
use crate::project::compatibility::{NodeModules, has_navigator};
use crate::tools;

/// Where esbuild believes to write, below the project: sources are named from there. Nothing is written.
const OUTPUT: &str = ".stepwell/bundle";

/// wrangler's `COMMON_ESBUILD_OPTIONS`, conditions, and what is always external.
const COMMON: &[&str] = &[
    "--bundle",
    "--format=esm",
    "--target=es2024",
    "--supported:import-source=true",
    "--loader:.js=jsx",
    "--loader:.mjs=jsx",
    "--loader:.cjs=jsx",
    "--conditions=workerd,worker,browser",
    "--sourcemap=external",
    "--external:cloudflare:*",
    "--external:workerd:*",
    "--external:node:*",
    "--external:__STATIC_CONTENT_MANIFEST",
    "--log-level=warning",
    "--color=false",
];

pub(super) struct Build<'a> {
    pub project: &'a ProjectConfig,
    pub purpose: Purpose,
    pub program: &'a Path,
    /// Modules that are not bundled into the main module.
    pub found: &'a [Found],
}

/// What a run made.
pub(super) struct Output {
    pub metafile: Metafile,
    pub main: Vec<u8>,
    pub source_map: Vec<u8>,
    pub collected: Vec<Collected>,
    /// Warnings, as esbuild prints them.
    pub printed: String,
}

impl Build<'_> {
    /// Runs esbuild.
    pub fn run(&self) -> Result<Output, BundleError> {
        let mut hooks = Hooks::new(self.project, tools::polyfills(self.program), self.found);
        let built = self.service(&mut hooks).map_err(|cause| self.cannot_run(cause))?;
        if built.failed {
            let messages = without_external_advice(&built.printed) + self.advice(&built.printed);
            return Err(BundleError::Failed { messages });
        }
        let file = |name: &str| {
            let is_it = |path: &str| Path::new(path).file_name().is_some_and(|other| other == name);
            let found = built.files.iter().find(|(path, _)| is_it(path)).map(|(_, bytes)| bytes.clone());
            found.ok_or_else(|| BundleError::Metafile { detail: format!("there is no {name}") })
        };
        let main_module = self.main_module();
        Ok(Output {
            metafile: Metafile::parse(&built.metafile, &main_module)?,
            main: file(&main_module)?,
            source_map: self.source_map(&file(&format!("{main_module}.map"))?)?,
            collected: hooks.collected,
            printed: built.printed,
        })
    }

    fn service(&self, hooks: &mut Hooks<'_>) -> std::io::Result<Built> {
        let root = self.project.root.to_string_lossy();
        let flags = self.flags(hooks);
        Service::start(self.program, &self.project.root)?.build(
            &self.project.main.to_string_lossy(),
            &root,
            flags,
            hooks,
        )
    }

    fn cannot_run(&self, cause: std::io::Error) -> BundleError {
        BundleError::NoEsbuild { program: self.program.to_owned(), cause }
    }

    /// The entry's name with `.js`, as wrangler names it.
    pub fn main_module(&self) -> String {
        let stem = self.project.main.file_stem().unwrap_or_default().to_string_lossy();
        format!("{stem}.js")
    }

    /// esbuild names sources from its output directory, which means nothing later; here they start at the project.
    fn source_map(&self, bytes: &[u8]) -> Result<Vec<u8>, BundleError> {
        let broken = |error: serde_json::Error| BundleError::Metafile { detail: error.to_string() };
        let mut map: serde_json::Value = serde_json::from_slice(bytes).map_err(broken)?;
        let output = self.output();
        for source in map["sources"].as_array_mut().into_iter().flatten() {
            if let Some(text) = source.as_str() {
                let path = normalized(&output.join(text));
                let path = path.strip_prefix(&self.project.root).unwrap_or(&path);
                *source = path.to_string_lossy().into();
            }
        }
        serde_json::to_vec(&map).map_err(broken)
    }

    fn output(&self) -> PathBuf {
        self.project.root.join(OUTPUT)
    }

    fn flags(&self, hooks: &Hooks<'_>) -> Vec<String> {
        let mut flags: Vec<String> = COMMON.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--outfile={}", self.output().join(self.main_module()).display()));
        flags.push("--metafile".to_owned());
        flags.extend(hooks.injections());
        flags.extend(self.settings());
        flags.extend(self.defines());
        flags
    }

    fn settings(&self) -> Vec<String> {
        let build = &self.project.build;
        let mut arguments = Vec::new();
        arguments.extend(build.keep_names.then(|| "--keep-names".to_owned()));
        arguments.extend(build.minify.then(|| "--minify".to_owned()));
        arguments.extend(build.tsconfig.iter().map(|path| format!("--tsconfig={}", path.display())));
        arguments.extend(build.jsx_factory.iter().map(|name| format!("--jsx-factory={name}")));
        arguments.extend(build.jsx_fragment.iter().map(|name| format!("--jsx-fragment={name}")));
        arguments.extend(build.alias.iter().map(|(from, to)| format!("--alias:{from}={to}")));
        arguments
    }

    fn defines(&self) -> Vec<String> {
        let project = self.project;
        let default = match self.purpose {
            Purpose::Development => "development",
            Purpose::Production => "production",
        };
        let node_env =
            env::var("NODE_ENV").ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned());
        let node_env = serde_json::Value::from(node_env).to_string();
        let user_agent = has_navigator(&project.compatibility_date, &project.compatibility_flags)
            .then(|| ("navigator.userAgent".to_owned(), "\"Cloudflare-Workers\"".to_owned()));
        let environment =
            ["", "global.", "globalThis."].map(|prefix| (format!("{prefix}process.env.NODE_ENV"), node_env.clone()));
        let defaults =
            environment.into_iter().chain(user_agent).filter(|(name, _)| !project.build.define.contains_key(name));
        let own = project.build.define.iter().map(|(name, value)| (name.clone(), value.clone()));
        defaults.chain(own).map(|(name, value)| format!("--define:{name}={value}")).collect()
    }

    fn advice(&self, text: &str) -> &'static str {
        let unresolved = text.split("Could not resolve \"").skip(1).filter_map(|rest| rest.split('"').next());
        let node_module = unresolved.into_iter().any(Node::is_module);
        match (node_module, self.project.node_modules()) {
            (true, NodeModules::Off) => "\nModules of Node need compatibility_flags = [\"nodejs_compat\"].",
            (true, _) => {
                "\nWrite \"node:\" before the names of Node's modules, or set compatibility_date to 2024-09-23 or later."
            }
            (false, _) if text.contains("Could not resolve") => {
                "\nInstall missing packages with `npm install`; `alias` in the configuration replaces a module by another."
            }
            (false, _) => "",
        }
    }
}

/// esbuild advises to mark a path as external, an option that our users do not have.
fn without_external_advice(messages: &str) -> String {
    let kept: Vec<_> =
        messages.lines().filter(|line| !line.trim_start().starts_with("You can mark the path")).collect();
    kept.join("\n")
}

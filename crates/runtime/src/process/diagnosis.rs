//! Why a worker process did not start, read from what workerd printed.

use serde::Deserialize;

use crate::config::{EXPORTS_MARK, PREFIX, Refusal, USER_SERVICE, WRAPPER};
use crate::process::SpawnError;
use crate::spec::WorkerSpec;

/// What the generated main module reports about the user's exports.
#[derive(Deserialize)]
struct Exports {
    missing: Vec<String>,
    unfit: Vec<String>,
    names: Vec<String>,
    workflows: Vec<String>,
}

/// The error behind `stderr`, the output of a process that ended before it listened.
pub fn diagnose(spec: &WorkerSpec, stderr: &str) -> SpawnError {
    let message = own_words(stderr);
    if let Some(exports) = reported_exports(&message) {
        return unfit_exports(spec, exports);
    }
    match refused_flags(&message) {
        Some(refusal) => SpawnError::Refused(refusal),
        None => SpawnError::Load { script: spec.script.clone(), message },
    }
}

/// What workerd says of the user's service, without its prefix. What user code printed before it failed comes first and
/// is left out, and so is what follows from the failure or is no failure.
fn own_words(stderr: &str) -> String {
    let prefix = format!("service {USER_SERVICE}: ");
    let own = stderr.find(&prefix).map_or(stderr, |at| &stderr[at..]);
    let lines =
        own.lines().map(|line| line.strip_prefix(&prefix).unwrap_or(line)).filter(|line| !is_beside_the_point(line));
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn is_beside_the_point(line: &str) -> bool {
    let is_our_frame =
        line.trim_start().strip_prefix("at ").is_some_and(|at| at.starts_with(WRAPPER) || at.starts_with(PREFIX));
    let is_consequence = line.starts_with("Socket \"") && line.contains("has no such named entrypoint");
    let is_advice = line.contains("became the default as of");
    is_our_frame || is_consequence || is_advice
}

fn reported_exports(message: &str) -> Option<Exports> {
    let (_, json) = message.split_once(EXPORTS_MARK)?;
    serde_json::Deserializer::from_str(json).into_iter().next()?.ok()
}

fn unfit_exports(spec: &WorkerSpec, exports: Exports) -> SpawnError {
    let Exports { missing, unfit, names, workflows } = exports;
    let script = spec.script.clone();
    match (missing.into_iter().next(), unfit.into_iter().next()) {
        _ if names.is_empty() => SpawnError::Refused(Refusal::NothingExported { name: spec.main_module.clone() }),
        (Some(class), _) => SpawnError::ClassNotExported { script, class, exported: workflows },
        (None, Some(class)) => SpawnError::NotAWorkflow { script, class, exported: workflows },
        (None, None) => SpawnError::Load { script, message: "the exports could not be read".to_owned() },
    }
}

fn refused_flags(message: &str) -> Option<Refusal> {
    let line = message.lines().find(|line| line.to_lowercase().contains("compatibility flag"))?;
    let between = |before: &str, after: &str| {
        let (_, rest) = line.split_once(before)?;
        Some(rest.split_once(after).map_or(rest, |(flag, _)| flag).trim().to_owned())
    };
    if let Some(flag) = between("No such compatibility flag: ", " ") {
        return Some(Refusal::UnknownFlag { flag });
    }
    if line.contains("is experimental") {
        return between("The compatibility flag ", " is experimental").map(|flag| Refusal::ExperimentalFlag { flag });
    }
    Some(Refusal::UnfitFlags { message: line.to_owned() })
}

//! What is wrong with a Worker before it is started, each by name. workerd itself judges flags, because it alone knows
//! them all: `process::diagnosis` turns its words into the same type.

use std::collections::HashSet;

use crate::config::{HOST_BINDING, PREFIX, WORKERD_DATE, WRAPPER};
use crate::spec::{Binding, ModuleBody, WorkerSpec};

/// A Worker that cannot run here, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("compatibility flag \"{flag}\" is unknown to workerd {WORKERD_DATE}: remove it or check its spelling")]
    UnknownFlag { flag: String },
    #[error("compatibility flag \"{flag}\" is experimental and experimental features are off here: remove it")]
    ExperimentalFlag { flag: String },
    #[error("compatibility flag \"{flag}\" is given more than once: keep one")]
    RepeatedFlag { flag: String },
    #[error("compatibility flag \"{flag}\" cannot be used here: {reason}. Remove it")]
    UnsupportedFlag { flag: String, reason: &'static str },
    #[error("compatibility flags do not fit together: {message}")]
    UnfitFlags { message: String },
    #[error("compatibility date \"{date}\" is no date: write it as YYYY-MM-DD")]
    InvalidDate { date: String },
    #[error("compatibility date {date} is newer than this server's workerd: use {WORKERD_DATE} or earlier")]
    DateBeyondWorkerd { date: String },
    #[error("main module \"{name}\" is not among the modules")]
    MissingMainModule { name: String },
    #[error(
        "main module \"{name}\" is not an ES module: service-worker syntax and CommonJS entry points are not supported"
    )]
    MainModuleNotEsModule { name: String },
    #[error(
        "main module \"{name}\" exports nothing: export a handler or a class (addEventListener, the service-worker \
         syntax, is not supported)"
    )]
    NothingExported { name: String },
    #[error("module \"{name}\" is given more than once")]
    RepeatedModule { name: String },
    #[error("module name \"{name}\" begins with \"{PREFIX}\", which is kept for the server: rename it")]
    ReservedModule { name: String },
    #[error("binding \"{name}\" is given more than once")]
    RepeatedBinding { name: String },
    #[error("binding \"{name}\" has a name that is kept for the server: rename it")]
    ReservedBinding { name: String },
}

/// Flags that workerd takes and this server cannot serve.
const UNSUPPORTED_FLAGS: &[(&str, &str)] =
    &[("d1_binding_jsrpc", "with it D1 is called by RPC, and the databases of this server answer over HTTP")];

/// Judges what can be judged without workerd.
pub fn check(spec: &WorkerSpec) -> Result<(), Refusal> {
    check_date(&spec.compatibility_date)?;
    check_main_module(spec)?;
    if let Some(flag) = first_repeated(spec.compatibility_flags.iter().map(String::as_str)) {
        return Err(Refusal::RepeatedFlag { flag });
    }
    let unsupported = UNSUPPORTED_FLAGS.iter().find(|(flag, _)| spec.compatibility_flags.iter().any(|own| own == flag));
    if let Some((flag, reason)) = unsupported {
        return Err(Refusal::UnsupportedFlag { flag: (*flag).to_owned(), reason });
    }
    if let Some(name) = first_repeated(spec.modules.iter().map(|module| module.name.as_str())) {
        return Err(Refusal::RepeatedModule { name });
    }
    if let Some(name) = first_repeated(spec.bindings.iter().map(Binding::name)) {
        return Err(Refusal::RepeatedBinding { name });
    }
    if let Some(binding) = spec.bindings.iter().find(|binding| binding.name() == HOST_BINDING) {
        return Err(Refusal::ReservedBinding { name: binding.name().to_owned() });
    }
    match spec.modules.iter().find(|module| is_reserved(&module.name)) {
        Some(module) => Err(Refusal::ReservedModule { name: module.name.clone() }),
        None => Ok(()),
    }
}

fn check_date(date: &str) -> Result<(), Refusal> {
    if !is_date(date) {
        return Err(Refusal::InvalidDate { date: date.to_owned() });
    }
    if date > WORKERD_DATE {
        return Err(Refusal::DateBeyondWorkerd { date: date.to_owned() });
    }
    Ok(())
}

fn is_date(date: &str) -> bool {
    let in_range = |part: &str, range: std::ops::RangeInclusive<u8>| part.parse().is_ok_and(|n| range.contains(&n));
    date.len() == 10
        && date
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
        && in_range(&date[5..7], 1..=12)
        && in_range(&date[8..10], 1..=31)
}

fn check_main_module(spec: &WorkerSpec) -> Result<(), Refusal> {
    let name = spec.main_module.clone();
    match spec.modules.iter().find(|module| module.name == name).map(|module| &module.body) {
        None => Err(Refusal::MissingMainModule { name }),
        Some(ModuleBody::EsModule(_)) => Ok(()),
        Some(_) => Err(Refusal::MainModuleNotEsModule { name }),
    }
}

fn is_reserved(module: &str) -> bool {
    let module = module.trim_start_matches("./");
    module == WRAPPER || module.starts_with(PREFIX)
}

fn first_repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name)).map(str::to_owned)
}

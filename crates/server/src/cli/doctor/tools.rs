//! The foreign programs: workerd and esbuild, and npm, which brings them.

use std::process::{Command, Stdio};

use super::Finding;
use crate::tools::{ESBUILD_VERSION, Tools, WORKERD_RELEASE};

const OVERRIDES: [&str; 2] = ["STEPWELL_WORKERD", "STEPWELL_ESBUILD"];

pub fn check() -> Vec<Finding> {
    match Tools::locate() {
        Some(_) => installed(),
        None => missing(),
    }
}

/// Where everything is there, nothing is installed.
fn installed() -> Vec<Finding> {
    let mut findings = match Tools::ensure(&mut |_| {}) {
        Ok(tools) => vec![
            Finding::ok("workerd", format!("{WORKERD_RELEASE} at {}", tools.workerd.display())),
            Finding::ok("esbuild", format!("{ESBUILD_VERSION} at {}", tools.esbuild.display())),
        ],
        Err(error) => vec![failed(&error.to_string())],
    };
    for program in ["node", "npm"] {
        findings.push(match version(program) {
            Some(version) => Finding::ok(program, version),
            None => {
                Finding::warn(program, "not found", "Only packages and build commands of your projects may want it.")
            }
        });
    }
    findings
}

fn missing() -> Vec<Finding> {
    let wrong = OVERRIDES.into_iter().find_map(|name| {
        let path = std::env::var_os(name).filter(|path| !path.is_empty())?;
        let is_file = std::path::Path::new(&path).is_file();
        (!is_file)
            .then(|| failed(&format!("{name} names {}, which is no file\nCorrect it, or unset it.", path.display())))
    });
    let npm = version("npm");
    let tools = wrong.unwrap_or_else(|| match npm {
        Some(_) => Finding::warn(
            "workerd, esbuild",
            "not installed",
            "Run `stepwell setup`; or they are installed when they are first needed.",
        ),
        None => Finding::fail(
            "workerd, esbuild",
            "not installed, and there is no npm to install them",
            "Install Node.js, which brings npm, then run `stepwell setup`.",
        ),
    });
    let programs = ["node", "npm"].map(|program| match version(program) {
        Some(version) => Finding::ok(program, version),
        None => Finding::fail(program, "not found", "Install Node.js, which brings npm."),
    });
    std::iter::once(tools).chain(programs).collect()
}

/// The first line says what is wrong, the others what to do.
fn failed(text: &str) -> Finding {
    let (found, advice) = text.split_once('\n').unwrap_or((text, "Run `stepwell setup`."));
    Finding::fail("workerd, esbuild", found, advice)
}

fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

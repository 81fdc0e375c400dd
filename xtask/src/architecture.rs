//! The walls between the crates. A crate may know only those named here, and a few directories must not know
//! certain things at all; ARCHITECTURE.md says why.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::project;

/// Each package of the workspace with the packages of the workspace it may depend on, in tests too.
const MAY_KNOW: [(&str, &[&str]); 5] = [
    ("stepwell-engine", &[]),
    ("stepwell-store", &["stepwell-engine"]),
    ("stepwell-runtime", &["stepwell-engine"]),
    ("stepwell", &["stepwell-engine", "stepwell-store", "stepwell-runtime"]),
    ("xtask", &[]),
];

struct Wall {
    directory: &'static str,
    refused: &'static [&'static str],
    why: &'static str,
}

const WALLS: [Wall; 2] = [
    Wall {
        directory: "crates/engine/src",
        refused: &[
            "std::fs",
            "std::net",
            "std::thread",
            "std::process",
            "Instant::now",
            "SystemTime",
            "async fn",
            "tokio::",
            "rand::",
        ],
        why: "the engine is pure: time and everything else is passed in",
    },
    Wall {
        directory: "crates/server/src/driver",
        refused: &["axum::", "hyper::", "tower_http::"],
        why: "the driver does not know HTTP, so that it can be embedded",
    },
];

/// Checks all walls.
///
/// # Errors
/// All breaches at once, each with its place.
pub fn check() -> Result<()> {
    let mut breaches = arrows(&project::metadata()?)?;
    for path in project::files()? {
        let Some(wall) = WALLS.iter().find(|wall| path.starts_with(wall.directory)) else { continue };
        let text = fs::read_to_string(project::root().join(&path)).with_context(|| path.display().to_string())?;
        breaches.extend(breaches_in(wall, &text).map(|breach| format!("{}:{breach}", path.display())));
    }
    ensure!(breaches.is_empty(), "{}", breaches.join("\n"));
    Ok(())
}

/// Dependencies within the workspace that `MAY_KNOW` does not name.
fn arrows(metadata: &serde_json::Value) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for package in metadata["packages"].as_array().context("cargo metadata lists no packages")? {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = MAY_KNOW.iter().find(|(known, _)| *known == name) else {
            breaches.push(format!("package {name} is not in xtask/src/architecture.rs: say what it may know"));
            continue;
        };
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let known = dependencies.filter(|one| one["path"].is_string()).filter_map(|one| one["name"].as_str());
        let refused = known.filter(|known| !allowed.contains(known));
        breaches.extend(refused.map(|known| format!("package {name} depends on {known}, which it must not know")));
    }
    Ok(breaches)
}

fn breaches_in<'a>(wall: &'a Wall, text: &'a str) -> impl Iterator<Item = String> + 'a {
    text.lines().enumerate().flat_map(move |(index, line)| {
        let words = wall.refused.iter().filter(move |word| line.contains(**word));
        words.map(move |word| format!("{}: `{word}` is refused here: {}", index + 1, wall.why))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, knows: &str) -> serde_json::Value {
        json!({"packages": [{"name": name, "dependencies": [{"name": knows, "path": "/x"}, {"name": "serde"}]}]})
    }

    #[test]
    fn the_store_may_know_the_engine_and_nobody_else() {
        assert_eq!(arrows(&package("stepwell-store", "stepwell-engine")).unwrap(), Vec::<String>::new());
        let breach = "package stepwell-store depends on stepwell-runtime, which it must not know";
        assert_eq!(arrows(&package("stepwell-store", "stepwell-runtime")).unwrap(), [breach]);
    }

    #[test]
    fn a_new_package_has_to_be_placed() {
        let breaches = arrows(&package("stepwell-extra", "stepwell-engine")).unwrap();
        assert!(breaches[0].starts_with("package stepwell-extra is not in"), "{breaches:?}");
    }

    #[test]
    fn a_clock_in_the_engine_is_found_with_its_line() {
        let found: Vec<_> = breaches_in(&WALLS[0], "fn f() {\n    Instant::now();\n}").collect();
        assert_eq!(
            found,
            ["2: `Instant::now` is refused here: the engine is pure: time and everything else is passed in"]
        );
    }
}

//! What the tools directory holds, and how it is found and checked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use super::{ESBUILD_VERSION, PACKAGE_JSON, PACKAGE_LOCK, Sources, ToolsError, WORKERD_RELEASE, WORKERD_VERSION};

#[test]
fn the_pinned_versions_are_those_of_the_package() {
    assert!(PACKAGE_JSON.contains(&format!(r#""@cloudflare/workerd-linux-64": "{WORKERD_VERSION}""#)));
    assert!(PACKAGE_JSON.contains(&format!(r#""@esbuild/linux-x64": "{ESBUILD_VERSION}""#)));
    let date = &WORKERD_VERSION["1.".len().."1.20261117".len()];
    assert_eq!(WORKERD_RELEASE.replace('-', ""), format!("workerd {date}"));
}

#[test]
fn the_lock_has_integrity_for_every_package_and_no_registry_addresses() {
    let lock: serde_json::Value = serde_json::from_str(PACKAGE_LOCK).unwrap();
    let packages = lock["packages"].as_object().unwrap();
    for (path, package) in packages.iter().filter(|(path, _)| !path.is_empty()) {
        assert!(package["integrity"].as_str().is_some_and(|text| text.starts_with("sha512-")), "{path}");
        assert!(package.get("resolved").is_none(), "{path}");
    }
    assert!(packages.len() > 4);
}

#[test]
fn npm_that_is_not_there_is_named() {
    let home = tempfile::tempdir().unwrap();
    let error = sources(home.path(), Path::new("/nonexistent/npm")).ensure(&mut |_| {}).unwrap_err();
    assert!(matches!(error, ToolsError::NpmMissing), "{error}");
}

#[test]
fn npm_that_fails_is_quoted_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let npm = program(home.path(), "npm", "echo 'npm error code EHOSTUNREACH' >&2; exit 1");
    let error = sources(home.path(), &npm).ensure(&mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("npm error code EHOSTUNREACH"), "{error}");
    let left: Vec<_> =
        fs::read_dir(home.path().join("cache")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().ends_with(".lock")), "{left:?}");
}

#[test]
fn npm_that_installs_nothing_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let npm = program(home.path(), "npm", "exit 0");
    let error = sources(home.path(), &npm).ensure(&mut |_| {}).unwrap_err();
    assert!(matches!(error, ToolsError::Incomplete { .. }), "{error}");
}

#[test]
fn many_at_once_install_one_time() {
    let home = tempfile::tempdir().unwrap();
    let count = home.path().join("count");
    let npm = program(home.path(), "npm", &format!("echo x >> {}\n{}", count.display(), FAKE_INSTALL));
    let sources = Arc::new(sources(home.path(), &npm));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let sources = Arc::clone(&sources);
            thread::spawn(move || sources.ensure(&mut |_| {}).unwrap())
        })
        .collect();
    let found: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(found.iter().all(|tools| *tools == found[0] && tools.workerd.is_file()));
    assert_eq!(fs::read_to_string(count).unwrap().lines().count(), 1);
}

#[test]
fn an_installation_says_what_it_installs_and_a_second_one_is_silent() {
    let home = tempfile::tempdir().unwrap();
    let npm = program(home.path(), "npm", FAKE_INSTALL);
    let mut lines = Vec::new();
    for _ in 0..2 {
        sources(home.path(), &npm).ensure(&mut |line| lines.push(line.to_owned())).unwrap();
    }
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("Installing workerd 1.20261117.1 and esbuild 0.28.2 from npm into "), "{lines:?}");
}

#[test]
fn a_program_of_another_version_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let mut sources = sources(home.path(), Path::new("/nonexistent/npm"));
    sources.workerd = Some(program(home.path(), "workerd", "echo workerd 2024-01-01"));
    sources.esbuild = Some(program(home.path(), "esbuild", "echo 0.28.2"));
    let error = sources.ensure(&mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("is workerd 2024-01-01, but this Stepwell is built for workerd 2026-11-17"), "{error}");
    assert!(error.contains("Unset STEPWELL_WORKERD"), "{error}");
}

#[test]
fn an_override_that_is_no_file_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let mut sources = sources(home.path(), Path::new("/nonexistent/npm"));
    sources.esbuild = Some(home.path().join("nothing"));
    let error = sources.ensure(&mut |_| {}).unwrap_err().to_string();
    assert!(error.starts_with("STEPWELL_ESBUILD names "), "{error}");
    assert_eq!(sources.locate(), None);
}

/// Writes programs that answer `--version` as the pinned ones do, for whichever platform asks.
const FAKE_INSTALL: &str = r#"
mkdir -p node_modules/unenv node_modules/@cloudflare/unenv-preset
for p in @cloudflare/workerd-linux-64 @cloudflare/workerd-linux-arm64 @esbuild/linux-x64 @esbuild/linux-arm64; do
  mkdir -p node_modules/$p/bin
  case $p in
    *workerd*) f=node_modules/$p/bin/workerd; v="workerd 2026-11-17" ;;
    *) f=node_modules/$p/bin/esbuild; v="0.28.2" ;;
  esac
  printf '#!/bin/sh\necho %s\n' "$v" > $f
  chmod +x $f
done
"#;

fn sources(home: &Path, npm: &Path) -> Sources {
    Sources { cache: Some(home.join("cache")), npm: npm.into(), ..Sources::default() }
}

/// The file is written by a child: were it open for writing here while another test starts a process, running it could fail.
fn program(directory: &Path, name: &str, body: &str) -> PathBuf {
    let path = directory.join(name);
    let script = format!("#!/bin/sh\n{body}\n");
    let write = r#"printf %s "$2" > "$1" && chmod 755 "$1""#;
    let status = Command::new("sh").args(["-c", write, "sh"]).arg(&path).arg(script).status().unwrap();
    assert!(status.success());
    path
}

//! `stepwell.toml`: what our own `dev` needs beyond wrangler's configuration. It stands beside that file, and may be absent.
//!
//! ```toml
//! [dev.outbound]              # requests to this host go to a local Worker
//! "api.resend.com" = "./mail-stub"
//! [dev.d1]                    # SQL for a database that is still empty, by database id
//! "your-database-id" = "./schema.sql"
//! ```

use std::path::{Path, PathBuf};

use super::bindings::D1Config;
use super::diagnostics::{ConfigError, Diagnostics, did_you_mean};
use super::document::{self, Node, Value};
use super::locate;
use super::section::Section;

/// The file's name, beside the wrangler configuration.
pub const FILE_NAME: &str = "stepwell.toml";

/// The `[dev]` table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DevConfig {
    pub outbound: Vec<OutboundStub>,
    pub d1_seeds: Vec<D1Seed>,
}

/// A host name that is answered by a local Worker instead of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundStub {
    /// Lower case, with `:port` when the user wrote one.
    pub host: String,
    pub target: OutboundTarget,
}

/// Who answers for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboundTarget {
    /// An absolute path of a project directory, to be started too.
    Directory(PathBuf),
    /// A script that is there already.
    Script(String),
}

/// SQL to run once in a database that has no tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct D1Seed {
    pub database_id: String,
    /// Absolute.
    pub file: PathBuf,
}

/// Reads `stepwell.toml` in `root`; absent is empty.
pub(super) fn load(root: &Path, databases: &[D1Config]) -> Result<DevConfig, ConfigError> {
    let file = root.join(FILE_NAME);
    if !file.exists() {
        return Ok(DevConfig::default());
    }
    let table = document::read(&file)?;
    let mut diagnostics = Diagnostics::default();
    let top = Section { path: String::new(), line: 1, table: &table };
    top.refuse_unknown(&["dev"], &mut diagnostics);
    let mut config = DevConfig::default();
    if let Some(dev) = top.section("dev", &mut diagnostics) {
        dev.refuse_unknown(&["outbound", "d1"], &mut diagnostics);
        config.outbound = outbound(&dev, root, &mut diagnostics);
        config.d1_seeds = d1_seeds(&dev, root, databases, &mut diagnostics);
    }
    diagnostics.finish(&file)?;
    Ok(config)
}

fn outbound(dev: &Section<'_>, root: &Path, diagnostics: &mut Diagnostics) -> Vec<OutboundStub> {
    let Some(section) = dev.section("outbound", diagnostics) else { return Vec::new() };
    let mut stubs = Vec::new();
    for (host, node) in section.table.iter() {
        let path = format!("dev.outbound.\"{host}\"");
        if !is_host(host) {
            let message = "should be a host name such as \"api.example.com\", without scheme and path";
            diagnostics.error(node.line, path, message);
            continue;
        }
        if let Some(target) = target(node, &path, root, diagnostics) {
            stubs.push(OutboundStub { host: host.to_ascii_lowercase(), target });
        }
    }
    stubs
}

/// A path has a slash or begins with a dot; anything else is a script's name.
fn target(node: &Node, path: &str, root: &Path, diagnostics: &mut Diagnostics) -> Option<OutboundTarget> {
    let text = text(node, path, "a directory such as \"./stub\" or the name of a script", diagnostics)?;
    if !(text.contains('/') || text.starts_with('.')) {
        return Some(OutboundTarget::Script(text.to_owned()));
    }
    let directory = clean(&root.join(text));
    if let Err(error) = locate(&directory) {
        diagnostics.error(node.line, path, format!("names no Worker: {error}"));
        return None;
    }
    Some(OutboundTarget::Directory(directory))
}

fn d1_seeds(dev: &Section<'_>, root: &Path, databases: &[D1Config], diagnostics: &mut Diagnostics) -> Vec<D1Seed> {
    let Some(section) = dev.section("d1", diagnostics) else { return Vec::new() };
    let mut seeds = Vec::new();
    for (database_id, node) in section.table.iter() {
        let path = format!("dev.d1.\"{database_id}\"");
        let Some(text) = text(node, &path, "an SQL file such as \"./schema.sql\"", diagnostics) else { continue };
        let known: Vec<_> = databases.iter().map(|database| database.database_id.as_str()).collect();
        if !known.contains(&database_id) {
            let suggestion = did_you_mean(database_id, known.iter().copied());
            diagnostics.error(node.line, path, format!("no entry of d1_databases has this database_id{suggestion}"));
            continue;
        }
        let file = clean(&root.join(text));
        if !file.is_file() {
            diagnostics.error(node.line, path, format!("{} is not a file", file.display()));
            continue;
        }
        seeds.push(D1Seed { database_id: database_id.to_owned(), file });
    }
    seeds
}

fn text<'a>(node: &'a Node, path: &str, expected: &str, diagnostics: &mut Diagnostics) -> Option<&'a str> {
    match &node.value {
        Value::Text(text) if !text.is_empty() => Some(text),
        other => {
            diagnostics.error(node.line, path, format!("should be {expected} but is {}", other.describe()));
            None
        }
    }
}

fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty() && name.chars().all(legal) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Without the `.` that `join` leaves in.
fn clean(path: &Path) -> PathBuf {
    path.components().collect()
}

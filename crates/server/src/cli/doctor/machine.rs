//! What the machine gives: ports, room on the disk, a directory to keep things in.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, statvfs};
use stepwell_store::sqlite::{FORMAT, look};

use super::Finding;
use crate::secrets::SecretsKey;

/// A server on this machine answers at once or hangs.
pub const PROBE_TIMEOUT_MS: u64 = 2_000;
/// A running server holds a lock on this file of its data directory and writes its process id into it.
const LOCK_FILE: &str = "lock";
/// Below it the database's log may not fit beside the database.
const FREE_BYTES_MIN: u64 = 100 << 20;
/// Below it somebody should look.
const FREE_BYTES_WARN: u64 = 1 << 30;

/// Whether a server could listen there, or does already.
pub fn port(check: &'static str, port: u16, flag: &str, stepwell_runs: bool) -> Finding {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Finding::ok(check, format!("{port} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && stepwell_runs => {
            Finding::ok(check, format!("{port} is in use, and a Stepwell server runs"))
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::fail(
            check,
            format!("{port} is in use by another program"),
            format!("Stop that program (`ss -ltnp 'sport = :{port}'` names it), or choose another with {flag}."),
        ),
        Err(error) => Finding::fail(
            check,
            format!("{port} cannot be listened on: {error}"),
            format!("Choose another with {flag}."),
        ),
    }
}

/// Whether a server could keep its things there.
pub fn data_dir(data: &Path) -> Finding {
    const CHECK: &str = "data directory";
    let shown = data.display();
    if data.exists() && !data.is_dir() {
        return Finding::fail(CHECK, format!("{shown} is no directory"), "Name another with --data.");
    }
    let place = existing(data);
    if let Err(error) = tempfile::tempfile_in(&place) {
        let advice = "Give this user the right to write there, or name another with --data.";
        return Finding::fail(CHECK, format!("{} is not writable: {error}", place.display()), advice);
    }
    if !data.is_dir() {
        return Finding::ok(CHECK, format!("{shown} does not exist yet and can be created"));
    }
    let format = match content(data) {
        Ok(format) => format,
        Err(error) => return refused(CHECK, &error.to_string()),
    };
    match (user(&data.join(LOCK_FILE)), format) {
        (Some(user), _) => {
            let advice = "That is fine unless you want to start another server there: a data directory has one server.";
            Finding::warn(CHECK, format!("{shown} is in use by {user}"), advice)
        }
        (None, Some(format)) if format < FORMAT => Finding::ok(
            CHECK,
            format!(
                "{shown} is writable and not in use; a server will bring its database from format {format} to {FORMAT}"
            ),
        ),
        (None, _) => Finding::ok(CHECK, format!("{shown} is writable and not in use")),
    }
}

/// The format of its database, where there is one that a server would take, with the key of its secrets.
fn content(data: &Path) -> anyhow::Result<Option<u32>> {
    let Some(look) = look(data)? else { return Ok(None) };
    SecretsKey::read(data, &look.secrets)?;
    Ok(Some(look.format))
}

/// Errors of opening say what is wrong, and last what to do.
fn refused(check: &'static str, error: &str) -> Finding {
    let (found, advice) = error.rsplit_once(": ").unwrap_or((error, "name another with --data"));
    let mut advice = advice.chars();
    let advice = advice.next().into_iter().flat_map(char::to_uppercase).chain(advice).collect::<String>() + ".";
    Finding::fail(check, found, advice)
}

/// Who holds the lock.
fn user(lock: &Path) -> Option<String> {
    let file = File::open(lock).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(rustix::io::Errno::WOULDBLOCK) => {}
        _ => return None,
    }
    let process = fs::read_to_string(lock).unwrap_or_default();
    let process = process.trim();
    Some(if process.is_empty() { "a server".to_owned() } else { format!("the server with process id {process}") })
}

/// How much room there is where the data directory is or would be.
pub fn disk(data: &Path) -> Finding {
    let place = existing(data);
    match statvfs(&place) {
        Ok(disk) => room(disk.f_bavail.saturating_mul(disk.f_frsize), &place),
        Err(error) => Finding::warn("disk", format!("{}: {error}", place.display()), "Its free space is not known."),
    }
}

fn room(free_bytes: u64, place: &Path) -> Finding {
    const CHECK: &str = "disk";
    let mib = free_bytes >> 20;
    let free = if mib < 10 << 10 { format!("{mib} MiB") } else { format!("{} GiB", mib >> 10) };
    let found = format!("{free} free at {}", place.display());
    let advice = "Make room, or name a directory on another disk with --data.";
    match free_bytes {
        0..FREE_BYTES_MIN => Finding::fail(CHECK, found, advice),
        FREE_BYTES_MIN..FREE_BYTES_WARN => Finding::warn(CHECK, found, advice),
        _ => Finding::ok(CHECK, found),
    }
}

/// The path, or the nearest directory above it that exists.
fn existing(path: &Path) -> PathBuf {
    let found = path.ancestors().find(|above| above.is_dir());
    found.filter(|found| !found.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn a_taken_port_is_told_from_a_free_one() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let number = taken.local_addr().expect("an address").port();
        assert_eq!(port("port", number, "--port", false).health, Health::Fail);
        assert_eq!(port("port", number, "--port", true).health, Health::Ok);
        drop(taken);
        assert_eq!(port("port", number, "--port", false).health, Health::Ok);
    }

    #[test]
    fn a_data_directory_may_be_there_or_not_yet_but_must_be_a_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(data_dir(dir.path()).health, Health::Ok);
        assert!(data_dir(&dir.path().join("a/b")).found.contains("can be created"));
        fs::write(dir.path().join("file"), "").expect("a file");
        assert_eq!(data_dir(&dir.path().join("file")).health, Health::Fail);
    }

    #[test]
    fn what_a_server_would_refuse_in_a_data_directory_is_told_with_what_to_do() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("stepwell.db"), "no database, but long enough to be looked at").expect("a file");
        let finding = data_dir(dir.path());
        assert_eq!(finding.health, Health::Fail);
        let told = "stepwell.db cannot be opened (file is not a database)";
        assert!(finding.found.ends_with(told), "{}", finding.found);
        assert!(finding.advice.is_some_and(|advice| advice.starts_with("If it is a Stepwell database, restore")));
    }

    #[test]
    fn a_data_directory_in_use_is_told_with_its_process() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join(LOCK_FILE), "4711\n").expect("a file");
        assert_eq!(data_dir(dir.path()).health, Health::Ok);
        let lock = File::open(dir.path().join(LOCK_FILE)).expect("the lock");
        flock(&lock, FlockOperation::NonBlockingLockExclusive).expect("held");
        let finding = data_dir(dir.path());
        assert_eq!(finding.health, Health::Warn);
        assert!(finding.found.contains("process id 4711"), "{}", finding.found);
    }

    #[test]
    fn little_room_is_a_warning_and_less_a_failure() {
        let health = |bytes| room(bytes, Path::new("/")).health;
        assert_eq!(health(50 << 20), Health::Fail);
        assert_eq!(health(500 << 20), Health::Warn);
        assert_eq!(health(20 << 30), Health::Ok);
    }
}

//! Profiles: servers by name, each with its token, in one file of the user's configuration directory.
//!
//! The file holds tokens, so it is its owner's alone, and it is replaced as a whole: a crash leaves the old one. Members
//! that this version does not know stay as they are.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};

use super::CliError;
use super::connection::{DEFAULT_API, LOCAL, ProfileSource};
use crate::accounts::ACCOUNT_ID;

const FILE: &str = "profiles.toml";
/// Some thousands of profiles; a larger file is another one.
const FILE_BYTES_MAX: u64 = 1 << 20;
const NAME_CHARS_MAX: usize = 64;
/// What others than the owner may do.
const OTHERS: u32 = 0o077;

/// A server, and who asks it.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(flatten)]
    unknown: toml::Table,
}

impl Profile {
    pub fn new(url: String, token: Option<String>, account: Option<String>) -> Self {
        Self { url, token, account, unknown: toml::Table::new() }
    }

    /// The account that it asks for.
    pub fn account(&self) -> String {
        self.account.clone().unwrap_or_else(|| ACCOUNT_ID.to_owned())
    }

    fn local() -> Self {
        Self::new(DEFAULT_API.to_owned(), None, None)
    }
}

/// What is in the file.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Profiles {
    /// The one that commands use when nothing else is said.
    pub current: Option<String>,
    #[serde(default)]
    pub profiles: BTreeMap<String, Profile>,
    #[serde(flatten)]
    unknown: toml::Table,
}

/// The file of this user.
#[derive(Debug, Clone)]
pub struct ProfileFile {
    path: PathBuf,
}

impl ProfileFile {
    /// In `$XDG_CONFIG_HOME/stepwell`, else `~/.config/stepwell`.
    ///
    /// # Errors
    /// Where neither variable is set.
    pub fn of_user() -> Result<Self, CliError> {
        let directory = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let configuration = directory("XDG_CONFIG_HOME").or_else(|| directory("HOME").map(|home| home.join(".config")));
        let Some(configuration) = configuration else {
            let message =
                "profiles are kept in a file, and neither XDG_CONFIG_HOME nor HOME says where; set one of them";
            return Err(CliError::Usage(message.to_owned()));
        };
        Ok(Self { path: configuration.join("stepwell").join(FILE) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All profiles; none where there is no file.
    ///
    /// # Errors
    /// Where the file cannot be read, is another user's, or is none of ours.
    pub fn read(&self) -> Result<Profiles, CliError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Profiles::default()),
            Err(error) => return Err(self.failed(error).into()),
        };
        self.close_to_others(&file)?;
        let mut text = String::new();
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| self.failed(error))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(
                anyhow!("{} has more than {FILE_BYTES_MAX} bytes: it holds no profiles", self.path.display()).into()
            );
        }
        toml::from_str(&text).map_err(|error| {
            let place = self.path.display();
            anyhow!("{place} cannot be understood; correct it, or delete it and log in again: {error}").into()
        })
    }

    /// Makes a change durable. Whoever changes profiles at the same time waits.
    ///
    /// # Errors
    /// As [`ProfileFile::read`], where the file cannot be written, and those of `change`.
    pub fn change<T>(&self, change: impl FnOnce(&mut Profiles) -> Result<T, CliError>) -> Result<T, CliError> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let failed = |error: std::io::Error| self.failed(error);
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let lock = File::open(directory).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut profiles = self.read()?;
        let changed = change(&mut profiles)?;
        self.write(directory, &profiles)?;
        Ok(changed)
    }

    fn write(&self, directory: &Path, profiles: &Profiles) -> Result<(), CliError> {
        let table = toml::Table::try_from(profiles).map_err(anyhow::Error::from)?;
        let text = toml::to_string(&table).map_err(anyhow::Error::from)?;
        // Where the file is a link, what it leads to is replaced.
        let target = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let failed = |error: std::io::Error| self.failed(error);
        // A temporary file is its owner's alone from the beginning.
        let mut file = tempfile::NamedTempFile::new_in(target.parent().unwrap_or(directory)).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&target).map_err(|error| self.failed(error.error))?;
        Ok(())
    }

    /// What others could read is closed to them, and the user told: a token may have been seen.
    fn close_to_others(&self, file: &File) -> Result<(), CliError> {
        let metadata = file.metadata().map_err(|error| self.failed(error))?;
        let place = self.path.display();
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            let message = format!("{place} belongs to another user, so its tokens are not yours to use; remove it");
            return Err(CliError::Usage(message));
        }
        if metadata.mode() & OTHERS == 0 {
            return Ok(());
        }
        let closed = file.set_permissions(Permissions::from_mode(metadata.mode() & 0o7777 & !OTHERS));
        closed.with_context(|| {
            format!(
                "{place} holds tokens and can be read by others, and it cannot be closed to them; run chmod 600 on it"
            )
        })?;
        super::warn(&format!(
            "{place} could be read by others and is closed to them now. If others use this machine, make new tokens."
        ));
        Ok(())
    }

    fn failed(&self, error: std::io::Error) -> anyhow::Error {
        anyhow!("profiles are kept in {}: {error}", self.path.display())
    }
}

impl Profiles {
    /// The profile of that name.
    ///
    /// # Errors
    /// Where there is none, naming those that there are.
    pub fn find(&self, name: &str) -> Result<Profile, CliError> {
        if name == LOCAL {
            return Ok(Profile::local());
        }
        let known = || self.profiles.keys().map(String::as_str).chain([LOCAL]).collect::<Vec<_>>().join(", ");
        self.profiles.get(name).cloned().ok_or_else(|| {
            CliError::NotFound(format!(
                "there is no profile \"{}\"; there are: {}. `stepwell login URL --name {0}` makes it.",
                super::text::one_line(name),
                known()
            ))
        })
    }
}

/// Whether a profile may be called so.
///
/// # Errors
/// Where it may not, saying what may.
pub fn check_name(name: &str) -> Result<(), CliError> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name == LOCAL {
        return Err(CliError::Usage(format!(
            "\"{LOCAL}\" is the server on this machine and needs no login; choose another name with --name"
        )));
    }
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(is_legal) {
        return Err(CliError::Usage(format!(
            "\"{}\" cannot name a profile: use 1 to {NAME_CHARS_MAX} letters, digits, dots, hyphens and underscores",
            super::text::one_line(name)
        )));
    }
    Ok(())
}

/// The user's file, read when a profile is needed.
pub struct UserProfiles;

impl ProfileSource for UserProfiles {
    fn named(&self, name: &str) -> Result<Profile, CliError> {
        match name {
            LOCAL => Ok(Profile::local()),
            _ => ProfileFile::of_user()?.read()?.find(name),
        }
    }

    fn current(&self) -> Result<Option<(String, Profile)>, CliError> {
        // Without a home there are no profiles, and that is no fault of who asks for none.
        let Ok(file) = ProfileFile::of_user() else { return Ok(None) };
        let profiles = file.read()?;
        let Some(name) = profiles.current.clone() else { return Ok(None) };
        let profile = profiles.find(&name)?;
        Ok(Some((name, profile)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(root: &Path) -> ProfileFile {
        ProfileFile { path: root.join("stepwell").join(FILE) }
    }

    fn add(file: &ProfileFile, name: &str) {
        let profile = Profile::new(format!("http://{name}"), Some("t".to_owned()), None);
        let change = |profiles: &mut Profiles| Ok(profiles.profiles.insert(name.to_owned(), profile));
        assert!(file.change(change).is_ok());
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("a file").mode() & 0o777
    }

    #[test]
    fn profiles_are_kept_for_their_owner_alone() {
        let root = tempfile::tempdir().expect("a directory");
        let file = file(root.path());
        add(&file, "one");
        add(&file, "two");
        let names: Vec<String> = file.read().expect("profiles").profiles.into_keys().collect();
        assert_eq!(names, ["one", "two"]);
        assert_eq!((mode(file.path()), mode(file.path().parent().expect("a directory"))), (0o600, 0o700));
        let left: Vec<_> = fs::read_dir(file.path().parent().expect("a directory")).expect("a directory").collect();
        assert_eq!(left.len(), 1, "no temporary file stays");
    }

    #[test]
    fn changes_at_the_same_time_are_all_kept() {
        let root = tempfile::tempdir().expect("a directory");
        let file = file(root.path());
        let names: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
        std::thread::scope(|scope| names.iter().for_each(|name| drop(scope.spawn(|| add(&file, name)))));
        let kept: Vec<String> = file.read().expect("profiles").profiles.into_keys().collect();
        assert_eq!(kept, names);
    }

    #[test]
    fn a_file_that_others_can_read_is_closed_to_them() {
        let root = tempfile::tempdir().expect("a directory");
        let file = file(root.path());
        add(&file, "one");
        fs::set_permissions(file.path(), Permissions::from_mode(0o644)).expect("changed");
        assert!(file.read().is_ok());
        assert_eq!(mode(file.path()), 0o600);
    }

    #[test]
    fn what_a_newer_version_wrote_stays() {
        let root = tempfile::tempdir().expect("a directory");
        let file = file(root.path());
        add(&file, "one");
        let newer = "later = true\n[profiles.one]\nurl = \"http://one\"\ncolour = \"red\"\n[other]\nx = 1\n";
        fs::write(file.path(), newer).expect("written");
        add(&file, "two");
        let text = fs::read_to_string(file.path()).expect("text");
        for kept in ["later = true", "colour = \"red\"", "[other]", "[profiles.two]"] {
            assert!(text.contains(kept), "{kept}:\n{text}");
        }
    }

    #[test]
    fn a_file_that_makes_no_sense_is_named_with_its_place() {
        let root = tempfile::tempdir().expect("a directory");
        let file = file(root.path());
        add(&file, "one");
        fs::write(file.path(), "profiles = 3\n").expect("written");
        let error = file.read().err().expect("an error").to_string();
        assert!(error.contains("profiles.toml") && error.contains("log in again"), "{error}");
    }

    #[test]
    fn a_name_is_one_word() {
        for name in ["prod", "a.b-c_1"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "a b", LOCAL, "ü", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}

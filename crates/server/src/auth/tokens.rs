//! The tokens of a server. The store knows them by their hashes only; the operator's own copy lies in a file of the data
//! directory that nobody else can read.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use stepwell_store::{Store, Token};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::slowdown::{Crowded, Slowdown};
use super::{AUTHENTICATION, Auth};
use crate::api_error::ApiError;
use crate::driver::now_ms;
use crate::script::hex;

/// File of the data directory with the operator's token.
pub const OPERATOR_TOKEN_FILE: &str = "operator-token";
/// By this people recognise a token in a file or a log.
const TOKEN_PREFIX: &str = "stepwell_";

/// The tokens that are valid.
#[derive(Debug, Clone)]
pub struct Tokens {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    valid: Vec<Valid>,
    slowdown: Slowdown,
}

#[derive(Debug)]
struct Valid {
    hash: Vec<u8>,
    expires_at: Option<i64>,
}

impl Auth {
    /// Token authentication with the tokens of a store. Where it has none yet, makes the operator's token, durable when
    /// this returns, and returns it to be printed once.
    ///
    /// # Errors
    /// Where the store fails or the token's file cannot be written.
    pub async fn open(data_dir: &Path, store: &Store) -> Result<(Self, Option<String>)> {
        let mut stored = store.tokens().await?;
        let mut created = None;
        if stored.is_empty() {
            let token = format!("{TOKEN_PREFIX}{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
            // The file comes first: a token that is valid and nowhere to be read would lock the operator out.
            write_private(&data_dir.join(OPERATOR_TOKEN_FILE), &token)?;
            let row = Token {
                hash: hex(&digest(&token)),
                label: "operator".to_owned(),
                scopes: "*".to_owned(),
                created_at: now_ms(),
                expires_at: None,
            };
            store.put_token(row.clone()).await?;
            stored.push(row);
            created = Some(token);
        }
        Ok((Self::Token(Tokens::new(&stored)), created))
    }
}

impl Tokens {
    fn new(stored: &[Token]) -> Self {
        let valid = stored
            .iter()
            .map(|token| Valid { hash: token.hash.clone().into_bytes(), expires_at: token.expires_at })
            .collect();
        Self { shared: Arc::new(Shared { valid, slowdown: Slowdown::new() }) }
    }

    pub(super) async fn check(&self, token: &str) -> Result<(), ApiError> {
        if self.is_valid(token, now_ms()) {
            return Ok(());
        }
        match self.shared.slowdown.failed().await {
            Ok(()) => Err(ApiError::new(
                401,
                AUTHENTICATION,
                "Authentication error: this API token is not valid here (`stepwell env` prints the one that is)",
            )),
            Err(Crowded) => Err(ApiError::new(429, AUTHENTICATION, "too many requests with wrong API tokens")),
        }
    }

    fn is_valid(&self, token: &str, now: i64) -> bool {
        let hash = hex(&digest(token)).into_bytes();
        self.shared.valid.iter().fold(false, |found, valid| {
            let is_equal: bool = valid.hash.ct_eq(&hash).into();
            found | (is_equal && valid.expires_at.is_none_or(|at| now < at))
        })
    }
}

/// Writes a file that only this user can read; whole, or not at all.
fn write_private(path: &Path, token: &str) -> Result<()> {
    let context = || format!("cannot write {}: give this user write access to its directory", path.display());
    let directory = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    // Temporary files are made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(directory).with_context(context)?;
    writeln!(file, "{token}").with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    file.persist(path).with_context(context)?;
    Ok(())
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(expires_at: Option<i64>) -> Tokens {
        let hash = hex(&digest("right"));
        Tokens::new(&[Token { hash, label: String::new(), scopes: String::new(), created_at: 0, expires_at }])
    }

    #[test]
    fn only_the_right_token_is_valid() {
        assert!(tokens(None).is_valid("right", 5));
        assert!(!tokens(None).is_valid("wrong", 5));
        assert!(!tokens(None).is_valid("", 5));
    }

    #[test]
    fn a_token_ends_when_it_expires() {
        assert!(tokens(Some(6)).is_valid("right", 5));
        assert!(!tokens(Some(5)).is_valid("right", 5));
    }

    #[test]
    fn the_file_of_a_token_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join(OPERATOR_TOKEN_FILE);
        write_private(&path, "abc").expect("a file");
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "abc\n");
        assert_eq!(std::fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o600);
    }
}

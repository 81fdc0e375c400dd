//! The tokens of a server. The store knows them by their hashes only; the operator's own copy lies in a file of the data
//! directory that nobody else can read.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use stepwell_engine::Millis;
use stepwell_store::{AccountId, Store, Token};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::scope::Scopes;
use super::slowdown::{Crowded, Slowdown};
use super::{AUTHENTICATION, Auth, Holder};
use crate::api_error::ApiError;
use crate::clock::now_ms;
use crate::locks::lock;
use crate::script::hex;

/// File of the data directory with the operator's token.
pub const OPERATOR_TOKEN_FILE: &str = "operator-token";
/// By this people recognise a token in a file or a log.
const TOKEN_PREFIX: &str = "stepwell_";
const OPERATOR_LABEL: &str = "operator";
/// Tokens of a server: each request is compared with all of them.
const TOKENS_MAX: usize = 1_000;
/// Characters of a token's label.
const LABEL_CHARS_MAX: usize = 120;

/// The tokens that there are. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    /// As in the store; a change is durable before it is seen.
    known: Mutex<Vec<Token>>,
    slowdown: Slowdown,
}

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// For people.
    pub label: String,
    /// The only account that it may use; every one where absent.
    pub account: Option<AccountId>,
    /// What it may do.
    pub scopes: Scopes,
    /// When it ends.
    pub expires_at: Option<Millis>,
}

impl Auth {
    /// Token authentication with the tokens of a store. Where it has none yet, makes the operator's token, durable when
    /// this returns, and returns it to be printed once.
    ///
    /// # Errors
    /// Where the store fails or the token's file cannot be written.
    pub async fn open(data_dir: &Path, store: &Store) -> Result<(Self, Option<String>)> {
        let tokens = Tokens::new(store.clone(), store.tokens().await?);
        if !lock(&tokens.shared.known).is_empty() {
            return Ok((Self::Token(tokens), None));
        }
        let secret = new_secret();
        // The file comes first: a token that is valid and nowhere to be read would lock the operator out.
        write_private(&data_dir.join(OPERATOR_TOKEN_FILE), &secret)?;
        let operator =
            NewToken { label: OPERATOR_LABEL.to_owned(), account: None, scopes: Scopes::ALL, expires_at: None };
        tokens.keep(row(operator, &secret)).await?;
        Ok((Self::Token(tokens), Some(secret)))
    }
}

impl Tokens {
    fn new(store: Store, known: Vec<Token>) -> Self {
        Self { shared: Arc::new(Shared { store, known: Mutex::new(known), slowdown: Slowdown::new() }) }
    }

    /// All of them, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Token> {
        lock(&self.shared.known).clone()
    }

    /// Makes a token. Returns what is kept of it and the token itself, which nobody can be told again. Durable when it
    /// returns.
    ///
    /// # Errors
    /// Where there are too many, the label is too long, or its end is past.
    pub async fn create(&self, new: NewToken) -> Result<(Token, String), ApiError> {
        if new.label.is_empty() || new.label.chars().count() > LABEL_CHARS_MAX {
            return Err(ApiError::bad_request(format!("name: a token's name has 1 to {LABEL_CHARS_MAX} characters")));
        }
        if new.expires_at.is_some_and(|at| at <= now_ms()) {
            return Err(ApiError::bad_request("expires_on: that time is past, and the token could never be used"));
        }
        if lock(&self.shared.known).len() >= TOKENS_MAX {
            return Err(ApiError::bad_request(format!(
                "there are {TOKENS_MAX} tokens, the maximum: revoke some first"
            )));
        }
        let secret = new_secret();
        let row = row(new, &secret);
        self.keep(row.clone()).await?;
        Ok((row, secret))
    }

    /// Ends a token at once. Durable when it returns.
    ///
    /// # Errors
    /// Where there is none of that id, or it is the last one that can make others.
    pub async fn revoke(&self, id: &str) -> Result<(), ApiError> {
        let is_last = {
            let known = lock(&self.shared.known);
            let is_operator = |token: &Token| token.account.is_none() && Scopes::parse(&token.scopes) == Scopes::ALL;
            known.iter().filter(|token| is_operator(token) && token.expires_at.is_none()).all(|token| token.id == id)
        };
        if is_last {
            return Err(ApiError::bad_request(
                "this is the last token that may do everything for ever: make another one first, or nobody could",
            ));
        }
        self.shared.store.delete_token(id).await?;
        lock(&self.shared.known).retain(|token| token.id != id);
        Ok(())
    }

    /// Whether there is still a token of that id.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        lock(&self.shared.known).iter().any(|token| token.id == id)
    }

    /// Forgets the tokens of an account that is gone.
    pub fn forget(&self, account: AccountId) {
        lock(&self.shared.known).retain(|token| token.account != Some(account));
    }

    async fn keep(&self, row: Token) -> Result<(), ApiError> {
        self.shared.store.put_token(row.clone()).await?;
        lock(&self.shared.known).push(row);
        Ok(())
    }

    pub(super) async fn check(&self, token: &str) -> Result<Holder, ApiError> {
        if let Some(known) = self.known(token) {
            return holder(&known, now_ms());
        }
        match self.shared.slowdown.failed().await {
            Ok(()) => Err(ApiError::new(
                401,
                AUTHENTICATION,
                "Authentication error: this API token is not valid here, or no longer (`stepwell env` prints one that is)",
            )),
            Err(Crowded) => Err(ApiError::new(429, AUTHENTICATION, "too many requests with wrong API tokens")),
        }
    }

    /// Every token is compared, whichever is right.
    fn known(&self, token: &str) -> Option<Token> {
        let hash = hex(&digest(token));
        let mut found = None;
        for known in lock(&self.shared.known).iter() {
            let is_equal: bool = known.hash.as_bytes().ct_eq(hash.as_bytes()).into();
            if is_equal {
                found = Some(known.clone());
            }
        }
        found
    }
}

/// Whoever has the token, until it ends. Who presents one that has ended did not guess, and may know when it did.
fn holder(token: &Token, now: Millis) -> Result<Holder, ApiError> {
    match token.expires_at {
        Some(at) if at <= now => {
            let message = format!(
                "Authentication error: this API token expired at {}; `stepwell token create` makes another one",
                Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| at.to_string())
            );
            Err(ApiError::new(401, AUTHENTICATION, message))
        }
        _ => {
            let scopes = Scopes::parse(&token.scopes);
            Ok(Holder {
                token: Some(token.id.as_str().into()),
                account: token.account,
                scopes,
                expires_at: token.expires_at,
            })
        }
    }
}

fn new_secret() -> String {
    format!("{TOKEN_PREFIX}{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

fn row(NewToken { label, account, scopes, expires_at }: NewToken, secret: &str) -> Token {
    Token {
        id: Uuid::new_v4().simple().to_string(),
        hash: hex(&digest(secret)),
        account,
        label,
        scopes: scopes.to_string(),
        created_at: now_ms(),
        expires_at,
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
    use crate::auth::Scope;

    fn new_token(scopes: Scopes) -> NewToken {
        NewToken { label: "t".to_owned(), account: None, scopes, expires_at: None }
    }

    /// Whom a token stands for, at a time.
    fn held(tokens: &Tokens, token: &str, now: Millis) -> Option<Holder> {
        tokens.known(token).and_then(|known| holder(&known, now).ok())
    }

    async fn opened() -> (Auth, String, tempfile::TempDir, Store) {
        let (dir, store) = (tempfile::tempdir().expect("a temporary directory"), Store::in_memory());
        let (auth, secret) = Auth::open(dir.path(), &store).await.expect("authentication");
        (auth, secret.expect("the operator's token"), dir, store)
    }

    #[tokio::test]
    async fn only_the_right_token_is_valid_and_may_do_what_its_scopes_say() {
        let (auth, operator, ..) = opened().await;
        let tokens = auth.tokens().expect("tokens");
        let (row, secret) = tokens.create(new_token(Scopes::of([Scope::Trigger]))).await.expect("a token");
        let holder = held(tokens, &secret, now_ms()).expect("valid");
        assert_eq!(holder.token.as_deref(), Some(row.id.as_str()));
        assert!(holder.check(Scope::Trigger).is_ok() && holder.check(Scope::Manage).is_err());
        assert_eq!(held(tokens, &operator, now_ms()).map(|holder| holder.scopes), Some(Scopes::ALL));
        assert_eq!((tokens.known("wrong"), tokens.known("")), (None, None));
    }

    #[tokio::test]
    async fn a_token_ends_when_it_expires_or_is_revoked() {
        let (auth, _, dir, store) = opened().await;
        let tokens = auth.tokens().expect("tokens");
        let end = now_ms() + 60_000;
        let ending = NewToken { expires_at: Some(end), ..new_token(Scopes::ALL) };
        let (row, secret) = tokens.create(ending).await.expect("a token");
        assert!(held(tokens, &secret, end - 1).is_some() && held(tokens, &secret, end).is_none());
        tokens.revoke(&row.id).await.expect("revoked");
        assert_eq!(tokens.known(&secret), None);
        let (again, made) = Auth::open(dir.path(), &store).await.expect("authentication");
        assert_eq!((again.tokens().expect("tokens").known(&secret), made), (None, None));
    }

    #[tokio::test]
    async fn the_last_token_that_may_do_everything_stays() {
        let (auth, ..) = opened().await;
        let tokens = auth.tokens().expect("tokens");
        let operator = tokens.all()[0].id.clone();
        tokens.create(new_token(Scopes::of([Scope::Admin]))).await.expect("a token");
        assert!(tokens.revoke(&operator).await.is_err());
        tokens.create(new_token(Scopes::ALL)).await.expect("a token");
        assert_eq!(tokens.revoke(&operator).await, Ok(()));
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

//! The accounts of a server: the default one, and those that were made. What belongs to one is out of reach of the others.
//!
//! They are few and asked for with every request, so that all of them are in memory; a change is durable before it is seen.

use std::sync::{Arc, Mutex, MutexGuard};

use stepwell_engine::Millis;
use stepwell_store::{AccountId, AccountRow, NewAccount, Store};
use uuid::Uuid;

use crate::api_error::ApiError;
use crate::clock::now_ms;
use crate::locks::lock;

/// Id of the account that every server has: the API has a place for an account's id, and clients insist on one.
pub const ACCOUNT_ID: &str = "00000000000000000000000057e9e11a";
/// Its name.
const DEFAULT_NAME: &str = "Stepwell";
/// When it was made, as far as anybody asks.
const DEFAULT_CREATED_AT: Millis = 0;
/// Characters of an account's name: it is a label of host names.
const NAME_CHARS_MAX: usize = 63;

/// Who knows the accounts. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    store: Store,
    made: Arc<Mutex<Vec<AccountRow>>>,
}

impl Accounts {
    /// The accounts of a store.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn open(store: Store) -> Result<Self, ApiError> {
        let made = store.accounts().await?;
        Ok(Self { store, made: Arc::new(Mutex::new(made)) })
    }

    /// All of them, the default one first.
    #[must_use]
    pub fn all(&self) -> Vec<AccountRow> {
        std::iter::once(default()).chain(self.made().iter().cloned()).collect()
    }

    /// The account of a public id.
    #[must_use]
    pub fn find(&self, public_id: &str) -> Option<AccountRow> {
        if public_id == ACCOUNT_ID {
            return Some(default());
        }
        self.made().iter().find(|row| row.public_id == public_id).cloned()
    }

    /// The account of that number.
    #[must_use]
    pub fn row(&self, account: AccountId) -> Option<AccountRow> {
        if account == AccountId::DEFAULT {
            return Some(default());
        }
        self.made().iter().find(|row| row.id == account).cloned()
    }

    /// The account of that name, the default one apart: in host names it is not named.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<AccountId> {
        self.made().iter().find(|row| row.name == name).map(|row| row.id)
    }

    /// The name of an account besides the default one.
    #[must_use]
    pub fn name_of(&self, account: AccountId) -> Option<String> {
        self.made().iter().find(|row| row.id == account).map(|row| row.name.clone())
    }

    /// Makes an account. Durable when it returns.
    ///
    /// # Errors
    /// Where the name cannot be, or is taken.
    pub async fn create(&self, name: String) -> Result<AccountRow, ApiError> {
        check_name(&name)?;
        let new = NewAccount { public_id: Uuid::new_v4().simple().to_string(), name, at: now_ms() };
        let row = self.store.put_account(new).await?;
        self.made().push(row.clone());
        Ok(row)
    }

    /// Deletes an account that has nothing left but tokens. Durable when it returns.
    ///
    /// # Errors
    /// Where it still has something, or is the default one.
    pub async fn delete(&self, account: AccountId) -> Result<(), ApiError> {
        if account == AccountId::DEFAULT {
            return Err(ApiError::bad_request("the default account stays; delete what is in it instead"));
        }
        self.store.delete_account(account).await?;
        self.made().retain(|row| row.id != account);
        Ok(())
    }

    fn made(&self) -> MutexGuard<'_, Vec<AccountRow>> {
        lock(&self.made)
    }
}

fn default() -> AccountRow {
    AccountRow {
        id: AccountId::DEFAULT,
        public_id: ACCOUNT_ID.to_owned(),
        name: DEFAULT_NAME.to_owned(),
        created_at: DEFAULT_CREATED_AT,
    }
}

/// Whatever begins with a letter cannot be taken for a number, and `localhost` and `workers` mean something else.
fn check_name(name: &str) -> Result<(), ApiError> {
    let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let is_free = !matches!(name, "localhost" | "workers" | "www");
    if begins && is_free && name.len() <= NAME_CHARS_MAX && name.bytes().all(is_legal) && !name.ends_with('-') {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "{name:?} cannot name an account: use 1 to {NAME_CHARS_MAX} lower-case letters, digits and hyphens, the first a \
         letter and the last no hyphen (it becomes a part of host names)"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_account_is_found_by_its_id_and_name_until_it_is_deleted() {
        let accounts = Accounts::open(Store::in_memory()).await.expect("accounts");
        let made = accounts.create("team".to_owned()).await.expect("made");
        assert_eq!(accounts.find(&made.public_id), Some(made.clone()));
        assert_eq!((accounts.named("team"), accounts.named("Stepwell")), (Some(made.id), None));
        assert_eq!(accounts.find(ACCOUNT_ID).map(|row| row.id), Some(AccountId::DEFAULT));
        assert!(accounts.create("team".to_owned()).await.is_err());
        accounts.delete(made.id).await.expect("deleted");
        assert_eq!(accounts.find(&made.public_id), None);
        assert!(accounts.delete(AccountId::DEFAULT).await.is_err());
    }

    #[test]
    fn names_are_labels_of_host_names() {
        for name in ["a", "team-7", &"a".repeat(63)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "7", "Team", "a.b", "a-", "localhost", "-a", &"a".repeat(64)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}

//! Which databases there are, and how one comes to be: made by its owner, named by a deployed Worker, or asked for by a
//! Worker that was deployed before there was a catalogue.
//!
//! A deleted database stays deleted. What its Worker is told depends on whose the id is: one that this server issued never
//! means another database, while one that a user chose becomes a new, empty database with the next deploy.

use stepwell_engine::Millis;
use stepwell_store::{
    AccountId, ChangeError, DatabaseKey, DatabaseOrigin, DatabasePage, DatabaseQuery, DatabaseRow, NewDatabase,
    ReadError, Store,
};

use super::error::D1Error;
use super::limits::DATABASES_MAX;
use crate::clock::now_ms;

/// The catalogue. Cheap to clone.
#[derive(Clone)]
pub struct Catalogue {
    store: Store,
}

/// Why there is no new database.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The name or the id is taken.
    #[error("A database of that name or id already exists: {0:?}; choose another one")]
    Exists(String),
    /// The account has as many as it may.
    #[error("System limit reached: databases per account ({DATABASES_MAX}); delete one that is not needed")]
    TooMany,
    /// The catalogue cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The catalogue cannot be changed.
    #[error(transparent)]
    Change(ChangeError),
}

/// A database to be made at its owner's wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// Whose.
    pub account: AccountId,
    /// How it is to be called.
    pub name: String,
    /// Its id where the owner has one already, in a configuration; else the server issues one.
    pub id: Option<String>,
    /// JSON text for whoever shows the database.
    pub settings: String,
}

impl Catalogue {
    /// The catalogue in a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Adds a database, which is durable when this returns.
    ///
    /// # Errors
    /// As [`CreateError`] says.
    pub async fn create(&self, new: Creation) -> Result<DatabaseRow, CreateError> {
        let every = DatabaseQuery { account: new.account, name_part: String::new(), offset: 0, limit: 0 };
        if self.store.databases(every).await?.total_count >= DATABASES_MAX {
            return Err(CreateError::TooMany);
        }
        let origin = if new.id.is_some() { DatabaseOrigin::Named } else { DatabaseOrigin::Issued };
        let id = new.id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let key = DatabaseKey { account: new.account, id };
        self.put(NewDatabase { key, name: new.name, origin, at: now_ms(), settings: new.settings }).await
    }

    /// The database of that id, or else of that name.
    ///
    /// # Errors
    /// Where the catalogue cannot be read.
    pub async fn find(&self, account: AccountId, id_or_name: &str) -> Result<Option<DatabaseRow>, ReadError> {
        let key = DatabaseKey { account, id: id_or_name.to_owned() };
        match self.store.database(&key).await? {
            Some(row) if row.deleted_at.is_none() => Ok(Some(row)),
            _ => self.store.database_named(account, id_or_name).await,
        }
    }

    /// What is to be said of a database of that id that was deleted.
    ///
    /// # Errors
    /// Where the catalogue cannot be read.
    pub async fn gone(&self, account: AccountId, id: &str) -> Result<Option<D1Error>, ReadError> {
        let row = self.store.database(&DatabaseKey { account, id: id.to_owned() }).await?;
        Ok(row.filter(|row| row.deleted_at.is_some()).map(|row| deleted(&row)))
    }

    /// A page of an account's databases.
    ///
    /// # Errors
    /// Where the catalogue cannot be read.
    pub async fn list(&self, query: DatabaseQuery) -> Result<DatabasePage, ReadError> {
        self.store.databases(query).await
    }

    /// The database that a deploy means: the one of that id, else the one whose name it is, else one that is to be made.
    ///
    /// # Errors
    /// [`D1Error::Deleted`] where this server had issued the id, or where the catalogue cannot be read.
    pub async fn resolve(&self, key: &DatabaseKey) -> Result<DatabaseKey, D1Error> {
        match self.row(key).await? {
            Some(row) if row.deleted_at.is_none() => return Ok(row.key),
            Some(row) if row.origin == DatabaseOrigin::Issued => return Err(deleted(&row)),
            _ => {}
        }
        let named = self.store.database_named(key.account, &key.id).await.map_err(failed)?;
        Ok(named.map_or_else(|| key.clone(), |row| row.key))
    }

    /// Has the database that a deploy names, by its name where the configuration tells one.
    ///
    /// # Errors
    /// As [`Catalogue::resolve`], or where the catalogue cannot be changed.
    pub async fn bind(&self, key: &DatabaseKey, name: Option<&str>) -> Result<(), D1Error> {
        match self.row(key).await? {
            Some(row) if row.deleted_at.is_none() => Ok(()),
            Some(row) if row.origin == DatabaseOrigin::Issued => Err(deleted(&row)),
            _ => self.adopt(key, name).await,
        }
    }

    /// Lets a Worker use a database that it names: one that nobody has heard of begins empty.
    ///
    /// # Errors
    /// [`D1Error::Deleted`], or where the catalogue cannot be read or changed.
    pub async fn admit(&self, key: &DatabaseKey) -> Result<(), D1Error> {
        match self.row(key).await? {
            Some(row) if row.deleted_at.is_some() => Err(deleted(&row)),
            Some(_) => Ok(()),
            None => self.adopt(key, None).await,
        }
    }

    /// Marks a database as deleted. Whether it was there.
    ///
    /// # Errors
    /// Where the catalogue cannot be changed.
    pub async fn delete(&self, key: &DatabaseKey) -> Result<bool, D1Error> {
        self.store.delete_database(key, now_ms()).await.map_err(failed)
    }

    /// The databases that were deleted.
    ///
    /// # Errors
    /// Where the catalogue cannot be read.
    pub async fn deleted(&self) -> Result<Vec<DatabaseKey>, D1Error> {
        self.store.deleted_databases().await.map_err(failed)
    }

    async fn row(&self, key: &DatabaseKey) -> Result<Option<DatabaseRow>, D1Error> {
        self.store.database(key).await.map_err(failed)
    }

    /// Adds a database under the first of its possible names that is free.
    async fn adopt(&self, key: &DatabaseKey, name: Option<&str>) -> Result<(), D1Error> {
        let distinct = format!("{}-{}", key.id, uuid::Uuid::new_v4().simple());
        let at: Millis = now_ms();
        for name in name.into_iter().chain([key.id.as_str(), distinct.as_str()]) {
            let new = NewDatabase {
                key: key.clone(),
                name: name.to_owned(),
                origin: DatabaseOrigin::Named,
                at,
                settings: "{}".to_owned(),
            };
            match self.put(new).await {
                Ok(_) => return Ok(()),
                Err(CreateError::Exists(_)) => {
                    // Somebody else may have added the same database meanwhile.
                    if self.row(key).await?.is_some_and(|row| row.deleted_at.is_none()) {
                        return Ok(());
                    }
                }
                Err(CreateError::Change(ChangeError::Stalled(stall))) => return Err(D1Error::Stalled(stall)),
                Err(error) => return Err(failed(error)),
            }
        }
        Err(D1Error::Catalogue(format!("no name is free for database {:?}", key.id)))
    }

    async fn put(&self, new: NewDatabase) -> Result<DatabaseRow, CreateError> {
        self.store.put_database(new).await.map_err(|error| match error {
            ChangeError::DatabaseExists { name } => CreateError::Exists(name),
            other => CreateError::Change(other),
        })
    }
}

fn deleted(row: &DatabaseRow) -> D1Error {
    let advice = match row.origin {
        DatabaseOrigin::Issued => "bind another database and deploy the Worker again",
        DatabaseOrigin::Named => "deploy the Worker again to begin with an empty one, or bind another database",
    };
    D1Error::Deleted { name: row.name.clone(), database_id: row.key.id.clone(), advice }
}

fn failed(error: impl std::fmt::Display) -> D1Error {
    D1Error::Catalogue(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> DatabaseKey {
        DatabaseKey { account: AccountId::DEFAULT, id: id.to_owned() }
    }

    fn creation(name: &str, id: Option<&str>) -> Creation {
        let (account, settings) = (AccountId::DEFAULT, "{}".to_owned());
        Creation { account, name: name.to_owned(), id: id.map(str::to_owned), settings }
    }

    #[tokio::test]
    async fn a_database_that_a_deploy_names_has_the_name_of_its_configuration_where_that_is_free() {
        let catalogue = Catalogue::new(Store::in_memory());
        for (id, name) in [("1", Some("shop")), ("2", Some("shop")), ("3", None)] {
            catalogue.bind(&key(id), name).await.expect("a database");
        }
        for (name, id) in [("shop", "1"), ("2", "2"), ("3", "3")] {
            let row = catalogue.find(AccountId::DEFAULT, name).await.expect("a read").expect("a database");
            assert_eq!((row.name.as_str(), row.key.id.as_str()), (name, id));
        }
        catalogue.create(creation("4", None)).await.expect("a database");
        catalogue.bind(&key("4"), None).await.expect("a database");
        let row = catalogue.find(AccountId::DEFAULT, "4").await.expect("a read").expect("a database");
        assert!(row.key.id == "4" && row.name.starts_with("4-"), "{row:?}");
    }

    #[tokio::test]
    async fn a_deleted_database_is_gone_for_workers_and_only_a_chosen_id_comes_back_with_a_deploy() {
        let catalogue = Catalogue::new(Store::in_memory());
        let issued = catalogue.create(creation("issued", None)).await.expect("a database").key;
        let chosen = catalogue.create(creation("chosen", Some("my-id"))).await.expect("a database").key;
        for (key, name) in [(&issued, "issued"), (&chosen, "chosen")] {
            assert!(catalogue.admit(key).await.is_ok());
            assert!(catalogue.delete(key).await.expect("a deletion"));
            let error = catalogue.admit(key).await.expect_err("deleted").to_string();
            assert!(error.starts_with(&format!("D1 database {name:?} ({}) was deleted", key.id)), "{error}");
        }
        assert!(matches!(catalogue.resolve(&issued).await, Err(D1Error::Deleted { .. })));
        assert!(matches!(catalogue.bind(&issued, None).await, Err(D1Error::Deleted { .. })));
        assert_eq!(catalogue.resolve(&chosen).await.expect("a read"), chosen);
        assert!(catalogue.bind(&chosen, None).await.is_ok());
        assert!(catalogue.admit(&chosen).await.is_ok());
    }

    #[tokio::test]
    async fn a_deploy_may_name_a_database_by_its_name() {
        let catalogue = Catalogue::new(Store::in_memory());
        let shop = catalogue.create(creation("shop", None)).await.expect("a database").key;
        assert_eq!(catalogue.resolve(&key("shop")).await.expect("a read"), shop);
        assert_eq!(catalogue.resolve(&shop).await.expect("a read"), shop);
        assert_eq!(catalogue.resolve(&key("other")).await.expect("a read"), key("other"));
    }

    #[tokio::test]
    async fn a_taken_name_or_id_is_refused() {
        let catalogue = Catalogue::new(Store::in_memory());
        catalogue.create(creation("shop", Some("1"))).await.expect("a database");
        for (name, id) in [("shop", None), ("other", Some("1"))] {
            assert!(matches!(catalogue.create(creation(name, id)).await, Err(CreateError::Exists(_))), "{name}");
        }
    }
}

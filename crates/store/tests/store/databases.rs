//! What holds for the catalogue of databases, for every backend, and that both tell the same.

use proptest::prelude::*;
use stepwell_store::{
    AccountId, ChangeError, DatabaseKey, DatabaseOrigin, DatabaseQuery, DatabaseRow, NewAccount, NewDatabase, Options,
    Store,
};

use crate::conformance::every_backend;
use crate::support::wait;

const OTHER: AccountId = AccountId(3);

fn key(account: AccountId, id: &str) -> DatabaseKey {
    DatabaseKey { account, id: id.to_owned() }
}

fn new(id: &str, name: &str, at: i64) -> NewDatabase {
    let (key, name, settings) = (key(AccountId::DEFAULT, id), name.to_owned(), "{}".to_owned());
    NewDatabase { key, name, origin: DatabaseOrigin::Issued, at, settings }
}

fn put(store: &Store, new: NewDatabase) -> Result<DatabaseRow, ChangeError> {
    wait(store.put_database(new))
}

fn names(store: &Store, query: DatabaseQuery) -> (Vec<String>, u64) {
    let page = wait(store.databases(query)).expect("a page");
    (page.rows.into_iter().map(|row| row.name).collect(), page.total_count)
}

fn all(account: AccountId) -> DatabaseQuery {
    DatabaseQuery { account, name_part: String::new(), offset: 0, limit: 100 }
}

every_backend! {
    fn a_database_is_found_by_id_and_by_name(store: &Store) {
        let row = put(store, new("1", "shop", 5)).unwrap();
        assert_eq!((row.created_at, row.deleted_at, row.origin), (5, None, DatabaseOrigin::Issued));
        assert_eq!(wait(store.database(&row.key)), Ok(Some(row.clone())));
        assert_eq!(wait(store.database_named(AccountId::DEFAULT, "shop")), Ok(Some(row)));
        assert_eq!(wait(store.database_named(AccountId::DEFAULT, "other")), Ok(None));
    }

    fn a_taken_name_or_id_of_a_database_is_refused(store: &Store) {
        put(store, new("1", "shop", 5)).unwrap();
        for (id, name) in [("2", "shop"), ("1", "other")] {
            assert_eq!(put(store, new(id, name, 6)), Err(ChangeError::DatabaseExists { name: name.to_owned() }));
        }
        assert_eq!(names(store, all(AccountId::DEFAULT)), (vec!["shop".to_owned()], 1));
    }

    fn accounts_share_neither_ids_nor_names_of_databases(store: &Store) {
        put(store, new("1", "shop", 5)).unwrap();
        let theirs = NewDatabase { key: key(OTHER, "1"), ..new("1", "shop", 6) };
        let row = put(store, theirs).unwrap();
        assert_eq!(wait(store.database_named(OTHER, "shop")), Ok(Some(row.clone())));
        assert_eq!(names(store, all(OTHER)).1, 1);
        assert_eq!(wait(store.delete_database(&row.key, 7)), Ok(true));
        assert_eq!(names(store, all(AccountId::DEFAULT)).1, 1);
    }

    fn a_deleted_database_is_remembered_by_id_and_its_name_is_free(store: &Store) {
        let row = put(store, new("1", "shop", 5)).unwrap();
        assert_eq!(wait(store.delete_database(&row.key, 9)), Ok(true));
        assert_eq!(wait(store.delete_database(&row.key, 10)), Ok(false));
        assert_eq!(wait(store.database(&row.key)).unwrap().unwrap().deleted_at, Some(9));
        assert_eq!(wait(store.database_named(AccountId::DEFAULT, "shop")), Ok(None));
        assert_eq!(wait(store.deleted_databases()), Ok(vec![row.key.clone()]));
        put(store, new("2", "shop", 11)).unwrap();
        let again = put(store, new("1", "again", 12)).unwrap();
        assert_eq!((again.created_at, again.deleted_at), (12, None));
        assert_eq!(wait(store.deleted_databases()), Ok(vec![]));
    }

    fn an_account_that_has_a_database_stays(store: &Store) {
        let theirs = NewAccount { public_id: "f".repeat(32), name: "team".to_owned(), at: 1 };
        let account = wait(store.put_account(theirs)).unwrap().id;
        let row = put(store, NewDatabase { key: key(account, "1"), ..new("1", "shop", 6) }).unwrap();
        let needed = ChangeError::AccountNotEmpty { needed_by: "database shop".to_owned() };
        assert_eq!(wait(store.delete_account(account)), Err(needed));
        assert_eq!(wait(store.delete_database(&row.key, 7)), Ok(true));
        assert_eq!(wait(store.delete_account(account)), Ok(true));
    }

    fn databases_are_listed_newest_first_in_pages_and_by_a_part_of_their_name(store: &Store) {
        for (id, name, at) in [("1", "shop", 5), ("2", "shop-test", 7), ("3", "log", 7), ("4", "ship", 6)] {
            put(store, new(id, name, at)).unwrap();
        }
        let page = |name_part: &str, offset, limit| {
            let query = DatabaseQuery { name_part: name_part.to_owned(), offset, limit, ..all(AccountId::DEFAULT) };
            let (names, total_count) = names(store, query);
            (names.join(" "), total_count)
        };
        assert_eq!(page("", 0, 3), ("shop-test log ship".to_owned(), 4));
        assert_eq!(page("", 3, 3), ("shop".to_owned(), 4));
        assert_eq!(page("", 9, 3), (String::new(), 4));
        assert_eq!(page("shop", 0, 3), ("shop-test shop".to_owned(), 2));
    }
}

#[derive(Debug, Clone)]
enum Change {
    Put(NewDatabase),
    Delete(DatabaseKey, i64),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let a_key = || (0..2_u32, "[a-d]").prop_map(|(account, id)| DatabaseKey { account: AccountId(account), id });
    let put = (a_key(), "[a-d]{1,2}", any::<bool>(), 0..9_i64).prop_map(|(key, name, is_issued, at)| {
        let origin = if is_issued { DatabaseOrigin::Issued } else { DatabaseOrigin::Named };
        Change::Put(NewDatabase { key, name, origin, at, settings: "{}".to_owned() })
    });
    let delete = (a_key(), 0..9_i64).prop_map(|(key, at)| Change::Delete(key, at));
    prop::collection::vec(prop_oneof![2 => put, 1 => delete], 1..30)
}

fn look(store: &Store) -> String {
    let pages = (0..2).flat_map(|account| {
        ["", "a", "bc"].map(|part| DatabaseQuery {
            account: AccountId(account),
            name_part: part.to_owned(),
            offset: 1,
            limit: 3,
        })
    });
    let mut seen: Vec<_> = pages.map(|query| format!("{:?}", wait(store.databases(query)))).collect();
    for id in ["a", "b", "c", "d"] {
        seen.push(format!("{:?}", wait(store.database(&key(AccountId(1), id)))));
        seen.push(format!("{:?}", wait(store.database_named(AccountId(1), id))));
    }
    seen.push(format!("{:?}", wait(store.deleted_databases())));
    seen.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, rng_seed: prop::test_runner::RngSeed::Fixed(11), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_backends_keep_the_same_databases(changes in changes()) {
        let dir = tempfile::tempdir().expect("a directory");
        let stores = [Store::in_memory(), Store::open(dir.path(), Options::default()).expect("a store")];
        for change in changes {
            let [memory, sqlite] = stores.each_ref().map(|store| match change.clone() {
                Change::Put(new) => format!("{:?}", put(store, new)),
                Change::Delete(key, at) => format!("{:?}", wait(store.delete_database(&key, at))),
            });
            prop_assert_eq!(memory, sqlite, "{:?}", change);
        }
        prop_assert_eq!(look(&stores[0]), look(&stores[1]));
    }
}

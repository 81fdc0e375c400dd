//! What keeps accounts apart, for every backend.

use stepwell_store::{
    AccountId, AccountRow, ChangeError, NewAccount, NewDeployment, NewWorkflow, Options, ScopedName, SecretChange,
    Store,
};

use crate::conformance::every_backend;
use crate::support::*;

fn account(name: &str) -> NewAccount {
    NewAccount { public_id: format!("{name}-id"), name: name.to_owned(), at: 4 }
}

fn upload(script: &ScopedName) -> NewDeployment {
    NewDeployment {
        script: script.clone(),
        content_id: "c".to_owned(),
        settings: String::new(),
        modules: vec![],
        created_at: 1,
        secrets: vec![],
    }
}

fn flow(script: &ScopedName) -> NewWorkflow {
    NewWorkflow {
        name: script.sibling("w"),
        script: script.clone(),
        class_name: "W".to_owned(),
        settings: "{}".to_owned(),
        at: 1,
    }
}

every_backend! {
    fn an_account_has_a_name_of_its_own_and_a_number_for_ever(store: &Store) {
        let made = wait(store.put_account(account("team"))).unwrap();
        let expected = AccountRow {
            id: AccountId(1),
            public_id: "team-id".to_owned(),
            name: "team".to_owned(),
            created_at: 4,
        };
        assert_eq!(made, expected);
        assert_eq!(wait(store.put_account(account("team"))), Err(ChangeError::AccountExists { name: "team".to_owned() }));
        assert_eq!(wait(store.accounts()), Ok(vec![made.clone()]));
        assert_eq!(wait(store.delete_account(made.id)), Ok(true));
        assert_eq!(wait(store.delete_account(made.id)), Ok(false));
        assert_eq!(wait(store.put_account(account("team"))).unwrap().id, AccountId(2));
    }

    fn equal_names_of_two_accounts_never_meet(store: &Store) {
        let made = wait(store.put_account(account("team"))).unwrap();
        let (ours, theirs) = (named("s"), ScopedName::new(made.id, "s"));
        for script in [&ours, &theirs] {
            wait(store.put_deployment(upload(script))).unwrap();
            wait(store.put_workflow(flow(script))).unwrap();
            let value = Some(script.to_string().into_bytes());
            wait(store.change_secrets(script, vec![SecretChange { name: "KEY".to_owned(), value }])).unwrap();
        }
        let current = |script: &ScopedName| wait(store.current_deployment(script)).unwrap().unwrap().id;
        assert_ne!(current(&ours), current(&theirs));
        assert_eq!(wait(store.secrets(&theirs)).unwrap()[0].value, b"1.s");
        assert_eq!(wait(store.workflow(&theirs.sibling("w"))).unwrap().unwrap().script, theirs);
        wait(store.delete_workflow(&theirs.sibling("w"))).unwrap();
        wait(store.delete_script(&theirs)).unwrap();
        assert!(wait(store.workflow(&ours.sibling("w"))).unwrap().is_some());
        assert_eq!(wait(store.secrets(&ours)).unwrap()[0].value, b"s");
    }

    fn an_account_stays_while_it_has_a_script_or_a_workflow(store: &Store) {
        let made = wait(store.put_account(account("team"))).unwrap();
        let script = ScopedName::new(made.id, "s");
        let refused = |needed_by: &str| {
            let refusal = ChangeError::AccountNotEmpty { needed_by: needed_by.to_owned() };
            assert_eq!(wait(store.delete_account(made.id)), Err(refusal));
        };
        wait(store.put_deployment(upload(&script))).unwrap();
        refused("script s");
        wait(store.delete_script(&script)).unwrap();
        wait(store.put_workflow(flow(&script))).unwrap();
        refused("workflow w");
        wait(store.delete_workflow(&script.sibling("w"))).unwrap();
        assert_eq!(wait(store.delete_account(made.id)), Ok(true));
    }
}

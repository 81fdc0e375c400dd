//! Tokens and accounts on the command line.

use insta::assert_snapshot;

use crate::fake::Fake;
use crate::run;

#[tokio::test]
async fn tokens_and_accounts_are_made_listed_and_ended() {
    let mut text = String::new();
    for args in [
        &["token", "create", "ci", "--scope", "deploy,metadata", "--expires-in", "90 days"][..],
        &["token", "create", "ci", "--scope", "all", "--all-accounts"],
        &["token", "create", "ci", "--scope", "everything"],
        &["token", "create", "ci"],
        &["token", "create", "ci", "--scope", "all", "--expires-in", "soon"],
        &["token", "list"],
        &["token", "revoke", "t-2"],
        &["account", "create", "team"],
        &["account", "list"],
        &["account", "delete", "a-2"],
        &["account", "delete", "nobodys"],
    ] {
        let fake = Fake::start().await;
        let ran = run(&fake, args).await;
        let asked = fake.asked().pop().map(|asked| format!("{} {}\n", asked.line, asked.body)).unwrap_or_default();
        text += &format!("$ {}\n{asked}{}\n", args.join(" "), ran.told());
    }
    assert_snapshot!(text);
}

//! What a command finds on its own machine: ports, addresses, a data directory.

use std::path::Path;

use insta::assert_snapshot;
use stepwell_store::sqlite::FORMAT;
use stepwell_store::{Options, ScopedName, SecretChange, Store};

use crate::{Ran, finish, stepwell};

#[tokio::test]
async fn doctor_fails_where_something_must_be_done() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let data = tempfile::tempdir().expect("a directory");
    let doctor =
        ["doctor", "--data", data.path().to_str().expect("text"), "--port", &port, "--api-port", "0", "--json"];
    let mut command = stepwell();
    command.args(doctor);
    let ran = finish(command).await;
    let findings: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let of =
        |check: &str| findings.as_array().expect("findings").iter().find(|finding| finding["check"] == check).cloned();
    assert_eq!(ran.code, 1, "{}", ran.told());
    assert_eq!(of("port").expect("checked")["health"], "fail");
    assert_eq!(of("api port").expect("checked")["health"], "ok");
    assert_eq!(of("data directory").expect("checked")["health"], "ok");
    assert!(of("disk").is_some());
}

/// What doctor finds of a data directory, and what it advises.
async fn data_directory(data: &Path) -> (String, String) {
    let mut command = stepwell();
    command.args(["doctor", "--port", "0", "--api-port", "0", "--json", "--data"]).arg(data);
    let findings: serde_json::Value = serde_json::from_str(&finish(command).await.stdout).expect("JSON");
    let all = findings.as_array().expect("findings");
    let found = all.iter().find(|finding| finding["check"] == "data directory").expect("checked");
    let text = |name: &str| found[name].as_str().unwrap_or_default().replace(&data.display().to_string(), "DATA");
    (format!("{} {}", text("health"), text("found")), text("advice"))
}

#[tokio::test]
async fn doctor_looks_into_a_data_directory_as_serve_would_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path(), Options::default()).expect("a store");
    assert!(data_directory(dir.path()).await.0.starts_with("warn DATA is in use by the server with process id"));
    let secret = SecretChange { name: "KEY".to_owned(), value: Some(vec![0; 60]) };
    store.change_secrets(&ScopedName::in_default("shop"), vec![secret]).await.expect("kept");
    drop(store);
    let path = dir.path().join("stepwell.db");
    let whole = std::fs::read(&path).expect("a database");
    let mut told = Vec::new();
    told.push(data_directory(dir.path()).await);
    std::fs::write(dir.path().join("secrets-key"), [7; 32]).expect("a file");
    told.push(data_directory(dir.path()).await);
    assert_eq!(std::fs::read(&path).expect("a database"), whole);
    let mut newer = whole.clone();
    // The place of `user_version` in SQLite's header.
    newer[60..64].copy_from_slice(&(FORMAT + 1).to_be_bytes());
    std::fs::write(&path, newer).expect("a file");
    told.push(data_directory(dir.path()).await);
    std::fs::write(&path, "no database, but long enough to be looked at").expect("a file");
    told.push(data_directory(dir.path()).await);
    let told: Vec<_> = told.into_iter().map(|(found, advice)| format!("{found}\n  {advice}")).collect();
    assert_snapshot!(
        told.join("\n")
            .replace(&format!("format {}", FORMAT + 1), "format NEWER")
            .replace(&format!("to {FORMAT}"), "to KNOWN")
    );
}

async fn serve(listen: &str, api: &str) -> Ran {
    let data = tempfile::tempdir().expect("a directory");
    let mut command = stepwell();
    command.args(["serve", "--listen", listen, "--api", api, "--data"]).arg(data.path());
    finish(command).await
}

#[tokio::test]
async fn serve_says_what_is_wrong_with_an_address_and_which_option_changes_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut told = String::new();
    for (listen, api) in [
        (&*address, "127.0.0.1:0"),
        ("127.0.0.1:0", &*address),
        ("192.0.2.1:8787", "127.0.0.1:0"),
        (&*address, &*address),
        ("0.0.0.0:8787", "127.0.0.1:8787"),
        ("8787", "127.0.0.1:0"),
    ] {
        let ran = serve(listen, api).await;
        told += &format!("{} {}\n", ran.code, ran.stderr.trim());
    }
    assert_snapshot!(
        told.replace(&address, "127.0.0.1:PORT")
            .replace(taken.local_addr().expect("an address").port().to_string().as_str(), "PORT")
    );
}

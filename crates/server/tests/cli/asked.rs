//! What is asked of the server where a command sends values: from files, from standard input, and in batches.

use serde_json::{Value, json};

use crate::fake::Fake;
use crate::run;

fn file_of(text: &str) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    let path = file.path().to_str().expect("text").to_owned();
    (file, path)
}

#[tokio::test]
async fn parameters_and_payloads_come_from_files_digit_by_digit() {
    let (_file, path) = file_of("{\"n\": 12345678901234567890}\n");
    let given = format!("@{path}");
    for (args, body) in [
        (&["workflows", "trigger", "orders", "--params", &given][..], r#"{"params":{"n": 12345678901234567890}}"#),
        (&["workflows", "trigger", "orders", &given], r#"{"params":{"n": 12345678901234567890}}"#),
        (
            &["workflows", "instances", "send-event", "orders", "busy", "--type", "t", "--payload", &given],
            r#"{"n": 12345678901234567890}"#,
        ),
    ] {
        let fake = Fake::start().await;
        let ran = run(&fake, args).await;
        assert_eq!(ran.code, 0, "{}", ran.told());
        assert_eq!(fake.asked().pop().expect("asked").body, body);
    }
}

#[tokio::test]
async fn many_instances_are_created_in_batches_and_taken_ids_are_told() {
    let mut wanted: Vec<Value> = (0..149).map(|n| json!({ "id": format!("i{n}"), "params": n })).collect();
    wanted.push(json!({ "id": "taken" }));
    let (_file, path) = file_of(&Value::from(wanted).to_string());
    let fake = Fake::start().await;
    let ran = run(&fake, &["workflows", "trigger", "orders", "--batch", &format!("@{path}")]).await;
    assert_eq!(ran.stdout, "149 instances of orders created. 1 left out: their ids are taken.\n", "{}", ran.told());
    let sizes: Vec<usize> = fake.asked().iter().map(|asked| asked.body.matches("instance_id").count()).collect();
    assert_eq!(sizes, [100, 50]);
    let wrong = run(&fake, &["workflows", "trigger", "orders", "--batch", r#"[{"name": "x"}]"#]).await;
    assert_eq!(wrong.code, 2, "{}", wrong.told());
}

#[tokio::test]
async fn instances_to_delete_are_named_in_a_file() {
    let (_file, path) = file_of(r#"["a", "b"]"#);
    let fake = Fake::start().await;
    let ran = run(&fake, &["workflows", "instances", "delete", "orders", "--filename", &path]).await;
    assert_eq!((ran.code, fake.asked()[0].body.as_str()), (0, r#"{"instances":["a","b"]}"#), "{}", ran.told());
    let (_file, wrong) = file_of(r#"{"a": 1}"#);
    let refused = run(&fake, &["workflows", "instances", "delete", "orders", "--filename", &wrong]).await;
    assert!(refused.code == 2 && refused.stderr.contains("no JSON array of ids"), "{}", refused.told());
}

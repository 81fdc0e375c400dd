//! The description of the API, against the routes that there are.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::Value;
use stepwell::auth::Needs;
use stepwell::rest;

use crate::server::Server;

async fn description() -> Value {
    let headers = [("host", "localhost:8788")];
    let answer = Server::start().await.with_headers(Method::GET, "/openapi.json", &headers, Value::Null).await;
    assert_eq!(answer.status, 200);
    answer.body
}

/// Method, path and what is said of it.
fn operations(description: &Value) -> Vec<(String, String, Value)> {
    let paths = description["paths"].as_object().expect("paths");
    let of_path = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().expect("methods").clone();
        let path = path.clone();
        methods.into_iter().map(move |(method, operation)| (method, path.clone(), operation))
    };
    paths.iter().flat_map(of_path).collect()
}

/// Every text that is the value of a member of that name, at any depth.
fn texts<'a>(value: &'a Value, member: &str, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(member).and_then(Value::as_str));
            object.values().for_each(|value| texts(value, member, found));
        }
        Value::Array(items) => items.iter().for_each(|value| texts(value, member, found)),
        _ => {}
    }
}

#[tokio::test]
async fn it_describes_the_routes_and_nothing_else() {
    let described: BTreeSet<_> =
        operations(&description().await).into_iter().map(|(method, path, _)| (method, path)).collect();
    let routed: BTreeSet<_> = rest::routes()
        .into_iter()
        .filter(|route| !route.path.ends_with('/'))
        .map(|route| (route.method.as_str().to_ascii_lowercase(), route.path))
        .collect();
    assert_eq!(described, routed);
}

#[tokio::test]
async fn every_operation_says_what_it_does_what_it_wants_and_what_it_gives() {
    let description = description().await;
    let routes = rest::routes();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&description) {
        let asked = format!("{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{asked} has no summary");
        assert!(ids.insert(operation["operationId"].to_string()), "{asked} has the id of another");
        let is_it = |route: &&rest::Route| route.method.as_str().eq_ignore_ascii_case(&method) && route.path == path;
        let route = routes.iter().find(is_it).expect("a route");
        assert!(route.doc.answer.is_some(), "{asked} does not say what it gives");
        let scope = if let Needs::Scope(scope) = route.needs { Some(scope.word()) } else { None };
        assert_eq!(operation["x-scope"].as_str(), scope, "{asked}");
        let parameters = operation["parameters"].as_array().expect("parameters");
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path").count();
        assert_eq!(in_path, path.matches('{').count(), "{asked} names all parameters of its path");
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let description = description().await;
    let mut references = BTreeSet::new();
    texts(&description, "$ref", &mut references);
    assert!(references.len() > 10, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference within the description");
        assert!(description.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

//! Tails: what Workers do, shown while they do it, to clients that behave as wrangler does.

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::Method;
use serde_json::{Value as Json, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;

use crate::support::{Launch, Project, Server, Shown, lines_of};

const SOURCE: &str = include_str!("workers/tail.js");
const CLASSES: [&str; 1] = ["Talks"];

fn project() -> Project {
    Project::worker("tailed", &CLASSES, SOURCE)
}

#[tokio::test]
async fn a_run_is_shown_with_its_lines_when_it_is_over() {
    let server = Server::dev(&[&project()]).await;
    let mut tail = server.tail("tailed", json!([])).await;
    let id = server.create("Talks", json!({ "n": 1 })).await;
    let event = tail.event().await;
    assert_eq!(
        lines_of(&event),
        [("log".to_owned(), json!(["begins", { "n": 1 }])), ("warn".to_owned(), json!(["charging", 12])),]
    );
    assert_eq!(event["logs"][1]["step"], "charge card-1");
    assert_eq!(event["event"], json!({ "rpcMethod": "run", "workflowName": "Talks", "instanceId": id }));
    for (member, value) in [
        ("outcome", json!("ok")),
        ("scriptName", json!("tailed")),
        ("entrypoint", json!("Talks")),
        ("exceptions", json!([])),
        ("truncated", json!(false)),
        ("diagnosticsChannelEvents", json!([])),
    ] {
        assert_eq!(event[member], value, "{event:#}");
    }
    assert!(event["eventTimestamp"].is_i64() && event["wallTime"].is_i64(), "{event:#}");
    assert!(event["scriptVersion"]["id"].is_string(), "{event:#}");
    tail.ping().await;
}

#[tokio::test]
async fn an_error_that_ends_an_instance_is_shown() {
    let server = Server::dev(&[&project()]).await;
    let mut tail = server.tail("tailed", json!([{ "outcome": ["exception"] }])).await;
    server.run("Talks", json!({})).await;
    let id = server.create("Talks", json!({ "throws": true })).await;
    let event = tail.event().await;
    assert_eq!((&event["outcome"], &event["event"]["instanceId"]), (&json!("exception"), &json!(id)));
    let thrown = &event["exceptions"][0];
    assert_eq!((&thrown["name"], &thrown["message"]), (&json!("RangeError"), &json!("no money")));
    let stack = thrown["stack"].as_str().expect("a stack");
    assert!(stack.starts_with("    at ") && stack.contains("index.js:"), "{stack}");
}

#[tokio::test]
async fn a_run_that_goes_on_shows_its_lines_before_its_end() {
    let server = Server::dev(&[&project()]).await;
    let id = server.create("Talks", json!({ "waits": true })).await;
    server.until_status("Talks", &id, "waiting").await;
    // It begins to be read when the run is under way.
    let mut tail = server.tail("tailed", json!([])).await;
    let second = server.create("Talks", json!({ "waits": true })).await;
    let event = tail.event().await;
    assert_eq!(lines_of(&event).len(), 2, "{event:#}");
    assert_eq!(event["event"]["instanceId"], json!(second));
    assert_eq!(server.status("Talks", &second).await, "waiting");
    assert!(event["wallTime"].is_null(), "it is not over: {event:#}");
    server.send_event("Talks", &id, "go", json!({})).await.ok();
    let event = tail.event_where(|event| event["event"]["instanceId"] == json!(id)).await;
    assert_eq!(lines_of(&event), [("log".to_owned(), json!(["goes on"]))], "a run that began before is shown as well");
}

#[tokio::test]
async fn a_request_is_shown_with_its_lines_and_its_answer() {
    let server = Server::dev(&[&project()]).await;
    let mut tail = server.tail("tailed", json!([])).await;
    let url = format!("http://{}/some/path?q=1", server.ingress);
    let headers =
        [("host", "tailed.localhost"), ("authorization", "Bearer abc"), ("x-stepwell-trace", "{\"trace\":\"mine\"}")];
    let answer = server.http.send(Method::PUT, &url, &headers, "body").await;
    assert_eq!((answer.status, answer.text()), (201, "fine".to_owned()));
    let event = tail.event().await;
    let seen = json!(["seen", { "path": "/some/path", "cf": "undefined", "headers": [] }]);
    assert_eq!(lines_of(&event), [("log".to_owned(), seen)], "the Worker sees nothing of being followed");
    assert_eq!((&event["outcome"], &event["entrypoint"]), (&json!("ok"), &Json::Null));
    let request = &event["event"]["request"];
    assert_eq!(request["url"], "http://tailed.localhost/some/path?q=1");
    assert_eq!((&request["method"], &request["headers"]["host"]), (&json!("PUT"), &json!("tailed.localhost")));
    assert_eq!(request["headers"]["authorization"], "REDACTED");
    assert_eq!(request["headers"]["cf-connecting-ip"], "127.0.0.1");
    assert_eq!(event["event"]["response"], json!({ "status": 201 }));
    assert!(event["scriptVersion"]["id"].is_string() && event["wallTime"].is_i64(), "{event:#}");
}

#[tokio::test]
async fn an_error_of_a_request_is_shown() {
    let server = Server::dev(&[&project()]).await;
    let mut tail = server.tail("tailed", json!([])).await;
    assert_eq!(server.fetch("tailed", Method::GET, "/throw", "").await.status, 500);
    let event = tail.event().await;
    assert_eq!(event["outcome"], "exception");
    assert_eq!(lines_of(&event), [("error".to_owned(), json!(["about to fail"]))]);
    let thrown = &event["exceptions"][0];
    assert_eq!((&thrown["name"], &thrown["message"]), (&json!("TypeError"), &json!("broken")));
    assert!(thrown["stack"].as_str().is_some_and(|stack| stack.contains("index.js:")), "{thrown}");
    assert_eq!(event["event"]["response"]["status"], 500);
}

#[tokio::test]
async fn what_a_request_does_behind_its_answer_is_shown_with_it() {
    let server = Server::dev(&[&project()]).await;
    let mut tail = server.tail("tailed", json!([])).await;
    server.fetch("tailed", Method::GET, "/late", "").await;
    let event = tail.event().await;
    assert_eq!(lines_of(&event).last(), Some(&("log".to_owned(), json!(["afterwards"]))), "{event:#}");
    server.fetch("tailed", Method::DELETE, "/late", "").await;
    let event = tail.event().await;
    assert_eq!(event["exceptions"][0]["message"], "too late", "{event:#}");
    for path in ["/stream/waits", "/stream"] {
        let answer = server.fetch("tailed", Method::GET, path, "").await;
        assert_eq!(answer.text(), "0\n1\n2\n");
        assert_eq!(lines_of(&tail.event().await).len(), 3, "lines of a body that streams: {path}");
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_and_one_that_computes_without_end_are_shown_as_such() {
    let project = Project::configured("tailed", &CLASSES, json!({ "limits": { "cpu_ms": 10 } }), SOURCE);
    let server = Server::dev(&[&project]).await;
    let mut tail = server.tail("tailed", json!([])).await;
    let mut client = TcpStream::connect(&server.ingress).await.expect("the ingress listens");
    client.write_all(b"GET /stall HTTP/1.1\r\nhost: tailed.localhost\r\n\r\n").await.expect("the ingress reads");
    server.says("stalls").await;
    drop(client);
    let event = tail.event().await;
    assert_eq!((&event["outcome"], lines_of(&event).len()), (&json!("canceled"), 1), "{event:#}");
    assert_eq!(server.fetch("tailed", Method::GET, "/loop", "").await.status, 503);
    let event = tail.event().await;
    assert_eq!((&event["outcome"], &event["event"]["response"]["status"]), (&json!("exceededCpu"), &json!(503)));
}

#[tokio::test]
async fn filters_hold_on_the_server() {
    let server = Server::dev(&[&project()]).await;
    let filters = [
        json!([{ "method": ["POST"] }, { "header": { "key": "X-Shop", "query": "blue" } }]),
        json!([{ "query": "\"path\":\"/wanted\"" }]),
        json!([{ "client_ip": ["self"] }, { "outcome": ["exception", "exceededCpu"] }]),
        json!([{ "client_ip": ["10.9.8.7"] }]),
        json!([{ "scriptVersion": "another" }]),
    ];
    let mut tails = Vec::new();
    for filter in filters {
        tails.push(server.tail("tailed", filter).await);
    }
    let ask = async |method: Method, path: &str, shop: &str| {
        let url = format!("http://{}{path}", server.ingress);
        server.http.send(method, &url, &[("host", "tailed.localhost"), ("x-shop", shop)], "").await;
    };
    ask(Method::GET, "/one", "blue").await;
    ask(Method::POST, "/two", "red").await;
    ask(Method::POST, "/three", "blue shoes").await;
    ask(Method::GET, "/wanted", "red").await;
    ask(Method::GET, "/throw", "red").await;
    for (place, path) in [(0, "/three"), (1, "/wanted"), (2, "/throw")] {
        let url = format!("http://tailed.localhost{path}");
        assert_eq!(tails[place].event().await["event"]["request"]["url"], url);
    }
    for tail in &mut tails {
        assert_eq!(server.end_tail("tailed", &tail.id).await, 200);
        assert_eq!(tail.next().await, Shown::Closed(Some(1000)), "nothing else was shown");
    }
}

#[tokio::test]
async fn a_tail_that_was_ended_is_over_and_its_address_opens_nothing() {
    let server = Server::dev(&[&project()]).await;
    let mut tail = server.tail("tailed", json!([])).await;
    let listed = server.api(Method::GET, "workers/scripts/tailed/tails", "").await.ok()["result"].take();
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["id"]), (Some(1), &json!(tail.id)));
    assert_eq!(server.end_tail("tailed", &tail.id).await, 200);
    assert_eq!(tail.next().await, Shown::Closed(Some(1000)));
    assert_eq!(server.end_tail("tailed", &tail.id).await, 404);
    let wrong = tail.url.replace("secret=", "secret=0");
    for url in [&tail.url, &wrong] {
        let refused = server.connect_tail(url).await.map(drop);
        assert!(matches!(&refused, Err(Error::Http(answer)) if answer.status() == 404), "{refused:?}");
    }
    let path = "workers/scripts/nobody/tails";
    assert_eq!(server.api(Method::POST, path, "{}").await.refusal().0, 404);
    let bad = server.api(Method::POST, "workers/scripts/tailed/tails", r#"{"filters":[{"colour":"red"}]}"#).await;
    assert!(bad.status == 400 && bad.refusal().1.contains("colour"), "{}", bad.text());
}

#[tokio::test]
async fn a_tail_ends_when_its_time_is_over() {
    // Six hours take less than a second.
    let server = Launch::dev(&[&project()]).arg("--test-clock").arg("now*36000").start().await;
    let mut tail = server.tail("tailed", json!([])).await;
    assert_eq!(tail.next().await, Shown::Closed(Some(1000)));
    assert_eq!(server.end_tail("tailed", &tail.id).await, 404);
}

#[tokio::test]
async fn a_reader_that_does_not_read_slows_nobody_and_is_told_what_it_missed() {
    let server = Server::dev(&[&project()]).await;
    let mut tail = server.tail("tailed", json!([])).await;
    // 40 MB: more than the queue and the system's buffers hold.
    for number in 0..160 {
        let answer = server.fetch("tailed", Method::GET, &format!("/loud?{number}"), "").await;
        assert_eq!(answer.text(), "loud");
    }
    server.fetch("tailed", Method::GET, "/last", "").await;
    let missed = tail.event_where(|event| event["event"]["type"] == "overload").await;
    let message = missed["event"]["message"].as_str().expect("a text");
    assert!(message.contains("some events were dropped"), "{message}");
    let last = |event: &Json| event["event"]["request"]["url"] == "http://tailed.localhost/last";
    tail.event_where(last).await;
}

#[tokio::test]
async fn a_tail_goes_on_over_a_deploy() {
    let server = Server::serve().await;
    server.deploy("tailed", &CLASSES, SOURCE).await.ok();
    let mut tail = server.tail("tailed", json!([])).await;
    let id = server.create("Talks", json!({ "waits": true })).await;
    assert_eq!(lines_of(&tail.event().await).len(), 2);
    server.fetch("tailed", Method::GET, "/before", "").await;
    let before = tail.event().await;
    server.deploy("tailed", &CLASSES, &SOURCE.replace("seen", "seen anew")).await.ok();
    server.fetch("tailed", Method::GET, "/after", "").await;
    let after = tail.event_where(|event| !event["event"]["request"].is_null()).await;
    assert_eq!(after["logs"][0]["message"][0], "seen anew");
    assert_ne!(before["scriptVersion"], after["scriptVersion"]);
    server.send_event("Talks", &id, "go", json!({})).await.ok();
    let event = tail.event_where(|event| event["event"]["instanceId"] == json!(id) && event["logs"] != json!([])).await;
    assert_eq!(lines_of(&event), [("log".to_owned(), json!(["goes on"]))]);
    assert_eq!(event["scriptVersion"], before["scriptVersion"], "it finishes where it began");
}

#[tokio::test]
async fn requests_from_other_workers_and_those_that_become_sockets_are_shown() {
    let services = json!({ "services": [{ "binding": "TAILED", "service": "tailed" }] });
    let source = "export default { fetch: (request, env) => env.TAILED.fetch('http://inner/through') };";
    let front = Project::configured("front", &[], services, source);
    let server = Server::dev(&[&project(), &front]).await;
    let mut tail = server.tail("tailed", json!([])).await;
    assert_eq!(server.fetch("front", Method::GET, "/", "").await.status, 201);
    assert_eq!(tail.event().await["event"]["request"]["url"], "http://inner/through");
    let stream = TcpStream::connect(&server.ingress).await.expect("the ingress listens");
    let (mut socket, _) =
        tokio_tungstenite::client_async("ws://tailed.localhost/socket", stream).await.expect("a socket");
    socket.send("hello".into()).await.expect("the Worker hears");
    assert_eq!(socket.next().await.expect("an answer").expect("a message"), "hello!".into());
    drop(socket);
    let event = tail.event().await;
    assert_eq!((&event["event"]["response"]["status"], &event["outcome"]), (&json!(101), &json!("ok")), "{event:#}");
    assert_eq!(lines_of(&event), [("log".to_owned(), json!(["opens"]))]);
}

#[tokio::test]
async fn a_class_and_a_worker_without_a_handler_answer_as_they_do_unfollowed() {
    let source = "import { WorkerEntrypoint } from 'cloudflare:workers';
        export default class extends WorkerEntrypoint {
            fetch(request) {
                console.log(this.env.WORD, typeof this.ctx.waitUntil, Object.keys(this.env));
                return new Response(this.env.WORD);
            }
        }";
    let classy = Project::configured("classy", &[], json!({ "vars": { "WORD": "hi" } }), source);
    let silent = Project::worker("silent", &[], "export default {};");
    let server = Server::dev(&[&classy, &silent]).await;
    let mut tail = server.tail("classy", json!([])).await;
    assert_eq!(server.fetch("classy", Method::GET, "/", "").await.text(), "hi");
    assert_eq!(lines_of(&tail.event().await), [("log".to_owned(), json!(["hi", "function", ["WORD"]]))]);
    let unfollowed = server.fetch("silent", Method::GET, "/", "").await;
    let mut tail = server.tail("silent", json!([])).await;
    let followed = server.fetch("silent", Method::GET, "/", "").await;
    assert_eq!((followed.status, followed.text()), (unfollowed.status, unfollowed.text()));
    let event = tail.event().await;
    assert_eq!(event["exceptions"][0]["message"], "Handler does not export a fetch() function.", "{event:#}");
}

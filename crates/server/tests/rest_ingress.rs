//! Requests through the ingress and through service bindings, to small servers on Unix sockets in place of Workers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{any, get};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use stepwell::accounts::Accounts;
use stepwell::api_error::ApiError;
use stepwell::creation_rate::CreationRate;
use stepwell::d1::D1;
use stepwell::driver::DriverPorts;
use stepwell::hosting::{self, Hosting};
use stepwell::ingress::{self, Door, Ingress, Proxy, WorkerConnection, WorkerGate};
use stepwell::platform::Platform;
use stepwell::subscription::Subscriptions;
use stepwell::tail::Tails;
use stepwell::tail::requests::Requests;
use stepwell_store::{NewDeployment, ScopedName, Store};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tower::ServiceExt as _;

/// Workers by script: each a path of a socket.
#[derive(Default)]
struct Gate {
    sockets: HashMap<String, PathBuf>,
    connections: AtomicU64,
    generation: AtomicU64,
}

impl WorkerGate for Gate {
    fn connect<'a>(&'a self, script: &'a ScopedName, _: Door) -> BoxFuture<'a, Result<WorkerConnection, ApiError>> {
        Box::pin(async move {
            let refused =
                || ApiError::new(503, 20_503, format!("Worker {:?} does not start: its class is missing", script.name));
            let path = self.sockets.get(&script.to_string()).ok_or_else(refused)?;
            self.connections.fetch_add(1, Ordering::Relaxed);
            let stream = UnixStream::connect(path).await.map_err(ApiError::internal)?;
            Ok(WorkerConnection { stream, in_use: Arc::default() })
        })
    }

    fn generation(&self, _: &ScopedName) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }
}

struct Site {
    router: Router,
    gate: Arc<Gate>,
    _dir: TempDir,
}

/// Says what it was asked.
async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut headers: Vec<_> =
        parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?"))).collect();
    headers.sort();
    let head = format!("{} {}\n{}\n\n", parts.method, parts.uri, headers.join("\n"));
    let head = futures_util::stream::iter([Ok::<_, axum::Error>(Bytes::from(head))]);
    Response::new(Body::from_stream(head.chain(body.into_data_stream())))
}

async fn shout(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

/// Scripts `shop` and `idle` are deployed; `shop` runs.
async fn site(default_script: Option<&str>, names_scripts: bool) -> Site {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("shop");
    let listener = UnixListener::bind(&path).expect("a socket");
    let worker = Router::new().route("/ws", any(shout)).route("/drop", get(vanish)).fallback(echo);
    tokio::spawn(axum::serve(listener, worker).into_future());
    let store = Store::in_memory();
    for script in ["shop", "idle"] {
        let new = NewDeployment {
            script: ScopedName::in_default(script),
            content_id: "1".to_owned(),
            settings: "{}".to_owned(),
            modules: Vec::new(),
            created_at: 5,
            secrets: Vec::new(),
        };
        store.put_deployment(new).await.expect("a deployment");
    }
    let gate = Arc::new(Gate { sockets: HashMap::from([("shop".to_owned(), path)]), ..Gate::default() });
    let proxy = Arc::new(Proxy::new(
        Arc::clone(&gate) as Arc<dyn WorkerGate>,
        Requests::new(Tails::default(), Store::in_memory()),
    ));
    let default_script = default_script.map(ScopedName::in_default);
    let accounts = Accounts::open(store.clone()).await.expect("accounts");
    let router = ingress::router(Ingress { store, accounts, proxy, default_script, names_scripts });
    Site { router, gate, _dir: dir }
}

async fn vanish() -> Response {
    panic!("a Worker that dies while it answers")
}

async fn ask(site: &Site, request: Request) -> (u16, String) {
    let response = site.router.clone().oneshot(request).await.expect("an answer");
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    (status, String::from_utf8(bytes.to_vec()).expect("text"))
}

fn to(host: &str, path: &str) -> Request {
    Request::builder().uri(path).header("host", host).body(Body::empty()).expect("a request")
}

#[tokio::test]
async fn a_host_leads_to_its_script() {
    let site = site(None, true).await;
    for host in ["shop.localhost:8787", "shop.example.com"] {
        let (status, text) = ask(&site, to(host, "/a?b=c")).await;
        assert_eq!(status, 200, "{text}");
        assert!(text.starts_with("GET /a?b=c\n") && text.contains(&format!("host: {host}\n")), "{text}");
    }
}

#[tokio::test]
async fn hosts_without_a_script_lead_to_the_default_one() {
    let site = site(Some("shop"), true).await;
    for host in ["localhost:8787", "127.0.0.1", "other.example.com"] {
        assert_eq!(ask(&site, to(host, "/")).await.0, 200, "{host}");
    }
    assert_eq!(ask(&site, to("other.localhost", "/")).await.0, 404);
}

#[tokio::test]
async fn an_unknown_script_is_answered_with_those_there_are_in_dev_only() {
    let (status, text) = ask(&site(None, true).await, to("other.localhost:8787", "/")).await;
    assert_eq!(status, 404);
    assert!(text.contains("http://shop.localhost:8787/") && text.contains("http://idle.localhost:8787/"), "{text}");
    let (status, text) = ask(&site(None, false).await, to("other.localhost:8787", "/")).await;
    assert_eq!(status, 404);
    assert!(!text.contains("shop"), "{text}");
}

#[tokio::test]
async fn a_worker_that_does_not_start_says_why() {
    let (status, text) = ask(&site(None, true).await, to("idle.localhost", "/")).await;
    assert_eq!((status, text.as_str()), (503, "Worker \"idle\" does not start: its class is missing\n"));
}

#[tokio::test]
async fn a_worker_that_breaks_the_connection_is_a_bad_gateway() {
    let (status, text) = ask(&site(None, true).await, to("shop.localhost", "/drop")).await;
    assert_eq!(status, 502);
    assert!(text.starts_with("Worker \"shop\" broke the connection"), "{text}");
}

#[tokio::test]
async fn the_worker_learns_who_asks_and_nothing_of_the_hop() {
    let site = site(None, true).await;
    let mut request = Request::builder()
        .method("POST")
        .uri("/")
        .header("host", "shop.localhost")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("x-stepwell-service", "forged")
        .header("cf-connecting-ip", "9.9.9.9")
        .body(Body::from("hello"))
        .expect("a request");
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 999))));
    let (_, text) = ask(&site, request).await;
    assert!(text.contains("cf-connecting-ip: 10.0.0.1\n") && text.contains("x-forwarded-for: 10.0.0.1\n"), "{text}");
    assert!(!text.contains("x-hop") && !text.contains("forged"), "{text}");
    assert!(text.ends_with("\n\nhello"), "{text}");
}

#[tokio::test]
async fn connections_are_used_again_until_the_script_is_deployed_anew() {
    let site = site(None, true).await;
    for _ in 0..5 {
        assert_eq!(ask(&site, to("shop.localhost", "/")).await.0, 200);
    }
    let before = site.gate.connections.load(Ordering::Relaxed);
    assert!(before < 5, "{before}");
    site.gate.generation.fetch_add(1, Ordering::Relaxed);
    assert_eq!(ask(&site, to("shop.localhost", "/")).await.0, 200);
    assert_eq!(site.gate.connections.load(Ordering::Relaxed), before + 1);
}

#[tokio::test]
async fn a_service_binding_leads_to_its_script_and_a_database_to_d1() {
    let site = site(None, true).await;
    let dir = tempfile::tempdir().expect("a directory");
    let platform = Platform {
        store: Store::in_memory(),
        driver: DriverPorts::new().handle,
        rate: CreationRate::default(),
        tails: Tails::default(),
    };
    let proxy = Arc::new(Proxy::new(
        Arc::clone(&site.gate) as Arc<dyn WorkerGate>,
        Requests::new(Tails::default(), Store::in_memory()),
    ));
    let (d1, subscriptions) = (D1::open(dir.path(), platform.store.clone()), Subscriptions::default());
    let router = hosting::router(Hosting { platform, proxy, d1, subscriptions });
    let site = Site { router, ..site };
    let request = |header: &str, target: &str, body: &'static str| {
        let path = "/query?resultsFormat=NONE";
        let request = Request::builder().method("POST").uri(path).header("host", "any.host").header(header, target);
        request.body(Body::from(body)).expect("a request")
    };
    let (_, text) = ask(&site, request("x-stepwell-service", "shop", "hello")).await;
    assert!(text.contains("host: any.host\n") && text.ends_with("hello"), "{text}");
    assert!(!text.contains("x-stepwell") && !text.contains("x-forwarded"), "{text}");
    let (status, text) = ask(&site, request("x-stepwell-d1", "0/db", r#"{"sql":"select 1 as one"}"#)).await;
    assert!(status == 200 && text.contains(r#"[{"one":1}]"#), "{text}");
    let (status, text) = ask(&site, to("any.host", "/query")).await;
    assert!(status == 404 && text.contains("no route"), "{text}");
}

#[tokio::test]
async fn bodies_stream_in_both_directions() {
    let site = site(None, true).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = Body::from_stream(futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    }));
    let request = Request::builder().method("POST").uri("/").header("host", "shop.localhost").body(body);
    let response = site.router.clone().oneshot(request.expect("a request")).await.expect("an answer");
    let mut answer = response.into_body().into_data_stream();
    let mut seen = String::new();
    for word in ["first", "second"] {
        sender.send(Ok(Bytes::from(word))).await.expect("a reader");
        while !seen.ends_with(word) {
            let chunk = answer.next().await.expect("more").expect("a chunk");
            seen.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }
    drop(sender);
    assert!(answer.next().await.is_none());
}

#[tokio::test]
async fn a_websocket_passes_through() {
    let site = site(None, true).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let service = site.router.clone().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, service).into_future());
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = "GET /ws HTTP/1.1\r\nHost: shop.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8(head).expect("text").to_lowercase();
    assert!(head.starts_with("http/1.1 101") && head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    // A masked text frame "hi", with a mask of zeros; it comes back without one.
    stream.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await.expect("a frame");
    let mut echoed = [0; 4];
    stream.read_exact(&mut echoed).await.expect("an echo");
    assert_eq!(echoed, [0x81, 0x02, b'h', b'i']);
}

//! Where user code may connect to.

use stepwell_runtime::{Outbound, WorkerProcess, WorkerSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::host::Host;
use crate::setup::{bound, get, start};

/// A server on loopback that says `neighbour` to whoever asks; gives its port.
async fn neighbour() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nneighbour").await;
        }
    });
    port
}

async fn process(host: &Host, source: &str, outbound: Outbound, dev_outbound: &[(&str, &str)]) -> WorkerProcess {
    let dev_outbound = dev_outbound.iter().map(|(host, script)| ((*host).to_owned(), (*script).to_owned())).collect();
    start(&WorkerSpec { outbound, dev_outbound, ..bound(source, host, Vec::new()) }).await
}

fn fetching(url: &str) -> String {
    format!("export default {{ fetch: async () => new Response(await (await fetch('{url}')).text()) }};")
}

#[tokio::test]
async fn loopback_is_open_in_dev_closed_in_serve_and_opened_by_range() {
    let host = Host::start();
    let source = fetching(&format!("http://127.0.0.1:{}/", neighbour().await));
    let allow =
        |ranges: &[&str]| Outbound::PublicOnly { allow: ranges.iter().map(|range| (*range).to_owned()).collect() };
    for (outbound, open) in [(Outbound::Any, true), (allow(&[]), false), (allow(&["127.0.0.0/8"]), true)] {
        let process = process(&host, &source, outbound.clone(), &[]).await;
        let (status, body) = get(&process, "/").await;
        assert_eq!(status == 200 && body == "neighbour", open, "{outbound:?}: {status} {body}");
    }
}

#[tokio::test]
async fn mapped_hosts_go_to_their_script_and_others_to_the_network() {
    let host = Host::start();
    let routes = [("billing.localhost", "billing"), ("mail.localhost:99", "mail")];
    let elsewhere = format!("http://127.0.0.1:{}/", neighbour().await);
    for (url, answer) in [
        ("http://billing.localhost:8787/x", "script billing"),
        ("http://mail.localhost:99/x", "script mail"),
        (&elsewhere, "neighbour"),
    ] {
        let process = process(&host, &fetching(url), Outbound::Any, &routes).await;
        assert_eq!(get(&process, "/").await.1, answer, "{url}");
    }
    assert_eq!(host.seen()[0].host, "billing.localhost:8787");
}

#[tokio::test]
async fn bodies_stream_through_the_router() {
    let host = Host::start();
    let source = "export default { async fetch() {
        const { readable, writable } = new TransformStream();
        const writer = writable.getWriter();
        const text = new TextEncoder();
        const first = writer.write(text.encode('one '));
        const response = await fetch('http://billing.localhost/stream', { method: 'POST', body: readable });
        const reader = response.body.getReader();
        const back = [(await reader.read()).value];
        await first;
        writer.write(text.encode('two')).then(() => writer.close());
        for (let part = await reader.read(); !part.done; part = await reader.read()) back.push(part.value);
        return new Response(new Blob(back));
    } };";
    let process = process(&host, source, Outbound::Any, &[("billing.localhost", "billing")]).await;
    assert_eq!(get(&process, "/").await, (200, "one two".to_owned()));
}

#[tokio::test]
async fn websockets_pass_the_router() {
    let host = Host::start();
    let source = "export default { async fetch() {
        const { webSocket } = await fetch('http://billing.localhost/', { headers: { upgrade: 'websocket' } });
        webSocket.accept();
        const back = new Promise((resolve) => webSocket.addEventListener('message', (event) => resolve(event.data)));
        webSocket.send('ping');
        return new Response(await back);
    } };";
    let process = process(&host, source, Outbound::Any, &[("billing.localhost", "billing")]).await;
    assert_eq!(get(&process, "/").await, (200, "ping".to_owned()));
}

#[tokio::test]
async fn raw_tcp_passes_the_router() {
    let host = Host::start();
    let source = format!(
        "import {{ connect }} from 'cloudflare:sockets';
         export default {{ async fetch() {{
           const socket = connect('127.0.0.1:{}');
           const writer = socket.writable.getWriter();
           await writer.write(new TextEncoder().encode('hello'));
           return new Response(await new Response(socket.readable).text());
         }} }};",
        neighbour().await
    );
    let process = process(&host, &source, Outbound::Any, &[("billing.localhost", "billing")]).await;
    let (status, body) = get(&process, "/").await;
    assert!(status == 200 && body.ends_with("neighbour"), "{status} {body}");
}

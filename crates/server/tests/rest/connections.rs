//! What arrives on a connection, for clients that send and receive as they like.

use std::net::SocketAddr;

use stepwell::accounts::ACCOUNT_ID;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::server::Server;

/// A piece of a body; one of its pieces at least waits until others have been read.
static PIECE: [u8; 64 << 10] = [b' '; 64 << 10];
const PIECES: usize = 400;

async fn connect(address: SocketAddr, request: &str, headers: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).await.expect("a connection");
    let length = PIECES * PIECE.len();
    let head = format!(
        "{request} HTTP/1.1\r\nhost: localhost:8788\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n{headers}\r\n"
    );
    connection.write_all(head.as_bytes()).await.expect("the head is taken");
    connection
}

async fn answer(mut connection: TcpStream) -> String {
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let server = Server::start().await;
    let address = server.listen().await;
    let account = format!("/client/v4/accounts/{ACCOUNT_ID}");
    for (request, status) in [
        ("PUT /client/v4/accounts/0123/workers/scripts/new".to_owned(), 403),
        ("POST /no/such/route".to_owned(), 404),
        (format!("PUT {account}/workers/scripts/new"), 415),
        (format!("PUT {account}/workflows/-bad"), 400),
        (format!("POST {account}/workflows/flow/instances"), 413),
    ] {
        let mut connection = connect(address, &request, "").await;
        for _ in 0..PIECES {
            connection.write_all(&PIECE).await.unwrap_or_else(|error| panic!("{request}: {error}"));
        }
        let answer = answer(connection).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        assert!(answer.contains(r#""success":false"#), "{request}: {answer}");
    }
}

#[tokio::test]
async fn a_refusal_comes_in_place_of_the_leave_to_send() {
    let server = Server::start().await;
    let connection = connect(server.listen().await, "POST /no/such/route", "expect: 100-continue\r\n").await;
    let answer = answer(connection).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[tokio::test]
async fn a_request_of_many_headers_is_answered() {
    let server = Server::start().await;
    let headers: String = (0..500).map(|number| format!("x-header-{number}: value\r\n")).collect();
    let mut connection = TcpStream::connect(server.listen().await).await.expect("a connection");
    let request = format!("GET /client/v4/user HTTP/1.1\r\nhost: localhost:8788\r\nconnection: close\r\n{headers}\r\n");
    connection.write_all(request.as_bytes()).await.expect("the request is taken");
    let answer = answer(connection).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(r#""success":true"#), "{answer}");
}

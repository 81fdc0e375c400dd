//! The connections of a listener, each served in a task of its own. What the HTTP library refuses by itself has neither a
//! body nor an id, so its bounds stand above what clients send; axum's own server leaves them where they are.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tower::util::MapRequest;

/// Headers of a request; a proxy or a browser with many cookies may send more than the library's 100.
const HEADERS_MAX: usize = 1_000;

/// Serves them until the process ends.
pub async fn serve(mut listener: TcpListener, router: Router) {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().max_headers(HEADERS_MAX);
    loop {
        let (stream, peer) = Listener::accept(&mut listener).await;
        tokio::spawn(serve_one(http.clone(), stream, peer, router.clone()));
    }
}

async fn serve_one(http: Builder<TokioExecutor>, stream: TcpStream, peer: SocketAddr, router: Router) {
    let service = MapRequest::new(router, move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(Body::new)
    });
    let served = http.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service)).await;
    if let Err(error) = served {
        tracing::trace!(error, "a connection ended");
    }
}

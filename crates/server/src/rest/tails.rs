//! Tails of a script: made, listed and ended here, and read over a WebSocket, whose address is a secret and wants no token.
//!
//! wrangler sends its first frame without a mask, which the WebSocket protocol forbids clients; it is let pass.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::{HeaderMap, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepwell_store::ScopedName;
use uuid::Uuid;

use super::envelope::{Failure, Reply, success};
use super::resource::{Named, Part};
use super::route::{Answer, Route};
use super::times::Iso;
use super::{Api, read_body};
use crate::api_error::ApiError;
use crate::auth::{Holder, Needs, Scope};
use crate::clock;
use crate::driver::now_ms;
use crate::tail::limits::{MESSAGE_BYTES_MAX, SEND_MAX};
use crate::tail::{Filters, Next, Reader, TailView, write_dropped};

/// The protocol that Cloudflare's tails speak.
const PROTOCOL: &str = "trace-v1";
/// Body of a request for a tail.
const BODY_BYTES_MAX: usize = 64 << 10;
const NO_TAIL: u32 = 10_068;

/// Below an account.
pub fn routes() -> Vec<Route> {
    use Scope::Payloads;
    vec![
        Route::get("/workers/scripts/{script}/tails", Payloads, list)
            .says("Lists the tails of a Worker")
            .gives::<Vec<Tail>>(),
        Route::post("/workers/scripts/{script}/tails", Payloads, create)
            .says("Makes a tail, at whose url a WebSocket shows what the Worker does, live")
            .takes::<Filters>()
            .gives::<Tail>(),
        Route::delete("/workers/scripts/{script}/tails/{tail}", Payloads, delete).says("Ends a tail").gives::<()>(),
    ]
}

/// Where a tail is read.
pub fn reading() -> Route {
    Route::get("/tails/{tail}", Needs::Nothing, read)
        .says("Shows events over a WebSocket of the protocol trace-v1, to whoever knows the tail's secret")
        .asks::<Opening>()
        .gives_answer(Answer::Plain("application/json"))
}

/// Makes a tail. The body is JSON, whatever its type is called.
async fn create(
    State(api): State<Api>,
    Extension(holder): Extension<Holder>,
    Named(script): Named,
    request: Request,
) -> Reply {
    known(&api, &script).await?;
    let own = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let base = base(request.headers());
    let body = read_body(request.into_body(), BODY_BYTES_MAX).await?;
    let tail = api.platform.tails.open(&script, &body, own, &holder)?;
    // A token that is revoked takes the tails with it that there are: this one may have come later.
    if let Err(revoked) = api.auth.check_still(&holder) {
        api.platform.tails.close(&script, tail.id);
        return Err(revoked.into());
    }
    Ok(success(Tail::of(&tail, &base)))
}

async fn list(State(api): State<Api>, Named(script): Named, headers: HeaderMap) -> Reply {
    known(&api, &script).await?;
    let base = base(&headers);
    let tails: Vec<_> = api.platform.tails.list(&script).iter().map(|tail| Tail::of(tail, &base)).collect();
    Ok(success(tails))
}

async fn delete(State(api): State<Api>, Part(script, id): Part) -> Reply {
    let closed = id.parse().is_ok_and(|id| api.platform.tails.close(&script, id));
    if closed { Ok(success(())) } else { Err(no_tail().into()) }
}

async fn known(api: &Api, script: &ScopedName) -> Result<(), ApiError> {
    let row = api.platform.store.script(script).await?;
    row.map(drop).ok_or_else(|| ApiError::no_script(script))
}

fn no_tail() -> ApiError {
    ApiError::new(404, NO_TAIL, "this tail does not exist, or no longer: it has ended, or nobody read it for a minute")
}

#[derive(Serialize, JsonSchema)]
struct Tail {
    id: String,
    /// Address of the WebSocket; a secret.
    url: String,
    expires_at: Iso,
}

impl Tail {
    fn of(TailView { id, secret, expires_at }: &TailView, base: &str) -> Self {
        let url = format!("{base}/tails/{id}?secret={secret}");
        Self { id: id.to_string(), url, expires_at: Iso(*expires_at) }
    }
}

/// Where the client reached this server, for a WebSocket.
fn base(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = if text("x-forwarded-proto") == Some("https") { "wss" } else { "ws" };
    format!("{scheme}://{}", text(header::HOST.as_str()).unwrap_or_default())
}

#[derive(Deserialize, JsonSchema)]
struct Opening {
    #[serde(default)]
    secret: String,
}

/// Reads a tail.
async fn read(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(Opening { secret }): Query<Opening>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Reply {
    let upgrade = upgrade.map_err(|refused| Failure(ApiError::bad_request(refused.body_text())))?;
    let key = id.parse::<Uuid>().ok().zip(secret.parse::<Uuid>().ok());
    let reader = key.and_then(|(id, secret)| api.platform.tails.read(id, secret)).ok_or_else(no_tail)?;
    let upgrade = upgrade.protocols([PROTOCOL]).accept_unmasked_frames(true);
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(|socket| show(socket, reader)))
}

/// Shows events until the tail or its reader goes.
async fn show(mut socket: WebSocket, reader: Reader) {
    let left_ms = (reader.expires_at - now_ms()).max(0).unsigned_abs();
    let expiry = tokio::time::sleep(clock::real(left_ms));
    tokio::pin!(expiry);
    let reason = loop {
        let text = tokio::select! {
            () = &mut expiry => break "the tail has expired",
            next = reader.next() => match next {
                Next::Event(text) => text.to_string(),
                Next::Dropped(count) => write_dropped(&reader.script.name, now_ms(), count),
                Next::Closed => break "the tail was ended",
            },
            // What a reader says is of no interest, but it must be read: pings are answered on the way.
            said = socket.recv() => match said {
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            },
        };
        if !send(&mut socket, Message::text(text)).await {
            return;
        }
    };
    send(&mut socket, Message::Close(Some(CloseFrame { code: close_code::NORMAL, reason: reason.into() }))).await;
}

/// False where nobody takes it.
async fn send(socket: &mut WebSocket, message: Message) -> bool {
    let sent = tokio::time::timeout(SEND_MAX, socket.send(message)).await;
    matches!(sent, Ok(Ok(())))
}

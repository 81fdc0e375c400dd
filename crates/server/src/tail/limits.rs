//! Every bound of tailing, with its unit and its reason.

use std::time::Duration;

/// Tails of one script (Cloudflare).
pub const TAILS_PER_SCRIPT_MAX: usize = 10;
/// Tails in all: each may hold [`QUEUE_BYTES_MAX`].
pub const TAILS_MAX: usize = 100;
/// How long a tail lives: whoever wants to watch longer begins anew.
pub const LIFETIME_MS: u64 = 6 * 60 * 60 * 1_000;
/// How long a tail may be without its reader, before the first comes and after the last went.
pub const UNREAD_MAX: Duration = Duration::from_secs(60);
/// Filters of one tail.
pub const FILTERS_MAX: usize = 50;

/// Events that wait for a reader; the oldest go first.
pub const QUEUE_EVENTS_MAX: usize = 1_000;
/// Bytes of events that wait for a reader.
pub const QUEUE_BYTES_MAX: usize = 4 << 20;
/// How often a reader is told at most that it lost events.
pub const DROPPED_TOLD_EVERY: Duration = Duration::from_secs(1);

/// Bytes of console lines in one event (Cloudflare): what is over is cut, and the event says so.
pub const EVENT_LINES_BYTES_MAX: usize = 256 << 10;
/// Exceptions in one event.
pub const EVENT_EXCEPTIONS_MAX: usize = 100;
/// Bytes of one header's value, or of an address, that are shown.
pub const TEXT_BYTES_MAX: usize = 16 << 10;

/// Words of runs on their way to those who gather them; more are dropped, so that the driver never waits.
pub const RUN_NEWS_WAITING_MAX: usize = 8_192;
/// Runs whose lines are gathered at once.
pub const RUNS_GATHERED_MAX: usize = 10_000;
/// How long a line of a run that goes on may wait for others.
pub const RUN_LINES_WAIT: Duration = Duration::from_secs(1);

/// Requests that are followed at once; more are answered without being told of.
pub const REQUESTS_FOLLOWED_MAX: usize = 2_000;
/// What a request's code says of itself at once: lines of 16 Ki characters, with their escapes.
pub const WORD_BYTES_MAX: usize = 32 << 20;
/// How long the code of an answered request may go on (Cloudflare's bound of `waitUntil`).
pub const AFTERWARDS_MAX: Duration = Duration::from_secs(30);
/// How long the last lines of a request may take, where nobody waits for them or they were written while the answer flowed.
pub const LAST_LINES_MAX: Duration = Duration::from_millis(250);

/// How long a reader may take for one event before it counts as gone.
pub const SEND_MAX: Duration = Duration::from_secs(30);
/// What a reader may say at once.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;

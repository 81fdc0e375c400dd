//! Every bound of the engine, with its unit and its reason.

/// Steps of an instance unless its workflow says otherwise (Cloudflare's default).
pub const STEPS_DEFAULT: u32 = 10_000;
/// Steps that a workflow may ask for (Cloudflare's maximum).
pub const STEPS_MAX: u32 = 25_000;
/// Calls of an instance of any kind: sleeps and waits do not count as steps, but history must stay bounded.
pub const CALLS_MAX: u32 = 100_000;
/// A year: the longest sleep, wait and retry delay (Cloudflare).
pub const DELAY_MS_MAX: u64 = 365 * 86_400_000;
/// The longest attempt. Cloudflare advises 30 minutes and sets no bound; a day keeps a lost attempt findable.
pub const TIMEOUT_MS_MAX: u64 = 86_400_000;
/// Bytes of one step result, params or event payload (Cloudflare).
pub const VALUE_BYTES_MAX: u64 = 1 << 20;
/// Events that wait for delivery in one instance; beyond it senders get 429.
pub const EVENTS_BUFFERED_MAX: usize = 10_000;
/// Bytes of those events.
pub const EVENTS_BUFFERED_BYTES_MAX: u64 = 64 << 20;
/// How long a run that only waits stays in its worker before it is forgotten.
pub const SUSPEND_GRACE_MS: i64 = 5_000;
/// How long a pause waits for a run without attempts in flight to say that it has stopped.
pub const QUIESCE_MS: i64 = 5_000;
/// Runs of one session: they share one request context with a cap of 10,000 timers.
pub const SESSION_RUNS_MAX: usize = 2_000;
/// From so many runs on, those that only wait have a shorter grace.
pub const SESSION_RUNS_CROWDED: usize = 1_000;
/// That grace: what a run was just told must have reached its code before it is asked to go.
pub const CROWDED_GRACE_MS: i64 = 200;
/// Worker processes that one instance may kill before it is errored.
pub const WORKER_KILLS_MAX: u32 = 3;
/// How long code that is stuck in an instance is left alone before it is tried again: it may have been slow only. Twice as
/// long after each time.
pub const STUCK_MS_MIN: i64 = 60_000;
/// The longest such time: each try leaves an entry.
pub const STUCK_MS_MAX: i64 = 6 * 3_600_000;
/// Timers further away than this stay in the store.
pub const TIMER_HORIZON_MS: i64 = 20_000;
/// Due instances read from the store at once.
pub const DUE_PAGE: usize = 5_000;
/// Characters of a cron expression (Cloudflare).
pub const CRON_CHARS_MAX: usize = 256;
/// Cron schedules of all workflows together (Cloudflare's bound for an account).
pub const SCHEDULES_MAX: usize = 100;
/// The longest time that an ended instance may be kept by a number; Cloudflare's is 30 days. Ten years keep every expiry a
/// date that clocks and people can show.
pub const RETENTION_MS_MAX: u64 = 3_650 * 86_400_000;
/// Ended instances whose time is over that go in one batch: a row and its index entries each.
pub const EXPIRED_AT_ONCE: usize = 256;
/// Entries of one commit: keeps the latency of a batch bounded.
pub const BATCH_ENTRIES_MAX: usize = 8_192;

const _: () = assert!(SESSION_RUNS_CROWDED < SESSION_RUNS_MAX);
const _: () = assert!(CROWDED_GRACE_MS < SUSPEND_GRACE_MS);
const _: () = assert!(SUSPEND_GRACE_MS < TIMER_HORIZON_MS);
const _: () = assert!(STEPS_MAX <= CALLS_MAX);
/// Suspects of having killed a worker that run together: most are innocent and must not wait for each other.
pub const QUARANTINE_RUNS_MAX: usize = 32;

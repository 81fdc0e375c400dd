//! Every bound of the REST face, with its unit and its reason.

use std::time::Duration;

/// Body of a request for one instance: a value of 1 MiB may be several times as long with its escapes.
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// Body of a batch. Cloudflare takes 1 MiB of params in one batch; this is what one reader holds in memory.
pub const BATCH_BODY_BYTES_MAX: usize = 32 << 20;
/// Body of a request about a D1 database: what a Worker may send its database as well.
pub const D1_BODY_BYTES_MAX: usize = crate::d1::limits::BODY_BYTES_MAX;
/// Databases on a page (Cloudflare).
pub const D1_PER_PAGE_MAX: usize = 10_000;
/// Modules of a script together, source maps apart: Cloudflare takes 64 MB before compression.
pub const SCRIPT_BYTES_MAX: usize = 64 << 20;
/// Upload of a script with its source maps, which may be several times as long as the code.
pub const UPLOAD_BYTES_MAX: usize = 256 << 20;
/// What is thrown away of a body that nobody wants: the largest that is taken, so that its refusal arrives.
pub const UNREAD_BYTES_MAX: usize = UPLOAD_BYTES_MAX;
/// How long that may take, so that nobody holds a connection by sending for ever.
pub const UNREAD_TIME_MAX: Duration = Duration::from_secs(60);
/// Modules of an upload.
pub const UPLOAD_MODULES_MAX: usize = 10_000;
/// Instances of one batch (Cloudflare).
pub const BATCH_INSTANCES_MAX: usize = crate::platform_batch::BATCH_INSTANCES_MAX;

/// Rows of a page unless asked otherwise.
pub const PER_PAGE_DEFAULT: usize = 50;
/// Rows of a page.
pub const PER_PAGE_MAX: usize = 1_000;
/// Rows passed over for a numbered page: later ones want the cursor, which passes over none.
pub const PASSED_OVER_MAX: usize = 10_000;

/// How long a request may wait for an instance to end.
pub const WAIT_MS_MAX: u64 = 60_000;

/// Entries of one read of history: short enough that other reads get their turn.
pub const HISTORY_ROWS_MAX: usize = 2_000;
/// Bytes of values in one read of history.
pub const HISTORY_BYTES_MAX: usize = 4 << 20;
/// Bytes of step outputs in one answer; later ones are named, and read one by one.
pub const OUTPUT_BYTES_MAX: usize = 16 << 20;
/// Reads of one instance that are begun anew because it was restarted meanwhile.
pub const READ_TRIES_MAX: usize = 3;

/// Instances that are terminated or deleted at the same time when all of a workflow are.
pub const SWEEP_INSTANCES: usize = 500;
/// Sweeps over a workflow to be deleted while others still create instances of it.
pub const SWEEPS_MAX: usize = 100;

/// Lines of console output in one answer.
pub const LOG_LINES_MAX: usize = 1_000;
/// Lines where a request names no number.
pub const LOG_LINES_DEFAULT: usize = 200;

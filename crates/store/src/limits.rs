//! Every bound of the store, with its unit and its reason.

/// Entries that are gathered into one transaction: a sync is amortised long before, and latency stays bounded.
pub const GROUP_ENTRIES_MAX: usize = 16_384;
/// Bytes of user values gathered into one transaction: keeps the write-ahead log and the page cache small.
pub const GROUP_BYTES_MAX: usize = 16 << 20;
/// Writes that wait for the writer thread; beyond it they are refused. The engine keeps one or two batches in flight,
/// so only a flood of control writes or logs comes near.
pub const WRITES_WAITING_MAX: usize = 65_536;
/// Reads that wait for a reader thread; beyond it they are refused.
pub const READS_WAITING_MAX: usize = 65_536;
/// Reader threads, each with a connection: enough that one long page does not hold up a status.
pub const READERS: usize = 2;

/// First wait when there is no room on the disk.
pub const NO_ROOM_DELAY_MS_MIN: u64 = 100;
/// Longest wait when there is no room on the disk: how late recovery is noticed.
pub const NO_ROOM_DELAY_MS_MAX: u64 = 5_000;

/// Rows of deleted instances removed in one transaction: a commit that arrives meanwhile waits for no more than this.
pub const GARBAGE_ROWS_MAX: usize = 1_000;
/// Bytes of user values removed in one such transaction.
pub const GARBAGE_BYTES_MAX: u64 = 8 << 20;
/// Pieces of dropped streams removed in one such transaction: 8 MiB of them.
pub const GARBAGE_CHUNKS_MAX: u32 = 32;
/// Groups after which garbage gets a turn although the writer is never idle.
pub const GROUPS_PER_GARBAGE: u32 = 64;

/// Log lines kept for each instance; older ones go.
pub const LOG_LINES_MAX: u64 = 10_000;

/// Live instances of which the writer remembers where they stand: more than are usually running, about 1 MiB.
pub const TAILS_MAX: usize = 16_384;

/// Releases of a script that are remembered; older ones go.
pub const RELEASES_MAX: u32 = 100;

/// Page cache of the writer's connection. With the readers' it is what an idle server holds of the database.
pub const WRITER_CACHE_KIB: i64 = 6 << 10;
/// Page cache of each reader's connection.
pub const READER_CACHE_KIB: i64 = 1 << 10;
/// Pages in the write-ahead log from which on it is copied into the database (32 MiB): fewer, larger copies.
pub const WAL_PAGES_MAX: i32 = 8_192;
/// How long to wait for another program that holds the database, such as a backup.
pub const BUSY_MS: u64 = 2_000;
/// Largest database of which a look reads every page: a second or two.
pub const LOOKED_THROUGH_BYTES_MAX: u64 = 256 << 20;

const _: () = assert!(NO_ROOM_DELAY_MS_MIN < NO_ROOM_DELAY_MS_MAX);

//! The server's log: one line an event on standard error, by `STEPWELL_LOG` (default `warn,console=info,worker=info`).

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Filter where the environment has none: what user code prints, and what went wrong.
const FILTER_DEFAULT: &str = "warn,console=info,worker=info";

/// Starts the log. A second start changes nothing.
pub fn start() {
    let filter = EnvFilter::try_from_env("STEPWELL_LOG").unwrap_or_else(|_| EnvFilter::new(FILTER_DEFAULT));
    // A log that is there already is as good.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}

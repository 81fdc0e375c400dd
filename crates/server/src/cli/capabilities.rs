//! `stepwell capabilities`: what of Cloudflare Workflows works in this binary. The table is the one of `docs/COMPATIBILITY.md`, which the
//! parity suite writes; nothing is asked of a server, and nothing is judged here.

use clap::Args;
use serde::Deserialize;

use super::screen::{Screen, Tone};
use super::table::{Cell, Table};
use super::{CliError, ExitCode};

/// What the parity suite wrote when this binary was built.
const TABLE: &str = include_str!("../../../../docs/compatibility.json");

/// Show what of Cloudflare Workflows works here, and what shows it
///
/// With --json, the whole table is printed, with cases, tests and differences.
#[derive(Debug, Args)]
pub struct CapabilitiesArgs {}

#[derive(Deserialize)]
struct Capabilities {
    behaviours: Vec<Behaviour>,
    differences: Vec<Difference>,
}

#[derive(Deserialize)]
struct Behaviour {
    member: String,
    behaviour: String,
    state: String,
    differences: Vec<String>,
}

#[derive(Deserialize)]
struct Difference {
    id: String,
    title: String,
}

impl CapabilitiesArgs {
    pub fn run(&self, screen: &Screen) -> Result<ExitCode, CliError> {
        if screen.is_json {
            screen.print(TABLE)?;
        } else {
            screen.print(&shown(screen)?)?;
        }
        Ok(ExitCode::Ok)
    }
}

fn shown(screen: &Screen) -> Result<String, CliError> {
    let Capabilities { behaviours, differences } = serde_json::from_str(TABLE).map_err(anyhow::Error::from)?;
    let rows = behaviours.into_iter().map(|one| {
        let tone = if one.state.starts_with("works") { Tone::Good } else { Tone::Dim };
        let text = |text: String| Cell(text, Tone::Plain);
        vec![text(one.member), text(one.behaviour), Cell(one.state, tone), text(one.differences.join(" "))]
    });
    let rows = rows.collect();
    let table = Table { headings: &["MEMBER", "BEHAVIOUR", "STATE", "DIFFERENCES"], shrinking: &[1], rows };
    let told = differences.iter().map(|one| format!("{}  {}\n", one.id, one.title));
    Ok(format!("{}\n{}", table.render(screen), told.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read_and_names_what_works() {
        let shown = shown(&Screen::plain(None, jiff::Timestamp::UNIX_EPOCH)).expect("a table");
        assert!(shown.contains("step.do"), "{shown}");
        assert!(shown.contains("SW-001"), "{shown}");
    }
}

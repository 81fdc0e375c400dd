//! How fast a page of a very long list of instances is answered: by status and without, at its beginning and deep in it.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::client::Client;
use super::figure::{Figure, Goal, median};
use super::server::{Server, Setup};
use crate::project;

const WORKFLOW: &str = "sleeper";
const INSTANCES: usize = 1_000_000;
const PER_PAGE: usize = 50;
const ROUNDS: usize = 201;
const GOAL_MS: f64 = 5.0;
/// When the middle one was created: the program below creates them a second apart, from the beginning of 2026.
const MIDDLE: &str = "2026-01-06T18:53:20Z";
/// The program that fills a data directory.
const FILL: [&str; 7] =
    ["run", "--quiet", "--release", "--package=stepwell-store", "--example", "fill_instances", "--"];
/// What is asked for, in words and in the query.
const LISTS: [(&str, &str); 2] = [("of a status", "&status=complete"), ("of all", "")];

/// Milliseconds until a page of `PER_PAGE` of `INSTANCES` instances is answered, the medians of `ROUNDS`.
///
/// # Errors
/// The server does not do what it should.
pub async fn lists(setup: &Setup) -> Result<Vec<Figure>> {
    let (data, _) = Server::start(setup).await?.stop().await?;
    eprintln!("making {INSTANCES} instances");
    let fill = project::cargo().args(FILL).arg(data.path()).args([WORKFLOW, &INSTANCES.to_string()]).status()?;
    ensure!(fill.success(), "fill_instances ended with {fill}");
    let server = Server::start_on(setup, data).await?;
    let mut client = server.client().await?;
    let mut figures = Vec::new();
    for (words, filter) in LISTS {
        let first = format!("per_page={PER_PAGE}{filter}");
        let deep = format!("{first}&cursor={}", cursor_of_the_middle(&mut client, &first).await?);
        for (place, query) in [("first page", first), ("from its middle on", deep)] {
            let name = format!("a page of {PER_PAGE} {words} of {INSTANCES} instances, {place}");
            figures.push(Figure::new(name, page_ms(&mut client, &query).await?, "ms", Goal::AtMost(GOAL_MS)));
        }
    }
    Ok(figures)
}

/// The server's own cursor behind the first page that begins in the middle.
async fn cursor_of_the_middle(client: &mut Client, query: &str) -> Result<String> {
    let page = client.list(WORKFLOW, &format!("{query}&date_end={MIDDLE}")).await?;
    Ok(page["result_info"]["cursor"].as_str().context("nothing follows the middle")?.to_owned())
}

async fn page_ms(client: &mut Client, query: &str) -> Result<f64> {
    let mut took_ms = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let page = client.list(WORKFLOW, query).await?;
        took_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        ensure!(page["result"].as_array().map(Vec::len) == Some(PER_PAGE), "{query}: no whole page: {page}");
        let total = page["result_info"]["total_count"].as_u64();
        ensure!(total > Some(INSTANCES as u64 / 2), "{query}: {total:?} instances in all");
        ensure!(query.contains("cursor") == is_old(&page), "{query}: the page is from elsewhere: {page}");
    }
    Ok(median(took_ms))
}

/// Whether a page begins in the older half of the list.
fn is_old(page: &Value) -> bool {
    page["result"][0]["created_on"].as_str().is_some_and(|at| at < MIDDLE)
}

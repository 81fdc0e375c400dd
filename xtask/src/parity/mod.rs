//! `cargo xtask parity`: the same Workers on Miniflare and on Stepwell, what is observed compared field by field, and
//! `docs/COMPATIBILITY.md` written from what that shows. `tests/parity/README.md` tells how a case is added.

mod case;
mod compare;
mod differences;
mod document;
mod host;
mod kills;
mod miniflare;
mod play;
mod projects;
mod stepwell;
mod table;

use std::collections::HashSet;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::Value as Json;
use tokio::sync::Semaphore;

use self::case::{Case, Worker};
use self::compare::deviations;
use self::differences::Differences;
use self::host::Host;
use self::kills::Kills;
use self::miniflare::Miniflare;
use self::play::Play;
use self::stepwell::{Setup, Stepwell};
use self::table::Table;
use crate::tools::Tools;
use crate::{project, tools};

/// Where the suite is.
const DIRECTORY: &str = "tests/parity";
/// Its Workers, a directory each.
const WORKERS: &str = "tests/parity/workers";
const DIFFERENCES: &str = "tests/parity/differences.toml";
/// Cases at once on one host: most of them wait most of the time.
const CASES_AT_ONCE: usize = 24;

/// What to run and to write.
#[derive(Args, Default)]
pub struct Options {
    /// Only the cases whose names contain this.
    #[arg(value_name = "NAME")]
    filter: Option<String>,
    /// Print what was observed.
    #[arg(long)]
    show: bool,
    /// Only write the table.
    #[arg(long)]
    table: bool,
}

/// Runs the suite and writes the table.
///
/// # Errors
/// A deviation that is not intended, an intended one that did not occur, a host that fails, or a table that claims what nothing shows.
pub fn run(options: &Options) -> Result<()> {
    let suite = Suite::load()?;
    let mut differences = Differences::load(&project::root().join(DIFFERENCES))?;
    let all = suite.cases();
    if !options.table {
        suite.compare(&tools::install()?, options, &mut differences)?;
    }
    let table = Table::load(&project::root().join(DIRECTORY), &all, &differences, &suite.kills)?;
    refuse(&table.faults())?;
    document::write(&table)
}

/// Runs the whole suite and sees whether the table in the repository is what it shows.
///
/// # Errors
/// As [`run`], or the table is not current.
pub fn check(tools: &Tools) -> Result<()> {
    let suite = Suite::load()?;
    let mut differences = Differences::load(&project::root().join(DIFFERENCES))?;
    let all = suite.cases();
    let table = Table::load(&project::root().join(DIRECTORY), &all, &differences, &suite.kills)?;
    refuse(&table.faults())?;
    document::check(&table)?;
    suite.compare(tools, &Options::default(), &mut differences)
}

fn refuse(faults: &[String]) -> Result<()> {
    ensure!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    Ok(())
}

struct Suite {
    workers: Vec<Worker>,
    kills: Kills,
}

impl Suite {
    fn load() -> Result<Self> {
        let workers = case::load(&project::root().join(WORKERS))?;
        let names = workers.iter().flat_map(|worker| &worker.cases).map(|case| case.name.as_str()).collect();
        let kills = Kills::load(&names)?;
        Ok(Self { workers, kills })
    }

    fn cases(&self) -> Vec<&Case> {
        self.workers.iter().flat_map(|worker| &worker.cases).collect()
    }

    /// Runs the cases that are wanted on both hosts.
    fn compare(&self, tools: &Tools, options: &Options, differences: &mut Differences) -> Result<()> {
        let names: HashSet<&str> = self.cases().into_iter().map(|case| case.name.as_str()).collect();
        let mut faults = differences.unknown_cases(&names);
        let is_wanted = |case: &&Case| options.filter.as_ref().is_none_or(|part| case.name.contains(part.as_str()));
        let cases: Vec<&Case> = self.cases().into_iter().filter(is_wanted).collect();
        ensure!(!cases.is_empty(), "there is no such case");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let directory = project::root().join(WORKERS);
        let setup = Setup { stepwell: tools::build()?, tools, workers: &self.workers, directory: &directory };
        faults.extend(runtime.block_on(compare_hosts(&setup, &self.kills, &cases, differences, options.show))?);
        if options.filter.is_none() {
            let unseen = differences.unseen().into_iter();
            faults.extend(unseen.map(|place| format!("an intended difference did not occur: {place}")));
        }
        refuse(&faults)
    }
}

/// What one host did in each case.
type Observed = Vec<Result<Json>>;

async fn compare_hosts(
    setup: &Setup<'_>,
    kills: &Kills,
    cases: &[&Case],
    differences: &mut Differences,
    show: bool,
) -> Result<Vec<String>> {
    let begun = Instant::now();
    let (miniflare, plain) = tokio::try_join!(on_miniflare(setup, cases), on_stepwell(setup, cases))?;
    println!("{} cases on Miniflare and Stepwell in {:.1} s", cases.len(), begun.elapsed().as_secs_f64());
    let mut faults = Vec::new();
    for ((case, miniflare), plain) in cases.iter().zip(&miniflare).zip(&plain) {
        if show {
            println!("{}\n  Miniflare {}\n  Stepwell  {}", case.name, told(miniflare), told(plain));
        }
        faults.extend(faults_of(case, miniflare, plain, |deviation| differences.covers(&case.name, deviation)));
    }
    faults.extend(replayed(setup, cases, &plain).await?);
    faults.extend(killed(setup, kills, cases, &plain, differences).await?);
    Ok(faults)
}

async fn on_miniflare(setup: &Setup<'_>, cases: &[&Case]) -> Result<Observed> {
    let miniflare = Miniflare::start(setup.tools.esbuild(), setup.workers).await?;
    let observed = play_all(&miniflare.host, cases).await;
    miniflare.stop().await?;
    Ok(observed)
}

async fn on_stepwell(setup: &Setup<'_>, cases: &[&Case]) -> Result<Observed> {
    let stepwell = Stepwell::start(setup, "Stepwell", &[]).await?;
    let observed = play_all(&stepwell.host, cases).await;
    stepwell.stop(&observed).await?;
    Ok(observed)
}

/// Every run dropped and replayed after each step: nothing may be seen of it.
async fn replayed(setup: &Setup<'_>, cases: &[&Case], plain: &Observed) -> Result<Vec<String>> {
    if !stepwell::dev_knows(setup, "--chaos")? {
        return Ok(Vec::new());
    }
    let begun = Instant::now();
    let (cases, plain): (Vec<_>, Vec<_>) = cases.iter().copied().zip(plain).filter(|(case, _)| case.replays).unzip();
    if cases.is_empty() {
        return Ok(Vec::new());
    }
    let stepwell = Stepwell::start(setup, "Stepwell with replays", &["--chaos", "replay"]).await?;
    let observed = play_all(&stepwell.host, &cases).await;
    stepwell.stop(&observed).await?;
    println!("{} cases with a replay after every step in {:.1} s", cases.len(), begun.elapsed().as_secs_f64());
    Ok(same_as_plain("replayed", &cases, &plain, &observed, |_, _| false))
}

/// The server killed in the middle: nothing may be seen of it but what is intended.
async fn killed(
    setup: &Setup<'_>,
    kills: &Kills,
    cases: &[&Case],
    plain: &Observed,
    differences: &mut Differences,
) -> Result<Vec<String>> {
    let begun = Instant::now();
    let wanted = cases.iter().copied().zip(plain).filter(|(case, _)| kills.kill(case));
    let (wanted, plain): (Vec<_>, Vec<_>) = wanted.unzip();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let observed = kills::play(setup, &wanted).await?;
    let (count, rest) = (wanted.len(), cases.len() - wanted.len());
    println!(
        "{count} cases with the server killed in their middle, {rest} have none, in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(same_as_plain("killed", &wanted, &plain, &observed, |case, deviation| differences.covers_kill(case, deviation)))
}

async fn play_all(host: &Host, cases: &[&Case]) -> Observed {
    let places = Semaphore::new(CASES_AT_ONCE);
    let plays = cases.iter().map(async |case| {
        let _place = places.acquire().await?;
        Play::new(host, case).finish().await.with_context(|| format!("on {}", host.name()))
    });
    futures_util::future::join_all(plays).await
}

fn same_as_plain(
    how: &str,
    cases: &[&Case],
    plain: &[&Result<Json>],
    observed: &Observed,
    mut is_intended: impl FnMut(&str, &compare::Deviation) -> bool,
) -> Vec<String> {
    let mut faults = Vec::new();
    for ((case, plain), observed) in cases.iter().zip(plain).zip(observed) {
        let found = faults_of(case, plain, observed, |deviation| is_intended(&case.name, deviation));
        faults.extend(found.into_iter().map(|fault| format!("{how}: {fault}")));
    }
    faults
}

fn faults_of(
    case: &Case,
    expected: &Result<Json>,
    found: &Result<Json>,
    mut is_intended: impl FnMut(&compare::Deviation) -> bool,
) -> Vec<String> {
    let (expected, found) = match (expected, found) {
        (Ok(expected), Ok(found)) => (expected, found),
        (expected, found) => {
            let errors = [expected, found].into_iter().filter_map(|one| one.as_ref().err());
            return errors.map(|error| format!("{}: {error:#}", case.name)).collect();
        }
    };
    let all = deviations(expected, found).into_iter().filter(|deviation| !is_intended(deviation));
    let shown = |value: &Option<Json>| value.as_ref().map_or_else(|| "nothing".to_owned(), Json::to_string);
    all.map(|one| {
        format!("{}: {}: expected {}, found {}", case.name, one.field, shown(&one.expected), shown(&one.found))
    })
    .collect()
}

fn told(observed: &Result<Json>) -> String {
    observed.as_ref().map_or_else(|error| format!("{error:#}"), Json::to_string)
}

//! The server killed in the middle of every case at once: nothing may be seen of it, what the instances noted included.
//!
//! Most instances take milliseconds, so the middle is made: until the kill the Workers run with
//! `tests/parity/workers/held.js`, which keeps from their code what its first calls give. A case whose script says `crash`
//! is not held, but goes on until there. `tests/parity/unkilled.toml` names the cases that have no middle, with the reason.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::future::{join_all, try_join_all};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use tokio::sync::Semaphore;

use super::case::{Case, Op, Worker};
use super::play::{Half, Play};
use super::projects::Projects;
use super::stepwell::{Setup, Stepwell};
use super::{CASES_AT_ONCE, Observed};
use crate::project;

const FILE: &str = "tests/parity/unkilled.toml";
/// How long all instances may take to come to where they stand still.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nothing is noted and no call ends for so long: what has begun has come to its end, or waits.
const STILL: Duration = Duration::from_millis(700);
/// How often is looked.
const POLL: Duration = Duration::from_millis(100);

/// Cases that are not killed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unkilled {
    /// Why.
    pub why: String,
    /// Which.
    pub cases: Vec<String>,
}

/// Cases that are killed in their middle, and those that are not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kills {
    unkilled: Vec<Unkilled>,
}

impl Kills {
    /// Reads which cases are not killed.
    ///
    /// # Errors
    /// The file cannot be read, names a case that does not exist or one twice, or gives no reason.
    pub fn load(names: &HashSet<&str>) -> Result<Self> {
        let text = fs::read_to_string(project::root().join(FILE)).context(FILE)?;
        Self::parse(&text, names).context(FILE)
    }

    fn parse(text: &str, names: &HashSet<&str>) -> Result<Self> {
        let kills: Self = toml::from_str(text)?;
        let mut seen = HashSet::new();
        for one in &kills.unkilled {
            ensure!(!one.why.trim().is_empty(), "{:?} are not killed, and nothing says why", one.cases);
            for case in &one.cases {
                ensure!(names.contains(case.as_str()), "there is no case {case:?}");
                ensure!(seen.insert(case), "{case:?} is named twice");
            }
        }
        Ok(kills)
    }

    /// Whether a case is killed in its middle.
    pub fn kill(&self, case: &Case) -> bool {
        !self.unkilled.iter().any(|one| one.cases.contains(&case.name))
    }

    /// What is wrong with a case: it is killed and has no middle, as its script creates nothing and does not say `crash`;
    /// or says it, and is not killed.
    pub fn fault(&self, case: &Case) -> Option<String> {
        let name = &case.name;
        match (self.kill(case), middle(case).is_some(), says_crash(case)) {
            (true, false, _) => Some(format!(
                "{name}: nothing says where the server is to be killed: let its script say `crash`, or {FILE} why it has no middle"
            )),
            (false, _, true) => Some(format!("{name}: its script says `crash`, and {FILE} that it has no middle")),
            _ => None,
        }
    }

    /// Why which cases are not killed, in the order of the file.
    pub fn unkilled(&self) -> &[Unkilled] {
        &self.unkilled
    }
}

fn says_crash(case: &Case) -> bool {
    case.script.contains(&Op::Crash)
}

/// How many things of a script are done before the kill.
fn middle(case: &Case) -> Option<usize> {
    let place = |wanted: &dyn Fn(&Op) -> bool| case.script.iter().position(wanted).map(|place| place + 1);
    place(&|op| *op == Op::Crash).or_else(|| place(&|op| op.creates()))
}

/// Plays cases with a kill in their middle.
///
/// # Errors
/// The server does not start, or an instance does not come to its middle.
pub async fn play(setup: &Setup<'_>, cases: &[&Case]) -> Result<Observed> {
    let projects = Projects::copy(setup.workers)?;
    let unheld: Vec<&str> = cases.iter().filter(|case| says_crash(case)).map(|case| case.name.as_str()).collect();
    projects.hold(&unheld)?;
    let setup = Setup { directory: projects.path(), stepwell: setup.stepwell.clone(), ..*setup };
    let mut stepwell = Stepwell::start(&setup, "Stepwell, killed", &[]).await?;
    let host = &stepwell.host;
    let halves =
        try_join_all(cases.iter().map(|case| Play::half(host, case, middle(case).unwrap_or_default()))).await?;
    let held: Vec<&Case> = cases.iter().copied().filter(|case| !says_crash(case)).collect();
    stand_still(&stepwell, setup.workers, &held).await?;
    let mut journals = Map::new();
    for worker in setup.workers {
        if let Json::Object(own) = stepwell.host.look(&worker.name, "/journals").await? {
            journals.extend(own);
        }
    }
    stepwell.kill().await?;
    projects.release(&journals.into())?;
    stepwell.start_again(&setup, &[]).await?;
    let observed = finish(&stepwell, cases, halves).await;
    stepwell.stop(&observed).await?;
    Ok(observed)
}

/// Waits until every held instance has begun and nothing moves any more.
async fn stand_still(stepwell: &Stepwell, workers: &[Worker], held: &[&Case]) -> Result<()> {
    let (begun, mut last, mut since) = (Instant::now(), Json::Null, Instant::now());
    loop {
        let looks = workers.iter().map(async |worker| {
            let calls = stepwell.host.look(&worker.name, "/held").await?;
            Ok::<_, anyhow::Error>(
                json!({ "calls": calls, "journals": stepwell.host.look(&worker.name, "/journals").await? }),
            )
        });
        let seen = Json::from(try_join_all(looks).await?);
        let missing: Vec<&str> =
            held.iter().filter(|case| !has_begun(&seen, case)).map(|case| case.name.as_str()).collect();
        if seen != last {
            (last, since) = (seen, Instant::now());
        } else if missing.is_empty() && since.elapsed() > STILL {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            let seconds = PATIENCE.as_secs();
            bail!("after {seconds} s these have not begun, or some still move: {missing:?}");
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Whether an instance of a case runs: its end would be withheld as well.
fn has_begun(seen: &Json, case: &Case) -> bool {
    let ids = seen.as_array().into_iter().flatten().filter_map(|worker| worker["calls"].as_object());
    ids.flat_map(|calls| calls.keys()).any(|id| *id == case.name || id.starts_with(&format!("{}-", case.name)))
}

async fn finish(stepwell: &Stepwell, cases: &[&Case], halves: Vec<Half>) -> Observed {
    let places = Semaphore::new(CASES_AT_ONCE);
    let rest = cases.iter().zip(halves).map(async |(case, half)| {
        let _place = places.acquire().await?;
        Play::resume(&stepwell.host, case, half).finish().await.context("after the kill")
    });
    join_all(rest).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parity::case::Journal;

    #[test]
    fn a_case_that_is_not_killed_has_its_reason() {
        let names = HashSet::from(["a", "b"]);
        let parse = |text: &str| Kills::parse(text, &names).map(|kills| kills.unkilled.len());
        assert_eq!(parse("[[unkilled]]\nwhy = 'it is over'\ncases = ['a', 'b']").unwrap(), 1);
        for (text, said) in [
            ("[[unkilled]]\nwhy = ' '\ncases = ['a']", "nothing says why"),
            ("[[unkilled]]\ncases = ['a']", "missing field `why`"),
            ("[[unkilled]]\nwhy = 'x'\ncases = ['c']", "no case \"c\""),
            ("[[unkilled]]\nwhy = 'x'\ncases = ['a', 'a']", "named twice"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
    }

    #[test]
    fn a_case_without_a_middle_is_not_passed_over() {
        let case = |script: Vec<Op>| Case {
            name: "a".into(),
            worker: "w".into(),
            proves: Vec::new(),
            is_failure: false,
            script,
            journal: Journal::None,
            replays: true,
        };
        let fault = |kills: &Kills, script| kills.fault(&case(script)).unwrap_or_default();
        let kills = Kills { unkilled: Vec::new() };
        let create = Op::Call { label: "create".into(), request: json!({ "method": "create", "args": [] }) };
        assert_eq!(fault(&kills, vec![create.clone()]), "");
        assert_eq!(fault(&kills, vec![Op::Crash]), "");
        assert!(fault(&kills, vec![Op::Quiet { ms: 1 }]).contains("nothing says where"));
        let kills = Kills { unkilled: vec![Unkilled { why: "it is over".into(), cases: vec!["a".into()] }] };
        assert_eq!(fault(&kills, vec![create]), "");
        assert!(fault(&kills, vec![Op::Crash]).contains("says `crash`"));
    }
}

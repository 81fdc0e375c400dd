//! What a case is: a workflow of one of the suite's Workers, what is done to it from outside, and what that proves. Cases are
//! written in `tests/parity/workers/<worker>/cases.toml` and are the same for every host; nothing here knows a host.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value as Json, json};

/// Longest id of an instance; a case's name is the id of its first one, and others add to it.
const NAME_LENGTH_MAX: usize = 90;
/// Stands for the case's name in ids and arguments.
const ID: &str = "$id";

/// A Worker of the suite with its cases.
pub struct Worker {
    /// Its name, and that of its directory.
    pub name: String,
    /// Its cases, in the order of the file.
    pub cases: Vec<Case>,
}

/// A case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Stable, unique in the suite; the id of its instance.
    pub name: String,
    /// The Worker it belongs to.
    pub worker: String,
    /// Behaviours it shows, by id.
    pub proves: Vec<String>,
    /// Whether something goes wrong in it, as it should.
    pub is_failure: bool,
    /// What is done.
    pub script: Vec<Op>,
    /// How what the instance noted is compared.
    pub journal: Journal,
    /// Whether it is run with a forced replay after every step, too.
    pub replays: bool,
}

/// How journals are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Journal {
    /// Entry by entry.
    #[default]
    Ordered,
    /// Without regard to the order.
    Set,
    /// Not at all.
    None,
}

/// One thing that is done from outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Something the Worker is asked for; its answer is an observation.
    Call {
        /// Name of the observation.
        label: String,
        /// What the Worker's `fetch` handler gets.
        request: Json,
    },
    /// Waits for one of these statuses.
    Until {
        /// The binding.
        workflow: String,
        /// The instance.
        id: String,
        /// Any of these.
        statuses: Vec<String>,
    },
    /// Waits until an instance has noted something this often.
    Marked {
        /// The instance.
        id: String,
        /// What it notes.
        mark: String,
        /// How often.
        times: usize,
    },
    /// Lets time pass, to see that nothing happens in it.
    Quiet {
        /// How long.
        ms: u64,
    },
    /// The server is killed and started again here, where a run is about that; nothing otherwise.
    Crash,
}

/// Reads all Workers of the suite, in the order of their names.
///
/// # Errors
/// A file cannot be read, says something unknown, or two cases have one name.
pub fn load(directory: &Path) -> Result<Vec<Worker>> {
    let entries = fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
    let mut paths: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.is_dir());
    paths.sort();
    let workers = paths.iter().map(|path| load_worker(path)).collect::<Result<Vec<_>>>()?;
    let mut names = HashSet::new();
    for case in workers.iter().flat_map(|worker| &worker.cases) {
        ensure!(names.insert(case.name.clone()), "two cases are called {:?}", case.name);
    }
    Ok(workers)
}

fn load_worker(directory: &Path) -> Result<Worker> {
    let name = directory.file_name().and_then(|name| name.to_str()).context("a Worker's directory has no name")?;
    let path = directory.join("cases.toml");
    if !path.is_file() {
        return Ok(Worker { name: name.to_owned(), cases: Vec::new() });
    }
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let file: CaseFile = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let cases = file.case.into_iter().map(|case| case.parse(name)).collect::<Result<_>>();
    Ok(Worker { name: name.to_owned(), cases: cases.with_context(|| path.display().to_string())? })
}

#[derive(Deserialize)]
struct CaseFile {
    case: Vec<CaseText>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct CaseText {
    name: String,
    workflow: String,
    proves: Vec<String>,
    #[serde(default)]
    failure: bool,
    #[serde(default)]
    params: Option<Json>,
    #[serde(default, rename = "do")]
    script: Option<Vec<OpText>>,
    #[serde(default)]
    journal: Journal,
    #[serde(default = "yes")]
    replay: bool,
}

fn yes() -> bool {
    true
}

impl CaseText {
    fn parse(self, worker: &str) -> Result<Case> {
        let name = self.name.clone();
        self.parse_named(worker).with_context(|| format!("case {name:?}"))
    }

    fn parse_named(mut self, worker: &str) -> Result<Case> {
        let is_plain = self.name.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-');
        ensure!(is_plain && self.name.len() <= NAME_LENGTH_MAX, "a name is lower-case words joined by hyphens");
        ensure!(!self.proves.is_empty(), "it proves nothing");
        let texts =
            self.script.take().unwrap_or_else(|| vec![OpText::Word("create".into()), OpText::Word("end".into())]);
        let mut script = Vec::new();
        for text in texts {
            script.extend(self.op(text)?);
        }
        let labels: Vec<&String> = script.iter().filter_map(Op::label).collect();
        let distinct: HashSet<_> = labels.iter().collect();
        ensure!(labels.len() == distinct.len(), "two observations have one name: use `as`");
        Ok(Case {
            name: self.name,
            worker: worker.to_owned(),
            proves: self.proves,
            is_failure: self.failure,
            script,
            journal: self.journal,
            replays: self.replay,
        })
    }

    fn op(&self, text: OpText) -> Result<Vec<Op>> {
        match text {
            OpText::Word(word) => self.word(&word),
            OpText::Table(table) => self.table(table),
        }
    }

    fn word(&self, word: &str) -> Result<Vec<Op>> {
        let on = |method: &str| self.request(Some(ID), method, &[]);
        Ok(match word {
            "create" => vec![self.create()],
            "end" => self.end(ID, "status"),
            "replay" => vec![
                Op::Call { label: "pause for a replay".into(), request: on("pause") },
                self.until(ID, &["paused"]),
                Op::Call { label: "resume for a replay".into(), request: on("resume") },
            ],
            "crash" => vec![Op::Crash],
            _ => bail!("{word:?} is nothing that can be done"),
        })
    }

    fn table(&self, table: OpTable) -> Result<Vec<Op>> {
        if let Some(workflow) = &table.workflow {
            let other = Self { workflow: workflow.clone(), name: self.name.clone(), ..Self::default() };
            return other.table(OpTable { workflow: None, ..table });
        }
        let id = table.id.as_deref().unwrap_or(ID);
        let label = |usual: &str| table.label.clone().unwrap_or_else(|| usual.to_owned());
        let args = table.args.as_slice();
        Ok(match table.kind {
            OpKind::Create(Created {}) => vec![self.create()],
            OpKind::Call(method) => {
                vec![Op::Call { label: label(&method), request: self.request(None, &method, args) }]
            }
            OpKind::On(method) => {
                vec![Op::Call { label: label(&method), request: self.request(Some(id), &method, args) }]
            }
            OpKind::Probe(name) => vec![Op::Call {
                label: label(&name),
                request: self.placed(json!({ "probe": name, "id": ID, "args": args })),
            }],
            OpKind::Until(status) => vec![self.until(id, &[&status])],
            OpKind::Mark(mark) => vec![Op::Marked { id: self.id(id), mark, times: table.times.unwrap_or(1) }],
            OpKind::Quiet(ms) => vec![Op::Quiet { ms }],
            OpKind::End(label) => self.end(id, &label),
        })
    }

    fn create(&self) -> Op {
        let mut options = json!({ "id": ID });
        if let Some(params) = &self.params {
            options["params"] = params.clone();
        }
        Op::Call { label: "create".into(), request: self.request(None, "create", &[options]) }
    }

    fn end(&self, id: &str, label: &str) -> Vec<Op> {
        let looked = Op::Call { label: label.to_owned(), request: self.request(Some(id), "status", &[]) };
        vec![self.until(id, &["complete", "errored", "terminated"]), looked]
    }

    fn until(&self, id: &str, statuses: &[&str]) -> Op {
        let statuses = statuses.iter().map(|status| (*status).to_owned()).collect();
        Op::Until { workflow: self.workflow.clone(), id: self.id(id), statuses }
    }

    fn request(&self, id: Option<&str>, method: &str, args: &[Json]) -> Json {
        let mut request = json!({ "workflow": self.workflow, "method": method, "args": args });
        if let Some(id) = id {
            request["id"] = id.into();
        }
        self.placed(request)
    }

    fn id(&self, id: &str) -> String {
        id.strip_prefix(ID).map_or_else(|| id.to_owned(), |rest| format!("{}{rest}", self.name))
    }

    /// With the case's name wherever a text begins with its stand-in.
    fn placed(&self, value: Json) -> Json {
        match value {
            Json::String(text) => self.id(&text).into(),
            Json::Array(members) => members.into_iter().map(|member| self.placed(member)).collect(),
            Json::Object(members) => members
                .into_iter()
                .map(|(key, member)| (key, self.placed(member)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            other => other,
        }
    }
}

impl Op {
    /// Whether it creates instances.
    pub fn creates(&self) -> bool {
        let Self::Call { request, .. } = self else { return false };
        request["id"].is_null() && (request["method"] == "create" || request["method"] == "createBatch")
    }

    fn label(&self) -> Option<&String> {
        match self {
            Self::Call { label, .. } => Some(label),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OpText {
    Word(String),
    Table(OpTable),
}

#[derive(Deserialize)]
struct OpTable {
    #[serde(flatten)]
    kind: OpKind,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    args: Vec<Json>,
    #[serde(default, rename = "as")]
    label: Option<String>,
    #[serde(default)]
    times: Option<usize>,
    #[serde(default)]
    workflow: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum OpKind {
    Create(Created),
    Call(String),
    On(String),
    Probe(String),
    Until(String),
    Mark(String),
    #[serde(rename = "quiet_ms")]
    Quiet(u64),
    End(String),
}

/// `{ create = {} }`, the word as a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Created {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Case> {
        let file: CaseFile = toml::from_str(text)?;
        file.case.into_iter().next().context("a case")?.parse("w")
    }

    #[test]
    fn a_case_is_created_and_waited_for_unless_it_says_otherwise() {
        let case = parse("[[case]]\nname = 'a-b'\nworkflow = 'W'\nproves = ['x']\nparams = { id = '$id-2' }").unwrap();
        let request =
            json!({ "workflow": "W", "method": "create", "args": [{ "id": "a-b", "params": { "id": "a-b-2" } }] });
        assert_eq!(case.script[0], Op::Call { label: "create".into(), request });
        assert!(matches!(&case.script[1], Op::Until { id, .. } if id == "a-b"), "{:?}", case.script);
        assert_eq!(case.script.len(), 3);
    }

    #[test]
    fn mistakes_in_a_case_are_refused() {
        for (wrong, said) in [
            ("name = 'A'\nproves = ['x']", "lower-case"),
            ("name = 'a'\nproves = []", "proves nothing"),
            ("name = 'a'\nproves = ['x']\ndo = ['dance']", "dance"),
            ("name = 'a'\nproves = ['x']\ndo = ['create', 'create']", "one name"),
            ("name = 'a'\nproves = ['x']\nfails = true", "fails"),
        ] {
            let error = parse(&format!("[[case]]\nworkflow = 'W'\n{wrong}")).unwrap_err();
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
    }
}

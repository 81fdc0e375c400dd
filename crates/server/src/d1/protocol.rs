//! The JSON that workerd's D1 client and the server exchange. Shapes are those of Miniflare 5, because the
//! client that reads them is the same.

use schemars::JsonSchema;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};

use super::database::{Meta, Outcome, Statement};
use super::error::D1Error;
use super::value::Value;

/// How rows are laid out in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultsFormat {
    /// `{"columns": […], "rows": [[…], …]}`; repeated column names survive.
    RowsAndColumns,
    /// `[{"column": cell, …}, …]`; of repeated names the last wins. `NONE` means this too.
    ArrayOfObjects,
}

impl ResultsFormat {
    /// Reads `resultsFormat` from a URL's query.
    pub fn from_query(query: Option<&str>) -> Self {
        let wanted = query.unwrap_or_default().split('&').any(|pair| pair == "resultsFormat=ROWS_AND_COLUMNS");
        if wanted { Self::RowsAndColumns } else { Self::ArrayOfObjects }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Batch(Vec<Query>),
    Single(Query),
}

#[derive(Deserialize)]
struct Query {
    sql: String,
    params: Option<Vec<serde_json::Value>>,
}

/// Reads a request: one `{"sql", "params"}` or an array of them.
///
/// # Errors
/// Another shape, or a parameter that SQLite cannot hold.
pub fn read_statements(body: &[u8]) -> Result<Vec<Statement>, D1Error> {
    let body: Body = serde_json::from_slice(body).map_err(|error| {
        D1Error::Request(format!("the request is not {{\"sql\", \"params\"}} or an array of it: {error}"))
    })?;
    let queries = match body {
        Body::Batch(queries) => queries,
        Body::Single(query) => vec![query],
    };
    queries.into_iter().map(read_statement).collect()
}

fn read_statement(query: Query) -> Result<Statement, D1Error> {
    Ok(Statement { sql: query.sql, params: read_params(query.params.unwrap_or_default())?, place: None })
}

/// Reads the values of a statement's placeholders.
///
/// # Errors
/// One that SQLite cannot hold.
pub fn read_params(params: Vec<serde_json::Value>) -> Result<Vec<Value>, D1Error> {
    params.into_iter().map(Value::from_json).collect()
}

/// Writes the answer to a call that went well: always an array, one element per statement.
pub fn write_outcomes(outcomes: &[Outcome], format: ResultsFormat) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Answers { outcomes, format })
}

/// Outcomes as clients read them: one object for each.
pub struct Answers<'a> {
    /// What is told.
    pub outcomes: &'a [Outcome],
    /// How their rows are laid out.
    pub format: ResultsFormat,
}

impl Serialize for Answers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.outcomes.iter().map(|outcome| Answer {
            success: true,
            results: Results { outcome, format: self.format },
            meta: MetaJson::new(&outcome.meta),
        }))
    }
}

/// Writes the answer to a call that failed.
pub fn write_error(error: &D1Error) -> Vec<u8> {
    serde_json::json!({ "success": false, "error": error.to_string() }).to_string().into_bytes()
}

#[derive(Serialize)]
struct Answer<'a> {
    success: bool,
    results: Results<'a>,
    meta: MetaJson,
}

/// What statements cost and changed, as clients read it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "D1Meta")]
pub struct MetaJson {
    served_by: &'static str,
    served_by_primary: bool,
    total_attempts: u32,
    timings: Timings,
    duration: f64,
    changes: u64,
    last_row_id: i64,
    changed_db: bool,
    size_after: u64,
    rows_read: u64,
    rows_written: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "D1Timings")]
struct Timings {
    sql_duration_ms: f64,
}

impl MetaJson {
    /// Of one statement, or of several together.
    #[must_use]
    pub fn new(meta: &Meta) -> Self {
        let duration_ms = meta.duration.as_secs_f64() * 1_000.0;
        Self {
            served_by: "stepwell",
            served_by_primary: true,
            total_attempts: 1,
            timings: Timings { sql_duration_ms: duration_ms },
            duration: duration_ms,
            changes: meta.changes,
            last_row_id: meta.last_row_id,
            changed_db: meta.changed_db,
            size_after: meta.size_after_bytes,
            rows_read: meta.rows_read,
            rows_written: meta.rows_written,
        }
    }
}

struct Results<'a> {
    outcome: &'a Outcome,
    format: ResultsFormat,
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.format {
            ResultsFormat::RowsAndColumns => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("columns", &self.outcome.columns)?;
                map.serialize_entry("rows", &self.outcome.rows)?;
                map.end()
            }
            ResultsFormat::ArrayOfObjects => {
                let cells = last_of_each(&self.outcome.columns);
                let mut seq = serializer.serialize_seq(Some(self.outcome.rows.len()))?;
                for row in &self.outcome.rows {
                    seq.serialize_element(&Object { cells: &cells, row })?;
                }
                seq.end()
            }
        }
    }
}

struct Object<'a> {
    cells: &'a [(&'a str, usize)],
    row: &'a [Value],
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.cells.iter().map(|(name, index)| (name, &self.row[*index])))
    }
}

/// Each name once, where it first stands, with the cell that a JavaScript object would keep.
fn last_of_each(columns: &[String]) -> Vec<(&str, usize)> {
    let mut cells: Vec<(&str, usize)> = Vec::new();
    for (index, name) in columns.iter().enumerate() {
        match cells.iter_mut().find(|(known, _)| known == name) {
            Some((_, kept)) => *kept = index,
            None => cells.push((name, index)),
        }
    }
    cells
}

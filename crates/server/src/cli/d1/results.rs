//! Results of SQL for people: a table of rows for each statement that has any, and what it cost.

use serde::Deserialize;
use serde_json::Value;

use super::super::screen::{Screen, Tone};
use super::super::table::{Cell, Table};
use super::super::text::counted;

/// What one statement gave, with its rows as arrays: columns keep their order, and may repeat.
#[derive(Deserialize)]
pub struct StatementResult {
    results: Rows,
    meta: Meta,
}

#[derive(Deserialize)]
struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// What statements cost and changed.
#[derive(Deserialize)]
pub struct Meta {
    pub duration: f64,
    pub rows_written: u64,
}

/// All results, one below the other.
pub fn text(results: &[StatementResult], screen: &Screen) -> String {
    results.iter().map(|result| result.text(screen)).collect::<Vec<_>>().join("\n")
}

impl StatementResult {
    fn text(&self, screen: &Screen) -> String {
        let Rows { columns, rows } = &self.results;
        let summary = if columns.is_empty() { cost(&self.meta) } else { counted(rows.len(), "row") };
        let headings: Vec<&str> = columns.iter().map(String::as_str).collect();
        let shrinking: Vec<usize> = (0..headings.len()).collect();
        let cells = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        let table = Table { headings: &headings, shrinking: &shrinking, rows: cells };
        let table = if rows.is_empty() { String::new() } else { table.render(screen) };
        format!("{table}{}\n", screen.paint(Tone::Dim, &summary))
    }
}

/// For a statement that gives no rows.
pub fn cost(meta: &Meta) -> String {
    let written = usize::try_from(meta.rows_written).unwrap_or(usize::MAX);
    format!("{} written in {:.1} ms", counted(written, "row"), meta.duration)
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell("NULL".to_owned(), Tone::Dim),
        Value::String(text) => Cell(text.clone(), Tone::Plain),
        Value::Array(bytes) => Cell(counted(bytes.len(), "byte"), Tone::Dim),
        other => Cell(other.to_string(), Tone::Plain),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_a_table_and_changes_a_line() {
        let meta = json!({ "duration": 0.25, "rows_written": 2, "more": true });
        let results: Vec<StatementResult> = serde_json::from_value(json!([
            { "success": true, "results": { "columns": [], "rows": [] }, "meta": meta },
            {
                "success": true,
                "results": { "columns": ["id", "name", "name"], "rows": [[1, "a\nb", null], [2.5, "c", [0, 255]]] },
                "meta": meta,
            },
            { "success": true, "results": { "columns": ["id"], "rows": [] }, "meta": meta },
        ]))
        .expect("results");
        let screen = Screen::plain(None, jiff::Timestamp::UNIX_EPOCH);
        let expected = "2 rows written in 0.2 ms\n\n\
                        id   name  name\n\
                        1    a b   NULL\n\
                        2.5  c     2 bytes\n\
                        2 rows\n\n\
                        0 rows\n";
        assert_eq!(text(&results, &screen), expected);
    }
}

//! A database written as an SQL script, as D1's export writes it: tables with their rows, then indexes, triggers and
//! views. It reads one moment of the file through a connection of its own, so that calls go on meanwhile.

use std::io::Write;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, params};

use super::error::D1Error;
use super::limits;

/// What is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DumpOptions {
    /// Leave out what creates tables, indexes, triggers and views.
    pub no_schema: bool,
    /// Leave out the rows.
    pub no_data: bool,
    /// Only these tables, with their indexes and triggers; all where empty.
    pub tables: Vec<String>,
}

struct Dump<'a, W> {
    connection: &'a Connection,
    options: &'a DumpOptions,
    out: W,
}

struct Table {
    name: String,
    sql: String,
}

/// Writes a database.
///
/// # Errors
/// The file cannot be read, a named table is not there, a table is virtual, or `out` takes no more.
pub fn dump(path: &Path, options: &DumpOptions, out: impl Write) -> Result<(), D1Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(limits::LOCK_WAIT)?;
    connection.execute_batch("BEGIN")?;
    Dump { connection: &connection, options, out }.write()
}

impl<W: Write> Dump<'_, W> {
    fn write(mut self) -> Result<(), D1Error> {
        let tables = self.tables()?;
        self.line("PRAGMA defer_foreign_keys=TRUE;")?;
        for table in &tables {
            if !self.options.no_schema {
                self.line(&format!("{};", table.sql))?;
            }
            if !self.options.no_data {
                self.rows(&table.name)?;
            }
        }
        if !self.options.no_data {
            self.sequences(&tables)?;
        }
        if !self.options.no_schema {
            self.others(&tables)?;
        }
        self.out.flush().map_err(|error| D1Error::Export(error.to_string()))
    }

    /// The users' tables that are asked for, in the order of their creation.
    fn tables(&self) -> Result<Vec<Table>, D1Error> {
        let mut query = self.connection.prepare(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL
             AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY rowid",
        )?;
        let all = query.query_map([], |row| Ok(Table { name: row.get(0)?, sql: row.get(1)? }))?;
        let all = all.collect::<rusqlite::Result<Vec<_>>>()?;
        for wanted in &self.options.tables {
            if !all.iter().any(|table| table.name.eq_ignore_ascii_case(wanted)) {
                return Err(D1Error::Sql(format!("no such table: {wanted}")));
            }
        }
        let tables: Vec<_> = all.into_iter().filter(|table| self.is_wanted(&table.name)).collect();
        match tables.iter().find(|table| is_virtual(&table.sql)) {
            Some(table) => Err(D1Error::VirtualTable { table: table.name.clone() }),
            None => Ok(tables),
        }
    }

    fn is_wanted(&self, table: &str) -> bool {
        let wanted = &self.options.tables;
        wanted.is_empty() || wanted.iter().any(|name| name.eq_ignore_ascii_case(table))
    }

    fn rows(&mut self, table: &str) -> Result<(), D1Error> {
        let columns = self.stored_columns(table)?.join(",");
        let table = quoted(table);
        let mut query = self.connection.prepare(&format!("SELECT {columns} FROM {table}"))?;
        let count = query.column_count();
        let mut cursor = query.query([])?;
        while let Some(row) = cursor.next()? {
            let mut values = Vec::with_capacity(count);
            for index in 0..count {
                values.push(literal(self.connection, row.get_ref(index)?)?);
            }
            self.line(&format!("INSERT INTO {table} ({columns}) VALUES({});", values.join(",")))?;
        }
        Ok(())
    }

    /// The columns that can be inserted, quoted: those that are not generated.
    fn stored_columns(&self, table: &str) -> Result<Vec<String>, D1Error> {
        let mut query = self.connection.prepare("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0")?;
        let names = query.query_map([table], |row| Ok(quoted(&row.get::<_, String>(0)?)))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }

    /// How far the counters of `AUTOINCREMENT` have come.
    fn sequences(&mut self, tables: &[Table]) -> Result<(), D1Error> {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'";
        if self.connection.query_row(sql, [], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(());
        }
        for table in tables {
            let sql = "SELECT seq FROM sqlite_sequence WHERE name = ?";
            let mut query = self.connection.prepare_cached(sql)?;
            let mut found = query.query_map([&table.name], |row| row.get::<_, i64>(0))?;
            if let Some(sequence) = found.next().transpose()? {
                let name = text_literal(table.name.as_bytes());
                self.line(&format!("DELETE FROM sqlite_sequence WHERE name={name};"))?;
                self.line(&format!("INSERT INTO \"sqlite_sequence\" (\"name\",\"seq\") VALUES({name},{sequence});"))?;
            }
        }
        Ok(())
    }

    /// Indexes and triggers of the tables, and the views where all is asked for.
    fn others(&mut self, tables: &[Table]) -> Result<(), D1Error> {
        let mut query = self.connection.prepare(
            "SELECT type, tbl_name, sql FROM sqlite_schema
             WHERE sql IS NOT NULL AND type IN ('index', 'trigger', 'view') AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'
             ORDER BY CASE type WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid",
        )?;
        let mut cursor = query.query(params![])?;
        while let Some(row) = cursor.next()? {
            let (kind, table, sql): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let is_of_table = tables.iter().any(|known| known.name.eq_ignore_ascii_case(&table));
            if is_of_table || (kind != "index" && self.options.tables.is_empty()) {
                self.line(&format!("{sql};"))?;
            }
        }
        Ok(())
    }

    fn line(&mut self, text: &str) -> Result<(), D1Error> {
        writeln!(self.out, "{text}").map_err(|error| D1Error::Export(error.to_string()))
    }
}

fn is_virtual(sql: &str) -> bool {
    let mut words = sql.split_ascii_whitespace().map(str::to_ascii_uppercase);
    words.next().as_deref() == Some("CREATE") && words.next().as_deref() == Some("VIRTUAL")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value as SQL that gives it back exactly.
fn literal(connection: &Connection, value: ValueRef<'_>) -> Result<String, D1Error> {
    Ok(match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        // Only SQLite knows which digits it reads back as the same number.
        ValueRef::Real(number) => {
            connection.prepare_cached("SELECT quote(?)")?.query_row([number], |row| row.get(0))?
        }
        ValueRef::Text(text) => text_literal(text),
        ValueRef::Blob(bytes) => format!("X'{}'", hexadecimal(bytes)),
    })
}

/// SQLite ends a quoted text at a zero byte, and a script is UTF-8.
fn text_literal(text: &[u8]) -> String {
    match std::str::from_utf8(text) {
        Ok(text) if !text.contains('\0') => format!("'{}'", text.replace('\'', "''")),
        _ => format!("CAST(X'{}' AS TEXT)", hexadecimal(text)),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digits = bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    digits.map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::super::database::{Database, Statement};
    use super::*;

    const SCRIPT: &str = "
        CREATE TABLE authors (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, born REAL);
        CREATE TABLE \"the \"\"books\" (id INTEGER PRIMARY KEY, author REFERENCES authors (id), title TEXT,
            cover BLOB, loud TEXT AS (upper(title)));
        CREATE TABLE log (at INTEGER) STRICT;
        CREATE INDEX by_name ON authors (name);
        CREATE VIEW titles AS SELECT title FROM \"the \"\"books\";
        CREATE TRIGGER logged AFTER INSERT ON authors BEGIN INSERT INTO log VALUES (1); DELETE FROM log; END;
        INSERT INTO authors (name, born) VALUES ('O''Brien', 0.1), (NULL, -1.0e300), ('x' || char(0) || 'y', 3.0);
        INSERT INTO \"the \"\"books\" (author, title, cover) VALUES (1, 'a;b', X'00FF'), (2, 'ü', NULL);
        DELETE FROM authors WHERE id = 3;";

    fn database(directory: &Path, name: &str) -> (Database, std::path::PathBuf) {
        let path = directory.join(name);
        (Database::open(&path).expect("a database"), path)
    }

    fn written(path: &Path, options: &DumpOptions) -> Result<String, D1Error> {
        let mut text = Vec::new();
        dump(path, options, &mut text).map(|()| String::from_utf8(text).expect("UTF-8"))
    }

    #[test]
    fn an_export_makes_the_same_database_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut database_1, path_1) = database(directory.path(), "1");
        let imported = database_1.import(SCRIPT.as_bytes()).expect("an import");
        assert_eq!(imported.statements, 9);
        let export = written(&path_1, &DumpOptions::default()).expect("an export");
        let (mut database_2, path_2) = database(directory.path(), "2");
        database_2.import(export.as_bytes()).expect("an import of the export");
        assert_eq!(written(&path_2, &DumpOptions::default()).expect("an export"), export);
        assert!(export.contains("VALUES(1,'O''Brien',0.1)"), "{export}");
        assert!(export.contains("VALUES('authors',3)"), "{export}");
        assert!(export.contains("(1,1,'a;b',X'00FF');"), "generated columns are left out: {export}");
    }

    #[test]
    fn an_export_of_the_schema_has_no_rows_and_one_of_the_rows_no_schema() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut database, path) = database(directory.path(), "1");
        database.import(SCRIPT.as_bytes()).expect("an import");
        let schema = written(&path, &DumpOptions { no_data: true, ..DumpOptions::default() }).expect("an export");
        assert!(schema.contains("CREATE TRIGGER logged") && !schema.contains("\nINSERT"), "{schema}");
        let rows = written(&path, &DumpOptions { no_schema: true, ..DumpOptions::default() }).expect("an export");
        assert!(rows.contains("\nINSERT") && !rows.contains("CREATE"), "{rows}");
    }

    #[test]
    fn an_export_of_some_tables_brings_what_belongs_to_them() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut database, path) = database(directory.path(), "1");
        database.import(SCRIPT.as_bytes()).expect("an import");
        let tables = |names: &[&str]| DumpOptions {
            tables: names.iter().map(|name| (*name).to_owned()).collect(),
            ..DumpOptions::default()
        };
        let some = written(&path, &tables(&["Authors"])).expect("an export");
        assert!(some.contains("by_name") && some.contains("logged"), "{some}");
        assert!(!some.contains("books") && !some.contains("titles"), "{some}");
        let error = written(&path, &tables(&["nobody"])).expect_err("no such table");
        assert_eq!(error.to_string(), "no such table: nobody");
    }

    #[test]
    fn a_virtual_table_is_named_instead_of_exported_wrongly() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut database, path) = database(directory.path(), "1");
        let sql = "CREATE VIRTUAL TABLE words USING fts5 (word)".to_owned();
        database.run(&[Statement { sql, params: Vec::new(), place: None }]).expect("a virtual table");
        let error = written(&path, &DumpOptions::default()).expect_err("virtual");
        assert!(error.to_string().contains("(words)"), "{error}");
    }

    #[test]
    fn the_largest_row_comes_back_from_an_export() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut database_1, path_1) = database(directory.path(), "1");
        let script = "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(2000000));";
        database_1.import(script.as_bytes()).expect("an import");
        let export = written(&path_1, &DumpOptions::default()).expect("an export");
        let (mut database_2, path_2) = database(directory.path(), "2");
        database_2.import(export.as_bytes()).expect("an import of the export");
        assert!(written(&path_2, &DumpOptions::default()).expect("an export") == export);
    }

    #[test]
    fn a_script_that_fails_says_where_and_leaves_the_database_as_it_was() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut database, path) = database(directory.path(), "1");
        database.import(&b"CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1);"[..]).expect("an import");
        let before = written(&path, &DumpOptions::default()).expect("an export");
        for (script, message) in [
            (
                "INSERT INTO t VALUES (2);\n\nINSERT INTO t VALUES (1);",
                "statement 2 (line 3): UNIQUE constraint failed: t.a: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)",
            ),
            (
                "DELETE FROM t;\nSELEC 1;",
                "statement 2 (line 2): near \"SELEC\": syntax error at offset 0: SQLITE_ERROR",
            ),
            ("DELETE FROM t; INSERT INTO t VALUES (?);", "statement 2 (line 1): Wrong number of parameter bindings"),
            ("DELETE FROM t; COMMIT;", "statement 2 (line 1): To execute a transaction"),
            ("-- nothing\n;", "No SQL statements detected."),
        ] {
            let error = database.import(script.as_bytes()).expect_err(script);
            assert!(error.to_string().starts_with(message), "{error}");
            assert_eq!(written(&path, &DumpOptions::default()).expect("an export"), before);
        }
    }
}

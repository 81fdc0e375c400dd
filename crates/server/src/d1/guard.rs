//! What user SQL may not do. SQLite asks the guard while it prepares a statement; the guard refuses what
//! would reach other files, change how the file is kept, or end the transaction around a call.
//!
//! The server's own statements pass because they run inside `as_server`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// The PRAGMAs D1 allows that change or read something by name.
const PRAGMAS: [&str; 11] = [
    "case_sensitive_like",
    "data_version",
    "defer_foreign_keys",
    "foreign_key_check",
    "foreign_keys",
    "ignore_check_constraints",
    "legacy_alter_table",
    "optimize",
    "quick_check",
    "recursive_triggers",
    "reverse_unordered_selects",
];
/// The PRAGMAs D1 allows that look at a table or an index.
const SCHEMA_PRAGMAS: [&str; 7] =
    ["foreign_key_list", "index_info", "index_list", "index_xinfo", "table_info", "table_list", "table_xinfo"];
/// Virtual tables keep their data inside the file only with these modules.
const MODULES: [&str; 2] = ["fts5", "fts5vocab"];
const FUNCTIONS_REFUSED: [&str; 6] = [
    "fts3_tokenizer",
    "load_extension",
    "sqlite_compileoption_get",
    "sqlite_compileoption_used",
    "sqlite_source_id",
    "sqlite_version",
];
/// Names the platform keeps for itself.
const RESERVED_PREFIX: &str = "_cf_";

/// Shared by a connection's owner and the callback inside SQLite.
#[derive(Clone, Default)]
pub struct Guard(Arc<Flags>);

#[derive(Default)]
struct Flags {
    server: AtomicBool,
    transaction_refused: AtomicBool,
    reads_table: AtomicBool,
}

impl Guard {
    /// Puts a new guard on a connection.
    pub fn install(connection: &Connection) -> Self {
        let guard = Self::default();
        let asked = guard.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| asked.judge(&context.action)));
        guard
    }

    /// Runs the server's own statements, to which no rule applies.
    pub fn as_server<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.server.store(true, Ordering::Relaxed);
        let result = work();
        self.0.server.store(false, Ordering::Relaxed);
        result
    }

    /// Whether a transaction statement was refused since the last call of this.
    pub fn take_transaction_refused(&self) -> bool {
        self.0.transaction_refused.swap(false, Ordering::Relaxed)
    }

    /// Whether a statement that reads a table was prepared since the last call of this.
    pub fn take_reads_table(&self) -> bool {
        self.0.reads_table.swap(false, Ordering::Relaxed)
    }

    fn judge(&self, action: &AuthAction<'_>) -> Authorization {
        if self.0.server.load(Ordering::Relaxed) {
            return Authorization::Allow;
        }
        match action {
            AuthAction::Read { .. } => self.0.reads_table.store(true, Ordering::Relaxed),
            AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => {
                self.0.transaction_refused.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        if is_allowed(action) { Authorization::Allow } else { Authorization::Deny }
    }
}

fn is_allowed(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Attach { .. }
        | AuthAction::Detach { .. }
        | AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. }
        | AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::Unknown { .. } => false,
        AuthAction::Pragma { pragma_name, pragma_value } => pragma_allowed(pragma_name, *pragma_value),
        AuthAction::CreateVtable { module_name, .. } | AuthAction::DropVtable { module_name, .. } => {
            contains(&MODULES, module_name)
        }
        AuthAction::Function { function_name } => !contains(&FUNCTIONS_REFUSED, function_name),
        AuthAction::CreateTable { table_name }
        | AuthAction::DropTable { table_name }
        | AuthAction::AlterTable { table_name, .. }
        | AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Read { table_name, .. } => !is_reserved(table_name),
        _ => true,
    }
}

fn pragma_allowed(name: &str, value: Option<&str>) -> bool {
    let about_schema = contains(&SCHEMA_PRAGMAS, name) && (value.is_some() || name.eq_ignore_ascii_case("table_list"));
    about_schema || contains(&PRAGMAS, name)
}

fn is_reserved(table_name: &str) -> bool {
    table_name.get(..RESERVED_PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(RESERVED_PREFIX))
}

fn contains(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

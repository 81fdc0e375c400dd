//! Databases: list, create, show, change, delete.

use axum::body::Body;
use axum::extract::{Query, State};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_store::{DatabaseQuery, DatabaseRow};

use super::{Account, Api, Named, Reply, Route, Scope, found, malformed, read};
use crate::api_error::ApiError;
use crate::d1::{Creation, names};
use crate::rest::envelope::{ResultInfo, page, success};
use crate::rest::limits::{D1_PER_PAGE_MAX, PER_PAGE_DEFAULT};
use crate::rest::route::Answer;
use crate::rest::times::Iso;
use crate::stall;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/d1/database", Scope::Metadata, list)
            .says("Lists databases, the newest first")
            .asks::<ListQuery>()
            .pages::<ListedView>(),
        Route::post("/d1/database", Scope::Deploy, create)
            .says("Creates a database")
            .takes::<CreateBody>()
            .gives::<View>(),
        Route::get("/d1/database/{database}", Scope::Metadata, show)
            .says("Shows a database, by its id or its name")
            .asks::<ShowQuery>()
            .gives_answer(Answer::Result(some_of_view)),
        Route::put("/d1/database/{database}", Scope::Deploy, change)
            .says("Changes the settings of a database")
            .takes::<ChangeBody>()
            .gives::<View>(),
        Route::patch("/d1/database/{database}", Scope::Deploy, change)
            .says("Changes some settings of a database")
            .takes::<ChangeBody>()
            .gives::<View>(),
        Route::delete("/d1/database/{database}", Scope::Deploy, delete)
            .says("Deletes a database with all that is in it")
            .gives::<()>(),
    ]
}

/// What Cloudflare calls a database that is not of the alpha, which had another format.
const VERSION: &str = "production";

/// Which page of the list, and of which databases.
#[derive(Deserialize, JsonSchema)]
struct ListQuery {
    /// From 1.
    page: Option<String>,
    /// Rows of a page.
    per_page: Option<String>,
    /// Only databases whose name has this in it.
    name: Option<String>,
}

/// What is shown.
#[derive(Deserialize, JsonSchema)]
struct ShowQuery {
    /// Only these members, with commas between them.
    fields: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewD1Database")]
struct CreateBody {
    name: String,
    /// The id that a configuration has already; else a new one is made up.
    id: Option<String>,
    #[serde(flatten)]
    settings: Settings,
}

/// What is kept of a creation for whoever looks at the database.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_location_hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jurisdiction: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "D1DatabaseSettings")]
struct ChangeBody {
    read_replication: Option<ReadReplication>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "D1ReadReplication")]
struct ReadReplication {
    mode: String,
}

/// A database in a list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "D1Database")]
struct ListedView {
    uuid: String,
    name: String,
    version: &'static str,
    created_at: Iso,
    jurisdiction: Option<String>,
}

/// A database by itself.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "D1DatabaseDetail")]
struct View {
    #[serde(flatten)]
    listed: ListedView,
    num_tables: u64,
    file_size: u64,
    read_replication: ReadReplication,
}

async fn list(State(api): State<Api>, Account(account): Account, Query(query): Query<ListQuery>) -> Reply {
    let number = positive("page", query.page.as_deref())?.unwrap_or(1);
    let per_page = positive("per_page", query.per_page.as_deref())?.unwrap_or(PER_PAGE_DEFAULT);
    if per_page > D1_PER_PAGE_MAX {
        return Err(malformed(format!("per_page: {per_page} is more than {D1_PER_PAGE_MAX}")).into());
    }
    let name_part = query.name.unwrap_or_default();
    let offset = (number - 1).saturating_mul(per_page);
    let query = DatabaseQuery { account, name_part, offset, limit: per_page };
    let found = api.d1.catalogue.list(query).await?;
    let rows: Vec<_> = found.rows.into_iter().map(ListedView::new).collect();
    let (count, total_count) = (rows.len(), Some(found.total_count));
    Ok(page(rows, ResultInfo { page: number, per_page, count, total_count, cursor: None }))
}

async fn create(State(api): State<Api>, Account(account): Account, request: Body) -> Reply {
    let CreateBody { name, id, settings } = read(request).await?;
    stall::admit(&api.platform.store)?;
    check_name(&name)?;
    if let Some(id) = &id {
        check_id(id)?;
    }
    let settings = serde_json::to_string(&settings).map_err(ApiError::internal)?;
    let row = api.d1.catalogue.create(Creation { account, name, id, settings }).await?;
    Ok(success(view(&api, row).await?))
}

async fn show(State(api): State<Api>, Named(database): Named, Query(query): Query<ShowQuery>) -> Reply {
    let row = found(&api, &database).await?;
    let mut shown = match serde_json::to_value(view(&api, row).await?) {
        Ok(Value::Object(members)) => members,
        other => return Err(ApiError::internal(format!("a database is shown as {other:?}")).into()),
    };
    if let Some(fields) = query.fields {
        shown.retain(|name, _| fields.split(',').any(|field| field.trim() == name));
    }
    Ok(success(shown))
}

/// There is one copy of each database, so that read replication can only be off.
async fn change(State(api): State<Api>, Named(database): Named, request: Body) -> Reply {
    let ChangeBody { read_replication } = read(request).await?;
    let row = found(&api, &database).await?;
    if let Some(ReadReplication { mode }) = read_replication.filter(|replication| replication.mode != "disabled") {
        let message =
            format!("read_replication.mode: {mode:?}: this server has one copy of each database; use \"disabled\"");
        return Err(malformed(message).into());
    }
    Ok(success(view(&api, row).await?))
}

/// Deletes a database, also one that a deployed Worker binds, as Cloudflare does: the Worker's queries fail from then on,
/// and say why.
async fn delete(State(api): State<Api>, Named(database): Named) -> Reply {
    let row = found(&api, &database).await?;
    api.d1.delete(&row.key).await?;
    Ok(success(()))
}

async fn view(api: &Api, row: DatabaseRow) -> Result<View, ApiError> {
    let size = api.d1.size(&row.key).await?;
    let read_replication = ReadReplication { mode: "disabled".to_owned() };
    Ok(View { listed: ListedView::new(row), num_tables: size.tables, file_size: size.bytes, read_replication })
}

impl ListedView {
    fn new(row: DatabaseRow) -> Self {
        let settings: Settings = serde_json::from_str(&row.settings).unwrap_or_default();
        Self {
            uuid: row.key.id,
            name: row.name,
            version: VERSION,
            created_at: Iso(row.created_at),
            jurisdiction: settings.jurisdiction,
        }
    }
}

/// The schema of a database of which some members may be left out.
fn some_of_view(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = View::json_schema(generator);
    schema.remove("required");
    schema
}

fn positive(name: &str, text: Option<&str>) -> Result<Option<usize>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.map(Some).ok_or_else(|| malformed(format!("{name}: {text:?} is not a number from 1")))
}

fn check_name(name: &str) -> Result<(), ApiError> {
    if names::is_name(name) {
        return Ok(());
    }
    Err(malformed(format!("name: {name:?} is not a database name: {}", names::NAME_RULE)))
}

fn check_id(id: &str) -> Result<(), ApiError> {
    if names::is_id(id) {
        return Ok(());
    }
    Err(malformed(format!("id: {id:?} is not a database id: {}", names::ID_RULE)))
}

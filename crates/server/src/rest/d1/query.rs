//! Queries: SQL in a body, one result for each of its statements.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use stepwell_store::ScopedName;

use super::{Api, Named, Reply, Route, found, malformed, read};
use crate::api_error::ApiError;
use crate::auth::{Holder, Scope};
use crate::d1::{Answers, MetaJson, Place, ResultsFormat, Statement, Statements, limits, read_params};
use crate::rest::envelope::success;
use crate::rest::route::Answer;

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/d1/database/{database}/query", Scope::Deploy, query)
            .says("Runs SQL in one transaction; rows are objects (wants the scope payloads as well)")
            .takes::<QueryBody>()
            .gives_answer(Answer::Result(|generator| {
                answers_schema(generator, json_schema!({ "type": "array", "items": { "type": "object" } }))
            })),
        Route::post("/d1/database/{database}/raw", Scope::Deploy, raw)
            .says("Runs SQL in one transaction; rows are arrays (wants the scope payloads as well)")
            .takes::<QueryBody>()
            .gives_answer(Answer::Result(|generator| {
                answers_schema(
                    generator,
                    json_schema!({
                        "type": "object",
                        "required": ["columns", "rows"],
                        "properties": {
                            "columns": { "type": "array", "items": { "type": "string" } },
                            "rows": { "type": "array", "items": { "type": "array" } },
                        },
                    }),
                )
            })),
    ]
}

/// `{sql, params}`, or a batch of them.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "D1Query")]
struct QueryBody {
    sql: Option<String>,
    params: Option<Vec<Value>>,
    batch: Option<Vec<Query>>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "D1QueryOfBatch")]
struct Query {
    sql: String,
    params: Option<Vec<Value>>,
}

async fn query(
    State(api): State<Api>,
    Extension(holder): Extension<Holder>,
    Named(database): Named,
    request: Body,
) -> Reply {
    run(&api, &holder, &database, request, ResultsFormat::ArrayOfObjects).await
}

async fn raw(
    State(api): State<Api>,
    Extension(holder): Extension<Holder>,
    Named(database): Named,
    request: Body,
) -> Reply {
    run(&api, &holder, &database, request, ResultsFormat::RowsAndColumns).await
}

async fn run(api: &Api, holder: &Holder, database: &ScopedName, request: Body, format: ResultsFormat) -> Reply {
    let statements = read::<QueryBody>(request).await?.statements()?;
    let row = found(api, database).await?;
    // The route has looked for the scope of changing; any statement may read as well.
    holder.check(Scope::Payloads)?;
    let outcomes = api.d1.query(&row.key, statements).await?;
    Ok(success(Answers { outcomes: &outcomes, format }))
}

/// The schema of [`Answers`] with such results.
fn answers_schema(generator: &mut SchemaGenerator, results: Schema) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["success", "results", "meta"],
            "properties": {
                "success": { "const": true },
                "results": results,
                "meta": generator.subschema_for::<MetaJson>(),
            },
        },
    })
}

impl QueryBody {
    fn statements(self) -> Result<Vec<Statement>, ApiError> {
        let queries = match (self.sql, self.batch) {
            (Some(sql), None) => vec![Query { sql, params: self.params }],
            (None, Some(batch)) => batch,
            _ => return Err(malformed("it has `sql` with or without `params`, or `batch`, an array of these")),
        };
        let mut statements = Vec::with_capacity(queries.len());
        for query in queries {
            statements.extend(query.statements()?);
        }
        Ok(statements)
    }
}

impl Query {
    /// One for each in its SQL; the parameters are the last one's, and a fault is told with its place where there are several.
    fn statements(self) -> Result<Vec<Statement>, ApiError> {
        let mut texts = Statements::new(self.sql.as_bytes(), limits::BODY_BYTES_MAX);
        let mut statements = Vec::new();
        while let Some(text) = texts.read_next()? {
            let place = Some(Place { number: text.number, line: text.line });
            statements.push(Statement { sql: text.sql, params: Vec::new(), place });
        }
        if let [only] = statements.as_mut_slice() {
            only.place = None;
        }
        if let Some(last) = statements.last_mut() {
            last.params = read_params(self.params.unwrap_or_default())?;
        }
        Ok(statements)
    }
}

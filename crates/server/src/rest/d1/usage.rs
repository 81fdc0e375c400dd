//! How much a database is used, asked for as wrangler's `d1 info` asks: the one GraphQL query that is answered.
//!
//! GraphQL has an envelope of its own, `{data, errors}`.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use stepwell_store::DatabaseKey;

use super::{Api, Failure, Route, Scope, malformed, read};
use crate::auth::Holder;
use crate::d1::Hour;
use crate::rest::route::Answer;
use crate::rest::times::{self, Iso};

/// The data set that is there.
const DATA_SET: &str = "d1AnalyticsAdaptiveGroups";

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/graphql", Scope::Metadata, graphql)
            .says("Tells how much a D1 database is used (d1AnalyticsAdaptiveGroups)")
            .takes::<GraphQl>()
            .gives_answer(Answer::Plain("application/json")),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct GraphQl {
    query: String,
    #[serde(default)]
    variables: Variables,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "GraphQlVariables")]
struct Variables {
    account_tag: Option<String>,
    filter: Option<Filter>,
}

/// Conditions of which each must hold.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "GraphQlFilter")]
struct Filter {
    #[serde(rename = "AND", default)]
    all: Vec<Condition>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "GraphQlCondition")]
struct Condition {
    #[serde(rename = "databaseId")]
    database_id: Option<String>,
    #[serde(rename = "datetimeHour_geq")]
    from: Option<String>,
    #[serde(rename = "datetimeHour_leq")]
    until: Option<String>,
}

async fn graphql(
    State(api): State<Api>,
    Extension(holder): Extension<Holder>,
    request: Body,
) -> Result<Response, Failure> {
    let GraphQl { query, variables } = read(request).await?;
    let wanted = variables.filter.and_then(|filter| filter.all.into_iter().find(|one| one.database_id.is_some()));
    let Some(Condition { database_id: Some(id), from, until }) = wanted.filter(|_| query.contains(DATA_SET)) else {
        let message = format!("only {DATA_SET} of one database can be queried here, as `d1 info` does");
        return Ok(answer(json!({ "data": null, "errors": [{ "message": message }] })));
    };
    let from = from.map_or(Ok(i64::MIN), |text| times::parse("datetimeHour_geq", &text))?;
    let until = until.map_or(Ok(i64::MAX), |text| times::parse("datetimeHour_leq", &text))?;
    let tag = variables.account_tag.unwrap_or_default();
    let account = api.accounts.find(&tag).filter(|row| holder.covers(row.id));
    let account =
        account.ok_or_else(|| malformed(format!("accountTag: {tag:?} is no account that this request may use")))?;
    let key = DatabaseKey { account: account.id, id };
    let groups: Vec<_> = api.d1.usage.hours(&key, from, until).into_iter().map(group).collect();
    Ok(answer(json!({ "data": { "viewer": { "accounts": [{ DATA_SET: groups }] } }, "errors": null })))
}

fn group(hour: Hour) -> Value {
    json!({
        "sum": {
            "readQueries": hour.read_queries,
            "writeQueries": hour.write_queries,
            "rowsRead": hour.rows_read,
            "rowsWritten": hour.rows_written,
        },
        "dimensions": { "datetimeHour": Iso(hour.begins_at) },
    })
}

fn answer(body: Value) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

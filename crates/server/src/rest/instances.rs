//! Paths of a workflow's instances together: list, create, batches, termination of all.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stepwell_engine::{InstanceKey, Millis, Status};
use stepwell_store::{InstanceRow, ListQuery, Order, WorkflowRow};

use super::detail::Trigger;
use super::envelope::{Reply, ResultInfo, page, success};
use super::limits::{BATCH_BODY_BYTES_MAX, BODY_BYTES_MAX, PASSED_OVER_MAX, PER_PAGE_DEFAULT, PER_PAGE_MAX};
use super::page_query::checked_per_page;
use super::resource::Named;
use super::retention::RetentionOptions;
use super::route::Route;
use super::sweep::Begun;
use super::times::{self, Iso};
use super::{Api, body, public_ids};
use crate::api_error::ApiError;
use crate::auth::Scope;
use crate::driver::now_ms;
use crate::platform::{CreatedInstance, NewInstance, Platform};
use crate::platform_batch::{ALREADY_EXISTS, BatchForm, check_location_hint};
use crate::travelling::raw_or_null;

pub fn routes() -> Vec<Route> {
    let listed =
        |path| Route::get(path, Scope::Metadata, list).says("Lists instances").asks::<ListParams>().pages::<RowView>();
    let created = |path| {
        Route::post(path, Scope::Trigger, create)
            .says("Creates an instance")
            .takes::<CreateBody<'static>>()
            .gives::<CreatedView>()
    };
    vec![
        listed("/workflows/{workflow}/instances"),
        created("/workflows/{workflow}/instances"),
        // wrangler's `latest` asks with the slash.
        listed("/workflows/{workflow}/instances/"),
        created("/workflows/{workflow}/instances/"),
        Route::post("/workflows/{workflow}/instances/batch", Scope::Trigger, create_batch)
            .says("Creates up to 100 instances; those whose id is taken are passed over")
            .takes::<Vec<CreateBody<'static>>>()
            .gives::<Vec<CreatedView>>(),
        Route::post("/workflows/{workflow}/instances/batch/delete", Scope::Manage, delete_batch)
            .says("Deletes up to 100 instances")
            .takes::<DeleteBody>()
            .gives::<serde_json::Value>(),
        Route::put("/workflows/{workflow}/instances/terminate", Scope::Manage, terminate_all)
            .says("Terminates all instances, or those of a status, in the background")
            .asks::<TerminateParams>()
            .gives::<TerminationView>(),
    ]
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct ListParams {
    page: Option<usize>,
    per_page: Option<usize>,
    cursor: Option<String>,
    direction: Option<String>,
    date_start: Option<String>,
    date_end: Option<String>,
    status: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewInstance")]
struct CreateBody<'a> {
    instance_id: Option<String>,
    #[serde(borrow, default, deserialize_with = "raw_or_null")]
    #[schemars(with = "Option<serde_json::Value>")]
    params: Option<&'a RawValue>,
    instance_retention: Option<RetentionOptions>,
    location_hint: Option<serde_json::Value>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "InstanceIds")]
struct DeleteBody {
    instances: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
pub struct TerminateParams {
    status: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Instance")]
struct RowView {
    id: Arc<str>,
    created_on: Iso,
    modified_on: Iso,
    started_on: Option<Iso>,
    ended_on: Option<Iso>,
    status: &'static str,
    version_id: String,
    workflow_id: String,
    trigger_source: &'static str,
    /// When it goes on by itself; absent while a worker still holds it.
    wake_at: Option<Iso>,
    /// When it goes, where it has ended and does not stay.
    expires_at: Option<Iso>,
    deployment: u32,
}

/// An instance that was created.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedInstance")]
struct CreatedView {
    id: Arc<str>,
    status: &'static str,
    version_id: Option<String>,
    workflow_id: String,
    trigger_source: &'static str,
}

/// Whether a termination was begun: `ok`, or `already_running`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Termination")]
struct TerminationView {
    status: &'static str,
}

impl From<InstanceRow> for RowView {
    fn from(row: InstanceRow) -> Self {
        let summary = row.summary;
        Self {
            id: row.id,
            created_on: Iso(row.created_at),
            modified_on: Iso(summary.modified_at),
            started_on: summary.started_at.map(Iso),
            ended_on: summary.ended_at.map(Iso),
            status: summary.status.as_str(),
            version_id: public_ids::version(summary.deployment),
            workflow_id: public_ids::workflow(row.workflow),
            trigger_source: Trigger::of(&row.trigger).source,
            wake_at: summary.wake_at.filter(|at| !summary.status.is_final() && *at > now_ms()).map(Iso),
            expires_at: summary.expires_at().map(Iso),
            deployment: summary.deployment.0,
        }
    }
}

pub async fn list(State(api): State<Api>, Named(name): Named, Query(params): Query<ListParams>) -> Reply {
    let workflow = api.platform.workflow(&name).await?;
    let mut query = list_query(&workflow, &params)?;
    let per_page = query.limit;
    let number = if params.cursor.is_some() { 1 } else { params.page.unwrap_or(1).max(1) };
    let is_there = pass_over(&api.platform, &mut query, (number - 1).saturating_mul(per_page)).await?;
    query.limit = per_page + 1;
    let mut rows = if is_there { api.platform.store.list_instances(query.clone()).await? } else { Vec::new() };
    let has_more = rows.len() > per_page;
    rows.truncate(per_page);
    let cursor = rows.last().filter(|_| has_more).map(|row| write_cursor((row.created_at, row.key)));
    let total_count = total(&api.platform, &query).await?;
    let info = ResultInfo { page: number, per_page, count: rows.len(), total_count, cursor };
    Ok(page(rows.into_iter().map(RowView::from).collect::<Vec<_>>(), info))
}

fn list_query(workflow: &WorkflowRow, params: &ListParams) -> Result<ListQuery, ApiError> {
    let date = |name, text: &Option<String>| text.as_deref().map(|text| times::parse(name, text)).transpose();
    Ok(ListQuery {
        status: params.status.as_deref().map(parse_status).transpose()?,
        order: match params.direction.as_deref() {
            None | Some("desc") => Order::NewestFirst,
            Some("asc") => Order::OldestFirst,
            Some(other) => return Err(ApiError::bad_request(format!("direction: {other:?} is not asc or desc"))),
        },
        after: params.cursor.as_deref().filter(|cursor| !cursor.is_empty()).map(read_cursor).transpose()?,
        created_from: date("date_start", &params.date_start)?,
        created_until: date("date_end", &params.date_end)?,
        ..ListQuery::newest(workflow.id, checked_per_page(params.per_page, PER_PAGE_DEFAULT)?)
    })
}

fn parse_status(word: &str) -> Result<Status, ApiError> {
    Status::parse(word).ok_or_else(|| {
        let known = Status::ALL.map(Status::as_str).join(", ");
        ApiError::bad_request(format!("status: {word:?} is not one of {known}"))
    })
}

/// Moves a query behind the rows of earlier pages. Whether anything can be behind them.
async fn pass_over(platform: &Platform, query: &mut ListQuery, count: usize) -> Result<bool, ApiError> {
    if count > PASSED_OVER_MAX {
        let message =
            format!("page: a list is read by number up to row {PASSED_OVER_MAX}; go on with result_info.cursor");
        return Err(ApiError::bad_request(message));
    }
    let mut left = count;
    while left > 0 {
        let limit = left.min(PER_PAGE_MAX);
        let rows = platform.store.list_instances(ListQuery { limit, ..query.clone() }).await?;
        query.after = rows.last().map(|row| (row.created_at, row.key)).or(query.after);
        if rows.len() < limit {
            return Ok(false);
        }
        left -= limit;
    }
    Ok(true)
}

/// Rows in all, where counters tell: those with dates are not counted.
async fn total(platform: &Platform, query: &ListQuery) -> Result<Option<u64>, ApiError> {
    if query.created_from.is_some() || query.created_until.is_some() {
        return Ok(None);
    }
    let counts = platform.store.counters(query.workflow).await?;
    Ok(Some(query.status.map_or_else(|| counts.iter().sum(), |status| counts[usize::from(status.number())])))
}

fn write_cursor((at, key): (Millis, InstanceKey)) -> String {
    format!("{at:x}-{:x}", key.0)
}

fn read_cursor(text: &str) -> Result<(Millis, InstanceKey), ApiError> {
    let read = || {
        let (at, key) = text.split_once('-')?;
        Some((Millis::from_str_radix(at, 16).ok()?, InstanceKey(u64::from_str_radix(key, 16).ok()?)))
    };
    read().ok_or_else(|| ApiError::bad_request(format!("cursor: {text:?} is not one that this server gave")))
}

fn new_instance(body: CreateBody<'_>) -> Result<NewInstance, ApiError> {
    check_location_hint(body.location_hint.as_ref())?;
    let retention = body.instance_retention.unwrap_or_default().read()?;
    Ok(NewInstance { id: body.instance_id, params: body.params.map(body::params), trigger: "api", retention })
}

pub async fn create(State(api): State<Api>, Named(name): Named, request: Body) -> Reply {
    let workflow = api.platform.workflow(&name).await?;
    let bytes = body::read(request, BODY_BYTES_MAX).await?;
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    let created = api.platform.create(&workflow, new_instance(body::parse(bytes)?)?).await?;
    let row = api.platform.store.instance(created.answer.key).await?;
    let version_id = row.map(|row| public_ids::version(row.summary.deployment));
    Ok(success(created_view(&workflow, created, version_id)))
}

fn created_view(workflow: &WorkflowRow, created: CreatedInstance, version_id: Option<String>) -> CreatedView {
    CreatedView {
        id: created.id,
        status: created.answer.status.as_str(),
        version_id,
        workflow_id: public_ids::workflow(workflow.id),
        trigger_source: "api",
    }
}

/// Instances whose id is taken are left out of the answer, as from the binding.
pub async fn create_batch(State(api): State<Api>, Named(name): Named, request: Body) -> Reply {
    let workflow = api.platform.workflow(&name).await?;
    let bytes = body::read(request, BATCH_BODY_BYTES_MAX).await?;
    let batch: Vec<CreateBody<'_>> = body::parse(&bytes)?;
    let batch = batch.into_iter().map(new_instance).collect::<Result<_, _>>()?;
    let outcomes = api.platform.create_batch(&workflow, batch, BatchForm::Array).await?;
    let current = api.platform.store.current_deployment(&workflow.script).await?;
    let version_id = current.map(|row| public_ids::version(row.id));
    let mut created = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        match outcome {
            Ok(instance) => created.push(created_view(&workflow, instance, version_id.clone())),
            Err(error) if is_repeated(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(success(created))
}

/// Whether an instance of a batch was refused because its id is taken.
pub fn is_repeated(error: &ApiError) -> bool {
    matches!(error.code, ALREADY_EXISTS | crate::platform_batch::DUPLICATE_IN_BATCH)
}

pub async fn delete_batch(State(api): State<Api>, Named(name): Named, request: Body) -> Reply {
    let workflow = api.platform.workflow(&name).await?;
    let bytes = body::read(request, BODY_BYTES_MAX).await?;
    let DeleteBody { instances } = body::parse(&bytes)?;
    let outcomes = api.platform.delete_batch(&workflow, &instances).await?;
    Ok(success(crate::hosting::deletions(&instances, outcomes)))
}

pub async fn terminate_all(State(api): State<Api>, Named(name): Named, Query(params): Query<TerminateParams>) -> Reply {
    let workflow = api.platform.workflow(&name).await?;
    let statuses = match params.status.as_deref() {
        Some(word) => vec![parse_status(word)?],
        // What rolls back comes to its end by itself.
        None => Status::ALL.into_iter().filter(|status| !status.is_final() && *status != Status::RollingBack).collect(),
    };
    let begun = api.sweeps.terminate(api.platform.clone(), workflow.id, statuses);
    Ok(terminate_answer(begun))
}

fn terminate_answer(begun: Begun) -> Response {
    let status = match begun {
        Begun::Now => "ok",
        Begun::Already => "already_running",
    };
    success(TerminationView { status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let place = (1_700_000_000_123, InstanceKey(u64::MAX >> 1));
        assert_eq!(read_cursor(&write_cursor(place)), Ok(place));
        for text in ["", "-", "12", "x-1", "1-x"] {
            assert_eq!(read_cursor(text).map_err(|error| error.status), Err(400), "{text:?}");
        }
    }

    #[test]
    fn an_unknown_status_is_refused_with_those_that_exist() {
        let error = parse_status("done").expect_err("no status");
        assert!(error.message.contains("waitingForPause"), "{}", error.message);
    }
}

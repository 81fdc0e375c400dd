//! Paths of workflows: list, show, put, delete, versions.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::extract::{Query, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepwell_engine::{Cron, Status, WorkflowId, names};
use stepwell_store::{DeploymentRow, NewWorkflow, ScheduleRow, ScopedName, StatusCounts, WorkflowRow};

use super::envelope::{Reply, page, success};
use super::limits::BODY_BYTES_MAX;
use super::page_query::{NamedPageQuery, PageQuery};
use super::resource::{Account, Named, Part};
use super::retention::RetentionOptions;
use super::route::Route;
use super::times::Iso;
use super::workflow_options::{Concurrency, Limits, WorkflowOptions};
use super::{Api, body, public_ids, sweep};
use crate::api_error::ApiError;
use crate::auth::Scope;
use crate::driver::now_ms;

/// Rows of a page of workflows unless asked otherwise: wrangler shows one page.
const PER_PAGE_DEFAULT: usize = 100;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/workflows", Scope::Metadata, list)
            .says("Lists workflows")
            .asks::<NamedPageQuery>()
            .pages::<WorkflowView>(),
        Route::get("/workflows/{workflow}", Scope::Metadata, show).says("Shows a workflow").gives::<WorkflowView>(),
        Route::put("/workflows/{workflow}", Scope::Deploy, put)
            .says("Makes a workflow of an exported class, or changes its settings")
            .takes::<PutBody>()
            .gives::<PutView>(),
        Route::delete("/workflows/{workflow}", Scope::Deploy, delete)
            .says("Deletes a workflow with all its instances")
            .gives::<DeletedView>(),
        Route::get("/workflows/{workflow}/versions", Scope::Metadata, versions)
            .says("Lists the deployments that a workflow has had")
            .asks::<PageQuery>()
            .pages::<VersionView>(),
        Route::get("/workflows/{workflow}/versions/{version}", Scope::Metadata, version)
            .says("Shows a deployment of a workflow")
            .gives::<VersionView>(),
        Route::get("/workflows/{workflow}/versions/{version}/graph", Scope::Metadata, graph)
            .says("Shows the graph of a workflow's code, which this server does not draw")
            .gives::<()>(),
    ]
}

#[derive(JsonSchema)]
#[schemars(rename = "NewWorkflow")]
struct PutBody {
    #[schemars(flatten)]
    class: ClassBody,
    #[schemars(flatten)]
    options: WorkflowOptions,
}

#[derive(Deserialize, JsonSchema)]
struct ClassBody {
    script_name: String,
    class_name: String,
}

/// A workflow as lists and details show it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Workflow")]
struct WorkflowView {
    id: String,
    name: String,
    class_name: String,
    script_name: String,
    created_on: Iso,
    modified_on: Iso,
    triggered_on: Option<Iso>,
    /// How many there are, by status.
    instances: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<Concurrency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedules: Option<Vec<ScheduleView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_retention: Option<RetentionOptions>,
}

/// A workflow that was made or changed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChangedWorkflow")]
struct PutView {
    id: String,
    name: String,
    class_name: String,
    script_name: String,
    created_on: Iso,
    modified_on: Iso,
    triggered_on: Option<Iso>,
    is_deleted: u8,
    /// 1 while all of its instances are being terminated.
    terminator_running: u8,
    version_id: Option<String>,
}

/// That a workflow is gone.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeletedWorkflow")]
struct DeletedView {
    status: &'static str,
    success: bool,
}

/// A deployment as the version of a workflow.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WorkflowVersion")]
struct VersionView {
    id: String,
    class_name: String,
    created_on: Iso,
    modified_on: Iso,
    workflow_id: String,
    has_dag: bool,
    language: &'static str,
    limits: Option<Limits>,
    default_retention: Option<RetentionOptions>,
    /// Its number.
    deployment: u32,
    /// New instances start on it.
    is_current: bool,
    /// Unfinished instances that are pinned to it.
    live_instances: u64,
}

/// A schedule with its next firing.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WorkflowSchedule")]
struct ScheduleView {
    cron: String,
    next_instance: Option<Iso>,
}

pub async fn list(State(api): State<Api>, Account(account): Account, Query(query): Query<NamedPageQuery>) -> Reply {
    let mut rows = api.platform.store.workflows().await?;
    rows.retain(|row| row.name.account == account);
    let (rows, info) = query.slice(rows, |row| &row.name.name, PER_PAGE_DEFAULT)?;
    let mut views = Vec::with_capacity(rows.len());
    for row in rows {
        views.push(view(&api, row).await?);
    }
    Ok(page(views, info))
}

pub async fn show(State(api): State<Api>, Named(name): Named) -> Reply {
    let row = api.platform.workflow(&name).await?;
    Ok(success(view(&api, row).await?))
}

pub async fn put(State(api): State<Api>, Named(name): Named, request: Body) -> Reply {
    if !names::is_workflow_name(&name.name) {
        return Err(ApiError::bad_request(format!(
            "{:?} is not a workflow name: {}",
            name.name,
            names::WORKFLOW_NAME_RULE
        ))
        .into());
    }
    let bytes = body::read(request, BODY_BYTES_MAX).await?;
    // What serde flattens it reads more loosely.
    let PutBody { class, options } = PutBody { class: body::parse(&bytes)?, options: body::parse(&bytes)? };
    let ClassBody { script_name, class_name } = class;
    let settings = options.to_settings(&name.name, &class_name);
    let script = name.sibling(script_name);
    let new = NewWorkflow { name, script, class_name, settings, at: now_ms() };
    let row = api.registry.put(new).await?;
    let deployment = api.platform.store.current_deployment(&row.script).await?;
    Ok(success(PutView {
        id: public_ids::workflow(row.id),
        name: row.name.name,
        class_name: row.class_name,
        script_name: row.script.name,
        created_on: Iso(row.created_at),
        modified_on: Iso(row.modified_at),
        triggered_on: None,
        is_deleted: 0,
        terminator_running: u8::from(api.sweeps.is_running(row.id)),
        version_id: deployment.map(|deployment| public_ids::version(deployment.id)),
    }))
}

/// Deletes a workflow with all its instances.
pub async fn delete(State(api): State<Api>, Named(name): Named) -> Reply {
    let row = api.platform.workflow(&name).await?;
    // First of all, so that no schedule creates what is being deleted.
    api.registry.removed(row.id).await;
    sweep::delete_workflow(&api.platform, &row).await?;
    Ok(success(DeletedView { status: "ok", success: true }))
}

pub async fn versions(State(api): State<Api>, Named(name): Named, Query(query): Query<PageQuery>) -> Reply {
    let workflow = api.platform.workflow(&name).await?;
    let deployments = deployed(&api, &workflow.script).await?;
    let (deployments, info) = query.slice(deployments, PER_PAGE_DEFAULT)?;
    Ok(page(deployments.iter().map(|row| version_view(&workflow, row)).collect::<Vec<_>>(), info))
}

/// The uploads of a script that have been current, newest first. Only its last releases are remembered; what instances are
/// pinned to has been current as well.
async fn deployed(api: &Api, script: &ScopedName) -> Result<Vec<DeploymentRow>, ApiError> {
    let store = &api.platform.store;
    let released: BTreeSet<_> = store.releases(script).await?.into_iter().map(|release| release.deployment).collect();
    let mut rows = store.deployments(script).await?;
    rows.retain(|row| row.is_current || row.live_instances > 0 || released.contains(&row.id));
    Ok(rows)
}

pub async fn version(State(api): State<Api>, Part(name, id): Part) -> Reply {
    Ok(success(find_version(&api, &name, &id).await?))
}

/// Nothing, of a version that there is.
pub async fn graph(State(api): State<Api>, Part(name, id): Part) -> Reply {
    find_version(&api, &name, &id).await?;
    Ok(success(()))
}

async fn find_version(api: &Api, name: &ScopedName, id: &str) -> Result<VersionView, ApiError> {
    let workflow = api.platform.workflow(name).await?;
    let deployments = api.platform.store.deployments(&workflow.script).await?;
    let wanted = public_ids::deployment(id);
    match deployments.iter().find(|row| Some(row.id) == wanted) {
        Some(row) => Ok(version_view(&workflow, row)),
        None => Err(ApiError::new(404, 10_200, format!("workflow {:?} has no version {id:?}", name.name))),
    }
}

fn version_view(workflow: &WorkflowRow, row: &DeploymentRow) -> VersionView {
    let options = WorkflowOptions::from_settings(&workflow.settings);
    VersionView {
        id: public_ids::version(row.id),
        class_name: workflow.class_name.clone(),
        created_on: Iso(row.created_at),
        modified_on: Iso(row.created_at),
        workflow_id: public_ids::workflow(workflow.id),
        has_dag: false,
        language: "javascript",
        limits: options.limits,
        default_retention: options.default_retention,
        deployment: row.id.0,
        is_current: row.is_current,
        live_instances: row.live_instances,
    }
}

async fn view(api: &Api, row: WorkflowRow) -> Result<WorkflowView, ApiError> {
    let counts = api.platform.store.counters(row.id).await?;
    let newest = api.platform.store.list_instances(stepwell_store::ListQuery::newest(row.id, 1)).await?;
    let options = WorkflowOptions::from_settings(&row.settings);
    let schedules = match options.schedules {
        Some(_) => Some(schedule_views(api, row.id).await?),
        None => None,
    };
    Ok(WorkflowView {
        id: public_ids::workflow(row.id),
        limits: options.limits,
        concurrency: options.concurrency,
        schedules,
        default_retention: options.default_retention,
        name: row.name.name,
        class_name: row.class_name,
        script_name: row.script.name,
        created_on: Iso(row.created_at),
        modified_on: Iso(row.modified_at),
        triggered_on: newest.first().map(|instance| Iso(instance.created_at)),
        instances: counts_view(counts),
    })
}

/// The schedules that fire. A firing that was missed happens at once, and is not the next one.
async fn schedule_views(api: &Api, workflow: WorkflowId) -> Result<Vec<ScheduleView>, ApiError> {
    let mut rows = api.platform.store.schedules().await?;
    rows.retain(|row| row.workflow == workflow);
    let view = |row: ScheduleRow| {
        let after = row.considered_at.max(now_ms());
        let next_instance = Cron::parse(&row.cron).ok().and_then(|cron| cron.next_after(after)).map(Iso);
        ScheduleView { cron: row.cron, next_instance }
    };
    Ok(rows.into_iter().map(view).collect())
}

fn counts_view(counts: StatusCounts) -> BTreeMap<&'static str, u64> {
    Status::ALL.into_iter().map(Status::as_str).zip(counts).collect()
}

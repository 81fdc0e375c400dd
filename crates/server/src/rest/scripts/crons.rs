//! Cron triggers of plain Workers, which this server does not have: there are none, and none can be set. (Workflows have
//! schedules of their own.)

use axum::body::Bytes;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::view;
use crate::api_error::ApiError;
use crate::rest::envelope::{Reply, success};
use crate::rest::resource::Named;
use crate::rest::{Api, body};

#[derive(Deserialize, schemars::JsonSchema)]
pub struct Cron {
    cron: String,
}

#[derive(Serialize, schemars::JsonSchema)]
pub struct Crons {
    schedules: [(); 0],
}

pub async fn show(State(api): State<Api>, Named(script): Named) -> Reply {
    view::current(&api, &script).await?;
    Ok(success(Crons { schedules: [] }))
}

/// Sets none; more is refused.
pub async fn put(State(api): State<Api>, Named(script): Named, bytes: Bytes) -> Reply {
    let crons: Vec<Cron> = body::parse(&bytes)?;
    view::current(&api, &script).await?;
    match crons.first() {
        None => Ok(success(Crons { schedules: [] })),
        Some(Cron { cron }) => Err(ApiError::bad_request(format!(
            "This server has no cron triggers of Workers yet: remove {cron:?} from `triggers.crons`, and let `schedules` of a \
             workflow create its instances"
        ))
        .into()),
    }
}

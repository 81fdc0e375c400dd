//! Commands over several instances at once, as the REST face and Workers' bindings share them. Each instance stands for
//! itself: what fails for one is done for the others.

use std::collections::HashSet;
use std::time::Instant;

use futures_util::future::join_all;
use stepwell_engine::engine::Command;
use stepwell_engine::names;
use stepwell_store::WorkflowRow;

use crate::api_error::ApiError;
use crate::platform::{CreatedInstance, NewInstance, Platform, check_size};

/// Instances of one batch (Cloudflare).
pub const BATCH_INSTANCES_MAX: usize = 100;
/// Characters of an id that names an instance, those of schedules included (Cloudflare).
const ADDRESSABLE_ID_CHARS_MAX: usize = 271;

/// Cloudflare's code of an instance whose id stands in its batch before.
pub const DUPLICATE_IN_BATCH: u32 = 10_415;
/// Cloudflare's code of an instance whose id is taken.
pub const ALREADY_EXISTS: u32 = 10_405;

/// Whether this may be the id of an instance: one that users choose, or a schedule's.
pub fn is_addressable_id(id: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b", */#_-".contains(&byte);
    !id.is_empty() && id.len() <= ADDRESSABLE_ID_CHARS_MAX && id.bytes().all(is_legal)
}

/// The error for an id that can name no instance.
pub fn invalid_id() -> ApiError {
    ApiError::new(400, 10_404, "(instance.invalid_id) Instance ID is invalid")
}

impl Platform {
    /// Creates instances, in one durable write where they fit. Answers for each, in their order.
    ///
    /// # Errors
    /// Where the number, an id or the size of params is not valid: then none is created.
    pub async fn create_batch(
        &self,
        workflow: &WorkflowRow,
        batch: Vec<NewInstance>,
    ) -> Result<Vec<Result<CreatedInstance, ApiError>>, ApiError> {
        check_count(batch.len())?;
        for new in &batch {
            if new.id.as_deref().is_some_and(|id| !names::is_instance_id(id)) {
                return Err(invalid_id());
            }
            new.params.as_ref().map_or(Ok(()), check_size)?;
        }
        self.rate.take(workflow.id, batch.len(), Instant::now())?;
        let mut ids = HashSet::new();
        let creations = batch.into_iter().map(|new| {
            let is_new = new.id.as_ref().is_none_or(|id| ids.insert(id.clone()));
            async move {
                if !is_new {
                    return Err(ApiError::new(
                        400,
                        DUPLICATE_IN_BATCH,
                        "workflows.api.error.instance.duplicate_in_batch",
                    ));
                }
                self.create_admitted(workflow, new).await
            }
        });
        Ok(join_all(creations.collect::<Vec<_>>()).await)
    }

    /// Removes instances with their data. Answers for each, in their order.
    ///
    /// # Errors
    /// Where their number or an id is not valid: then none is removed.
    pub async fn delete_batch(
        &self,
        workflow: &WorkflowRow,
        ids: &[String],
    ) -> Result<Vec<Result<(), ApiError>>, ApiError> {
        check_count(ids.len())?;
        if !ids.iter().all(|id| is_addressable_id(id)) {
            return Err(invalid_id());
        }
        let deletions = ids.iter().map(|id| async move {
            self.command(workflow, id, Command::Delete).await?;
            Ok(())
        });
        Ok(join_all(deletions).await)
    }
}

fn check_count(count: usize) -> Result<(), ApiError> {
    match count {
        0 => Err(ApiError::bad_request("WorkflowError: batchCreate should have at least 1 instance")),
        1..=BATCH_INSTANCES_MAX => Ok(()),
        _ => Err(ApiError::bad_request("WorkflowError: batchCreate only supports 100 instances at a time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addressable_ids_follow_cloudflares_validator_tests() {
        let longest = "a".repeat(271);
        for id in ["*/30 * * * *-1786001400000", "0 0 * * MON#2-1786001400000", "NAME_123-/cron", &longest] {
            assert!(is_addressable_id(id), "{id}");
        }
        for id in ["", "invalid!", "0 0 * * MON?2-1786001400000", &"a".repeat(272)] {
            assert!(!is_addressable_id(id), "{id}");
        }
    }

    #[test]
    fn a_batch_has_one_to_a_hundred_instances() {
        assert_eq!([0, 1, 100, 101].map(|count| check_count(count).is_ok()), [false, true, true, false]);
    }
}

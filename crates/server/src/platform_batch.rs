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
pub const ADDRESSABLE_ID_CHARS_MAX: usize = 271;

/// Where instances may be asked to run (Cloudflare).
const LOCATION_HINTS: [&str; 11] =
    ["wnam", "enam", "sam", "weur", "eeur", "apac", "apac-ne", "apac-se", "oc", "afr", "me"];

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
        form: BatchForm,
    ) -> Result<Vec<Result<CreatedInstance, ApiError>>, ApiError> {
        form.check_count(batch.len())?;
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
        check_deletions(ids.len())?;
        if !ids.iter().all(|id| is_addressable_id(id)) {
            return Err(invalid_id());
        }
        let mut unique: Vec<&String> = Vec::new();
        let places = ids.iter().map(|id| {
            unique.iter().position(|known| *known == id).unwrap_or_else(|| {
                unique.push(id);
                unique.len() - 1
            })
        });
        let places: Vec<usize> = places.collect();
        let deletions = unique.into_iter().map(|id| async move {
            self.command(workflow, id, Command::Delete).await?;
            Ok(())
        });
        let outcomes: Vec<Result<(), ApiError>> = join_all(deletions).await;
        Ok(places.into_iter().map(|place| outcomes[place].clone()).collect())
    }
}

/// How several instances are asked for: the two forms are refused with different texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchForm {
    /// An array; ids that are taken are passed over.
    Array,
    /// An object, which says what became of each.
    Object,
}

impl BatchForm {
    fn check_count(self, count: usize) -> Result<(), ApiError> {
        match (count, self) {
            (1..=BATCH_INSTANCES_MAX, _) => Ok(()),
            (_, Self::Object) => Err(ApiError::bad_request("(body) Batch size exceeds maximum allowed")),
            (0, Self::Array) => {
                Err(ApiError::bad_request("WorkflowError: batchCreate should have at least 1 instance"))
            }
            (_, Self::Array) => {
                Err(ApiError::bad_request("WorkflowError: batchCreate only supports 100 instances at a time"))
            }
        }
    }
}

fn check_deletions(count: usize) -> Result<(), ApiError> {
    match count {
        0 => Err(ApiError::bad_request("(body) batchDeleteInstances should have at least 1 instance")),
        1..=BATCH_INSTANCES_MAX => Ok(()),
        _ => Err(ApiError::bad_request("(body) batchDeleteInstances only supports 100 instances at a time")),
    }
}

/// A hint where an instance should run is Cloudflare's: it changes nothing here, and is one of theirs.
pub fn check_location_hint(hint: Option<&serde_json::Value>) -> Result<(), ApiError> {
    let is_known = |hint: &serde_json::Value| hint.as_str().is_some_and(|hint| LOCATION_HINTS.contains(&hint));
    match hint {
        Some(hint) if !is_known(hint) => {
            let known = LOCATION_HINTS.join(", ");
            Err(ApiError::bad_request(format!(
                "(body) Provided argument is invalid: locationHint is not one of {known}"
            )))
        }
        _ => Ok(()),
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
        for form in [BatchForm::Array, BatchForm::Object] {
            assert_eq!([0, 1, 100, 101].map(|count| form.check_count(count).is_ok()), [false, true, true, false]);
        }
        assert_eq!([0, 1, 100, 101].map(|count| check_deletions(count).is_ok()), [false, true, true, false]);
    }
}

//! What a binding's call does, and its answer.

use serde_json::{Value, json};
use stepwell_store::WorkflowRow;

use super::Hosting;
use super::wire::{Call, write_status};
use crate::api_error::ApiError;
use crate::platform::{CreatedInstance, NewInstance, Platform};
use crate::platform_batch::{ALREADY_EXISTS, BatchForm, DUPLICATE_IN_BATCH};

/// Does what was called for. The answer is JSON text, empty where there is nothing to say.
pub(super) async fn perform(hosting: &Hosting, workflow: &WorkflowRow, call: Call) -> Result<String, ApiError> {
    let Hosting { platform, subscriptions, .. } = hosting;
    match call {
        Call::Create(new) => {
            let created = platform.create(workflow, new).await?;
            Ok(json!({ "id": created.id }).to_string())
        }
        Call::CreateArray(batch) => create_array(platform, workflow, batch).await,
        Call::CreateObject(batch) => create_object(platform, workflow, batch).await,
        Call::Find(id) => {
            let row = platform.instance(workflow, &id).await?;
            Ok(json!({ "id": row.id }).to_string())
        }
        Call::Status(id) => {
            let row = platform.instance(workflow, &id).await?;
            write_status(&platform.status(&row).await?)
        }
        Call::Command(id, command) => {
            platform.command(workflow, &id, command).await?;
            Ok(String::new())
        }
        Call::DeleteBatch(ids) => {
            let outcomes = platform.delete_batch(workflow, &ids).await?;
            Ok(deletions(&ids, outcomes).to_string())
        }
        Call::Subscribe(id, options) => {
            let place = subscriptions.open(&platform.instance(workflow, &id).await?, &options);
            Ok(json!({ "incarnation": place.key.0, "reader": place.reader, "cursor": place.cursor }).to_string())
        }
        Call::Next(place, options) => {
            let page = subscriptions.next(platform, place, &options).await?;
            serde_json::to_string(&page).map_err(ApiError::internal)
        }
        Call::Unsubscribe(reader) => {
            subscriptions.close(reader);
            Ok(String::new())
        }
    }
}

async fn create_array(
    platform: &Platform,
    workflow: &WorkflowRow,
    batch: Vec<NewInstance>,
) -> Result<String, ApiError> {
    let mut created = Vec::with_capacity(batch.len());
    for outcome in platform.create_batch(workflow, batch, BatchForm::Array).await? {
        match outcome {
            Ok(CreatedInstance { id, .. }) => created.push(json!({ "id": id })),
            Err(error) if matches!(error.code, ALREADY_EXISTS | DUPLICATE_IN_BATCH) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Value::Array(created).to_string())
}

async fn create_object(
    platform: &Platform,
    workflow: &WorkflowRow,
    batch: Vec<NewInstance>,
) -> Result<String, ApiError> {
    let ids: Vec<Option<String>> = batch.iter().map(|new| new.id.clone()).collect();
    let (mut created, mut errors) = (Vec::new(), Vec::new());
    for (index, outcome) in platform.create_batch(workflow, batch, BatchForm::Object).await?.into_iter().enumerate() {
        match outcome {
            Ok(CreatedInstance { id, .. }) => created.push(json!({ "id": id })),
            Err(error) => {
                let mut item = json!({ "index": index, "code": error.code, "message": message_key(&error) });
                if let Some(id) = &ids[index] {
                    item["id"] = id.as_str().into();
                }
                errors.push(item);
            }
        }
    }
    Ok(json!({ "created": created, "errors": errors }).to_string())
}

/// The answer to a deletion of several instances.
pub fn deletions(ids: &[String], outcomes: Vec<Result<(), ApiError>>) -> Value {
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for (id, outcome) in ids.iter().zip(outcomes) {
        match outcome {
            Ok(()) => deleted.push(json!({ "id": id })),
            Err(error) => errors.push(json!({ "id": id, "code": error.code, "message": message_key(&error) })),
        }
    }
    json!({ "deleted": deleted, "errors": errors })
}

/// Inside batches production names errors by keys.
fn message_key(error: &ApiError) -> &str {
    match error.code {
        10_400 => "workflows.api.error.instance.not_found",
        ALREADY_EXISTS => "workflows.api.error.instance.already_exists",
        10_001 if error.status == 500 => "workflows.api.error.internal_server",
        _ => &error.message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_deletion_is_answered() {
        let outcomes = vec![Ok(()), Err(ApiError::no_instance())];
        let expected = json!({
            "deleted": [{ "id": "a" }],
            "errors": [{ "id": "b", "code": 10_400, "message": "workflows.api.error.instance.not_found" }],
        });
        assert_eq!(deletions(&["a".to_owned(), "b".to_owned()], outcomes), expected);
    }
}

//! Ids of workflows and versions as the API shows them. Cloudflare's are UUIDs, ours are numbers: the number stands in
//! the last group of a UUID of version 8 (free form), so that either can be had from the other.

use stepwell_engine::{DeploymentId, WorkflowId};

const VERSION: &str = "00000000-0000-8000-8000-";
const RELEASE: &str = "00000000-0000-8000-8002-";
const WORKFLOW: &str = "00000000-0000-8000-8001-";

/// Id of a deployment as the version of its workflows.
pub fn version(deployment: DeploymentId) -> String {
    format!("{VERSION}{:012x}", deployment.0)
}

/// Id of a release, which Cloudflare calls a deployment.
pub fn release(number: u64) -> String {
    format!("{RELEASE}{number:012x}")
}

/// The deployment of a version's id.
pub fn deployment(version: &str) -> Option<DeploymentId> {
    let number = version.strip_prefix(VERSION).filter(|number| number.len() == 12)?;
    u32::from_str_radix(number, 16).ok().map(DeploymentId)
}

/// Id of a workflow.
pub fn workflow(workflow: WorkflowId) -> String {
    format!("{WORKFLOW}{:012x}", workflow.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_leads_back_to_its_deployment() {
        assert_eq!(version(DeploymentId(7)), "00000000-0000-8000-8000-000000000007");
        assert_eq!(deployment(&version(DeploymentId(u32::MAX))), Some(DeploymentId(u32::MAX)));
    }

    #[test]
    fn other_ids_lead_nowhere() {
        for id in
            ["", "7", &workflow(WorkflowId(7)), "00000000-0000-8000-8000-7", "00000000-0000-8000-8000-fffffffffff0"]
        {
            assert_eq!(deployment(id), None, "{id}");
        }
    }
}

//! Workflows that are declared by their class, in `exports`: they stand in `ctx.exports`, with or without a binding.

use super::bindings::{WorkflowConfig, check_workflow_name, read_settings};
use super::diagnostics::Diagnostics;
use super::environment::Environment;
use super::section::Section;

const EXPORT_KEYS: &[&str] =
    &["type", "name", "limits", "concurrency", "schedules", "default_retention", "jurisdiction", "events"];

/// Adds the workflows of `exports` to those of `workflows`. One that has a binding as well is declared once.
pub(super) fn add_exports(
    environment: &Environment<'_>,
    workflows: &mut Vec<WorkflowConfig>,
    diagnostics: &mut Diagnostics,
) {
    let Some(exports) = environment.section("exports", diagnostics) else { return };
    let mut names: Vec<String> = Vec::new();
    for (class, node) in exports.table.iter() {
        let Some(section) = Section::of(node, exports.key(class), diagnostics) else { continue };
        let Some(export) = export(&section, class, diagnostics) else { continue };
        if names.contains(&export.name) {
            let message = format!("a second workflow named \"{}\"; names must be unique", export.name);
            diagnostics.error(section.line_of("name"), section.key("name"), message);
        }
        names.push(export.name.clone());
        match workflows.iter_mut().find(|other| other.name == export.name) {
            None => workflows.push(export),
            Some(bound) if bound.class_name == export.class_name && bound.script_name.is_none() => {
                *bound = WorkflowConfig { binding: bound.binding.clone(), ..export };
            }
            Some(_) => {
                let message = format!("\"workflows\" has another class for the workflow \"{}\"", export.name);
                diagnostics.error(section.line, section.path.clone(), message);
            }
        }
    }
}

fn export(section: &Section<'_>, class: &str, diagnostics: &mut Diagnostics) -> Option<WorkflowConfig> {
    match section.required_text("type", "what is exported, such as \"workflow\"", diagnostics)?.as_str() {
        "workflow" => {}
        // The default of every exported class.
        "worker" => return None,
        other => {
            let message = format!("Stepwell does not have exports of type \"{other}\" yet");
            diagnostics.error(section.line_of("type"), section.key("type"), message);
            return None;
        }
    }
    section.warn_of_unknown(EXPORT_KEYS, diagnostics);
    let name = section.required_text("name", "the name under which instances are created", diagnostics)?;
    check_workflow_name(section, &name, diagnostics);
    let mut workflow = WorkflowConfig { is_export: true, ..WorkflowConfig::new(name, class.to_owned()) };
    read_settings(&mut workflow, section, diagnostics);
    Some(workflow)
}

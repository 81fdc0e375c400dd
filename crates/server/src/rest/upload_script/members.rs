//! Members of `env`, gathered from an upload and from the version before it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Before, SCRIPT_INVALID, add_workflow, new_workflow};
use crate::api_error::ApiError;
use crate::rest::upload::UploadBinding;
use crate::script::{ScriptBinding, ScriptSettings, ScriptWorkflow};
use crate::secrets::{SECRET_TEXT, TextChange};

/// Cloudflare's code of an inherited binding that there is not.
pub const INHERIT_INVALID: u32 = 10_057;

/// Members of `env`, gathered one by one.
#[derive(Default)]
pub struct Members {
    /// But for secrets.
    pub bindings: Vec<ScriptBinding>,
    /// That they lead to, of the script itself.
    pub workflows: Vec<ScriptWorkflow>,
    /// That change.
    pub secrets: Vec<TextChange>,
    /// Names of secrets that stay.
    inherited: BTreeSet<String>,
}

impl Members {
    /// Adds a member.
    ///
    /// # Errors
    /// 400 where this server does not have its kind, or nothing is there to inherit.
    pub fn add(&mut self, binding: UploadBinding, script: &str, before: &Before) -> Result<(), ApiError> {
        match binding {
            UploadBinding::PlainText { name, text } => self.bindings.push(ScriptBinding::PlainText { name, text }),
            UploadBinding::Json { name, json } => self.bindings.push(ScriptBinding::Json { name, json }),
            UploadBinding::Secret { name, text } => self.secrets.push((name, Some(text))),
            UploadBinding::Workflow { name, workflow_name, class_name, script_name } => {
                let is_own = script_name.is_none_or(|other| other == script);
                if let Some(class_name) = class_name.filter(|_| is_own) {
                    add_workflow(&mut self.workflows, new_workflow(&workflow_name, class_name));
                }
                self.bindings.push(ScriptBinding::Workflow { name, workflow_name });
            }
            UploadBinding::D1 { name, id, database_name } => {
                self.bindings.push(ScriptBinding::D1 { name, id, database_name });
            }
            UploadBinding::Service { name, entrypoint: Some(entrypoint), .. } => {
                return Err(unsupported(&name, &format!("a service with entrypoint {entrypoint:?}")));
            }
            UploadBinding::Service { name, service, .. } => {
                self.bindings.push(ScriptBinding::Service { name, service });
            }
            UploadBinding::Inherit { name } => self.inherit(name, before)?,
            UploadBinding::Other { name, kind } => return Err(unsupported(&name, &format!("of type {kind}"))),
        }
        Ok(())
    }

    fn inherit(&mut self, name: String, before: &Before) -> Result<(), ApiError> {
        let settings = before.settings.as_ref();
        let found = settings.and_then(|settings| settings.bindings.iter().find(|binding| binding.name() == name));
        match (settings, found) {
            (Some(settings), Some(binding)) => self.carry_over(binding, settings),
            _ if before.secrets.contains(&name) => drop(self.inherited.insert(name)),
            _ => {
                let message = format!("binding {name:?} cannot be inherited: the version before has none of that name");
                return Err(ApiError::new(400, INHERIT_INVALID, message));
            }
        }
        Ok(())
    }

    /// Takes a member of the version before, with the workflow that it leads to.
    fn carry_over(&mut self, binding: &ScriptBinding, before: &ScriptSettings) {
        if let ScriptBinding::Workflow { workflow_name, .. } = binding
            && let Some(own) = before.workflows.iter().find(|own| own.name == *workflow_name)
        {
            add_workflow(&mut self.workflows, own.clone());
        }
        self.bindings.push(binding.clone());
    }

    /// What an upload does not speak of stays where `keep_bindings` has its type. Secrets stay as well where there are no
    /// `keep_bindings`: that is how clients deploy that know nothing of them.
    pub fn keep(&mut self, kinds: &Value, before: Option<&ScriptSettings>, secrets: &BTreeSet<String>) {
        let Some(kinds) = kinds.as_array() else { return };
        let is_kept = |kind: &str| kinds.iter().any(|other| other == kind);
        for (binding, settings) in before.iter().flat_map(|it| it.bindings.iter().map(move |binding| (binding, it))) {
            let is_there = self.bindings.iter().any(|own| own.name() == binding.name());
            if is_kept(binding.kind()) && !is_there {
                self.carry_over(binding, settings);
            }
        }
        if !is_kept(SECRET_TEXT) {
            let set: BTreeSet<_> = self.secrets.iter().map(|(name, _)| name.clone()).collect();
            let gone = secrets.iter().filter(|name| !set.contains(*name) && !self.inherited.contains(*name));
            self.secrets.extend(gone.map(|name| (name.clone(), None)));
        }
    }

    /// A secret whose name is another member's now is one no more.
    pub fn replace_secrets(&mut self, secrets: &BTreeSet<String>) {
        let gone = self.bindings.iter().map(ScriptBinding::name).filter(|name| secrets.contains(*name));
        self.secrets.extend(gone.map(|name| (name.to_owned(), None)));
    }

    /// A name stands for one member.
    ///
    /// # Errors
    /// 400 naming the one that is there twice.
    pub fn refuse_repeated_names(&self) -> Result<(), ApiError> {
        let mut names = BTreeSet::new();
        let set = self.secrets.iter().filter(|(_, text)| text.is_some()).map(|(name, _)| name.as_str());
        match self.bindings.iter().map(ScriptBinding::name).chain(set).find(|name| !names.insert(*name)) {
            Some(name) => {
                Err(ApiError::new(400, SCRIPT_INVALID, format!("binding {name:?} is there twice: rename one")))
            }
            None => Ok(()),
        }
    }
}

fn unsupported(name: &str, what: &str) -> ApiError {
    let message =
        format!("binding {name:?} is {what}, which this server does not have yet; remove it and deploy again");
    ApiError::new(400, SCRIPT_INVALID, message)
}

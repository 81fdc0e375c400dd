//! What a subscriber asks for.

use serde::Deserialize;

use super::event::{EVENT_TYPES, Event};

/// `{cursor?, filter?}`; anything else is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The last event that the subscriber has seen.
    #[serde(default, deserialize_with = "given")]
    pub cursor: Option<u64>,
    /// Names of the events that it wants; all where absent.
    #[serde(default, deserialize_with = "given")]
    pub filter: Option<Vec<String>>,
}

/// Options that are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Invalid Workflow subscription options")]
pub struct InvalidOptions;

/// A member that is there must have a value.
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Options {
    /// Reads options; `None` where a subscriber gave none.
    ///
    /// # Errors
    /// [`InvalidOptions`].
    pub fn parse(text: Option<&str>) -> Result<Self, InvalidOptions> {
        let Some(text) = text else { return Ok(Self::default()) };
        let members: serde_json::Map<_, _> = serde_json::from_str(text).map_err(|_| InvalidOptions)?;
        let options: Self = serde_json::from_value(members.into()).map_err(|_| InvalidOptions)?;
        let is_known = |name: &String| EVENT_TYPES.contains(&name.as_str());
        let known = options.filter.as_ref().is_none_or(|names| names.iter().all(is_known));
        known.then_some(options).ok_or(InvalidOptions)
    }

    /// Whether the subscriber wants this event.
    #[must_use]
    pub fn wants(&self, event: &Event) -> bool {
        self.filter.as_ref().is_none_or(|names| names.iter().any(|name| name == event.body.name()))
    }
}

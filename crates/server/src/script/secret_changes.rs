//! Secrets that a version sets or removes when it becomes current, kept sealed among its settings until then.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stepwell_store::SecretChange;

use super::hex;

/// By name: the sealed value in hexadecimal digits, or `null` where the secret goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretChanges(BTreeMap<String, Option<String>>);

impl SecretChanges {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a change; an earlier one of that name counts no more. `sealed` is `None` where the secret goes.
    pub fn add(&mut self, name: String, sealed: Option<&[u8]>) {
        self.0.insert(name, sealed.map(hex));
    }

    /// These names after the changes.
    pub fn apply(&self, names: &mut BTreeSet<String>) {
        for (name, sealed) in &self.0 {
            if sealed.is_some() {
                names.insert(name.clone());
            } else {
                names.remove(name);
            }
        }
    }

    /// As the store takes them.
    #[must_use]
    pub fn to_store(&self) -> Vec<SecretChange> {
        let change = |(name, sealed): (&String, &Option<String>)| {
            let value = sealed.as_deref().map(|digits| unhex(digits).unwrap_or_default());
            SecretChange { name: name.clone(), value }
        };
        self.0.iter().map(change).collect()
    }
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_back_from_their_text_and_the_last_of_a_name_counts() {
        let mut changes = SecretChanges::default();
        changes.add("KEY".to_owned(), Some(&[9]));
        changes.add("KEY".to_owned(), Some(&[0, 255, 16]));
        changes.add("OLD".to_owned(), None);
        let text = serde_json::to_string(&changes).expect("JSON");
        assert_eq!(text, r#"{"KEY":"00ff10","OLD":null}"#);
        let read: SecretChanges = serde_json::from_str(&text).expect("changes");
        let set = SecretChange { name: "KEY".to_owned(), value: Some(vec![0, 255, 16]) };
        assert_eq!(read.to_store(), [set, SecretChange { name: "OLD".to_owned(), value: None }]);
        let mut names = ["OLD", "OTHER"].map(str::to_owned).into();
        read.apply(&mut names);
        assert_eq!(names, ["KEY", "OTHER"].map(str::to_owned).into());
    }
}

//! Field by field: where two observations of one case are not the same.

use serde::Deserialize;
use serde_json::Value as Json;

/// A field in which two observations differ; `None` where one does not have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Deviation {
    /// Its path, `status.error.message` or `seen.value.2`.
    pub field: String,
    /// What was expected: the other host's.
    pub expected: Option<Json>,
    /// What Stepwell did.
    pub found: Option<Json>,
    /// How the two are related, where that is more than "not the same".
    pub rule: Option<Rule>,
}

/// A relation of two values, which an intended difference can name instead of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// An `Error` whose message begins with a name, and an error of this name with the rest of the message.
    NameInMessage,
}

/// All fields that differ, in order of their paths.
pub fn deviations(expected: &Json, found: &Json) -> Vec<Deviation> {
    let mut all = Vec::new();
    compare(String::new(), Some(expected), Some(found), &mut all);
    all
}

fn compare(field: String, expected: Option<&Json>, found: Option<&Json>, all: &mut Vec<Deviation>) {
    let below = |name: &str| if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") };
    match (expected, found) {
        (Some(ours), Some(theirs)) if has_name_in_message(ours, theirs) => {
            let (expected, found) = (Some(ours.clone()), Some(theirs.clone()));
            all.push(Deviation { field, expected, found, rule: Some(Rule::NameInMessage) });
        }
        (Some(Json::Object(ours)), Some(Json::Object(theirs))) => {
            let names: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for name in names {
                compare(below(name), ours.get(name), theirs.get(name), all);
            }
        }
        (Some(Json::Array(ours)), Some(Json::Array(theirs))) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                compare(below(&index.to_string()), Some(ours), Some(theirs), all);
            }
        }
        _ if expected == found => {}
        _ => all.push(Deviation { field, expected: expected.cloned(), found: found.cloned(), rule: None }),
    }
}

fn has_name_in_message(ours: &Json, theirs: &Json) -> bool {
    let (Some(name), Some(message)) = (theirs["name"].as_str(), theirs["message"].as_str()) else { return false };
    let joined = if message.is_empty() { name.to_owned() } else { format!("{name}: {message}") };
    name != "Error" && ours["name"] == "Error" && ours["message"] == joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_field_that_differs_is_named_with_both_values() {
        let (a, b) =
            (json!({ "x": { "y": [1, 2] }, "gone": 1, "same": {} }), json!({ "x": { "y": [1, 3] }, "same": {} }));
        let found: Vec<_> = deviations(&a, &b).into_iter().map(|one| (one.field, one.expected, one.found)).collect();
        let expected =
            [("gone".to_owned(), Some(json!(1)), None), ("x.y.1".to_owned(), Some(json!(2)), Some(json!(3)))];
        assert_eq!(found, expected);
    }

    #[test]
    fn lists_of_other_lengths_differ_as_wholes() {
        let found = deviations(&json!({ "list": [1] }), &json!({ "list": [1, 2] }));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].field, "list");
    }

    #[test]
    fn an_error_that_lost_its_name_to_its_message_is_known() {
        let unnamed = json!({ "error": { "name": "Error", "message": "TypeError: no" } });
        let found = deviations(&unnamed, &json!({ "error": { "name": "TypeError", "message": "no" } }));
        assert_eq!((found.len(), found[0].rule), (1, Some(Rule::NameInMessage)));
        let found = deviations(&unnamed, &json!({ "error": { "name": "TypeError", "message": "yes" } }));
        assert_eq!((found.len(), found[0].rule), (2, None));
    }

    #[test]
    fn what_is_the_same_does_not_differ() {
        assert_eq!(deviations(&json!({ "a": [1, { "b": null }] }), &json!({ "a": [1, { "b": null }] })), []);
    }
}

//! Field by field: where two observations of one case are not the same.

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
        _ => all.push(Deviation { field, expected: expected.cloned(), found: found.cloned() }),
    }
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
    fn what_is_the_same_does_not_differ() {
        assert_eq!(deviations(&json!({ "a": [1, { "b": null }] }), &json!({ "a": [1, { "b": null }] })), []);
    }
}

//! Which names are valid: Cloudflare's rules, as regular expressions in the reference (§2.3).

/// Characters of an instance id.
pub const INSTANCE_ID_CHARS_MAX: usize = 100;
/// Characters of a workflow name.
pub const WORKFLOW_NAME_CHARS_MAX: usize = 64;
/// Characters of an event type.
pub const EVENT_TYPE_CHARS_MAX: usize = 100;
/// Characters (UTF-16 code units, as JavaScript counts) of a step name.
pub const STEP_NAME_CHARS_MAX: usize = 256;

/// Ids that would collide with paths of the REST API.
const RESERVED_INSTANCE_IDS: [&str; 3] = ["batch", "terminate", "terminateAll"];

/// `^[a-zA-Z0-9_][a-zA-Z0-9-_]*$`, at most `chars_max`.
fn is_word(text: &str, chars_max: usize) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut bytes = text.bytes();
    text.len() <= chars_max && bytes.next().is_some_and(is_plain) && bytes.all(|byte| is_plain(byte) || byte == b'-')
}

/// Whether a user may create an instance of this id.
#[must_use]
pub fn is_instance_id(id: &str) -> bool {
    is_word(id, INSTANCE_ID_CHARS_MAX) && !RESERVED_INSTANCE_IDS.contains(&id) && !is_platform_id(id)
}

/// `cf_` and 64 hexadecimal digits: the form of ids that the platform makes.
fn is_platform_id(id: &str) -> bool {
    id.strip_prefix("cf_")
        .is_some_and(|rest| rest.len() == 64 && rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

/// What may name a workflow.
pub const WORKFLOW_NAME_RULE: &str = "1 to 64 letters, digits, hyphens and underscores, the first one no hyphen";

/// Whether this may name a workflow.
#[must_use]
pub fn is_workflow_name(name: &str) -> bool {
    is_word(name, WORKFLOW_NAME_CHARS_MAX)
}

/// Whether this may be the type of an event.
#[must_use]
pub fn is_event_type(word: &str) -> bool {
    is_word(word, EVENT_TYPE_CHARS_MAX)
}

/// Whether this may name a step: no control characters; the empty name is allowed.
#[must_use]
pub fn is_step_name(name: &str) -> bool {
    name.encode_utf16().count() <= STEP_NAME_CHARS_MAX && !name.chars().any(|c| c <= '\u{1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(valid: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for name in good {
            assert!(valid(name), "{name:?} is valid");
        }
        for name in bad {
            assert!(!valid(name), "{name:?} is not valid");
        }
    }

    #[test]
    fn workflow_names_follow_cloudflares_validator_tests() {
        check(
            is_workflow_name,
            &["abc", "NAME_123-hello", "a-valid-string", &"a".repeat(64)],
            &["", "a b", "\nabc", &"a".repeat(65), "#1231231!!!!", "-badName"],
        );
    }

    #[test]
    fn instance_ids_follow_cloudflares_validator_tests() {
        let platform = format!("cf_{}", "0".repeat(64));
        check(is_instance_id, &[&"a".repeat(100), "_x"], &["", &"a".repeat(101), "batch", "a.b", "é", &platform]);
    }

    #[test]
    fn step_names_may_be_empty_but_hold_no_control_characters() {
        check(is_step_name, &["", "my step ✓", &"a".repeat(256)], &["\0", "a\nb", &"a".repeat(257)]);
    }
}

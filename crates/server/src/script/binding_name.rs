//! Names of members of `env`: the same in uploads, secrets and configurations.

/// Characters of a name: more than code has, and few enough to be shown in a message.
const CHARS_MAX: usize = 255;

/// What is allowed.
pub const BINDING_NAME_RULE: &str =
    "1 to 255 letters, digits and `_`, `$`, `-`, `.`, and not `__proto__`, which no object can have as a member";

/// Whether this may name a member of `env`.
#[must_use]
pub fn is_binding_name(name: &str) -> bool {
    let is_legal = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '.');
    (1..=CHARS_MAX).contains(&name.chars().count()) && name.chars().all(is_legal) && name != "__proto__"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_code_or_a_file_of_variables_may_say_is_a_name() {
        for name in ["DB", "my-var", "a.b", "$x", "Größe", &"a".repeat(CHARS_MAX)] {
            assert!(is_binding_name(name), "{name:?}");
        }
        for name in ["", "a b", "a\n", "\"", "__proto__", &"a".repeat(CHARS_MAX + 1)] {
            assert!(!is_binding_name(name), "{name:?}");
        }
    }
}

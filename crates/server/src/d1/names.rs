//! Names and ids of databases.

const NAME_CHARS_MAX: usize = 64;
const ID_CHARS_MAX: usize = 128;

/// What a name may be.
pub const NAME_RULE: &str = "1 to 64 letters, digits, hyphens and underscores, the first one a letter or a digit";
/// What an id may be.
pub const ID_RULE: &str = "1 to 128 printable ASCII characters, no blanks";

/// Whether this may name a database.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    begins && name.len() <= NAME_CHARS_MAX && name.chars().all(is_legal)
}

/// Whether this may be the id of a database.
#[must_use]
pub fn is_id(id: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

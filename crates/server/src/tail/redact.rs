//! What a tail hides of a request, by the rules of Cloudflare's tails: values of headers that carry credentials, and what
//! looks like an id in an address.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// What stands in the place of what is hidden.
const REDACTED: &str = "REDACTED";
/// A header whose name contains one of these carries a credential.
const TELLING: [&str; 5] = ["auth", "key", "secret", "token", "jwt"];
const COOKIES: [&str; 2] = ["cookie", "set-cookie"];
/// Hexadecimal digits that make an id.
const HEX_DIGITS_MIN: usize = 32;
/// Characters that make an id in base 64, with at least [`KIND_MIN`] of each kind.
const BASE64_CHARS_MIN: usize = 21;
const KIND_MIN: usize = 2;

static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new("[A-Za-z0-9+_-]+").expect("a pattern"));

/// The value of a header, whose name is in lower case, as a tail shows it.
pub fn header<'a>(name: &str, value: &'a str) -> &'a str {
    let hidden = COOKIES.contains(&name) || TELLING.iter().any(|part| name.contains(part));
    if hidden { REDACTED } else { value }
}

/// An address as a tail shows it.
pub fn url(url: &str) -> Cow<'_, str> {
    WORD.replace_all(url, |found: &regex::Captures<'_>| {
        let word = &found[0];
        if is_hex_id(word) || is_base64_id(word) { REDACTED.to_owned() } else { word.to_owned() }
    })
}

fn is_hex_id(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_hexdigit).count();
    let separators = word.bytes().filter(|byte| b"+-_".contains(byte)).count();
    digits >= HEX_DIGITS_MIN && digits + separators == word.len()
}

fn is_base64_id(word: &str) -> bool {
    let count = |is_kind: fn(&u8) -> bool| word.bytes().filter(is_kind).count();
    let has_all = [u8::is_ascii_uppercase, u8::is_ascii_lowercase, u8::is_ascii_digit as fn(&u8) -> bool];
    word.len() >= BASE64_CHARS_MIN && has_all.into_iter().all(|kind| count(kind) >= KIND_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_carry_credentials_are_hidden() {
        for name in ["authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token", "cf-access-jwt-assertion"] {
            assert_eq!(header(name, "value"), "REDACTED", "{name}");
        }
        for name in ["accept", "user-agent", "cf-connecting-ip", "x-cookie"] {
            assert_eq!(header(name, "value"), "value", "{name}");
        }
    }

    #[test]
    fn ids_in_addresses_are_hidden() {
        for (given, shown) in [
            ("http://a.b/path?a=1&b=2", "http://a.b/path?a=1&b=2"),
            ("http://a.b/0123456789abcdef0123456789ABCDEF/x", "http://a.b/REDACTED/x"),
            ("http://a.b/01234567-89ab-cdef-0123-456789abcdef", "http://a.b/REDACTED"),
            ("http://a.b/0123456789abcdef", "http://a.b/0123456789abcdef"),
            ("http://a.b/?t=AAbbcc112233445566778", "http://a.b/?t=REDACTED"),
            ("http://a.b/a-long-name-without-any-digits", "http://a.b/a-long-name-without-any-digits"),
        ] {
            assert_eq!(url(given), shown, "{given}");
        }
    }
}

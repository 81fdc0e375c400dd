//! Which database, as one text: the header in which a worker process names it.
//!
//! It is the id itself in the default account, so that configurations read well, and `<account>.<id>` elsewhere. An id
//! may be any text: bytes that a header cannot hold are percent-encoded, and an id that looks like another account's is
//! written with its account.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use stepwell_store::{AccountId, DatabaseKey};

const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// The text of a database.
#[must_use]
pub fn write(key: &DatabaseKey) -> String {
    let id = utf8_percent_encode(&key.id, ENCODED);
    if key.account == AccountId::DEFAULT && split(&key.id).is_none() {
        return id.to_string();
    }
    format!("{}.{id}", key.account)
}

/// Reads what [`write()`] wrote.
#[must_use]
pub fn read(text: &str) -> DatabaseKey {
    let (account, id) = split(text).unwrap_or((AccountId::DEFAULT, text));
    DatabaseKey { account, id: percent_decode_str(id).decode_utf8_lossy().into_owned() }
}

fn split(text: &str) -> Option<(AccountId, &str)> {
    let (account, id) = text.split_once('.')?;
    Some((AccountId(account.parse().ok()?), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_database_has_a_text_of_its_own_that_is_a_header() {
        let texts: Vec<_> =
            [(0, "shop"), (7, "shop"), (0, "7.shop"), (0, "0.7.shop"), (7, "8.x"), (0, "a b%ü"), (0, "")]
                .map(|(account, id)| DatabaseKey { account: AccountId(account), id: id.to_owned() })
                .iter()
                .map(|key| {
                    let text = write(key);
                    assert_eq!(read(&text), *key, "{text}");
                    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
                    text
                })
                .collect();
        assert_eq!(texts, ["shop", "7.shop", "0.7.shop", "0.0.7.shop", "7.8.x", "a%20b%25%C3%BC", ""]);
    }
}

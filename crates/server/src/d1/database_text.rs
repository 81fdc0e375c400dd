//! Which database, as one text, `<account>/<id>`: the header in which a worker process names it. An id may be any text:
//! bytes that a header cannot hold are percent-encoded.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use stepwell_store::{AccountId, DatabaseKey};

const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// The text of a database.
#[must_use]
pub fn write(key: &DatabaseKey) -> String {
    format!("{}/{}", key.account, utf8_percent_encode(&key.id, ENCODED))
}

/// Reads what [`write()`] wrote.
#[must_use]
pub fn read(text: &str) -> Option<DatabaseKey> {
    let (account, id) = text.split_once('/')?;
    let id = percent_decode_str(id).decode_utf8().ok()?.into_owned();
    Some(DatabaseKey { account: AccountId(account.parse().ok()?), id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_comes_back_from_its_text_which_is_a_header_whatever_its_id() {
        for (account, id, text) in [
            (0, "shop", "0/shop"),
            (7, "shop", "7/shop"),
            (0, "7/shop", "0/7/shop"),
            (0, "a b%ü", "0/a%20b%25%C3%BC"),
            (0, "", "0/"),
        ] {
            let key = DatabaseKey { account: AccountId(account), id: id.to_owned() };
            assert_eq!(write(&key), text);
            assert_eq!(read(text), Some(key));
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
        }
        assert_eq!(read("shop"), None);
    }
}

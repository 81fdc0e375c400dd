//! Which database is meant: an account's, by its id. Equal ids of two accounts are two databases.

use std::fmt;

use stepwell_store::AccountId;

/// A database of an account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DatabaseName {
    /// Whose.
    pub account: AccountId,
    /// Any text.
    pub id: String,
}

impl DatabaseName {
    /// A database of an account.
    pub fn new(account: AccountId, id: impl Into<String>) -> Self {
        Self { account, id: id.into() }
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (account, id) = text.split_once('/')?;
        Some(Self::new(AccountId(account.parse().ok()?), id))
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_from_its_text_whatever_the_id_is() {
        for id in ["shop", "", "7/shop", "7.shop", "ä b"] {
            for account in [AccountId::DEFAULT, AccountId(7)] {
                let name = DatabaseName::new(account, id);
                assert_eq!(DatabaseName::parse(&name.to_string()), Some(name));
            }
        }
        assert_eq!(DatabaseName::parse("shop"), None);
    }
}

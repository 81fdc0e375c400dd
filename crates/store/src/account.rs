//! Accounts, and names that belong to one.
//!
//! Scripts and workflows are named within an account, so that two accounts may use one name and never meet. Whatever is
//! looked up by name is looked up by a [`ScopedName`]; numbers (of workflows, deployments, instances) are unique in the
//! whole server and need no account.

use std::fmt;

use stepwell_engine::Millis;

/// Number of an account, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u32);

impl AccountId {
    /// The account that every server has; it has no row.
    pub const DEFAULT: Self = Self(0);
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An account besides the default one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its number.
    pub id: AccountId,
    /// The id by which clients know it.
    pub public_id: String,
    /// Unique.
    pub name: String,
    /// When it was made.
    pub created_at: Millis,
}

/// An account to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Unique.
    pub public_id: String,
    /// Unique.
    pub name: String,
    /// Now.
    pub at: Millis,
}

/// The name of a script or a workflow within its account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopedName {
    /// Whose.
    pub account: AccountId,
    /// As its owner writes it; it does not begin like the text of another account's name (`<digits>.`).
    pub name: String,
}

impl ScopedName {
    /// A name of an account.
    pub fn new(account: AccountId, name: impl Into<String>) -> Self {
        Self { account, name: name.into() }
    }

    /// A name of the default account.
    pub fn in_default(name: impl Into<String>) -> Self {
        Self::new(AccountId::DEFAULT, name)
    }

    /// The same account's other name.
    #[must_use]
    pub fn sibling(&self, name: impl Into<String>) -> Self {
        Self::new(self.account, name)
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let scoped = text.split_once('.').and_then(|(account, name)| Some((account.parse().ok()?, name)));
        scoped.map_or_else(|| Self::in_default(text), |(account, name)| Self::new(AccountId(account), name))
    }
}

/// The one text of a name, in the store and on the way to a worker process: the bare name in the default account, as it
/// was before there were others, and `<account>.<name>` elsewhere. It is a host name wherever the name is one.
impl fmt::Display for ScopedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.account {
            AccountId::DEFAULT => f.write_str(&self.name),
            AccountId(account) => write!(f, "{account}.{}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_from_its_text() {
        for (name, text) in [
            (ScopedName::in_default("shop"), "shop"),
            (ScopedName::new(AccountId(7), "shop"), "7.shop"),
            (ScopedName::in_default("7"), "7"),
            (ScopedName::in_default("my.shop"), "my.shop"),
        ] {
            assert_eq!(name.to_string(), text);
            assert_eq!(ScopedName::parse(text), name);
        }
    }
}

//! What a token may do. Scopes stand beside each other: none includes another.

use std::fmt;

/// A part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Lists, states and settings, without what users' code was given or gave.
    Metadata,
    /// Params, outputs, events, logs, and what databases hold.
    Payloads,
    /// Creating instances and sending them events.
    Trigger,
    /// Pausing, resuming, restarting, terminating and deleting instances.
    Manage,
    /// Uploading Workers, with their workflows, secrets and databases, and deleting them.
    Deploy,
    /// Tokens and accounts.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Metadata, Self::Payloads, Self::Trigger, Self::Manage, Self::Deploy, Self::Admin];

    /// Its word, in requests and in the store.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Payloads => "payloads",
            Self::Trigger => "trigger",
            Self::Manage => "manage",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }

    /// The scope of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.word() == word)
    }
}

/// Some scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope, those of later versions as well.
    pub const ALL: Self = Self(u8::MAX);
    /// None.
    pub const NONE: Self = Self(0);
    const ALL_TEXT: &str = "*";

    /// These.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | bit(scope)))
    }

    /// Whether a scope is among them.
    #[must_use]
    pub fn has(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    /// Reads what [`Display`](fmt::Display) wrote. Words of a newer version are passed over: they allow nothing here.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text == Self::ALL_TEXT {
            return Self::ALL;
        }
        Self::of(text.split(',').filter_map(Scope::parse))
    }

    /// Their words.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        Scope::ALL.into_iter().filter(|scope| self.has(*scope)).map(Scope::word).collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL { f.write_str(Self::ALL_TEXT) } else { f.write_str(&self.words().join(",")) }
    }
}

fn bit(scope: Scope) -> u8 {
    1 << scope as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_come_back_from_their_text() {
        for scopes in [Scopes::ALL, Scopes::of([]), Scopes::of([Scope::Trigger]), Scopes::of(Scope::ALL)] {
            assert_eq!(Scopes::parse(&scopes.to_string()), scopes, "{scopes}");
        }
        assert_eq!(Scopes::of([Scope::Deploy, Scope::Metadata]).to_string(), "metadata,deploy");
    }

    #[test]
    fn no_scope_includes_another() {
        for scope in Scope::ALL {
            let one = Scopes::of([scope]);
            assert_eq!(Scope::ALL.into_iter().filter(|other| one.has(*other)).collect::<Vec<_>>(), [scope]);
            assert_eq!(Scope::parse(scope.word()), Some(scope));
        }
        assert!(!Scopes::parse("everything").has(Scope::Metadata));
    }
}

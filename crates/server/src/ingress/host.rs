//! What a host name says about the script that is meant.

use std::net::IpAddr;

/// What a request's host asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// A script, by the first label, and perhaps its account, by the second. `is_ours`: below `.localhost`, where nothing
    /// else can be meant.
    Named { script: &'a str, account: Option<&'a str>, is_ours: bool },
    /// This machine, and no script in particular.
    Bare,
}

/// Reads a `Host` header.
pub(super) fn read(host: &str) -> Target<'_> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_end_matches('.');
    let is_address = name.starts_with('[') || name.parse::<IpAddr>().is_ok();
    match name.split_once('.') {
        Some((script, rest)) if !is_address && !script.is_empty() => {
            let last = rest.rsplit('.').next().unwrap_or_default();
            let account = rest.split_once('.').map(|(account, _)| account);
            Target::Named { script, account, is_ours: last.eq_ignore_ascii_case("localhost") }
        }
        _ => Target::Bare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_label_names_the_script_and_the_second_an_account() {
        for (host, account, is_ours) in [
            ("shop.localhost", None, true),
            ("shop.localhost:8787", None, true),
            ("shop.team.localhost:8787", Some("team"), true),
            ("shop.example.com", Some("example"), false),
            ("shop.test.", None, false),
        ] {
            assert_eq!(read(host), Target::Named { script: "shop", account, is_ours }, "{host}");
        }
    }

    #[test]
    fn addresses_and_bare_names_name_no_script() {
        for host in ["localhost", "localhost:8787", "127.0.0.1:8787", "[::1]:8787", "", "machine", ".localhost"] {
            assert_eq!(read(host), Target::Bare, "{host}");
        }
    }
}

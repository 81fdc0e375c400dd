//! Headers on their way through: those of one hop stay behind, and those that say who asked are ours to set.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// From outside, from this address where it is known.
    Client(Option<IpAddr>),
    /// From another Worker of this server, which has set what it wants to tell.
    Worker,
}

/// Headers that concern one connection only (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
/// What the server's own parts tell each other; nobody else may.
const INTERNAL_PREFIX: &str = "x-stepwell-";

/// The protocol that a message wants to change to.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let wants = headers.get_all(header::CONNECTION).iter().flat_map(tokens).any(|token| token == "upgrade");
    if wants { headers.get(header::UPGRADE).cloned() } else { None }
}

/// Takes out what concerns one hop; asks for the upgrade again where there is one.
pub(super) fn strip(headers: &mut HeaderMap, upgrade: Option<HeaderValue>) {
    let named: Vec<String> = headers.get_all(header::CONNECTION).iter().flat_map(tokens).collect();
    for name in named {
        headers.remove(name.as_str());
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = String> + use<'_> {
    value.to_str().unwrap_or_default().split(',').map(|token| token.trim().to_ascii_lowercase())
}

/// Says who asked, and takes out what only this server may say.
pub(super) fn introduce(headers: &mut HeaderMap, peer: Peer) {
    let internal: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(INTERNAL_PREFIX)).cloned().collect();
    for name in internal {
        headers.remove(name);
    }
    let Peer::Client(address) = peer else { return };
    headers.remove(CONNECTING_IP);
    if let Some(address) = address {
        let address = address.to_canonical().to_string();
        let so_far = headers.get(FORWARDED_FOR).and_then(|value| value.to_str().ok());
        let chain = so_far.map_or_else(|| address.clone(), |so_far| format!("{so_far}, {address}"));
        for (name, text) in [(FORWARDED_FOR, chain), (CONNECTING_IP, address)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
    }
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static("http"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn what_concerns_one_hop_stays_behind() {
        let mut given =
            headers(&[("connection", "close, X-Hop"), ("x-hop", "1"), ("te", "trailers"), ("accept", "*/*")]);
        strip(&mut given, None);
        assert_eq!(given, headers(&[("accept", "*/*")]));
    }

    #[test]
    fn an_upgrade_goes_on() {
        let mut given = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        let protocol = upgrade(&given);
        strip(&mut given, protocol);
        assert_eq!(given, headers(&[("connection", "Upgrade"), ("upgrade", "websocket")]));
        assert_eq!(upgrade(&headers(&[("upgrade", "h2c")])), None);
    }

    #[test]
    fn a_client_cannot_say_who_it_is_nor_speak_as_the_server() {
        let mut given =
            headers(&[("cf-connecting-ip", "9.9.9.9"), ("x-forwarded-for", "9.9.9.9"), ("x-stepwell-d1", "db")]);
        introduce(&mut given, Peer::Client(Some("10.0.0.1".parse().expect("an address"))));
        let expected =
            [("cf-connecting-ip", "10.0.0.1"), ("x-forwarded-for", "9.9.9.9, 10.0.0.1"), ("x-forwarded-proto", "http")];
        assert_eq!(given, headers(&expected));
    }

    #[test]
    fn a_worker_tells_what_it_wants_but_for_our_own_headers() {
        let mut given = headers(&[("cf-connecting-ip", "9.9.9.9"), ("x-stepwell-service", "other")]);
        introduce(&mut given, Peer::Worker);
        assert_eq!(given, headers(&[("cf-connecting-ip", "9.9.9.9")]));
    }
}

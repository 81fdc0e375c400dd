//! Without a token, what keeps web pages out: a page whose host name was made to point at this machine (DNS rebinding)
//! sends its own name as host, and a page of another origin says so.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

use crate::api_error::ApiError;

/// Refuses requests that did not come from a program on this machine.
pub(super) fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let host = text(headers, header::HOST).or_else(|| uri.authority().map(Authority::as_str));
    let host = host.unwrap_or_default();
    if !is_loopback(host_name(host)) {
        return Err(refused(format!(
            "host {host:?} is not this machine: without a token the API answers to localhost and 127.0.0.1 only"
        )));
    }
    match text(headers, header::ORIGIN) {
        Some(origin) if origin.split_once("://").is_none_or(|(_, from)| from != host) => {
            Err(refused(format!("pages of {origin} may not use this API")))
        }
        _ => Ok(()),
    }
}

fn refused(message: String) -> ApiError {
    ApiError::new(403, super::AUTHENTICATION, message)
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    // What is not text is no host of ours either.
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// A host without its port; the brackets of an IPv6 address stay out as well.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    }
}

fn is_loopback(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().expect("a header value"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().expect("a header value"));
        }
        check(&Uri::from_static("/client/v4/user"), &headers).is_ok()
    }

    #[test]
    fn programs_on_this_machine_are_let_in() {
        for host in ["localhost", "localhost:8788", "127.0.0.1:8788", "[::1]:8788", "api.localhost:1", "LOCALHOST."] {
            assert!(admits(host, None), "{host}");
        }
    }

    #[test]
    fn names_that_were_made_to_point_here_are_refused() {
        for host in ["evil.test:8788", "192.168.0.5:8788", "", "localhost.evil.test", "127.0.0.1.evil.test"] {
            assert!(!admits(host, None), "{host}");
        }
    }

    #[test]
    fn pages_of_another_origin_are_refused() {
        assert!(admits("localhost:8788", Some("http://localhost:8788")));
        for origin in ["https://evil.test", "http://localhost:8787", "null"] {
            assert!(!admits("localhost:8788", Some(origin)), "{origin}");
        }
    }

    #[test]
    fn a_request_without_any_host_is_refused() {
        assert!(check(&Uri::from_static("/"), &HeaderMap::new()).is_err());
    }
}

//! Paths of instances that schedules created: `…/instances/*/5 * * * *-1786001400000/status`. wrangler does not encode an
//! id, and no route has a place for its slashes, so that they are encoded before a request is routed.

use axum::extract::Request;
use axum::http::Uri;
use percent_encoding::percent_decode_str;
use stepwell_engine::Cron;
use stepwell_engine::cron::firing_of;

use crate::platform_batch::ADDRESSABLE_ID_CHARS_MAX;

/// Bytes of an id whose characters are all encoded.
const ENCODED_ID_BYTES_MAX: usize = 3 * ADDRESSABLE_ID_CHARS_MAX;

/// The same request with such an id in one part of its path.
pub fn encode(mut request: Request) -> Request {
    if let Some(uri) = encoded(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn encoded(uri: &Uri) -> Option<Uri> {
    let (before, behind) = uri.path().split_once("/instances/").filter(|(before, _)| before.contains("/workflows/"))?;
    let ends = behind.match_indices('/').map(|(end, _)| end).chain([behind.len()]);
    // The longest one: `0 0 1 1 1-5` is an id as well where `0 0 1 1 1-5/2-1786001400000` is meant.
    let end = ends.rev().filter(|end| *end <= ENCODED_ID_BYTES_MAX).find(|end| is_of_firing(&behind[..*end]))?;
    let (id, rest) = behind.split_at(end);
    if !id.contains('/') {
        return None;
    }
    let id = id.replace('/', "%2F");
    let query = uri.query().map_or(String::new(), |query| format!("?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = format!("{before}/instances/{id}{rest}{query}").parse().ok();
    Uri::from_parts(parts).ok()
}

fn is_of_firing(encoded: &str) -> bool {
    let Ok(id) = percent_decode_str(encoded).decode_utf8() else { return false };
    firing_of(&id).is_some_and(|firing| Cron::parse(firing.cron).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKFLOW: &str = "/client/v4/accounts/a/workflows/flow";

    fn check(path: &str, expected: Option<&str>) {
        let uri = format!("{WORKFLOW}{path}").parse().expect("a URI");
        let expected = expected.map(|path| format!("{WORKFLOW}{path}"));
        assert_eq!(encoded(&uri).map(|uri| uri.to_string()), expected, "{path}");
    }

    #[test]
    fn slashes_of_a_schedules_id_are_encoded_whatever_stands_behind_it() {
        let (given, wanted) = ("/instances/*/5%20*%20*/2%20*%20*-178", "/instances/*%2F5%20*%20*%2F2%20*%20*-178");
        for rest in ["", "/", "?simple=true", "/status", "/step?name=a/b-1", "/logs", "/events/go", "/events/go-1"] {
            check(&format!("{given}{rest}"), Some(&format!("{wanted}{rest}")));
        }
        check("/instances/0%200%201%201%201-5/2-178/logs", Some("/instances/0%200%201%201%201-5%2F2-178/logs"));
    }

    #[test]
    fn other_paths_stay_as_they_are() {
        for path in [
            "/instances",
            "/instances/",
            "/instances/a/events/go-1",
            "/instances/*%2F5%20*%20*%20*%20*-178/events/go-1",
            "/instances/0%200%20*%20*%20*-178/status",
            "/instances/*/5%20*%20*%20*-178",
            "/instances/*/5%20*%20*%20*%20*",
            "/versions/*/5%20*%20*%20*%20*-178",
        ] {
            check(path, None);
        }
    }
}

//! Which events a tail wants: Cloudflare's filters, all of which must hold.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::event::{Event, Fetch, Invocation, Outcome};
use super::limits::FILTERS_MAX;
use crate::api_error::ApiError;
use crate::rest::{read_json, read_json_value, version_id};

/// The word for the address of whoever makes the tail.
const SELF: &str = "self";
const KNOWN: &str = "sampling_rate, outcome, method, header, client_ip, query, scriptVersion";

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// This share of all events.
    Sampling(f64),
    /// Ended so.
    Outcome(Vec<Outcome>),
    /// A request by one of these methods, in upper case.
    Method(Vec<String>),
    /// A request with this header, in lower case; with this text in its value.
    Header(String, Option<String>),
    /// A request from one of these addresses.
    ClientIp(Vec<IpAddr>),
    /// With this text in a console line.
    Query(String),
    /// Of this version.
    Version(String),
}

/// Which events a tail is to show: those for which all of these hold.
#[derive(Deserialize, JsonSchema)]
pub struct Filters {
    #[serde(default)]
    #[schemars(with = "Vec<Given>")]
    filters: Vec<Value>,
}

/// One filter on the wire.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Given {
    /// Above 0, at most 1.
    sampling_rate: Option<f64>,
    outcome: Option<Vec<String>>,
    method: Option<Vec<String>>,
    header: Option<GivenHeader>,
    client_ip: Option<Vec<String>>,
    query: Option<String>,
    #[serde(rename = "scriptVersion")]
    script_version: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct GivenHeader {
    key: String,
    query: Option<String>,
}

/// Reads the body of a request for a tail; `own` is the address that it came from.
///
/// # Errors
/// 400 for what is no filter, by name.
pub fn read(body: &[u8], own: Option<IpAddr>) -> Result<Vec<Filter>, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let body: Filters = read_json(body)
        .map_err(|error| ApiError::bad_request(format!("a tail is asked for with {{\"filters\": […]}}: {error}")))?;
    if body.filters.len() > FILTERS_MAX {
        return Err(ApiError::bad_request(format!("a tail has at most {FILTERS_MAX} filters")));
    }
    let mut filters = Vec::new();
    for given in body.filters {
        let refused = |error| ApiError::bad_request(format!("the filter {given}: {error}; known filters: {KNOWN}"));
        filters.extend(read_one(read_json_value(&given).map_err(refused)?, own)?);
    }
    Ok(filters)
}

fn read_one(given: Given, own: Option<IpAddr>) -> Result<Vec<Filter>, ApiError> {
    let mut filters = Vec::new();
    if let Some(rate) = given.sampling_rate {
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(ApiError::bad_request(format!(
                "the sampling rate {rate} is none: it is above 0 and at most 1"
            )));
        }
        filters.push(Filter::Sampling(rate));
    }
    if let Some(words) = given.outcome {
        filters.push(Filter::Outcome(words.iter().map(|word| read_outcome(word)).collect::<Result<_, _>>()?));
    }
    if let Some(methods) = given.method {
        filters.push(Filter::Method(methods.iter().map(|method| method.to_ascii_uppercase()).collect()));
    }
    if let Some(GivenHeader { key, query }) = given.header {
        filters.push(Filter::Header(key.trim().to_ascii_lowercase(), query.filter(|query| !query.is_empty())));
    }
    if let Some(addresses) = given.client_ip {
        let addresses = addresses.iter().map(|address| read_address(address, own)).collect::<Result<Vec<_>, _>>()?;
        filters.push(Filter::ClientIp(addresses));
    }
    filters.extend(given.query.map(Filter::Query));
    filters.extend(given.script_version.map(Filter::Version));
    Ok(filters)
}

fn read_outcome(word: &str) -> Result<Outcome, ApiError> {
    Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == word).ok_or_else(|| {
        let known: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        ApiError::bad_request(format!("{word:?} is no outcome; there are {}", known.join(", ")))
    })
}

fn read_address(text: &str, own: Option<IpAddr>) -> Result<IpAddr, ApiError> {
    let address = if text == SELF { own } else { text.parse().ok() };
    let refused = || ApiError::bad_request(format!("{text:?} is no address; \"{SELF}\" stands for your own"));
    address.map(|address| address.to_canonical()).ok_or_else(refused)
}

impl Filter {
    /// Whether an event is wanted.
    pub fn holds(&self, event: &Event) -> bool {
        match self {
            Self::Sampling(rate) => sample() < *rate,
            Self::Outcome(outcomes) => outcomes.contains(&event.outcome),
            Self::Method(methods) => fetch_of(event).is_some_and(|fetch| methods.contains(&fetch.method)),
            Self::Header(key, query) => fetch_of(event).is_some_and(|fetch| has_header(fetch, key, query.as_deref())),
            Self::ClientIp(addresses) => {
                fetch_of(event).and_then(|fetch| fetch.client_ip).is_some_and(|address| addresses.contains(&address))
            }
            Self::Query(query) => event.told.lines.iter().any(|line| line.text().contains(query)),
            Self::Version(version) => event.version.is_some_and(|own| version_id(own) == *version),
        }
    }
}

fn fetch_of(event: &Event) -> Option<&Fetch> {
    match &event.invocation {
        Invocation::Fetch(fetch) => Some(fetch),
        Invocation::Run { .. } => None,
    }
}

fn has_header(fetch: &Fetch, key: &str, query: Option<&str>) -> bool {
    let found = |(name, value): &(String, String)| name == key && query.is_none_or(|query| value.contains(query));
    fetch.headers.iter().any(found)
}

/// From 0 up to 1. Without the system's randomness everything is shown.
fn sample() -> f64 {
    getrandom::u32().map_or(0.0, |number| f64::from(number) / (f64::from(u32::MAX) + 1.0))
}

#[cfg(test)]
mod tests {
    use stepwell_engine::DeploymentId;
    use stepwell_store::ScopedName;

    use super::*;
    use crate::tail::event::{Line, Told};

    fn fetch_event() -> Event {
        let mut told = Told::default();
        let message = serde_json::value::RawValue::from_string(r#"["paid \"x\"",{"n":1}]"#.to_owned()).expect("JSON");
        told.write(Line { at: 0, level: "log".to_owned(), message, step: None });
        let fetch = Fetch {
            method: "POST".to_owned(),
            url: "http://a/".to_owned(),
            headers: vec![("x-shop".to_owned(), "blue shoes".to_owned())],
            client_ip: Some("10.0.0.1".parse().expect("an address")),
            status: Some(200),
        };
        Event {
            script: ScopedName::in_default("a"),
            version: Some(DeploymentId(1)),
            outcome: Outcome::Exception,
            at: 0,
            wall_ms: None,
            invocation: Invocation::Fetch(fetch),
            told,
        }
    }

    fn run_event() -> Event {
        let (class, workflow) = ("W".to_owned(), "w".to_owned());
        Event { invocation: Invocation::Run { class, workflow, instance: None }, ..fetch_event() }
    }

    fn check(filter: &str, fetch: bool, run: bool) {
        let own = Some("::ffff:10.0.0.1".parse().expect("an address"));
        let filters = read(format!(r#"{{"filters":[{filter}]}}"#).as_bytes(), own).expect(filter);
        let all = |event: &Event| filters.iter().all(|filter| filter.holds(event));
        assert_eq!((all(&fetch_event()), all(&run_event())), (fetch, run), "{filter}");
    }

    #[test]
    fn filters_hold_for_what_they_name() {
        check("", true, true);
        check(r#"{"sampling_rate":1}"#, true, true);
        check(r#"{"outcome":["exception","unknown"]}"#, true, true);
        check(r#"{"outcome":["ok"]}"#, false, false);
        check(r#"{"method":["get","post"]}"#, true, false);
        check(r#"{"method":["GET"]}"#, false, false);
        check(r#"{"header":{"key":"X-Shop"}}"#, true, false);
        check(r#"{"header":{"key":"x-shop","query":"blue"}}"#, true, false);
        check(r#"{"header":{"key":"x-shop","query":"red"}}"#, false, false);
        check(r#"{"client_ip":["self"]}"#, true, false);
        check(r#"{"client_ip":["10.0.0.2"]}"#, false, false);
        check(r#"{"query":"paid \"x\" {\"n\":1}"}"#, true, true);
        check(r#"{"query":"unpaid"}"#, false, false);
        check(r#"{"scriptVersion":"00000000-0000-8000-8000-000000000001"}"#, true, true);
        check(r#"{"scriptVersion":"other"}"#, false, false);
        check(r#"{"method":["POST"]},{"query":"unpaid"}"#, false, false);
    }

    #[test]
    fn a_sample_of_almost_nothing_shows_almost_nothing() {
        let (event, filter) = (fetch_event(), Filter::Sampling(1e-9));
        assert!((0..1_000).filter(|_| filter.holds(&event)).count() < 3);
    }

    #[test]
    fn what_is_no_filter_is_refused_by_name() {
        for (filter, told) in [
            (r#"{"colour":"red"}"#, "colour"),
            (r#"{"outcome":["fine"]}"#, "fine"),
            (r#"{"sampling_rate":0}"#, "0"),
            (r#"{"client_ip":["here"]}"#, "here"),
            (r#"{"header":"x"}"#, "header"),
        ] {
            let error = read(format!(r#"{{"filters":[{filter}]}}"#).as_bytes(), None).expect_err(filter);
            assert!(error.status == 400 && error.message.contains(told), "{}", error.message);
        }
        assert_eq!(read(b"7", None).map_err(|error| error.status), Err(400));
        assert_eq!(read(b"", None), Ok(Vec::new()));
    }
}

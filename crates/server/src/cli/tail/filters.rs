//! Which events are wanted: wrangler's flags, as Cloudflare's filters.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::CliError;

#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct FilterArgs {
    /// Only what ended so; may be given more than once
    #[arg(long, value_enum, value_delimiter = ',')]
    status: Vec<Status>,
    /// Only requests with this header, or with this text in it: NAME or NAME:TEXT
    #[arg(long, value_name = "HEADER")]
    header: Option<String>,
    /// Only requests by this method; may be given more than once
    #[arg(long, value_delimiter = ',')]
    method: Vec<String>,
    /// Only this share of all events, between 0 and 1
    #[arg(long, value_name = "RATE")]
    sampling_rate: Option<f64>,
    /// Only what writes this text to its console
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only requests from this address, or your own: `self`; may be given more than once
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    ip: Vec<String>,
    /// Only this version of the Worker
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Status {
    Ok,
    Error,
    Canceled,
}

impl Status {
    fn outcomes(self) -> &'static [&'static str] {
        match self {
            Self::Ok => &["ok"],
            Self::Canceled => &["canceled"],
            Self::Error => &["exception", "exceededCpu", "exceededMemory", "unknown"],
        }
    }
}

impl FilterArgs {
    /// The body of a request for a tail.
    ///
    /// # Errors
    /// For a sampling rate that is none.
    pub fn body(&self) -> Result<String, CliError> {
        let mut filters: Vec<Value> = Vec::new();
        if let Some(rate) = self.sampling_rate {
            if !(rate > 0.0 && rate < 1.0) {
                let message = "a sampling rate lies between 0 and 1: 0.25 shows one event of four".to_owned();
                return Err(CliError::Usage(message));
            }
            filters.push(json!({ "sampling_rate": rate }));
        }
        if !self.status.is_empty() {
            let outcomes: Vec<_> = self.status.iter().flat_map(|status| status.outcomes()).collect();
            filters.push(json!({ "outcome": outcomes }));
        }
        if !self.method.is_empty() {
            filters.push(json!({ "method": self.method }));
        }
        if let Some(header) = &self.header {
            let filter = match header.split_once(':') {
                Some((key, query)) => json!({ "key": key.trim(), "query": query.trim() }),
                None => json!({ "key": header.trim() }),
            };
            filters.push(json!({ "header": filter }));
        }
        if !self.ip.is_empty() {
            filters.push(json!({ "client_ip": self.ip }));
        }
        filters.extend(self.search.as_ref().map(|text| json!({ "query": text })));
        filters.extend(self.version_id.as_ref().map(|id| json!({ "scriptVersion": id })));
        Ok(json!({ "filters": filters }).to_string())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        filters: FilterArgs,
    }

    fn check(line: &str, expected: &Value) {
        let words = std::iter::once("tail").chain(line.split_whitespace());
        let filters = Line::try_parse_from(words).expect(line).filters.body().expect(line);
        assert_eq!(serde_json::from_str::<Value>(&filters).expect("JSON")["filters"], *expected, "{line}");
    }

    #[test]
    fn flags_become_the_filters_that_wrangler_makes_of_them() {
        check("", &json!([]));
        check("--status ok --status canceled", &json!([{ "outcome": ["ok", "canceled"] }]));
        let errors = ["exception", "exceededCpu", "exceededMemory", "unknown"];
        check("--status error --search paid", &json!([{ "outcome": errors }, { "query": "paid" }]));
        check("--method GET,POST", &json!([{ "method": ["GET", "POST"] }]));
        check("--header X-Shop", &json!([{ "header": { "key": "X-Shop" } }]));
        check("--header X-Shop:a:b", &json!([{ "header": { "key": "X-Shop", "query": "a:b" } }]));
        check("--ip self --version-id v", &json!([{ "client_ip": ["self"] }, { "scriptVersion": "v" }]));
        check("--sampling-rate 0.5", &json!([{ "sampling_rate": 0.5 }]));
    }

    #[test]
    fn a_sampling_rate_of_everything_is_refused_as_in_wrangler() {
        let filters = FilterArgs { sampling_rate: Some(1.0), ..FilterArgs::default() };
        assert!(filters.body().is_err());
    }
}

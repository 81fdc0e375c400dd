//! How long a deploy takes until requests are answered by the new code.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use serde_json::json;

use super::client::Client;
use super::figure::{Figure, Goal, median};
use super::server::{Server, Setup};

const SCRIPT: &str = "deployed";
const CODE_BYTES: usize = 1 << 20;
const ROUNDS: usize = 11;
const BOUNDARY: &str = "----stepwell-bench";
/// How often the Worker is asked which code it is.
const POLL: Duration = Duration::from_millis(2);

/// Milliseconds from the beginning of the upload of a Worker of `CODE_BYTES` until it answers a request, the median of
/// `ROUNDS` deploys over one that serves.
///
/// # Errors
/// The server does not do what it should.
pub async fn deploys(setup: &Setup) -> Result<Vec<Figure>> {
    let server = Server::start(setup).await?;
    let (mut api, mut ingress) = (server.client().await?, server.ingress().await?);
    deploy(&mut api, &mut ingress, "the first").await?;
    let mut took_ms = Vec::new();
    for number in 1..=ROUNDS {
        let took = deploy(&mut api, &mut ingress, &format!("number {number}")).await?;
        took_ms.push(took.as_secs_f64() * 1e3);
    }
    let name = "a deploy of 1 MiB of code, from its upload to its first answer";
    Ok(vec![Figure::new(name, median(took_ms), "ms", Goal::AtMost(300.0))])
}

async fn deploy(api: &mut Client, ingress: &mut Client, answer: &str) -> Result<Duration> {
    let form = form(answer);
    let begun = Instant::now();
    let serving = async {
        // Nobody answers before the first one.
        while ingress.fetch(SCRIPT).await.ok().as_deref() != Some(answer) {
            tokio::time::sleep(POLL).await;
        }
        Ok(begun.elapsed())
    };
    let ((), served) = tokio::try_join!(api.deploy(SCRIPT, BOUNDARY, form), serving)?;
    Ok(served)
}

/// An upload as wrangler makes it, of a Worker with a workflow.
fn form(answer: &str) -> Bytes {
    let metadata = json!({
        "main_module": "index.js",
        "compatibility_date": "2026-11-17",
        "bindings": [
            { "type": "workflow", "name": "W", "workflow_name": "deployed", "class_name": "Deployed" },
        ],
    });
    let mut form = String::new();
    let parts = [
        ("metadata", "", "application/json", metadata.to_string()),
        ("index.js", "; filename=\"index.js\"", "application/javascript+module", code(answer)),
    ];
    for (name, file, kind, text) in parts {
        form += &format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\nContent-Type: {kind}\r\n\r\n{text}\r\n"
        );
    }
    form += &format!("--{BOUNDARY}--\r\n");
    Bytes::from(form)
}

/// Functions like those of a bundle, as many as fill `CODE_BYTES`.
fn code(answer: &str) -> String {
    let mut code = format!(
        "import {{ WorkflowEntrypoint }} from 'cloudflare:workers';\n\
         export class Deployed extends WorkflowEntrypoint {{ async run() {{ return functions.length; }} }}\n\
         export default {{ async fetch() {{ return new Response({answer:?}); }} }};\nconst functions = [];\n"
    );
    let mut number = 0;
    while code.len() < CODE_BYTES {
        number += 1;
        writeln!(
            code,
            "functions.push(function function{number}(values) {{ return values.map((value) => ({{ value, \
             text: `${{value}} of {number}` }})).filter(({{ value }}) => value % {number} === 0); }});"
        )
        .expect("a string takes text");
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_as_large_as_it_is_said_to_be() {
        let bytes = code("x").len();
        assert!((CODE_BYTES..CODE_BYTES + 1024).contains(&bytes), "{bytes}");
    }
}

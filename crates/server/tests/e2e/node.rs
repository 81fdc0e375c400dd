//! Node's modules in a Worker with `nodejs_compat`: native where workerd has them, else the same stand-ins that wrangler
//! bundles. What is expected was seen with wrangler 4.86.0's bundle of the same project on the same workerd.

use hyper::Method;
use serde_json::json;

use crate::support::{Project, Server};

const INDEX: &str = "import { WorkflowEntrypoint } from 'cloudflare:workers';
import { createHash } from 'node:crypto';
import { Buffer } from 'buffer';
import { EventEmitter } from 'events';
import fs from 'node:fs';
import os from 'os';
import { performance } from 'node:perf_hooks';
import dep from 'dep';
export class Compat extends WorkflowEntrypoint {
    async run(event, step) {
        console.log('in a run', 7);
        return await step.do('use', async () => use());
    }
}
function use() {
    const seen = [];
    const emitter = new EventEmitter();
    emitter.on('x', (value) => seen.push(value));
    emitter.emit('x', 1);
    let missing;
    try { fs.readFileSync('/nowhere'); } catch (error) { missing = error.message.split(',')[0]; }
    return {
        hash: createHash('sha256').update('a').digest('hex').slice(0, 8),
        buffer: [Buffer.from('ab').toString('hex'), globalThis.Buffer === Buffer],
        seen,
        missing,
        eol: os.EOL,
        env: [process.env.GREETING, process.env.NODE_ENV],
        platform: process.platform,
        tick: typeof process.nextTick,
        now: typeof performance.now(),
        dep: dep(),
    };
}
export default { fetch: () => Response.json(use()) };";

const DEP: &str = "const { inherits } = require('util');
const { Readable } = require('stream');
const http = require('http');
const path = require('path');
const inheritsPackage = require('inherits');
const tty = require('node:tty');
function Own() { Readable.call(this); }
inherits(Own, Readable);
module.exports = () => [new Own() instanceof Readable, typeof http.request, path.join('a', '..', 'b'),
    typeof inheritsPackage, tty.isatty(0)];";

/// What the Worker saw in a step and in `fetch`, which are the same, and what it printed.
async fn check(date: &str, missing: &str) {
    let config = json!({
        "compatibility_date": date,
        "compatibility_flags": ["nodejs_compat"],
        "vars": { "GREETING": "hello" },
        "define": { "process.env.NODE_ENV": "'test'" },
    });
    let project = Project::configured("compat", &["Compat"], config, INDEX);
    project.write("node_modules/dep/index.js", DEP);
    let server = Server::dev(&[&project]).await;
    let expected = json!({
        "hash": "ca978112",
        "buffer": ["6162", true],
        "seen": [1],
        "missing": missing,
        "eol": "\n",
        "env": ["hello", "test"],
        "platform": "linux",
        "tick": "function",
        "now": "number",
        "dep": [true, "function", "b", "function", false],
    });
    assert_eq!(server.get("compat", "/").await, expected);
    let id = server.create("Compat", json!({})).await;
    assert_eq!(server.output("Compat", &id).await, expected);
    let logs =
        server.api(Method::GET, &format!("workflows/Compat/instances/{id}/logs"), "").await.ok()["result"].take();
    assert_eq!(logs["lines"][0]["text"], "in a run 7", "{logs}");
}

#[tokio::test]
async fn a_date_with_stand_ins_gives_what_wranglers_bundle_gives() {
    check("2025-06-01", "[unenv] fs.readFileSync is not implemented yet!").await;
}

#[tokio::test]
async fn a_date_with_native_modules_gives_what_wranglers_bundle_gives() {
    check("2026-03-17", "no such file or directory").await;
}

#[tokio::test]
async fn a_run_cannot_end_its_process_whichever_process_it_imports() {
    let source = "import { WorkflowEntrypoint } from 'cloudflare:workers';
        import imported from 'node:process';
        export class Exits extends WorkflowEntrypoint {
            async run({ payload }, step) {
                const ways = [() => process.exit(0), () => imported.exit(0)];
                await step.do('exit', { retries: { limit: 0, delay: 1 } }, async () => ways[payload]());
            }
        }";
    for date in ["2025-06-01", "2026-03-17"] {
        let config = json!({ "compatibility_date": date, "compatibility_flags": ["nodejs_compat"] });
        let server = Server::dev(&[&Project::configured("exits", &["Exits"], config, source)]).await;
        for way in 0..2 {
            let id = server.create("Exits", json!(way)).await;
            let error = server.error("Exits", &id).await;
            assert!(error.contains("process.exit() is not available in a Workflow"), "{date} {way}: {error}");
        }
    }
}

//! Streams whose server or worker dies while they are written, and those that were kept before.

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value as Json, json};

use crate::support::{Journal, Project, Server, kill, until};

const STREAMS: &str = r"
const MIB = 1 << 20;
const streamOf = (count, ms, seed) => {
	let number = 0;
	return new ReadableStream({
		async pull(controller) {
			if (ms > 0) await scheduler.wait(ms);
			if (number === count) return controller.close();
			controller.enqueue(new Uint8Array(MIB).fill(seed + number));
			number += 1;
		},
	});
};
const look = async (stream) => {
	const bytes = [];
	let total = 0;
	for await (const part of stream) {
		total += part.length;
		bytes.push(part.every((byte) => byte === part[0]) ? part[0] : 'mixed');
	}
	return { total, bytes: bytes.join() };
};
export class W extends WorkflowEntrypoint {
	async run(event, step) {
		const { ms } = event.payload;
		const kept = await step.do('kept', async () => streamOf(4, 0, 1));
		const before = await step.do('before', async () => await look(await kept));
		await journal(event.instanceId, 'looked');
		const slow = await step.do('slow', async () => {
			await journal(event.instanceId, 'slow');
			return streamOf(8, ms, 100);
		});
		const after = await look(slow);
		await step.waitForEvent('gate', { type: 'go', timeout: '1 hour' });
		return { before, after };
	}
}
";

/// Pieces that the store holds.
fn pieces(project: &Project) -> u64 {
    let file = walk(&project.state()).expect("a database");
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
    db.query_row("SELECT count(*) FROM stream_chunks", [], |row| row.get(0)).expect("a number")
}

fn walk(dir: &std::path::Path) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    entries
        .into_iter()
        .find_map(|path| if path.is_dir() { walk(&path) } else { (path.file_name()? == "stepwell.db").then_some(path) })
}

/// Pieces of the two streams when both are whole.
const WHOLE: u64 = 4 * 4 + 8 * 4;

/// Checks what user code has seen of both streams.
fn check_output(output: &Json) {
    assert_eq!((&output["before"]["total"], &output["after"]["total"]), (&json!(4 << 20), &json!(8 << 20)));
    let first_bytes = |chunks: std::ops::Range<u32>| {
        let fourfold = chunks.flat_map(|chunk| std::iter::repeat_n(chunk.to_string(), 4));
        fourfold.collect::<Vec<_>>().join(",")
    };
    assert_eq!(output["before"]["bytes"], first_bytes(1..5));
    assert_eq!(output["after"]["bytes"], first_bytes(100..108));
}

async fn check_end(server: &Server, project: &Project, journal: &Journal) {
    server.until_status("one", "waiting").await;
    until("what was left is swept", async || (pieces(project) == WHOLE).then_some(())).await;
    server.send_event("one", "go", json!(null)).await;
    check_output(&server.output_of("one").await);
    assert_eq!(journal.count("one", "slow"), 2, "the step that was cut is repeated once");
}

/// A server in the middle of writing the second stream.
async fn writing(project: &Project, journal: &Journal) -> Server {
    let server = Server::start(project).await;
    server.create("one", json!({ "ms": 200 })).await;
    journal.until("one", "slow", 1).await;
    until("some pieces are written", async || (pieces(project) > 4 * 4 + 2).then_some(())).await;
    server
}

#[tokio::test]
async fn a_stream_that_the_servers_death_cut_is_swept_and_written_again() {
    let journal = Journal::start().await;
    let project = Project::new(STREAMS, &journal);
    writing(&project, &journal).await.kill();
    let server = Server::start(&project).await;
    check_end(&server, &project, &journal).await;
}

#[tokio::test]
async fn a_stream_that_its_workers_death_cut_is_swept_and_written_again() {
    let journal = Journal::start().await;
    let project = Project::new(STREAMS, &journal);
    let server = writing(&project, &journal).await;
    kill(server.worker().await);
    check_end(&server, &project, &journal).await;
}

#[tokio::test]
async fn a_stream_that_was_kept_is_the_same_in_a_new_process() {
    let journal = Journal::start().await;
    let project = Project::new(STREAMS, &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({ "ms": 0 })).await;
    server.until_status("one", "waiting").await;
    server.kill();
    let server = Server::start(&project).await;
    server.send_event("one", "go", json!(null)).await;
    check_output(&server.output_of("one").await);
    assert_eq!(journal.count("one", "slow"), 1);
}

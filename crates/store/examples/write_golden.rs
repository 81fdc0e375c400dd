//! Writes the golden database of the current format: `cargo run -p stepwell-store --example write_golden -- FILE`.
//!
//! Once for each format; a golden file that exists is never written again, because it stands for what users have.

#[path = "../tests/store/golden_content.rs"]
mod golden_content;

fn main() {
    let file = std::env::args().nth(1).expect("the file to write");
    assert!(!std::path::Path::new(&file).exists(), "{file} is there already and stays as it is");
    let dir = tempfile::tempdir().expect("a directory");
    let store = stepwell_store::Store::open(dir.path(), stepwell_store::Options::default()).expect("a store");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(store.commit(golden_content::batch())).expect("a commit");
    drop(store);
    std::fs::copy(dir.path().join("stepwell.db"), file).expect("a copy");
}

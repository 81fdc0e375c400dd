//! What a server does when its data directory goes while it runs.

use crate::support::{Launch, Project, Server};

async fn ends(mut server: Server) {
    assert_eq!(server.exit_code().await, Some(8));
    server.says("stepwell.db is gone: its directory was removed, moved or replaced").await;
}

#[tokio::test]
async fn dev_ends_when_its_state_is_removed() {
    let project = Project::worker("app", &[], "export default { fetch: () => Response.json(1) };");
    let server = Server::dev(&[&project]).await;
    std::fs::remove_dir_all(server.state()).expect("its state");
    ends(server).await;
}

#[tokio::test]
async fn serve_ends_when_its_data_is_moved_and_has_it_when_it_is_back() {
    let parent = tempfile::tempdir().expect("a directory");
    let (data, away) = (parent.path().join("data"), parent.path().join("away"));
    let mut server = Launch::serve().state(&data).start().await;
    server.deploy("app", &[], "export default { fetch: () => Response.json(1) };").await.ok();
    let token = server.token.take();
    std::fs::rename(&data, &away).expect("moved");
    ends(server).await;
    std::fs::rename(&away, &data).expect("moved back");
    let mut server = Launch::serve().state(&data).start().await;
    server.token = token;
    assert_eq!(server.get("app", "/").await, 1);
}

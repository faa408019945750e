//! Connections to a server: used again, and many at once.

use super::server::{Do, HELLO, Server, hello, respond};
use super::world;
use crate::domain::CallStatus;
use crate::model::fixture::request;

#[tokio::test]
async fn connections_are_used_again() {
    let keep = || Do::Keep(respond(200, "content-type: application/json\n", HELLO));
    let world = world(Server::start((0..20).map(|_| keep())).await);
    for _ in 0..20 {
        world
            .metered
            .complete(&request("hi"))
            .await
            .expect("a reply");
    }
    assert_eq!(world.server.asked().len(), 20);
    assert_eq!(world.server.connections(), 1);
}

#[tokio::test]
async fn calls_run_side_by_side() {
    let world = world(Server::start((0..64).map(|_| hello())).await);
    let sent = request("hi");
    let calls = (0..64).map(|_| world.metered.complete(&sent));
    for reply in futures_util::future::join_all(calls).await {
        assert_eq!(reply.expect("a reply").text(), "hello");
    }
    world.metered.settled().await;
    assert_eq!(world.books.endings(), [CallStatus::Answered; 64]);
}

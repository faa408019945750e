//! Connections that are bounded in number and in time, and that all end with the gateway.

use super::connection::Connection;
use super::limits::{Limits, MOST_BUFFERED};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How a server ends.
#[derive(Clone)]
pub(super) struct Ends {
    /// At once.
    pub(super) stop: CancellationToken,
    /// When what is under way is answered.
    pub(super) drain: CancellationToken,
}

/// Serves a socket until it is told to end. At once means: whatever a client had asked is
/// dropped, also where it has sent half a request and waits; nothing is open on return.
pub(super) async fn serve(
    listener: &UnixListener,
    routes: Router,
    limits: Limits,
    Ends { stop, drain }: Ends,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    let accepting = async {
        // The semaphore is never closed.
        while let Ok(room) = room.clone().acquire_owned().await {
            let stream = accept(listener).await;
            let served = one(stream, routes.clone(), limits, drain.clone());
            let stop = stop.clone();
            connections.spawn(async move {
                stop.run_until_cancelled(served).await;
                drop(room);
            });
        }
    };
    stop.run_until_cancelled(drain.run_until_cancelled(accepting))
        .await;
    connections.close();
    connections.wait().await;
}

async fn accept(listener: &UnixListener) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _unnamed)) => return stream,
            Err(error) => {
                // Out of file descriptors, most likely: others need time to end.
                tracing::debug!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn one(stream: UnixStream, routes: Router, limits: Limits, drain: CancellationToken) {
    let client = TokioIo::new(Connection::new(stream, &limits));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MOST_BUFFERED)
        .serve_connection(client, TowerToHyperService::new(routes));
    let mut serving = pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = drain.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

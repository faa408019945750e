//! Connections that are bounded in number and that all end when the gateway ends.

use axum::serve::Listener;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Connections of one job that are served at once; more wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 128;

/// A Unix socket whose connections end with a token.
pub(super) struct Guarded {
    listener: UnixListener,
    room: Arc<Semaphore>,
    stop: CancellationToken,
}

/// One connection.
///
/// A client that has sent half a request and waits would keep a graceful end waiting for
/// ever; so reading fails once the gateway ends, which drops whatever the client had asked.
pub(super) struct Connection {
    stream: UnixStream,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Guarded {
    pub(super) fn new(listener: UnixListener, stop: CancellationToken) -> Self {
        Self {
            listener,
            room: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
            stop,
        }
    }
}

impl Listener for Guarded {
    type Io = Connection;
    type Addr = ();

    async fn accept(&mut self) -> (Connection, ()) {
        // The semaphore is never closed; without a permit a connection is served all the same.
        let room = self.room.clone().acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, _unnamed)) => {
                    let connection = Connection {
                        stream,
                        stopped: Box::pin(self.stop.clone().cancelled_owned()),
                        _room: room,
                    };
                    return (connection, ());
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others need time to end.
                    tracing::debug!(%error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Connection {
    fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Result<(), io::Error> {
        match self.stopped.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_stopped(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_stopped(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_stopped(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }
}

//! How an agent without a network reaches a model: one Unix socket per job, HTTP/1.1.
//!
//! Invariants: the socket belongs to one job, so who asks is known without asking; whatever
//! arrives, the answer is JSON of the dialect that was spoken, and nothing that arrives can
//! stop the gateway or reach another job; every call goes through [`Metered`]. When
//! [`Gateway::shutdown`] returns, no call is open and every settlement is recorded.

mod chat;
mod listener;
mod protocol;
mod stream;

use crate::model::Metered;
use listener::Guarded;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Name of the socket in its folder.
const SOCKET_NAME: &str = "model.sock";
/// Longest path of a socket in bytes (`sun_path` without its closing NUL).
const LONGEST_PATH: usize = 107;

/// Why a gateway could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The operating system takes no socket path of this length.
    #[error(
        "the socket path `{}` has {} bytes, at most {LONGEST_PATH} are possible; \
         set TMPDIR to a shorter folder", path.display(), path.as_os_str().len()
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// The socket could not be made.
    #[error("could not open the socket `{}`: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// A socket that is being served.
#[must_use = "a gateway that is dropped is closed"]
#[derive(Debug)]
pub struct Gateway {
    path: PathBuf,
    stop: CancellationToken,
    server: Option<JoinHandle<()>>,
    metered: Arc<Metered>,
}

impl Gateway {
    /// Opens `model.sock` in a folder, which is made if it is missing, and serves it.
    ///
    /// Agents run as another user, so everybody may enter the folder and use the socket: the
    /// folder must lie in one that only this user can enter.
    pub fn serve(socket_dir: PathBuf, metered: Arc<Metered>) -> Result<Self, GatewayError> {
        let path = socket_dir.join(SOCKET_NAME);
        if path.as_os_str().as_bytes().len() > LONGEST_PATH {
            return Err(GatewayError::PathTooLong { path });
        }
        let listener = open(&socket_dir, &path).map_err(|source| GatewayError::Io {
            path: path.clone(),
            source,
        })?;
        let stop = CancellationToken::new();
        let routes = protocol::routes(metered.clone());
        let serve = axum::serve(Guarded::new(listener, stop.clone()), routes)
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        let server = tokio::spawn(async move {
            // It ends by the stop signal alone: faults of connections end those only.
            let _ended = serve.await;
        });
        Ok(Self {
            path,
            stop,
            server: Some(server),
            metered,
        })
    }

    /// Returns the path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes all connections, ends the calls that are open as abandoned, and waits until
    /// everything is on the books.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(server) = self.server.take() {
            // A server that panicked has no connection left either.
            let _ended = server.await;
        }
        self.metered.settled().await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "socket left behind");
        }
    }
}

fn open(socket_dir: &Path, path: &Path) -> io::Result<UnixListener> {
    fs::create_dir_all(socket_dir)?;
    fs::set_permissions(socket_dir, Permissions::from_mode(0o755))?;
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o666))?;
    Ok(listener)
}

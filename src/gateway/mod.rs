//! How an agent without a network reaches a model: one Unix socket per job, HTTP/1.1.
//!
//! Invariants: the socket belongs to one job, so who asks is known without asking; whatever
//! arrives, the answer is JSON of the dialect that was spoken, and nothing that arrives can
//! stop the gateway or reach another job; every call goes through [`Metered`]. When
//! [`Gateway::shutdown`] returns, no call is open and every settlement is recorded.

mod body;
mod calls;
mod connection;
mod events;
mod gate;
mod limits;
mod models;
mod protocol;
mod refusal;
mod server;

use crate::model::Metered;
use limits::Limits;
use server::Ends;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
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
    /// Something else has that name.
    #[error("`{}` is there already, and it is no socket; name another path", path.display())]
    Taken {
        /// The path.
        path: PathBuf,
    },
    /// Another process serves it.
    #[error("`{}` is served by another process; name another path, or end it", path.display())]
    Served {
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

/// A socket that is open: whoever connects waits until it is served. Removed when dropped.
#[must_use = "a socket that is dropped is removed"]
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    /// Device and number of its file, so that nobody else's is removed.
    file: Option<(u64, u64)>,
    listener: UnixListener,
}

impl Socket {
    /// Opens a socket for those whom the mode lets in. What a dead process left at the path is
    /// replaced; anything else there is not touched.
    pub fn open(path: PathBuf, mode: u32) -> Result<Self, GatewayError> {
        check_length(&path)?;
        let listener = open_new(&path, mode)?;
        Ok(Self::of(path, listener))
    }

    fn of(path: PathBuf, listener: UnixListener) -> Self {
        Self {
            file: file(&path),
            path,
            listener,
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.file.is_none() || file(&self.path) != self.file {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "socket left behind");
        }
    }
}

/// A socket that is being served.
#[must_use = "a gateway that is dropped is closed"]
#[derive(Debug)]
pub struct Gateway {
    path: PathBuf,
    /// Cancelled when everything is to end at once.
    stop: CancellationToken,
    /// Cancelled when nothing new is to be taken.
    drain: CancellationToken,
    server: Option<JoinHandle<()>>,
    metered: Arc<Metered>,
}

impl Gateway {
    /// Opens `model.sock` in a folder, which is made if it is missing, and serves it.
    ///
    /// Agents run as another user, so everybody may enter the folder and use the socket: the
    /// folder must lie in one that only this user can enter.
    pub fn serve(socket_dir: PathBuf, metered: Arc<Metered>) -> Result<Self, GatewayError> {
        Self::in_folder(socket_dir, metered, Limits::default())
    }

    /// Serves a socket that is open.
    pub fn serve_on(socket: Socket, metered: Arc<Metered>) -> Self {
        Self::start(socket, metered, Limits::default())
    }

    fn in_folder(
        socket_dir: PathBuf,
        metered: Arc<Metered>,
        limits: Limits,
    ) -> Result<Self, GatewayError> {
        let path = socket_dir.join(SOCKET_NAME);
        check_length(&path)?;
        let listener = open(&socket_dir, &path).map_err(fault(&path))?;
        Ok(Self::start(Socket::of(path, listener), metered, limits))
    }

    fn start(socket: Socket, metered: Arc<Metered>, limits: Limits) -> Self {
        let (stop, drain) = (CancellationToken::new(), CancellationToken::new());
        let routes = protocol::routes(metered.clone(), limits);
        let path = socket.path.clone();
        let serving = {
            let ends = Ends {
                stop: stop.clone(),
                drain: drain.clone(),
            };
            async move { server::serve(&socket.listener, routes, limits, ends).await }
        };
        Self {
            path,
            stop,
            drain,
            server: Some(tokio::spawn(serving)),
            metered,
        }
    }

    /// Returns the path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes no further request and gives those that are open so long to be answered; then
    /// it is shut down.
    pub async fn finish(mut self, patience: Duration) {
        self.drain.cancel();
        if let Some(server) = &mut self.server
            && tokio::time::timeout(patience, server).await.is_ok()
        {
            self.server = None;
        }
        self.shutdown().await;
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
    }
}

/// Returns what tells a file from every other one.
fn file(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn check_length(path: &Path) -> Result<(), GatewayError> {
    if path.as_os_str().as_bytes().len() > LONGEST_PATH {
        let path = path.to_owned();
        return Err(GatewayError::PathTooLong { path });
    }
    Ok(())
}

fn fault(path: &Path) -> impl Fn(io::Error) -> GatewayError {
    |source| GatewayError::Io {
        path: path.to_owned(),
        source,
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

fn open_new(path: &Path, mode: u32) -> Result<UnixListener, GatewayError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fault(path)(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            let path = path.to_owned();
            return Err(GatewayError::Taken { path });
        }
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => {
                let path = path.to_owned();
                return Err(GatewayError::Served { path });
            }
            // Nobody listens: what a dead process left.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(fault(path))?;
            }
            Err(error) => return Err(fault(path)(error)),
        },
    }
    // Nobody may come in between its making and its closing to others.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = listener.map_err(fault(path))?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(fault(path))?;
    Ok(listener)
}

#[cfg(test)]
mod tests;

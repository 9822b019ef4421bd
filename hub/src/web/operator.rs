//! The operator's access to the hub, over a Unix socket in the data folder.
//!
//! A loopback address does not identify the operator, because a reverse proxy on the same machine forwards requests of any
//! client, possibly without a header. A proxy is not configured to forward to this socket. Only the user of the hub can open the
//! file, and the kernel reports the user of the client, who must be the same user or root. A user who can read the data folder
//! can read its keys anyway.

use std::sync::Arc;

use axum::Router;
#[cfg(unix)]
use axum::body::Body;
#[cfg(unix)]
use axum::extract::State;
#[cfg(unix)]
use axum::response::{IntoResponse, Response};
use axum::routing::get;
#[cfg(unix)]
use tokio_util::io::ReaderStream;

use super::problem::Problem;
use super::{audit, outgoing, things};
use crate::hub::Hub;

/// The name of the socket in the data folder.
#[cfg(unix)]
const SOCKET: &str = "operator.sock";
/// The longest path of a socket that is used directly, in bytes. The limit of systems is slightly larger (`unix(7)`, `sun_path`).
#[cfg(unix)]
const LONGEST: usize = 100;

/// The routes for the operator, in both modes.
pub(super) fn watched() -> Router<Arc<Hub>> {
    Router::new()
        .route("/api/things", get(things::list))
        .route("/api/outgoing-mail", get(outgoing::list))
        .route("/api/audit", get(audit::events))
}

/// The same routes outside the trying mode without a password, where clients cannot be identified. All requests are refused.
pub(super) fn refused() -> Router<Arc<Hub>> {
    let told = async || {
        Problem::forbidden(
            "only whoever runs this hub may see that: ask on its machine by `onething-hub … --data DIR`, which goes by a socket in the data \
             folder, or start the hub with ONETHING_PASSWORD",
        )
    };
    ["/api/things", "/api/outgoing-mail", "/api/audit"].into_iter().fold(Router::new(), |router, address| router.route(address, get(told)))
}

/// A copy of the current database for a backup. It contains private keys in waiting mail, so only the Unix socket offers it.
#[cfg(unix)]
pub(super) async fn database(State(hub): State<Arc<Hub>>) -> Result<Response, Problem> {
    let copy = hub.snapshot().await.map_err(|error| Problem::ours(&error))?;
    Ok(Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(copy))).into_response())
}

#[cfg(unix)]
pub use self::unix::{Socket, serve_operator};

#[cfg(unix)]
mod unix {
    use std::fs::{self, File, Permissions};
    use std::io;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::{Path, PathBuf};

    use tokio::net::{UnixListener, UnixStream};
    use tokio::sync::watch;

    use axum::Router;

    use super::{LONGEST, SOCKET};
    use crate::web::listener::exchange_locally;

    /// The address of the socket in a data folder. On Linux, a long path is replaced by a path through an open file descriptor.
    struct Address {
        path: PathBuf,
        _folder: Option<File>,
    }

    impl Address {
        fn of(data: &Path) -> io::Result<Self> {
            let path = data.join(SOCKET);
            if path.as_os_str().len() <= LONGEST || !cfg!(target_os = "linux") {
                return Ok(Self { path, _folder: None });
            }
            let folder = File::open(data)?;
            let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", std::os::fd::AsRawFd::as_raw_fd(&folder)));
            Ok(Self { path, _folder: Some(folder) })
        }
    }

    /// The listening socket in a data folder.
    pub struct Socket {
        listener: UnixListener,
        path: PathBuf,
        /// The user id of the owner of the socket file, who runs the hub.
        owner: u32,
    }

    impl Socket {
        /// Listens in this data folder, which this process must have locked. A socket file of a crashed process is removed.
        pub fn listen(data: &Path) -> io::Result<Self> {
            let (address, path) = (Address::of(data)?, data.join(SOCKET));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&address.path)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            let owner = path.metadata()?.uid();
            Ok(Self { listener, path, owner })
        }

        /// Connects to the hub that runs with a data folder.
        pub async fn connect(data: &Path) -> io::Result<UnixStream> {
            UnixStream::connect(&Address::of(data)?.path).await
        }
    }

    impl Drop for Socket {
        fn drop(&mut self) {
            // The next start removes a file that stays.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Serves the operator until the hub stops.
    pub async fn serve_operator(socket: Socket, router: Router, mut ending: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                accepted = socket.listener.accept() => accepted,
                _ = ending.wait_for(|ending| *ending) => return,
            };
            let Ok((stream, _)) = accepted else { continue };
            // Other users may have connected before the mode of the file was set.
            if stream.peer_cred().is_ok_and(|peer| [0, socket.owner].contains(&peer.uid())) {
                tokio::spawn(exchange_locally(stream, router.clone()));
            }
        }
    }
}

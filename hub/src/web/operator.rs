//! Who runs the hub asks it over a Unix socket in the data folder.
//!
//! That a request comes from this machine says nothing: a reverse proxy on it passes on what comes from anywhere, and need not say
//! so in a header. The socket is no address that a proxy could be led to. The file is for the hub's own user only, and the kernel
//! tells whose process has opened it: that user's, or root's. Whoever may read the data folder has the keys in it anyway.

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
/// The longest path that a socket may have everywhere (`unix(7)`, `sun_path`), with some room.
#[cfg(unix)]
const LONGEST: usize = 100;

/// What is for whoever runs the hub, in both modes.
pub(super) fn watched() -> Router<Arc<Hub>> {
    Router::new()
        .route("/api/things", get(things::list))
        .route("/api/outgoing-mail", get(outgoing::list))
        .route("/api/audit", get(audit::events))
}

/// The same for a hub in use that cannot tell who asks.
pub(super) fn refused() -> Router<Arc<Hub>> {
    let told = async || {
        Problem::forbidden(
            "only whoever runs this hub may see that: ask on its machine by `onething-hub … --data DIR`, which goes by a socket in the data \
             folder, or start the hub with ONETHING_PASSWORD",
        )
    };
    ["/api/things", "/api/outgoing-mail", "/api/audit"].into_iter().fold(Router::new(), |router, address| router.route(address, get(told)))
}

/// The whole database as it is now, for a backup. There are keys in it, in mail that waits: it goes over the socket only.
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

    /// The address of the socket in a data folder. A folder with a long path is named by an open file instead, on Linux.
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

    /// The socket in a data folder, at which a hub listens.
    pub struct Socket {
        listener: UnixListener,
        path: PathBuf,
        /// The user whose hub it is.
        owner: u32,
    }

    impl Socket {
        /// Listens in this data folder, which must be this process's own: a socket that is there was left by one that has died.
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

        /// Connects to the hub that runs over a data folder.
        pub async fn connect(data: &Path) -> io::Result<UnixStream> {
            UnixStream::connect(&Address::of(data)?.path).await
        }
    }

    impl Drop for Socket {
        fn drop(&mut self) {
            // One that stays is removed by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Answers whoever runs the hub, until it ends.
    pub async fn serve_operator(socket: Socket, router: Router, mut ending: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                accepted = socket.listener.accept() => accepted,
                _ = ending.wait_for(|ending| *ending) => return,
            };
            let Ok((stream, _)) = accepted else { continue };
            // Before its mode was set, others may have opened the file.
            if stream.peer_cred().is_ok_and(|peer| [0, socket.owner].contains(&peer.uid())) {
                tokio::spawn(exchange_locally(stream, router.clone()));
            }
        }
    }
}

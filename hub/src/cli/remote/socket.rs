//! HTTP over the Unix socket in a data folder.

use std::io;
use std::path::Path;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};

use super::RemoteError;

/// Whether a hub accepts connections at the socket.
#[cfg(unix)]
pub(super) async fn reach(data: &Path) -> Result<(), RemoteError> {
    connect(data).await.map(drop)
}

/// Sends a request and reads the complete response, whose body has at most `limit` bytes.
#[cfg(unix)]
pub(super) async fn exchange(
    data: &Path,
    request: http::Result<Request<Full<Bytes>>>,
    limit: usize,
) -> Result<Response<Bytes>, RemoteError> {
    let (head, body) = send(data, request).await?.into_parts();
    let body = Limited::new(body, limit).collect().await.map_err(|_| RemoteError::NoHub(data.display().to_string()))?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// Sends a request, and returns the response with an unread body.
#[cfg(unix)]
pub(super) async fn send(data: &Path, request: http::Result<Request<Full<Bytes>>>) -> Result<Response<hyper::body::Incoming>, RemoteError> {
    let no_hub = || RemoteError::NoHub(data.display().to_string());
    let stream = hyper_util::rt::TokioIo::new(connect(data).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(|_| no_hub())?;
    // The task ends with the response. Its errors also appear in the response.
    tokio::spawn(connection);
    sender.send_request(request.map_err(|_| no_hub())?).await.map_err(|_| no_hub())
}

#[cfg(unix)]
async fn connect(data: &Path) -> Result<tokio::net::UnixStream, RemoteError> {
    crate::web::Socket::connect(data).await.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => RemoteError::NotOperator(data.to_owned()),
        // There is no socket, or a hub that was killed left the file.
        _ => RemoteError::NotRunning(data.to_owned()),
    })
}

/// Other systems have no such sockets.
#[cfg(not(unix))]
pub(super) async fn reach(data: &Path) -> Result<(), RemoteError> {
    Err(RemoteError::NotRunning(data.to_owned()))
}

/// Other systems have no such sockets.
#[cfg(not(unix))]
pub(super) async fn exchange(data: &Path, _: http::Result<Request<Full<Bytes>>>, _: usize) -> Result<Response<Bytes>, RemoteError> {
    Err(RemoteError::NotRunning(data.to_owned()))
}

//! The HTTP listener: HTTP/1.1, plain or over TLS.
//!
//! Connections of slow clients are closed. When the hub stops, requests in progress are still answered.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

/// The largest number of concurrent connections.
const CONNECTIONS: usize = 256;
/// The time limit of a TLS handshake, and of the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time limit of the shutdown for requests in progress.
const DRAIN: Duration = Duration::from_millis(700);
/// The pause after an error of `accept`.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until the hub stops, and then at most 700 ms longer for requests in progress.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router, mut ending: watch::Receiver<bool>) {
    let (graceful, room) = (GracefulShutdown::new(), Arc::new(Semaphore::new(CONNECTIONS)));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            _ = ending.wait_for(|ending| *ending) => break,
        };
        let Some((socket, peer, place)) = accepted else { continue };
        let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _place = place;
            // An error concerns only the client of this connection.
            match tls {
                None => drop(exchange(socket, peer, router, watcher).await),
                Some(tls) => {
                    if let Ok(Ok(socket)) = timeout(PATIENCE, tls.accept(socket)).await {
                        drop(exchange(socket, peer, router, watcher).await);
                    }
                }
            }
        });
    }
    // After this time the remaining connections are closed.
    let _ = timeout(DRAIN, graceful.shutdown()).await;
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((socket, peer)) => {
            // Small responses must not be delayed by Nagle's algorithm.
            let _ = socket.set_nodelay(true);
            Some((socket, peer, place))
        }
        Err(error) => {
            // The most probable error is a lack of file descriptors. Open connections continue.
            tracing::warn!(step = "request", cause = "accept", "{error}");
            sleep(PAUSE).await;
            None
        }
    }
}

/// Serves a connection of the Unix socket. The connection is closed when the hub stops.
#[cfg(unix)]
pub(super) async fn exchange_locally(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(router.call(request.map(Body::new)).await.unwrap_or_else(|never| match never {})) }
    });
    // An error concerns only the client of this connection.
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), answer).await;
}

async fn exchange(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    watcher: Watcher,
) -> Result<(), hyper::Error> {
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        let mut router = router.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        async move { Ok::<_, Infallible>(router.call(request).await.unwrap_or_else(|never| match never {})) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let connection = http.serve_connection(TokioIo::new(socket), answer);
    watcher.watch(connection).await
}

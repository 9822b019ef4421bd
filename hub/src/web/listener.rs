//! Connections of the web side: HTTP/1.1, plain or over TLS.
//!
//! Who is slow to say what they want is let go, and at the end of the hub whoever is being answered is answered.

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

/// How many may be connected at once.
const CONNECTIONS: usize = 256;
/// How long a handshake or the head of a request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of the hub waits for answers.
const DRAIN: Duration = Duration::from_millis(700);
/// Before connections are accepted again that could not be.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until the hub ends, and then for as long as answers are under way, at most 700 ms.
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
            // A connection that breaks off is its client's affair.
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
    // Who is not done by then is cut off.
    let _ = timeout(DRAIN, graceful.shutdown()).await;
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((socket, peer)) => {
            // Small answers are not to wait for more.
            let _ = socket.set_nodelay(true);
            Some((socket, peer, place))
        }
        Err(error) => {
            // Out of file descriptors, most likely: those that are connected go on.
            tracing::warn!(step = "request", cause = "accept", "{error}");
            sleep(PAUSE).await;
            None
        }
    }
}

/// Answers what is asked on a connection of this machine's own, which is let go when the hub ends.
#[cfg(unix)]
pub(super) async fn exchange_locally(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(router.call(request.map(Body::new)).await.unwrap_or_else(|never| match never {})) }
    });
    // A connection that breaks off is its client's affair.
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

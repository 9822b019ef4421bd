//! Lets connections in: TCP, mutual TLS, then MQTT.
//!
//! The caller binds the socket, makes the TLS configuration and says when to stop. A storm of connections must not keep commands from
//! those who are connected: only so many handshakes go on at a time, and only so many more wait; the rest stay with the kernel.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use onething::identifiers::CertificateId;
use rustls::server::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::Broker;
use super::backend::Backend;
use super::connection::{self, Peer};
use crate::authority::server::ServerTls;

/// How long a client may take for its TLS handshake, once it is its turn.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How many handshakes go on at a time.
const HANDSHAKES: usize = 64;
/// How long to wait when the system has no more sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections may take to end when the broker stops.
const DRAIN_TIME: Duration = Duration::from_millis(900);
/// How many bytes TLS keeps for a client that does not read.
const TLS_BUFFER: usize = 16 * 1024;

/// Serves connections until `stop` is ready, then ends them all, within a second. There are never more than `most`, each of which takes
/// a file descriptor; whoever comes then waits with the kernel.
pub async fn serve<B: Backend>(
    broker: Broker<B>,
    listener: TcpListener,
    tls: Arc<ServerTls>,
    most: usize,
    stop: impl Future<Output = ()> + Send,
) {
    let (handshakes, places) = (Arc::new(Semaphore::new(HANDSHAKES)), Arc::new(Semaphore::new(most)));
    let mut connections = JoinSet::new();
    let accepting = async {
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (socket, address) = loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok(accepted) => break accepted,
                        Err(error) => refused(&error).await,
                    },
                    Some(_) = connections.join_next() => {}
                }
            };
            let (broker, tls, handshakes) = (broker.clone(), Arc::clone(&tls), Arc::clone(&handshakes));
            connections.spawn(async move {
                let _place = place;
                broker.counters().accepted.add(1);
                match Box::pin(handshake(&tls, &handshakes, socket, address.ip())).await {
                    Ok((stream, peer)) => connection::serve(broker, stream, peer).await,
                    Err(error) => {
                        broker.counters().handshakes_failed.add(1);
                        tracing::debug!(address = %address.ip(), error = %error, "handshake failed");
                    }
                }
            });
        }
    };
    tokio::select! {
        biased;
        () = stop => {}
        () = accepting => {}
    }
    drop(listener);
    broker.close();
    // Whoever is still busy then is left behind.
    let _ = timeout(DRAIN_TIME, async { while connections.join_next().await.is_some() {} }).await;
    connections.abort_all();
    let _ = timeout(DRAIN_TIME, broker.0.journal.all().durable()).await;
}

/// Out of sockets or memory, or a client that has gone already.
async fn refused(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!(%error, "no connection can be accepted");
        sleep(ACCEPT_PAUSE).await;
    }
}

async fn handshake(
    tls: &ServerTls,
    handshakes: &Semaphore,
    socket: TcpStream,
    address: IpAddr,
) -> io::Result<(TlsStream<TcpStream>, Peer)> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    // Whoever says nothing takes nobody's turn.
    timeout(HANDSHAKE_TIME, socket.peek(&mut [0])).await.map_err(late)??;
    let _turn = handshakes.acquire().await.map_err(io::Error::other)?;
    socket.set_nodelay(true)?;
    let accepting = async {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), socket).await?;
        let answer = tls.answer_to(&begun.client_hello());
        begun.into_stream_with(answer.config().await, |tls| tls.set_buffer_limit(Some(TLS_BUFFER))).await
    };
    let stream = timeout(HANDSHAKE_TIME, accepting).await.map_err(late)??;
    // There are no tickets that would go back with the acknowledgement of the client's last flight: one that holds small packets
    // until then (RFC 896) would say CONNECT 40 ms late.
    #[cfg(target_os = "linux")]
    stream.get_ref().0.set_quickack(true)?;
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = leaf.map(|leaf| CertificateId::of(leaf)).ok_or(io::ErrorKind::PermissionDenied)?;
    Ok((stream, Peer { certificate, address }))
}

//! Accepts connections: TCP, mutual TLS, then MQTT.
//!
//! The caller binds the socket, creates the TLS configuration and signals when to stop. Many simultaneous connection attempts
//! must not delay messages to connected clients: the number of concurrent handshakes and the number of connections are limited.
//! Further connections wait in the accept queue of the kernel.

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

/// How long a client may take to send its first byte, and then for its TLS handshake once it has a permit.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How many handshakes run concurrently.
const HANDSHAKES: usize = 64;
/// How long to wait before the next accept when the system is out of sockets or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections may take to end when the broker stops, and then the journal to become durable.
const DRAIN_TIME: Duration = Duration::from_millis(900);
/// How many bytes TLS buffers for a client that does not read.
const TLS_BUFFER: usize = 16 * 1024;

/// Serves connections until `stop` is ready, then ends all connections within 0.9 s. At most `most` connections are open, each
/// with one file descriptor. Further clients wait in the accept queue of the kernel.
pub async fn serve<B: Backend>(
    broker: Broker<B>,
    listener: TcpListener,
    tls: Arc<ServerTls>,
    most: usize,
    stop: impl Future<Output = ()> + Send,
) {
    let (handshakes, slots) = (Arc::new(Semaphore::new(HANDSHAKES)), Arc::new(Semaphore::new(most)));
    let mut connections = JoinSet::new();
    let accepting = async {
        loop {
            // The semaphore is never closed.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let (socket, address) = loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok(accepted) => break accepted,
                        Err(error) => accept_failed(&error).await,
                    },
                    Some(_) = connections.join_next() => {}
                }
            };
            let (broker, tls, handshakes) = (broker.clone(), Arc::clone(&tls), Arc::clone(&handshakes));
            connections.spawn(async move {
                let _slot = slot;
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
    // The tasks that are still running after this time are aborted.
    let _ = timeout(DRAIN_TIME, async { while connections.join_next().await.is_some() {} }).await;
    connections.abort_all();
    let _ = timeout(DRAIN_TIME, broker.0.journal.all().durable()).await;
}

/// Handles a failed accept. It logs and pauses if the system is out of sockets or memory, and ignores a client that has already
/// gone.
async fn accept_failed(error: &io::Error) {
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
    let timed_out = |_| io::Error::from(io::ErrorKind::TimedOut);
    // The first byte is awaited before the permit is taken, so that a silent client takes no permit.
    timeout(HANDSHAKE_TIME, socket.peek(&mut [0])).await.map_err(timed_out)??;
    let _permit = handshakes.acquire().await.map_err(io::Error::other)?;
    socket.set_nodelay(true)?;
    let accepting = async {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), socket).await?;
        let answer = tls.answer_to(&begun.client_hello());
        begun.into_stream_with(answer.config().await, |tls| tls.set_buffer_limit(Some(TLS_BUFFER))).await
    };
    let stream = timeout(HANDSHAKE_TIME, accepting).await.map_err(timed_out)??;
    // The server sends no session tickets, which would carry the TCP acknowledgement of the client's last handshake flight.
    // Without a quick acknowledgement, a client that holds back small segments until then (Nagle, RFC 896) would send CONNECT 40
    // ms late.
    #[cfg(target_os = "linux")]
    stream.get_ref().0.set_quickack(true)?;
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = leaf.map(|leaf| CertificateId::of(leaf)).ok_or(io::ErrorKind::PermissionDenied)?;
    Ok((stream, Peer { certificate, address }))
}

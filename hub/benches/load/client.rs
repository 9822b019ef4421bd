//! A lightweight client for MQTT 3.1.1 over mutual TLS. One process can run thousands of them.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v3::{Codec, Connect, ConnectAckReason, Packet, SubscribeReturnCode};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::codec::{Decoder, Encoder};

use crate::Outcome;
use crate::owners::Identity;

/// The interval between two PINGREQ packets.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The time after which a message or a connection counts as lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The connection of one device.
pub(crate) struct Device {
    thing: String,
    say: mpsc::UnboundedSender<Packet>,
    next: Arc<Next>,
    task: JoinHandle<()>,
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The waiter for the next message.
#[derive(Default)]
struct Next(Mutex<Option<oneshot::Sender<Instant>>>);

impl Next {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<oneshot::Sender<Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device {
    /// Returns a receiver for the arrival time of the next message. Only one waiter is allowed at a time.
    pub(crate) fn expect(&self) -> Outcome<oneshot::Receiver<Instant>> {
        let (tell, told) = oneshot::channel();
        if self.next.lock().replace(tell).is_some_and(|earlier| !earlier.is_closed()) {
            return Err("two commands at a time for one device".into());
        }
        Ok(told)
    }

    /// Publishes with QoS 1.
    pub(crate) fn publish(&self, topic: &str, payload: Bytes) {
        // A lost connection is detected by the message that does not arrive.
        let _ = self.say.send(message(topic, payload));
    }

    pub(crate) fn thing(&self) -> &str {
        &self.thing
    }
}

fn message(topic: &str, payload: Bytes) -> Packet {
    let (topic, packet_id) = (topic.into(), Some(NonZeroU16::MIN));
    Packet::from(Publish { dup: false, retain: false, qos: QoS::AtLeastOnce, topic, packet_id, payload, properties: None })
}

/// The server to which clients connect, and the behaviour of the clients.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) roots: Arc<RootCertStore>,
    /// Whether devices report each command that they receive.
    pub(crate) reports: Arc<AtomicBool>,
}

impl Server {
    /// Opens a TLS connection.
    pub(crate) async fn tls(&self, identity: &Identity) -> Outcome<TlsStream<TcpStream>> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?.with_root_certificates(Arc::clone(&self.roots));
        let key = PrivatePkcs8KeyDer::from(identity.key.clone());
        let mut config = builder.with_client_auth_cert(vec![identity.certificate.clone()], key.into())?;
        config.resumption = rustls::client::Resumption::disabled();
        let socket = TcpStream::connect(self.address).await?;
        socket.set_nodelay(true)?;
        Ok(TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost")?, socket).await?)
    }

    /// Connects a client and subscribes to `filter`.
    pub(crate) async fn connect(&self, identity: &Identity, filter: &str) -> Outcome<Device> {
        let mut packets = PacketStream { stream: self.tls(identity).await?, codec: Codec::new(0), buffer: BytesMut::new() };
        let keep_alive = u16::try_from(KEEP_ALIVE.as_secs() * 2)?;
        let connect = Connect { clean_session: true, keep_alive, client_id: identity.thing.as_str().into(), ..Connect::default() };
        packets.send(Packet::from(connect)).await?;
        let welcome = packets.next().await?;
        if !matches!(&welcome, Packet::ConnectAck(ack) if ack.return_code == ConnectAckReason::ConnectionAccepted) {
            return Err(format!("not let in: {welcome:?}").into());
        }
        let topic_filters = vec![(filter.into(), QoS::AtLeastOnce)];
        packets.send(Packet::Subscribe { packet_id: NonZeroU16::MIN, topic_filters }).await?;
        let granted = packets.next().await?;
        if !matches!(&granted, Packet::SubscribeAck { status, .. } if status[..] == [SubscribeReturnCode::Success(QoS::AtLeastOnce)]) {
            return Err(format!("not subscribed: {granted:?}").into());
        }
        let (say, said) = mpsc::unbounded_channel();
        let next = Arc::new(Next::default());
        let thing = identity.thing.clone();
        let stay = stay(packets, said, Arc::clone(&next), Arc::clone(&self.reports), format!("$aws/things/{thing}/shadow/update"));
        let task = tokio::spawn(async move {
            if let Err(fault) = stay.await {
                eprintln!("a connection was lost: {fault}");
            }
        });
        Ok(Device { thing, say, next, task })
    }

    /// Connects many clients, `at_a_time` concurrently, each with a filter of its own.
    pub(crate) async fn fleet(
        &self,
        identities: &[Identity],
        at_a_time: usize,
        filter: impl Fn(usize, &str) -> String,
    ) -> Outcome<Vec<Device>> {
        let connecting = identities.iter().enumerate().map(|(place, identity)| {
            let filter = filter(place, &identity.thing);
            async move { timeout(PATIENCE, self.connect(identity, &filter)).await.map_err(|_| "a connection took too long")? }
        });
        stream::iter(connecting).buffered(at_a_time).try_collect().await
    }
}

/// The delta topic of a thing.
pub(crate) fn delta(thing: &str) -> String {
    format!("$aws/things/{thing}/shadow/update/delta")
}

struct PacketStream {
    stream: TlsStream<TcpStream>,
    codec: Codec,
    buffer: BytesMut,
}

impl PacketStream {
    async fn send(&mut self, packet: Packet) -> Outcome<()> {
        let mut bytes = BytesMut::new();
        self.codec.encode(packet, &mut bytes)?;
        self.stream.write_all(&bytes).await?;
        Ok(self.stream.flush().await?)
    }

    async fn next(&mut self) -> Outcome<Packet> {
        loop {
            if let Some((packet, _)) = self.codec.decode(&mut self.buffer)? {
                return Ok(packet);
            }
            self.buffer.reserve(512);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the broker has closed the connection".into());
            }
        }
    }
}

/// The loop of a connection: receives and acknowledges messages, sends queued packets, and sends PINGREQ packets.
async fn stay(
    mut packets: PacketStream,
    mut said: mpsc::UnboundedReceiver<Packet>,
    next: Arc<Next>,
    reports: Arc<AtomicBool>,
    update: String,
) -> Outcome<()> {
    // The first PINGREQ packets are spread over the interval, because real devices do not start at the same time.
    let first = KEEP_ALIVE.mul_f64(f64::from(update.bytes().fold(0, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(byte))) / 256.0);
    let mut pings = interval_at(tokio::time::Instant::now() + first, KEEP_ALIVE);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            packet = packets.next() => {
                let Packet::Publish(publish) = packet? else { continue };
                let at = Instant::now();
                let waited = next.lock().take();
                let expected = waited.is_some_and(|waited| waited.send(at).is_ok());
                if let Some(packet_id) = publish.packet_id {
                    packets.send(Packet::PublishAck { packet_id }).await?;
                }
                if expected && reports.load(Ordering::Relaxed) {
                    let mut delta: Value = serde_json::from_slice(&publish.payload)?;
                    let report = json!({"state": {"reported": {"command": delta["state"]["command"].take()}}});
                    packets.send(message(&update, report.to_string().into())).await?;
                }
            }
            Some(packet) = said.recv() => packets.send(packet).await?,
            _ = pings.tick() => packets.send(Packet::PingRequest).await?,
        }
    }
}

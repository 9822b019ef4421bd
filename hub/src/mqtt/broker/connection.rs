//! One connection: CONNECT, then one packet after the other until one side ends the connection.
//!
//! Each connection is one task. The task finishes a packet before it reads the next one. TCP therefore slows down a client that
//! floods the broker, without an effect on other clients. The task checks whether the connection must end before it takes or
//! sends messages.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use onething::identifiers::CertificateId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};

use super::Broker;
use super::answer::{Answer, TOPIC_ALIASES};
use super::backend::{Backend, Request, RequestError};
use super::grant::Grant;
use super::message::Message;
use super::packet::{Connect, Fault, Packet, Publish, Subscribe, Version};
use super::packet_stream::PacketStream;
use super::reason::Reason;
use super::refusal::{Cause, End, Refusal, Requester};
use super::router::{AdmittedConnect, ConnectionKey};
use super::topic;
use crate::policy;

/// How long a client may take to send CONNECT.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long the registry and the store may take for a CONNECT, each. Afterwards the CONNECT is refused with "server unavailable".
const ADMISSION_TIME: Duration = Duration::from_secs(5);
/// The longest Keep Alive, in seconds. It also applies to a client with Keep Alive 0.
/// (<https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits>)
const KEEP_ALIVE: u16 = 1_200;
/// The longest Client Identifier, in bytes.
const CLIENT_ID: usize = 128;
/// How many bytes are buffered for sending before no further packets or messages are taken.
const ROOM: usize = 16 * 1024;

/// The peer of a connection: the certificate from the TLS handshake and the IP address.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) certificate: CertificateId,
    pub(super) address: IpAddr,
}

/// A connected client.
struct Client {
    id: Arc<str>,
    place: ConnectionKey,
    version: Version,
    /// How long the client may send nothing: one and a half times the Keep Alive.
    silence: Duration,
    /// The topics of the Topic Aliases: index 0 is alias 1.
    aliases: Vec<Option<Arc<str>>>,
}

/// Serves one connection until it ends.
pub(super) async fn serve<B: Backend, S: AsyncRead + AsyncWrite + Unpin + Send>(broker: Broker<B>, socket: S, peer: Peer) {
    let counters = broker.counters();
    let mut stream = PacketStream::new(socket, counters);
    let last = match Box::pin(enter(&broker, &mut stream, &peer)).await {
        Err(End { reason, refusals }) => {
            counters.refused(reason).add(1);
            refusals.iter().for_each(|refusal| broker.0.backend.refused(refusal));
            (reason != Reason::Lost).then_some(Answer::ConnectRefused(reason))
        }
        Ok(mut client) => {
            counters.connects.add(1);
            tracing::debug!(client_id = &*client.id, "connected");
            let mut guard = ConnectionGuard { broker: &broker, place: client.place.clone(), reason: Reason::Lost, expiry: None };
            let Err(mut end) = exchange(&broker, &mut stream, &mut client, &mut guard.expiry).await;
            let reason = end.reason;
            if reason.is_refusal() && end.refusals.is_empty() {
                end = rejected(&broker, &client, reason.into());
            }
            end.refusals.iter().for_each(|refusal| broker.0.backend.refused(refusal));
            guard.reason = reason;
            drop(guard);
            counters.ended(reason).add(1);
            if !reason.is_refusal() {
                tracing::info!(client_id = &*client.id, %reason, "disconnected");
            }
            reason.code().map(|_| Answer::Disconnect(reason))
        }
    };
    let now = (broker.0.now)();
    Box::pin(stream.close(last, now)).await;
}

/// Reads CONNECT, admits the client, and buffers CONNACK.
async fn enter<B: Backend, S: AsyncRead + AsyncWrite + Unpin>(
    broker: &Broker<B>,
    stream: &mut PacketStream<'_, S>,
    peer: &Peer,
) -> Result<Client, End> {
    let requester = |client_id| Requester { client_id, certificate: peer.certificate.clone(), thing: None, source: peer.address };
    let read = timeout(CONNECT_TIME, read_connect(broker, stream)).await.unwrap_or(Err(Reason::NoConnect.into()));
    let connect = read.map_err(|fault| match fault.named {
        Some(_) => End { reason: fault.reason, refusals: vec![Refusal::of(requester(String::new()), fault)] },
        None => End::of_connect(requester(String::new()), fault.reason),
    })?;
    let client_id = connect.client_id.clone();
    admit(broker, stream, peer, connect).await.map_err(|end| match end.refusals.is_empty() {
        true => End::of_connect(requester(client_id), end.reason),
        false => end,
    })
}

async fn read_connect<B: Backend, S: AsyncRead + AsyncWrite + Unpin>(
    broker: &Broker<B>,
    stream: &mut PacketStream<'_, S>,
) -> Result<Box<Connect>, Fault> {
    loop {
        match stream.packet((broker.0.now)())? {
            Some(Packet::Connect(connect)) => return Ok(connect),
            Some(_) => return Err(Reason::ProtocolError.into()),
            None => stream.fill().await?,
        }
    }
}

async fn admit<B: Backend, S: AsyncRead + AsyncWrite + Unpin>(
    broker: &Broker<B>,
    stream: &mut PacketStream<'_, S>,
    peer: &Peer,
    connect: Box<Connect>,
) -> Result<Client, End> {
    let assigned = if connect.client_id.is_empty() { Some(generate_client_id()?) } else { None };
    let id: Arc<str> = assigned.clone().unwrap_or_else(|| connect.client_id.as_str().into());
    if id.len() > CLIENT_ID || id.contains('\0') {
        return Err(Reason::ClientIdInvalid.into());
    }
    if connect.session_expiry > 0 && broker.0.journal.is_failing() {
        return Err(Reason::Unavailable.into());
    }
    let (version, session_expiry, maximum) = (connect.version, connect.session_expiry, connect.maximum_packet);
    let keep_alive = if connect.keep_alive == 0 { KEEP_ALIVE } else { connect.keep_alive.min(KEEP_ALIVE) };
    let mut connect = Some(connect);
    let (place, session_present, ticket) = loop {
        let revision = broker.lock().revision();
        let status_request = timeout(ADMISSION_TIME, broker.0.backend.certificate_status(&peer.certificate));
        let certificate_status = status_request.await.map_err(|_| Reason::Unavailable)?.map_err(|_| Reason::Unavailable)?;
        let Some(asked) = &connect else { return Err(Reason::ProtocolError.into()) };
        let grant = Grant::new(certificate_status, peer.certificate.clone(), &id, peer.address, asked);
        grant.may_connect()?;
        let arrival = |connect| AdmittedConnect { client_id: Arc::clone(&id), grant, connect };
        let (outcome, ticket) = broker.change(|router, now, fx| {
            if router.revision() != revision {
                return Ok(None);
            }
            match connect.take() {
                Some(connect) => router.connect(arrival(connect), now, fx).map(Some),
                None => Ok(None),
            }
        });
        if let Some((place, present)) = outcome? {
            break (place, present, ticket);
        }
    };
    if let Err(reason) = timeout(ADMISSION_TIME, ticket.durable()).await.unwrap_or(Err(Reason::Unavailable)) {
        let _ = broker.change(|router, now, fx| router.disconnect(&place, reason, None, now, fx));
        return Err(reason.into());
    }
    stream.maximum = maximum;
    stream.put(Answer::ConnectAccepted { session_present, session_expiry, keep_alive, assigned }, (broker.0.now)());
    let silence = Duration::from_millis(u64::from(keep_alive) * 1_500);
    Ok(Client { id, place, version, silence, aliases: Vec::new() })
}

/// Generates a random Client Identifier for a client that sends an empty one.
fn generate_client_id() -> Result<Arc<str>, Reason> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Reason::Unavailable)?;
    Ok(HEXLOWER.encode(&random).into())
}

/// Disconnects the client from the router when it is dropped, however the task ends.
struct ConnectionGuard<'b, B: Backend> {
    broker: &'b Broker<B>,
    place: ConnectionKey,
    reason: Reason,
    /// The Session Expiry Interval of the DISCONNECT, in seconds, if it has one.
    expiry: Option<u32>,
}

impl<B: Backend> Drop for ConnectionGuard<'_, B> {
    fn drop(&mut self) {
        let reason = self.place.wake_up.stopped().unwrap_or(self.reason);
        // A drop cannot wait until the change is durable.
        let _ = self.broker.change(|router, now, fx| router.disconnect(&self.place, reason, self.expiry, now, fx));
    }
}

/// Exchanges packets until the connection must end. `expiry` receives the Session Expiry Interval of the DISCONNECT.
async fn exchange<B: Backend, S: AsyncRead + AsyncWrite + Unpin>(
    broker: &Broker<B>,
    stream: &mut PacketStream<'_, S>,
    client: &mut Client,
    expiry: &mut Option<u32>,
) -> Result<std::convert::Infallible, End> {
    let wake_up = Arc::clone(&client.place.wake_up);
    // CONNACK is sent even if another connection has already taken over the session. An MQTT 3.1.1 client whose connection closes
    // without CONNACK assumes that it was refused.
    Box::pin(stream.send(&wake_up)).await?;
    let mut last_packet_at = Instant::now();
    loop {
        while stream.pending() < ROOM
            && let Some(packet) = stream.packet((broker.0.now)()).map_err(|fault| rejected(broker, client, fault))?
        {
            last_packet_at = Instant::now();
            // A packet is handled to its end even if the connection must end meanwhile: the change of a shadow must be published.
            Box::pin(handle(broker, stream, client, packet, expiry)).await?;
        }
        // `send` may consume a wake-up, so this repeats until there is nothing to send.
        loop {
            if let Some(reason) = wake_up.stopped() {
                return Err(reason.into());
            }
            collect(broker, stream, client);
            if stream.pending() == 0 {
                break;
            }
            Box::pin(stream.send(&wake_up)).await?;
        }
        tokio::select! {
            biased;
            () = wake_up.woken() => {}
            filled = timeout_at(last_packet_at + client.silence, stream.fill()) => filled.map_err(|_| Reason::KeepAliveTimeout)??,
        }
    }
}

/// Returns the end of a connection because of a packet that is not accepted.
fn rejected<B: Backend>(broker: &Broker<B>, client: &Client, fault: Fault) -> End {
    let (reason, grant) = (fault.reason, broker.lock().grant(&client.place));
    End { reason, refusals: grant.map(|grant| Refusal::of(grant.requester(), fault)).into_iter().collect() }
}

/// Moves queued messages into the send buffer, unless [`ROOM`] bytes are already buffered.
fn collect<B: Backend, S: AsyncRead + AsyncWrite + Unpin>(broker: &Broker<B>, stream: &mut PacketStream<'_, S>, client: &Client) {
    if stream.pending() >= ROOM {
        return;
    }
    let (deliveries, _) = broker.change(|router, now, fx| router.take(&client.place, now, ROOM, fx));
    let now = (broker.0.now)();
    for delivery in deliveries {
        let id = delivery.id;
        if stream.put(Answer::Deliver(delivery), now) {
            broker.counters().delivered.add(1);
        } else {
            broker.counters().dropped.add(1);
            let _ = broker.change(|router, _, fx| id.is_some_and(|id| router.acknowledge(&client.place, id, fx)));
        }
    }
}

async fn handle<B: Backend, S: AsyncRead + AsyncWrite + Unpin>(
    broker: &Broker<B>,
    stream: &mut PacketStream<'_, S>,
    client: &mut Client,
    packet: Packet,
    expiry: &mut Option<u32>,
) -> Result<(), End> {
    let answer = match packet {
        Packet::Connect(_) => return Err(Reason::ProtocolError.into()),
        Packet::Publish(publish) => match publish_message(broker, client, *publish).await? {
            Some(id) => Answer::Acknowledge(id),
            None => return Ok(()),
        },
        Packet::Acknowledge(id) => {
            let _ = broker.change(|router, _, fx| router.acknowledge(&client.place, id, fx));
            return Ok(());
        }
        Packet::Subscribe(subscribe) => {
            let Subscribe { id, subscriptions } = *subscribe;
            if broker.0.journal.is_failing() {
                return Err(Reason::Unavailable.into());
            }
            let (outcome, ticket) =
                broker.change(|router, now, fx| router.subscribe(&client.place, client.version, subscriptions, now, fx));
            let outcome = outcome?;
            ticket.durable().await?;
            Answer::Subscribed(id, outcome)
        }
        Packet::Unsubscribe(id, filters) => {
            let (existed, ticket) = broker.change(|router, _, fx| router.unsubscribe(&client.place, &filters, fx));
            ticket.durable().await?;
            Answer::Unsubscribed(id, existed)
        }
        Packet::Ping => Answer::Pong,
        Packet::Disconnect { with_will, session_expiry } => {
            *expiry = session_expiry;
            return Err(if with_will { Reason::DisconnectWithWill } else { Reason::NormalDisconnect }.into());
        }
    };
    stream.put(answer, (broker.0.now)());
    Ok(())
}

/// Handles a PUBLISH. Returns the Packet Identifier to acknowledge, if any, once the message is durable.
async fn publish_message<B: Backend>(broker: &Broker<B>, client: &mut Client, publish: Publish) -> Result<Option<NonZeroU16>, End> {
    let Publish { id, mut message, alias } = publish;
    let grant = broker.lock().grant(&client.place).ok_or(Reason::TakenOver)?;
    let refusal = |topic: &str, cause| grant.refusal(&policy::Request::Publish(topic), cause);
    if let Some(alias) = alias {
        let resolved = resolve(&mut client.aliases, alias, message.topic);
        message.topic = resolved.map_err(|reason| refusal("", Cause::Protocol(reason)))?;
    }
    if topic::is_bridge_state(&message.topic, &client.id) {
        // The message is acknowledged and discarded. Otherwise a bridge with default options could not stay connected. AWS IoT
        // ends the connection.
        return Ok(id);
    }
    grant.may_publish(&message.topic, message.retain)?;
    if broker.0.journal.is_failing() {
        return Err(refusal(&message.topic, Cause::Protocol(Reason::Unavailable)).into());
    }
    message.publisher = Some(Arc::clone(&client.id));
    let topic = Arc::clone(&message.topic);
    let messages = match topic::is_reserved(&topic) {
        true => request(broker, client, message).await.map_err(|cause| refusal(&topic, cause))?,
        false => vec![message],
    };
    let ((), ticket) = broker.change(|router, now, fx| {
        for message in &messages {
            router.publish(message, now, fx);
        }
    });
    ticket.durable().await?;
    broker.counters().published.add(1);
    Ok(id)
}

/// Passes a message to a reserved topic to the backend. Returns the messages to publish.
async fn request<B: Backend>(broker: &Broker<B>, client: &Client, message: Message) -> Result<Vec<Message>, Cause> {
    if !message.topic.starts_with("$aws/") {
        return Err(Cause::NoService);
    }
    let request = Request { topic: message.topic, payload: message.payload, client_id: Arc::clone(&client.id) };
    broker.0.backend.request(request).await.map_err(|error| match error {
        RequestError::NoSuchTopic => Cause::NoService,
        RequestError::Unavailable => Cause::Protocol(Reason::Unavailable),
    })
}

/// Resolves a Topic Alias. If the PUBLISH also has a topic name, the alias is set to this topic (MQTT 5, section 3.3.2.3.4).
fn resolve(aliases: &mut Vec<Option<Arc<str>>>, alias: NonZeroU16, named: Arc<str>) -> Result<Arc<str>, Reason> {
    if alias.get() > TOPIC_ALIASES {
        return Err(Reason::TopicAliasInvalid);
    }
    let place = usize::from(alias.get()) - 1;
    if named.is_empty() {
        return aliases.get(place).cloned().flatten().ok_or(Reason::TopicAliasInvalid);
    }
    if aliases.len() <= place {
        aliases.resize(place + 1, None);
    }
    aliases[place] = Some(Arc::clone(&named));
    Ok(named)
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;

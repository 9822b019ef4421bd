//! One connection: CONNECT, then packet after packet until one side ends it.
//!
//! A connection is one task. It handles a packet, waits for what the packet needs, and only then reads the next, so whoever floods the
//! broker is slowed down by TCP and slows down nobody else. Whether the connection must end is looked at before anything else.

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
use super::router::{Arrival, Place};
use super::topic;
use crate::policy;

/// How long a client may take to say CONNECT.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long the registry and the store may take with a CONNECT. Whoever waits for longer is told to come again.
const ADMISSION_TIME: Duration = Duration::from_secs(5);
/// The longest keep-alive, in seconds, which is also that of a client without one.
/// (<https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits>)
const KEEP_ALIVE: u16 = 1_200;
/// The longest client id, in bytes.
const CLIENT_ID: usize = 128;
/// How many bytes of messages are taken to be sent at a time.
const ROOM: usize = 16 * 1024;

/// Who is on the other side, as TLS knows it.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) certificate: CertificateId,
    pub(super) address: IpAddr,
}

/// A client that is in.
struct Client {
    id: Arc<str>,
    place: Place,
    version: Version,
    /// How long it may be silent.
    silence: Duration,
    /// Topics by their aliases, from 1 on.
    aliases: Vec<Option<Arc<str>>>,
}

/// Serves one connection to its end.
pub(super) async fn serve<B: Backend, S: AsyncRead + AsyncWrite + Unpin + Send>(broker: Broker<B>, socket: S, peer: Peer) {
    let counters = broker.counters();
    let mut stream = PacketStream::new(socket, counters);
    let last = match Box::pin(enter(&broker, &mut stream, &peer)).await {
        Err(End { reason, refusals }) => {
            counters.refused(reason).add(1);
            refusals.iter().for_each(|refusal| broker.0.backend.refused(refusal));
            (reason != Reason::Lost).then_some(Answer::Refused(reason))
        }
        Ok(mut client) => {
            counters.connects.add(1);
            tracing::debug!(client_id = &*client.id, "connected");
            let mut stay = Stay { broker: &broker, place: client.place.clone(), reason: Reason::Lost, expiry: None };
            let Err(mut end) = exchange(&broker, &mut stream, &mut client, &mut stay.expiry).await;
            let reason = end.reason;
            if reason.is_refusal() && end.refusals.is_empty() {
                end = rejected(&broker, &client, reason.into());
            }
            end.refusals.iter().for_each(|refusal| broker.0.backend.refused(refusal));
            stay.reason = reason;
            drop(stay);
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

/// Reads CONNECT and answers it.
async fn enter<B: Backend, S: AsyncRead + AsyncWrite + Unpin>(
    broker: &Broker<B>,
    stream: &mut PacketStream<'_, S>,
    peer: &Peer,
) -> Result<Client, End> {
    let requester = |client_id| Requester { client_id, certificate: peer.certificate.clone(), thing: None, source: peer.address };
    let read = timeout(CONNECT_TIME, first(broker, stream)).await.unwrap_or(Err(Reason::NoConnect.into()));
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

async fn first<B: Backend, S: AsyncRead + AsyncWrite + Unpin>(
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
    let assigned = if connect.client_id.is_empty() { Some(chosen()?) } else { None };
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
        let asking = timeout(ADMISSION_TIME, broker.0.backend.certificate_status(&peer.certificate));
        let certificate_status = asking.await.map_err(|_| Reason::Unavailable)?.map_err(|_| Reason::Unavailable)?;
        let Some(asked) = &connect else { return Err(Reason::ProtocolError.into()) };
        let grant = Grant::new(certificate_status, peer.certificate.clone(), &id, peer.address, asked);
        grant.may_connect()?;
        let arrival = |connect| Arrival { client_id: Arc::clone(&id), grant, connect };
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
    stream.put(Answer::Welcome { session_present, session_expiry, keep_alive, assigned }, (broker.0.now)());
    let silence = Duration::from_millis(u64::from(keep_alive) * 1_500);
    Ok(Client { id, place, version, silence, aliases: Vec::new() })
}

/// A client id for a client without one.
fn chosen() -> Result<Arc<str>, Reason> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Reason::Unavailable)?;
    Ok(HEXLOWER.encode(&random).into())
}

/// The time between CONNACK and the end. Whatever ends the task, the router hears of it.
struct Stay<'b, B: Backend> {
    broker: &'b Broker<B>,
    place: Place,
    reason: Reason,
    /// What the client said last about its session.
    expiry: Option<u32>,
}

impl<B: Backend> Drop for Stay<'_, B> {
    fn drop(&mut self) {
        let reason = self.place.wake_up.stopped().unwrap_or(self.reason);
        // The store hears of it in its own time.
        let _ = self.broker.change(|router, now, fx| router.disconnect(&self.place, reason, self.expiry, now, fx));
    }
}

/// Exchanges packets until the connection must end; `expiry` is what the client said last about its session.
async fn exchange<B: Backend, S: AsyncRead + AsyncWrite + Unpin>(
    broker: &Broker<B>,
    stream: &mut PacketStream<'_, S>,
    client: &mut Client,
    expiry: &mut Option<u32>,
) -> Result<std::convert::Infallible, End> {
    let wake_up = Arc::clone(&client.place.wake_up);
    // CONNACK goes out even where another connection has taken the place already: a client of MQTT 3.1.1 whose connection ends without
    // one takes itself for refused.
    Box::pin(stream.send(&wake_up)).await?;
    let mut last_packet_at = Instant::now();
    loop {
        while stream.pending() < ROOM
            && let Some(packet) = stream.packet((broker.0.now)()).map_err(|fault| rejected(broker, client, fault))?
        {
            last_packet_at = Instant::now();
            // What a packet has begun is finished, whoever ends the connection meanwhile: a shadow that
            // has changed must be heard of.
            Box::pin(handle(broker, stream, client, packet, expiry)).await?;
        }
        // Sending may have missed a ring: there is no rest until there is nothing to send.
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

/// The end of a connection because of a packet that is not taken.
fn rejected<B: Backend>(broker: &Broker<B>, client: &Client, fault: Fault) -> End {
    let (reason, grant) = (fault.reason, broker.lock().grant(&client.place));
    End { reason, refusals: grant.map(|grant| Refusal::of(grant.requester(), fault)).into_iter().collect() }
}

/// Takes what waits for the client, as far as there is room.
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
        Packet::Publish(publish) => match take(broker, client, *publish).await? {
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
            return Err(if with_will { Reason::GoodbyeWithWill } else { Reason::Goodbye }.into());
        }
    };
    stream.put(answer, (broker.0.now)());
    Ok(())
}

/// Takes a message, and returns what to acknowledge once it is safe.
async fn take<B: Backend>(broker: &Broker<B>, client: &mut Client, publish: Publish) -> Result<Option<NonZeroU16>, End> {
    let Publish { id, mut message, alias } = publish;
    let grant = broker.lock().grant(&client.place).ok_or(Reason::TakenOver)?;
    let refused = |topic: &str, cause| grant.refusal(&policy::Request::Publish(topic), cause);
    if let Some(alias) = alias {
        let resolved = resolve(&mut client.aliases, alias, message.topic);
        message.topic = resolved.map_err(|reason| refused("", Cause::Protocol(reason)))?;
    }
    if topic::is_state_of_bridge(&message.topic, &client.id) {
        // Acknowledged, and for no reader: without that no bridge with default options stays connected. AWS IoT ends the connection.
        return Ok(id);
    }
    grant.may_publish(&message.topic, message.retain)?;
    if broker.0.journal.is_failing() {
        return Err(refused(&message.topic, Cause::Protocol(Reason::Unavailable)).into());
    }
    message.publisher = Some(Arc::clone(&client.id));
    let topic = Arc::clone(&message.topic);
    let messages = match topic::is_reserved(&topic) {
        true => request(broker, client, message).await.map_err(|cause| refused(&topic, cause))?,
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

/// What the rest of the hub says to a message to a reserved topic.
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

/// The topic that an alias stands for, or stands for from now on (MQTT 5, section 3.3.2.3.4).
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

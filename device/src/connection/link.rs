//! One connection of a device: mutual TLS and MQTT 3.1.1 with the `rumqttc` client, and the five subscriptions of the shadow.
//!
//! A connection is not reopened; a new connection is a new [`Link`]. The shadow is requested only after the subscriptions are
//! acknowledged: an earlier response would not be received
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-comms-device.html>).

use std::error::Error;
use std::io;
use std::iter::successors;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::{
    AsyncClient, ClientError, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions, Packet, PublishOptions, QoS, StateError,
    SubscribeFilterInput, SubscribeReasonCode, TlsConfiguration, Transport,
};
use rustls::CertificateError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::bundle::{Bundle, Topics};
use crate::connection::pause;

/// The default MQTT keep-alive interval.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The time limit from the first packet to the acknowledged subscriptions.
const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(10);
/// The time limits at the end of a connection: for the acknowledgement of the last report, and for the end of the connection.
const LAST_REPORT_WITHIN: Duration = Duration::from_millis(800);
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// The largest packet. A shadow document with its metadata is larger than the 8 KB of its state.
const PACKET_LIMIT: usize = 128 * 1024;
const QUEUE: usize = 16;
/// The description of [`LinkEvent::Closed`] for the user.
pub(crate) const CLOSED: &str = "the server ended the connection";
const NOT_LET_IN: &str = "the server does not let this device connect";

/// An event of a connection.
#[derive(Debug, PartialEq)]
pub(crate) enum LinkEvent {
    /// The subscriptions are acknowledged, and the shadow has been requested.
    Up,
    /// A message on `get/accepted`.
    Shadow(Bytes),
    /// A message on `get/rejected`.
    NoShadow(Bytes),
    /// A message on `update/delta`.
    Delta(Bytes),
    /// A message on `update/accepted`, for an update by any client.
    Updated(Bytes),
    /// A message on `update/rejected`.
    ReportRefused(Bytes),
    /// The connection has ended: the server has refused this device.
    Refused(&'static str),
    /// There was no connection: the server failed the verification, and nothing was sent to it.
    Unverified(&'static str),
    /// The connection has ended: the server closed it without giving a reason.
    Closed,
    /// The connection was lost, or could not be established.
    Lost(&'static str),
}

/// A connection, which ends when this value is dropped.
pub(crate) struct Link {
    client: AsyncClient,
    update: String,
    news: mpsc::Receiver<LinkEvent>,
    task: JoinHandle<()>,
}

impl Link {
    /// Starts to connect. If nothing is received for twice the `keep_alive`, in whole seconds, the connection is lost.
    pub(crate) fn open(bundle: &Bundle, keep_alive: Duration) -> Self {
        let connection = &bundle.connection;
        let mut options = MqttOptions::new(&connection.client_id, (connection.endpoint.as_str(), connection.port));
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(&bundle.tls))));
        options
            .set_keep_alive(u16::try_from(keep_alive.as_secs()).unwrap_or(u16::MAX).max(1))
            .set_clean_session(true)
            .set_max_packet_size(PACKET_LIMIT, PACKET_LIMIT);
        let (client, events) = AsyncClient::builder(options).capacity(QUEUE).build();
        let (tell, news) = mpsc::channel(QUEUE);
        let (asking, topics) = (client.clone(), connection.topics.clone());
        let task = tokio::spawn(async move {
            let end = match run(events, &asking, &topics, &tell).await {
                Ok(never) => match never {},
                Err(end) => end,
            };
            // The receiver is gone if the device has dropped the connection.
            let _ = tell.send(end).await;
        });
        Self { client, update: connection.topics.update.clone(), news, task }
    }

    /// The next event. There are no events after the end of the connection.
    pub(crate) async fn news(&mut self) -> LinkEvent {
        self.news.recv().await.unwrap_or(LinkEvent::Lost("the connection broke down"))
    }

    /// Publishes an update of the shadow. Returns false if the queue is full; the connection has then stalled, and the update is
    /// lost with it.
    pub(crate) fn report(&self, update: String) -> bool {
        self.client.try_publish(self.update.as_str(), update, PublishOptions::at_least_once()).is_ok()
    }

    /// Disconnects after the pending updates have been acknowledged.
    pub(crate) async fn close(mut self) {
        if self.client.try_disconnect_with_timeout(LAST_REPORT_WITHIN).is_ok() {
            // The connection ends here, whether or not the pending updates were acknowledged. Incoming messages are still taken,
            // so that the task does not block on a full channel.
            let _ = timeout(CLOSE_WITHIN, async { while self.news.recv().await.is_some() {} }).await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Never {}

/// Runs the connection until it ends.
async fn run(mut events: EventLoop, client: &AsyncClient, topics: &Topics, tell: &mpsc::Sender<LinkEvent>) -> Result<Never, LinkEvent> {
    timeout(SUBSCRIBE_WITHIN, subscribe(&mut events, client, topics)).await.map_err(|_| LinkEvent::Lost("no answer in time"))??;
    client.try_publish(topics.get.as_str(), "", PublishOptions::at_least_once()).map_err(stalled)?;
    let mut news = LinkEvent::Up;
    loop {
        tell.send(news).await.map_err(|_| LinkEvent::Lost("nobody listens"))?;
        news = loop {
            if let Packet::Publish(message) = next(&mut events).await?
                && let Some(news) = received(topics, &message.topic, message.payload)
            {
                break news;
            }
        };
    }
}

/// Connects, and subscribes to the responses of the shadow.
async fn subscribe(events: &mut EventLoop, client: &AsyncClient, topics: &Topics) -> Result<(), LinkEvent> {
    welcome(events).await?;
    let answers = [&topics.get_accepted, &topics.get_rejected, &topics.update_accepted, &topics.update_rejected, &topics.update_delta];
    let filters = answers.map(|topic| SubscribeFilterInput::new(topic.as_str(), QoS::AtLeastOnce));
    client.try_subscribe_many(filters).map_err(stalled)?;
    loop {
        if let Packet::SubAck(answer) = next(events).await? {
            let all = answer.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_)));
            return if all { Ok(()) } else { Err(LinkEvent::Refused("the device may not listen to its shadow")) };
        }
    }
}

/// Waits for CONNACK. A server of MQTT 3.1.1 may close the connection instead of returning an error code, section 3.2.2.3
/// (<https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html>); AWS IoT and the hub do. A server that is shutting
/// down closes the connection as well, so only the second close in a row counts as a refusal.
async fn welcome(events: &mut EventLoop) -> Result<(), LinkEvent> {
    if is_answered(events).await? {
        return Ok(());
    }
    sleep(pause::FIRST).await;
    // A further poll connects again.
    if is_answered(events).await? { Ok(()) } else { Err(LinkEvent::Refused(NOT_LET_IN)) }
}

/// Whether the server answers CONNECT with CONNACK. False if it closes the connection instead.
async fn is_answered(events: &mut EventLoop) -> Result<bool, LinkEvent> {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => return Ok(true),
            Ok(_) => {}
            Err(error) => {
                return match (ended(&error), &error) {
                    (LinkEvent::Closed | LinkEvent::Lost(_), ConnectionError::MqttState(_)) => Ok(false),
                    (news, _) => Err(news),
                };
            }
        }
    }
}

async fn next(events: &mut EventLoop) -> Result<Packet, LinkEvent> {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(packet)) => return Ok(packet),
            Ok(Event::Outgoing(_)) => {}
            Err(error) => return Err(ended(&error)),
        }
    }
}

fn received(topics: &Topics, topic: &[u8], payload: Bytes) -> Option<LinkEvent> {
    let is = |name: &str| name.as_bytes() == topic;
    if is(&topics.get_accepted) {
        Some(LinkEvent::Shadow(payload))
    } else if is(&topics.get_rejected) {
        Some(LinkEvent::NoShadow(payload))
    } else if is(&topics.update_delta) {
        Some(LinkEvent::Delta(payload))
    } else if is(&topics.update_accepted) {
        Some(LinkEvent::Updated(payload))
    } else if is(&topics.update_rejected) {
        Some(LinkEvent::ReportRefused(payload))
    } else {
        None
    }
}

fn stalled(_: ClientError) -> LinkEvent {
    LinkEvent::Lost("the connection stalled")
}

/// Distinguishes a refusal by the server from a failure of the connection.
fn ended(error: &ConnectionError) -> LinkEvent {
    if let ConnectionError::ConnectionRefused(code) = error {
        return match code {
            ConnectReturnCode::ServiceUnavailable => LinkEvent::Lost("the server is not ready"),
            _ => LinkEvent::Refused(NOT_LET_IN),
        };
    }
    match tls_error(error) {
        Some(rustls::Error::AlertReceived(_)) => LinkEvent::Refused("the server does not accept the certificate"),
        Some(rustls::Error::InvalidCertificate(fault)) => LinkEvent::Unverified(certificate_fault(fault)),
        Some(_) => LinkEvent::Lost("no secure connection"),
        None if is_closed(error) => LinkEvent::Closed,
        None => LinkEvent::Lost(lost_reason(error)),
    }
}

/// The reason why the certificate of a server is not accepted.
fn certificate_fault(fault: &CertificateError) -> &'static str {
    match fault {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => "by the clock of this device the server's certificate is not valid now",
        _ => "the server is not the one of this bundle",
    }
}

/// Whether the server closed the connection, with or without a `close_notify` alert of TLS.
fn is_closed(error: &ConnectionError) -> bool {
    let causes = successors(Some(error as &(dyn Error + 'static)), |&error| error.source());
    matches!(error, ConnectionError::MqttState(StateError::ConnectionAborted))
        || causes
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|cause| matches!(cause.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe))
}

/// The reason why there is no connection.
fn lost_reason(error: &ConnectionError) -> &'static str {
    let ConnectionError::Io(error) = error else { return "the connection was lost" };
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nobody listens there",
        io::ErrorKind::TimedOut => "there was no answer",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => "there is no way to it",
        _ => "the connection was lost",
    }
}

/// Finds the TLS error in the chain of causes, in which I/O errors nest it at different depths.
pub(crate) fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut link = Some(error);
    while let Some(error) = link {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        link = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::*;

    fn by_socket(error: rustls::Error) -> ConnectionError {
        ConnectionError::Io(io::Error::new(io::ErrorKind::InvalidData, error))
    }

    #[test]
    fn a_refusal_is_distinguished_from_a_lost_connection() {
        let refused = |error: &ConnectionError| matches!(ended(error), LinkEvent::Refused(_));
        assert!(refused(&ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized)));
        assert!(!refused(&ConnectionError::ConnectionRefused(ConnectReturnCode::ServiceUnavailable)));
        assert!(refused(&by_socket(rustls::Error::AlertReceived(AlertDescription::CertificateUnknown))));
        let deep = StateError::Io(io::Error::other(rustls::Error::AlertReceived(AlertDescription::AccessDenied)));
        assert!(refused(&ConnectionError::MqttState(deep)));
        let stranger = by_socket(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer));
        assert_eq!(ended(&stranger), LinkEvent::Unverified("the server is not the one of this bundle"));
        let early = by_socket(rustls::Error::InvalidCertificate(CertificateError::NotValidYet));
        assert!(matches!(ended(&early), LinkEvent::Unverified(why) if why.contains("clock")));
        assert!(!refused(&by_socket(rustls::Error::HandshakeNotComplete)));
        assert!(!refused(&ConnectionError::Io(io::Error::from(io::ErrorKind::ConnectionRefused))));
        assert!(!refused(&ConnectionError::NetworkTimeout));
    }

    #[test]
    fn a_closed_connection_is_detected_by_reading_and_by_writing() {
        assert_eq!(ended(&ConnectionError::MqttState(StateError::ConnectionAborted)), LinkEvent::Closed);
        for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe] {
            assert_eq!(ended(&ConnectionError::MqttState(StateError::Io(kind.into()))), LinkEvent::Closed);
        }
    }
}

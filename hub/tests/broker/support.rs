//! A broker on loopback with an authority of its own, a store in memory that stands for the rest of the hub, and two kinds of clients:
//! `rumqttc`, which other people wrote, and packets by hand.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use onething::thing::CertificateId;
use onething_hub::broker::Broker;
use onething_hub::broker::backend::{
    Attached, Backend, Change, Notice, Request, RequestError, Standing, StoreError, Stored, StoredSession,
};
use onething_hub::broker::listener;
use onething_hub::broker::message::Message;
use onething_hub::clock;
use onething_hub::policy::{Policy, ThingContext};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rmqtt_codec::{v3, v5};
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, Transport};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::codec::{Decoder, Encoder};

/// How long anything may take that is to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a device of the tests may do: all about topics below its own name, and its own shadow.
pub(crate) const DEVICE: &[(&str, &[&str])] = &[
    ("iot:Connect", &["client/${iot:Connection.Thing.ThingName}"]),
    ("iot:Publish", &["topic/${iot:ClientId}/*", "topic/shared/*", "topic/$aws/things/${iot:ClientId}/*", "topic/$SYS/*"]),
    ("iot:RetainPublish", &["topic/${iot:ClientId}/*", "topic/shared/*"]),
    ("iot:Subscribe", &["topicfilter/${iot:ClientId}/*", "topicfilter/shared/*", "topicfilter/$aws/things/${iot:ClientId}/*"]),
    ("iot:Receive", &["topic/${iot:ClientId}/*", "topic/shared/*", "topic/$aws/things/${iot:ClientId}/*"]),
];

pub(crate) fn policy(rules: &[(&str, &[&str])]) -> Arc<Policy> {
    let statements: Vec<_> = rules
        .iter()
        .map(|(action, resources)| {
            let resources: Vec<_> = resources.iter().map(|name| format!("arn:aws:iot:eu-west-1:123456789012:{name}")).collect();
            serde_json::json!({"Effect": "Allow", "Action": action, "Resource": resources})
        })
        .collect();
    let document = serde_json::json!({"Version": "2012-10-17", "Statement": statements});
    Arc::new(Policy::parse(&document.to_string()).unwrap())
}

/// The rest of the hub.
#[derive(Default)]
pub(crate) struct Store {
    standings: Mutex<BTreeMap<CertificateId, Standing>>,
    disk: Mutex<Disk>,
    pub(crate) notices: Mutex<Vec<Notice>>,
    pub(crate) broken: AtomicBool,
}

#[derive(Default)]
struct Disk {
    sessions: BTreeMap<String, StoredSession>,
    retained: BTreeMap<String, Message>,
}

impl Disk {
    fn apply(&mut self, change: &Change) {
        match change.clone() {
            Change::SessionKept { client_id, expiry, ends } => {
                let session = self.sessions.entry(client_id.to_string()).or_insert_with(|| StoredSession {
                    client_id,
                    expiry,
                    ends,
                    subscriptions: Vec::new(),
                    queue: Vec::new(),
                });
                (session.expiry, session.ends) = (expiry, ends);
            }
            Change::SessionEnded { client_id } => drop(self.sessions.remove(&*client_id)),
            Change::Subscribed { client_id, subscription } => {
                let session = self.sessions.get_mut(&*client_id).unwrap();
                session.subscriptions.retain(|held| held.filter != subscription.filter);
                session.subscriptions.push(subscription);
            }
            Change::Unsubscribed { client_id, filter } => {
                self.sessions.get_mut(&*client_id).unwrap().subscriptions.retain(|held| held.filter != filter);
            }
            Change::Queued { client_id, waiting } => self.sessions.get_mut(&*client_id).unwrap().queue.push(waiting),
            Change::Dequeued { client_id, number } => {
                self.sessions.get_mut(&*client_id).unwrap().queue.retain(|waiting| waiting.number != number);
            }
            Change::Retained { message } => drop(self.retained.insert(message.topic.to_string(), message)),
            Change::Unretained { topic } => drop(self.retained.remove(&*topic)),
        }
    }
}

impl Store {
    pub(crate) fn set(&self, certificate: &CertificateId, standing: Standing) {
        self.standings.lock().unwrap().insert(certificate.clone(), standing);
    }

    /// How many messages the store holds for a client.
    pub(crate) fn queued(&self, client_id: &str) -> usize {
        self.disk.lock().unwrap().sessions.get(client_id).map_or(0, |session| session.queue.len())
    }
}

impl Backend for Store {
    async fn standing(&self, certificate: &CertificateId) -> Result<Option<Standing>, StoreError> {
        Ok(self.standings.lock().unwrap().get(certificate).cloned())
    }

    /// A shadow service that says yes to every update.
    async fn request(&self, request: Request) -> Result<Vec<Message>, RequestError> {
        let Some(shadow) = request.topic.strip_suffix("/update") else { return Err(RequestError::NoSuchTopic) };
        Ok(vec![Message::new(&format!("{shadow}/update/accepted"), request.payload)])
    }

    async fn load(&self) -> Result<Stored, StoreError> {
        let disk = self.disk.lock().unwrap();
        Ok(Stored { sessions: disk.sessions.values().cloned().collect(), retained: disk.retained.values().cloned().collect() })
    }

    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError("the disk is full".into()));
        }
        let mut disk = self.disk.lock().unwrap();
        changes.iter().for_each(|change| disk.apply(change));
        Ok(())
    }

    fn noticed(&self, notice: &Notice) {
        self.notices.lock().unwrap().push(notice.clone());
    }
}

/// A device's certificate and how it connects with it.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) certificate: CertificateId,
    pub(crate) tls: Arc<ClientConfig>,
}

/// A broker and its authority.
pub(crate) struct Hub {
    pub(crate) broker: Broker<Store>,
    pub(crate) store: Arc<Store>,
    pub(crate) address: SocketAddr,
    authority: Arc<Authority>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { root: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn issue(&self, usage: ExtendedKeyUsagePurpose) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.root).unwrap();
        (certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }
}

impl Hub {
    pub(crate) async fn start() -> Self {
        Self::over(Arc::new(Store::default()), Arc::new(Authority::new())).await
    }

    async fn over(store: Arc<Store>, authority: Arc<Authority>) -> Self {
        let (chain, key) = authority.issue(ExtendedKeyUsagePurpose::ServerAuth);
        let tls = listener::tls(authority.root.der().clone(), vec![chain], key).unwrap();
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let broker = Broker::open(Arc::clone(&store), clock::now).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { drop(stopped.await) };
        let serving = tokio::spawn(listener::serve(broker.clone(), socket, Arc::new(tls), stopped));
        Self { broker, store, address, authority, stop: Some(stop), serving: Some(serving) }
    }

    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        self.serving.take().unwrap().await.unwrap();
    }

    /// What a process that is killed leaves behind: nothing in memory, and everything that was written.
    pub(crate) async fn kill_and_start_again(self) -> Self {
        self.serving.as_ref().unwrap().abort();
        Self::over(Arc::clone(&self.store), Arc::clone(&self.authority)).await
    }

    /// A certificate that the authority has issued and the registry does not know.
    pub(crate) fn stranger(&self, name: &str) -> Identity {
        self.certified(name, &[b"x-amzn-mqtt-ca"])
    }

    pub(crate) fn certified(&self, name: &str, protocols: &[&[u8]]) -> Identity {
        let (certificate, key) = self.authority.issue(ExtendedKeyUsagePurpose::ClientAuth);
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.root.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let id = CertificateId::of(&certificate);
        let mut tls = builder.with_root_certificates(roots).with_client_auth_cert(vec![certificate], key).unwrap();
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Identity { name: name.to_owned(), certificate: id, tls: Arc::new(tls) }
    }

    /// A device with a thing of its name, and the rights of [`DEVICE`].
    pub(crate) fn device(&self, name: &str) -> Identity {
        self.device_with(name, policy(DEVICE))
    }

    pub(crate) fn device_with(&self, name: &str, policy: Arc<Policy>) -> Identity {
        let identity = self.stranger(name);
        let thing = ThingContext { name: name.to_owned(), ..ThingContext::default() };
        let attachments = vec![Attached { thing, exclusive: true }];
        self.store.set(&identity.certificate, Standing { active: true, policies: vec![policy], attachments });
        identity
    }

    /// `rumqttc` with a certificate, as the device of its name.
    pub(crate) fn options(&self, identity: &Identity) -> MqttOptions {
        let mut options = MqttOptions::new(&identity.name, ("localhost", self.address.port()));
        options.set_transport(Transport::tls_with_config(rumqttc::TlsConfiguration::Rustls(Arc::clone(&identity.tls))));
        options.set_keep_alive(60);
        options
    }

    pub(crate) async fn tls(&self, identity: &Identity) -> TlsStream<TcpStream> {
        let socket = TcpStream::connect(self.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let host = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::clone(&identity.tls)).connect(host, socket).await.unwrap()
    }

    /// MQTT 5 by hand.
    pub(crate) async fn by_hand(&self, identity: &Identity) -> Raw<v5::Codec> {
        Raw::new(self.tls(identity).await, v5::Codec::new(0, 0))
    }

    /// MQTT 3.1.1 by hand.
    pub(crate) async fn by_hand_v311(&self, identity: &Identity) -> Raw<v3::Codec> {
        Raw::new(self.tls(identity).await, v3::Codec::new(0))
    }

    /// MQTT 5 by hand, connected.
    pub(crate) async fn connected(&self, identity: &Identity, connect: v5::Connect) -> Raw<v5::Codec> {
        let mut raw = self.by_hand(identity).await;
        let ack = raw.connect(connect).await;
        assert_eq!(ack.reason_code, v5::ConnectAckReason::Success);
        raw
    }
}

/// Packets by hand.
pub(crate) struct Raw<C> {
    pub(crate) stream: TlsStream<TcpStream>,
    codec: C,
    buffer: BytesMut,
}

impl<C, P> Raw<C>
where
    C: Encoder<P> + Decoder<Item = (P, u32)>,
    <C as Encoder<P>>::Error: std::fmt::Debug,
    <C as Decoder>::Error: std::fmt::Debug,
{
    fn new(stream: TlsStream<TcpStream>, codec: C) -> Self {
        Self { stream, codec, buffer: BytesMut::new() }
    }

    pub(crate) async fn send(&mut self, packet: P) {
        let mut bytes = BytesMut::new();
        self.codec.encode(packet, &mut bytes).unwrap();
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        // The broker may have closed the connection already.
        if self.stream.write_all(bytes).await.is_ok() {
            let _ = self.stream.flush().await;
        }
    }

    /// The next packet; `None` when the broker has closed the connection, which it does with TLS's goodbye.
    pub(crate) async fn next(&mut self) -> Option<P> {
        timeout(PATIENCE, async {
            loop {
                if let Some((packet, _)) = self.codec.decode(&mut self.buffer).unwrap() {
                    return Some(packet);
                }
                if self.stream.read_buf(&mut self.buffer).await.unwrap() == 0 {
                    return None;
                }
            }
        })
        .await
        .expect("nothing came")
    }

    pub(crate) async fn closed(&mut self) {
        assert!(self.next().await.is_none());
    }
}

impl Raw<v5::Codec> {
    pub(crate) async fn connect(&mut self, connect: v5::Connect) -> v5::ConnectAck {
        self.send(connect.into()).await;
        match self.next().await {
            Some(v5::Packet::ConnectAck(ack)) => *ack,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, options: v5::SubscriptionOptions) -> v5::SubscribeAckReason {
        let topic_filters = vec![(filter.into(), options)];
        self.send(v5::Subscribe { packet_id: id(77), id: None, user_properties: Vec::new(), topic_filters }.into()).await;
        match self.next().await {
            Some(v5::Packet::SubscribeAck(ack)) => ack.status[0],
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn message(&mut self) -> rmqtt_codec::types::Publish {
        match self.next().await {
            Some(v5::Packet::Publish(publish)) => *publish,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn disconnected(&mut self) -> v5::DisconnectReasonCode {
        match self.next().await {
            Some(v5::Packet::Disconnect(disconnect)) => disconnect.reason_code,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn id(number: u16) -> std::num::NonZeroU16 {
    std::num::NonZeroU16::new(number).unwrap()
}

/// A connect of MQTT 5 with a clean start.
pub(crate) fn as_client(identity: &Identity) -> v5::Connect {
    v5::Connect { client_id: identity.name.as_str().into(), clean_start: true, keep_alive: 60, ..v5::Connect::default() }
}

/// `rumqttc`, whose events are looked at one by one.
pub(crate) struct Foreign {
    pub(crate) client: AsyncClient,
    pub(crate) events: EventLoop,
}

impl Foreign {
    pub(crate) fn new(options: MqttOptions) -> Self {
        let (client, events) = AsyncClient::builder(options).capacity(16).build();
        Self { client, events }
    }

    /// Goes on until something comes that the test waits for.
    pub(crate) async fn until<T>(&mut self, mut wanted: impl FnMut(Incoming) -> Option<T>) -> T {
        timeout(PATIENCE, async {
            loop {
                if let Event::Incoming(packet) = self.events.poll().await.unwrap()
                    && let Some(found) = wanted(packet)
                {
                    return found;
                }
            }
        })
        .await
        .expect("nothing came")
    }

    /// Connects; whether an earlier session goes on.
    pub(crate) async fn connected(&mut self) -> bool {
        self.until(|packet| if let Incoming::ConnAck(ack) = packet { Some(ack.session_present) } else { None }).await
    }

    pub(crate) async fn subscribed(&mut self) {
        self.until(|packet| matches!(packet, Incoming::SubAck(_)).then_some(())).await;
    }

    pub(crate) async fn acknowledged(&mut self) {
        self.until(|packet| matches!(packet, Incoming::PubAck(_)).then_some(())).await;
    }

    pub(crate) async fn message(&mut self) -> (String, Vec<u8>, bool) {
        let text = |topic: &[u8]| String::from_utf8(topic.to_vec()).unwrap();
        self.until(|packet| match packet {
            Incoming::Publish(publish) => Some((text(&publish.topic), publish.payload.to_vec(), publish.retain)),
            _ => None,
        })
        .await
    }

    /// Goes on until the connection is over.
    pub(crate) async fn over(&mut self) {
        timeout(PATIENCE, async { while self.events.poll().await.is_ok() {} }).await.expect("the connection goes on");
    }
}

//! A scripted server for tests, with mutual TLS. It uses another MQTT codec than the device.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use onething::identifiers::{OwnerId, ThingName, ThingPrefix};
use onething::mail::bundle::{Broker, zip};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v3::{Codec, Connect, ConnectAck, ConnectAckReason, Packet, SubscribeReturnCode};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::codec::{Decoder, Encoder};

use onething_hub::authority::Authority;
use onething_hub::clock;

const SOON: Duration = Duration::from_secs(30);

/// A server, with a bundle for it.
pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) bundle: Vec<u8>,
    pub(crate) thing: ThingName,
    broker: Broker,
}

impl Server {
    pub(crate) async fn new() -> Self {
        let authority = Authority::new(clock::now()).unwrap();
        Self::with(&authority, &authority).await
    }

    /// A server that trusts one authority, while the certificate of the device is from another.
    pub(crate) async fn with(issuer: &Authority, believed: &Authority) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(believed.root_pem().as_bytes()).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider)).build().unwrap();
        let key = PrivateKeyDer::from_pem_slice(own.signing_key.serialize_pem().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_client_cert_verifier(verifier).with_single_cert(vec![own.cert.der().clone()], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();

        let thing = ThingName::of(&ThingPrefix::parse("3D_Printer-").unwrap(), &OwnerId::parse("amzn1.account.ANA").unwrap());
        let broker = Broker { host: "localhost".into(), port, roots: vec![("RootCA.pem".into(), own.cert.pem())], register: None };
        let mut server = Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)), bundle: Vec::new(), thing, broker };
        server.bundle = server.bundle_by(issuer);
        server
    }

    /// A bundle for the thing of this server, with a new certificate.
    pub(crate) fn bundle_by(&self, issuer: &Authority) -> Vec<u8> {
        zip(&self.thing, &issuer.issue(clock::now()).unwrap(), &self.broker, clock::now(), "", "").unwrap()
    }

    pub(crate) async fn accept(&self) -> std::io::Result<Session> {
        let (socket, _) = soon(self.listener.accept()).await?;
        let stream = soon(self.acceptor.accept(socket)).await?;
        Ok(Session { stream, codec: Codec::default(), buffer: BytesMut::new(), thing: self.thing.to_string() })
    }

    /// Accepts a connection and reads its CONNECT packet.
    pub(crate) async fn meet(&self) -> (Session, Connect) {
        let mut session = self.accept().await.unwrap();
        let Some(Packet::Connect(connect)) = session.hear().await else { panic!("no CONNECT") };
        (session, *connect)
    }

    /// Accepts a connection and handles it up to the shadow get request.
    pub(crate) async fn welcome(&self) -> Session {
        let (mut session, _) = self.meet().await;
        session.acknowledge(ConnectAckReason::ConnectionAccepted).await;
        session.subscribe(5).await;
        assert_eq!(session.received().await.0, "get");
        session
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("the future completes in time")
}

pub(crate) struct Session {
    pub(crate) stream: TlsStream<TcpStream>,
    codec: Codec,
    buffer: BytesMut,
    pub(crate) thing: String,
}

impl Session {
    /// The next packet, or `None` if the device has closed the connection.
    pub(crate) async fn hear(&mut self) -> Option<Packet> {
        loop {
            if let Some((packet, _)) = self.codec.decode(&mut self.buffer).unwrap() {
                return Some(packet);
            }
            if soon(self.stream.read_buf(&mut self.buffer)).await.unwrap_or_default() == 0 {
                return None;
            }
        }
    }

    pub(crate) async fn say(&mut self, packet: Packet) {
        let mut buffer = BytesMut::new();
        self.codec.encode(packet, &mut buffer).unwrap();
        self.stream.write_all(&buffer).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub(crate) async fn acknowledge(&mut self, return_code: ConnectAckReason) {
        self.say(Packet::ConnectAck(ConnectAck { return_code, session_present: false })).await;
    }

    /// Acknowledges the subscription. The first `granted` filters are granted.
    pub(crate) async fn subscribe(&mut self, granted: usize) {
        let Some(Packet::Subscribe { packet_id, topic_filters }) = self.hear().await else { panic!("no SUBSCRIBE") };
        let base = format!("$aws/things/{}/shadow/", self.thing);
        let filters: Vec<&str> = topic_filters.iter().map(|(filter, _)| filter.strip_prefix(base.as_str()).unwrap()).collect();
        assert_eq!(filters, ["get/accepted", "get/rejected", "update/accepted", "update/rejected", "update/delta"]);
        let code = |number| if number < granted { SubscribeReturnCode::Success(QoS::AtLeastOnce) } else { SubscribeReturnCode::Failure };
        self.say(Packet::SubscribeAck { packet_id, status: (0..5).map(code).collect() }).await;
    }

    /// Acknowledges and returns the next message of the device, with the end of its topic.
    pub(crate) async fn received(&mut self) -> (String, Value) {
        let Some(Packet::Publish(message)) = self.hear().await else { panic!("no PUBLISH") };
        self.say(Packet::PublishAck { packet_id: message.packet_id.unwrap() }).await;
        let topic = message.topic.strip_prefix(&format!("$aws/things/{}/shadow/", self.thing)).unwrap().to_owned();
        (topic, serde_json::from_slice(&message.payload).unwrap_or_default())
    }

    /// The `reported` section of the next update.
    pub(crate) async fn report(&mut self) -> Value {
        self.update().await["state"]["reported"].clone()
    }

    /// Acknowledges and returns the next update.
    pub(crate) async fn update(&mut self) -> Value {
        loop {
            match self.hear().await {
                Some(Packet::Publish(message)) => {
                    self.say(Packet::PublishAck { packet_id: message.packet_id.unwrap() }).await;
                    assert!(message.topic.ends_with("/shadow/update") && !message.retain, "{}", message.topic);
                    return serde_json::from_slice(&message.payload).unwrap();
                }
                Some(Packet::PublishAck { .. }) => {}
                other => panic!("{other:?} instead of a report"),
            }
        }
    }

    /// Waits for a report in which a property has this value.
    pub(crate) async fn reports(&mut self, pointer: &str, value: &Value) {
        while self.report().await.pointer(pointer) != Some(value) {}
    }

    pub(crate) async fn tells(&mut self, topic: &str, payload: &Value) {
        let topic = format!("$aws/things/{}/shadow/{topic}", self.thing).into();
        let payload = Bytes::from(payload.to_string());
        let message =
            Publish { dup: false, retain: false, qos: QoS::AtLeastOnce, topic, packet_id: NonZeroU16::new(7), payload, properties: None };
        self.say(message.into()).await;
    }
}

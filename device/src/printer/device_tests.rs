//! The device against a server of mutual TLS that speaks MQTT by another codec than the device's, and says what a test wants.

use std::num::NonZeroU16;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use onething::bundle::{Broker, zip};
use onething::thing::{OwnerId, ThingName, ThingPrefix};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v3::{Codec, Connect, ConnectAck, ConnectAckReason, Packet, SubscribeReturnCode};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::codec::{Decoder, Encoder};

use super::*;
use onething_hub::authority::Authority;
use onething_hub::clock;

const SOON: Duration = Duration::from_secs(30);

/// A server, and a bundle that fits it.
struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    bundle: Vec<u8>,
    thing: String,
}

impl Server {
    async fn new() -> Self {
        let authority = Authority::new(clock::now()).unwrap();
        Self::with(&authority, &authority).await
    }

    /// The device's certificate is of one authority, and the server believes in another.
    async fn with(issuer: &Authority, believed: &Authority) -> Self {
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
        let bundle = zip(&thing, &issuer.issue(clock::now()).unwrap(), &broker, clock::now(), "").unwrap();
        Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)), bundle, thing: thing.to_string() }
    }

    fn device(&self) -> Device {
        Device::start(&self.bundle, clock::now).unwrap()
    }

    async fn accept(&self) -> std::io::Result<Session> {
        let (socket, _) = soon(self.listener.accept()).await?;
        let stream = soon(self.acceptor.accept(socket)).await?;
        Ok(Session { stream, codec: Codec::default(), buffer: BytesMut::new(), thing: self.thing.clone() })
    }

    /// A connection up to the CONNECT packet.
    async fn meet(&self) -> (Session, Connect) {
        let mut session = self.accept().await.unwrap();
        let Some(Packet::Connect(connect)) = session.hear().await else { panic!("no CONNECT") };
        (session, *connect)
    }

    /// A connection up to the question for the shadow.
    async fn welcome(&self) -> Session {
        let (mut session, _) = self.meet().await;
        session.acknowledge(ConnectAckReason::ConnectionAccepted).await;
        session.subscribe(5).await;
        assert_eq!(session.heard().await.0, "get");
        session
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("it takes too long")
}

struct Session {
    stream: TlsStream<TcpStream>,
    codec: Codec,
    buffer: BytesMut,
    thing: String,
}

impl Session {
    /// The next packet, or `None` when the device is gone.
    async fn hear(&mut self) -> Option<Packet> {
        loop {
            if let Some((packet, _)) = self.codec.decode(&mut self.buffer).unwrap() {
                return Some(packet);
            }
            if soon(self.stream.read_buf(&mut self.buffer)).await.unwrap_or_default() == 0 {
                return None;
            }
        }
    }

    async fn say(&mut self, packet: Packet) {
        let mut buffer = BytesMut::new();
        self.codec.encode(packet, &mut buffer).unwrap();
        self.stream.write_all(&buffer).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn acknowledge(&mut self, return_code: ConnectAckReason) {
        self.say(Packet::ConnectAck(ConnectAck { return_code, session_present: false })).await;
    }

    /// Acknowledges the subscription, of which so many filters are granted.
    async fn subscribe(&mut self, granted: usize) {
        let Some(Packet::Subscribe { packet_id, topic_filters }) = self.hear().await else { panic!("no SUBSCRIBE") };
        let base = format!("$aws/things/{}/shadow/", self.thing);
        let filters: Vec<&str> = topic_filters.iter().map(|(filter, _)| filter.strip_prefix(base.as_str()).unwrap()).collect();
        assert_eq!(filters, ["get/accepted", "get/rejected", "update/accepted", "update/rejected", "update/delta"]);
        let code = |number| if number < granted { SubscribeReturnCode::Success(QoS::AtLeastOnce) } else { SubscribeReturnCode::Failure };
        self.say(Packet::SubscribeAck { packet_id, status: (0..5).map(code).collect() }).await;
    }

    /// The next message of the device, with the end of its topic; it is acknowledged.
    async fn heard(&mut self) -> (String, Value) {
        let Some(Packet::Publish(message)) = self.hear().await else { panic!("no PUBLISH") };
        self.say(Packet::PublishAck { packet_id: message.packet_id.unwrap() }).await;
        let topic = message.topic.strip_prefix(&format!("$aws/things/{}/shadow/", self.thing)).unwrap().to_owned();
        (topic, serde_json::from_slice(&message.payload).unwrap_or_default())
    }

    /// What the device reports next.
    async fn report(&mut self) -> Value {
        loop {
            match self.hear().await {
                Some(Packet::Publish(message)) => {
                    self.say(Packet::PublishAck { packet_id: message.packet_id.unwrap() }).await;
                    assert!(message.topic.ends_with("/shadow/update") && !message.retain, "{}", message.topic);
                    return serde_json::from_slice::<Value>(&message.payload).unwrap()["state"]["reported"].clone();
                }
                Some(Packet::PublishAck { .. }) => {}
                other => panic!("{other:?} instead of a report"),
            }
        }
    }

    /// Waits for a report in which a property has this value.
    async fn reports(&mut self, pointer: &str, value: &Value) {
        while self.report().await.pointer(pointer) != Some(value) {}
    }

    async fn tells(&mut self, topic: &str, payload: &Value) {
        let topic = format!("$aws/things/{}/shadow/{topic}", self.thing).into();
        let payload = Bytes::from(payload.to_string());
        let message =
            Publish { dup: false, retain: false, qos: QoS::AtLeastOnce, topic, packet_id: NonZeroU16::new(7), payload, properties: None };
        self.say(message.into()).await;
    }
}

async fn becomes(device: &Device, online: Online) -> State {
    let mut watch = device.watch();
    soon(watch.wait_for(|state| state.connection == online)).await.unwrap().clone()
}

fn command(id: &str) -> Value {
    json!({"id": id, "name": "print", "args": {"model": "vase", "copies": 1}, "expiresAt": clock::now() + 600})
}

#[tokio::test]
async fn a_device_listens_asks_obeys_and_reports() {
    let server = Server::new().await;
    let device = server.device();
    assert_eq!(device.state().connection, Online::Connecting);
    let (mut session, connect) = server.meet().await;
    assert_eq!((connect.client_id.to_string(), connect.clean_session, connect.keep_alive), (server.thing.clone(), true, 30));
    assert_eq!((connect.last_will, connect.username), (None, None));
    session.acknowledge(ConnectAckReason::ConnectionAccepted).await;
    session.subscribe(5).await;
    assert_eq!(session.heard().await, ("get".to_owned(), Value::Null));
    becomes(&device, Online::Connected).await;

    session.tells("get/accepted", &json!({"version": 3, "state": {"desired": {"power": "OFF"}, "delta": {"power": "OFF"}}})).await;
    let first = session.report().await;
    assert_eq!((&first["power"], &first["status"]), (&json!("OFF"), &json!("idle")));
    assert_eq!(first["certificateId"].as_str().map(str::len), Some(64));
    session.tells("update/delta", &json!({"version": 4, "state": {"power": "ON", "command": command("1")}})).await;
    session.reports("/command", &json!({"id": "1", "status": "accepted", "detail": "vase is being printed"})).await;
    session.tells("update/delta", &json!({"version": 2, "state": {"power": "OFF"}})).await;
    session.reports("/progress", &json!(1)).await;
    let state = device.state();
    let printer = serde_json::to_value(&state).unwrap()["printer"].clone();
    assert_eq!((&printer["status"], &printer["model"], &printer["power"]), (&json!("printing"), &json!("vase"), &json!("ON")));
    assert!(state.running && state.thing == Some(server.thing.clone()));

    device.fail(true).await;
    session.reports("/command/status", &json!("failed")).await;
    device.slow(true).await;
    soon(device.watch().wait_for(|state| state.fails && state.slow)).await.unwrap();
    device.fail(false).await;
    session.reports("/status", &json!("idle")).await;
    device.stop().await;
    while let Some(packet) = session.hear().await {
        assert!(matches!(packet, Packet::Publish(_) | Packet::PublishAck { .. } | Packet::Disconnect), "{packet:?}");
    }
}

#[tokio::test]
async fn what_was_answered_is_not_done_again_after_the_connection_was_lost() {
    let server = Server::new().await;
    let device = server.device();
    let mut session = server.welcome().await;
    session.tells("get/rejected", &json!({"code": 404, "message": "No shadow exists with name"})).await;
    assert_eq!(session.report().await["status"], "idle");
    drop(session);
    let mut session = server.welcome().await;
    let answered = json!({"id": "1", "status": "done", "detail": "vase is printed"});
    let state = json!({"desired": {"command": command("1")}, "reported": {"command": answered}, "delta": {"command": command("1")}});
    session.tells("get/accepted", &json!({"version": 9, "state": state})).await;
    assert_eq!(session.report().await["status"], "idle");
    assert_eq!(device.state().printer.unwrap().status, crate::printer::machine::Status::Idle);
}

#[tokio::test]
async fn who_is_disconnected_stays_so_until_somebody_connects() {
    let server = Server::new().await;
    let device = server.device();
    let mut session = server.welcome().await;
    device.disconnect().await;
    let mut last = None;
    while let Some(packet) = session.hear().await {
        last = Some(packet);
    }
    assert_eq!(last, Some(Packet::Disconnect));
    becomes(&device, Online::Off).await;
    device.connect().await;
    server.welcome().await;
    becomes(&device, Online::Connected).await;
}

#[tokio::test]
async fn a_refusal_is_shown_and_tried_again() {
    let server = Server::new().await;
    let device = server.device();
    let (mut session, _) = server.meet().await;
    session.acknowledge(ConnectAckReason::NotAuthorized).await;
    becomes(&device, Online::Refused).await;
    let (mut session, _) = server.meet().await;
    session.acknowledge(ConnectAckReason::ConnectionAccepted).await;
    session.subscribe(4).await;
    while session.hear().await.is_some() {}
    device.connect().await;
    server.welcome().await;
    let log = becomes(&device, Online::Connected).await.log;
    assert!(log.iter().any(|line| line.text.contains("does not let")) && log.iter().any(|line| line.text.contains("may not listen")));
}

#[tokio::test]
async fn a_connection_that_is_closed_instead_of_answered_is_refused() {
    let server = Server::new().await;
    let device = server.device();
    let (mut session, _) = server.meet().await;
    session.stream.shutdown().await.unwrap();
    becomes(&device, Online::Refused).await;
    server.welcome().await;
    becomes(&device, Online::Connected).await;
}

#[tokio::test]
async fn a_certificate_that_the_server_does_not_know_is_refused() {
    let (issuer, believed) = (Authority::new(clock::now()).unwrap(), Authority::new(clock::now()).unwrap());
    let server = Server::with(&issuer, &believed).await;
    let device = server.device();
    assert!(server.accept().await.is_err());
    becomes(&device, Online::Refused).await;
}

#[tokio::test]
async fn a_server_that_the_bundle_does_not_know_is_no_hub() {
    let (server, other) = (Server::new().await, Server::new().await);
    let mut impostor = server;
    impostor.acceptor = other.acceptor;
    let device = impostor.device();
    assert!(impostor.accept().await.is_err());
    becomes(&device, Online::Refused).await;
}

#[tokio::test]
async fn a_device_whose_hub_is_down_goes_on_trying() {
    let server = Server::new().await;
    let device = server.device();
    for _ in 0..2 {
        // Closed before a word is said.
        soon(server.listener.accept()).await.unwrap();
    }
    server.welcome().await;
    becomes(&device, Online::Connected).await;
    drop(device);
}

#[test]
fn waits_grow_up_to_a_limit_and_differ() {
    assert_eq!((wait(0, 0), wait(0, u32::MAX)), (FIRST_WAIT / 2, FIRST_WAIT));
    assert_eq!((wait(2, 0), wait(2, u32::MAX)), (FIRST_WAIT * 2, FIRST_WAIT * 4));
    assert_eq!((wait(99, 0), wait(u32::MAX, u32::MAX)), (LONGEST_WAIT / 2, LONGEST_WAIT));
}

#[test]
fn no_device_is_a_state_too() {
    let none = json!({"running": false, "connection": "off", "slow": false, "fails": false, "printer": null, "log": [], "thing": null});
    assert_eq!(serde_json::to_value(State::default()).unwrap(), none);
}

#[test]
fn a_rejection_tells_its_code() {
    assert_eq!(code(br#"{"code":404,"message":"No shadow exists"}"#), Some(404));
    assert_eq!((code(b"{}"), code(b"no json")), (None, None));
}

//! A broker on the loopback interface with a certificate authority, and the certificates of its devices.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use onething::identifiers::CertificateId;
use onething_hub::authority::Authority;
use onething_hub::authority::server::{ServerIdentity, ServerTls};
use onething_hub::clock;
use onething_hub::mqtt::broker::Broker;
use onething_hub::mqtt::broker::backend::{Attached, CertificateStatus};
use onething_hub::mqtt::broker::listener;
use onething_hub::policy::{Policy, ThingContext};
use rcgen::{CertificateParams, KeyPair};
use rmqtt_codec::{v3, v5};
use rumqttc::{MqttOptions, Transport};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clients::Raw;
use crate::store::{DEVICE, Store, policy};

/// A client id, its certificate, and the TLS configuration for the connection.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) certificate: CertificateId,
    pub(crate) tls: Arc<ClientConfig>,
}

impl Identity {
    /// The same client id with the certificate of another identity.
    pub(crate) fn showing(mut self, other: &Self) -> Self {
        let mut tls = (*self.tls).clone();
        tls.client_auth_cert_resolver = Arc::clone(&other.tls.client_auth_cert_resolver);
        self.tls = Arc::new(tls);
        self
    }
}

/// A broker with its certificate authority.
pub(crate) struct Hub {
    pub(crate) broker: Broker<Store>,
    pub(crate) store: Arc<Store>,
    pub(crate) address: SocketAddr,
    authority: Arc<Authority>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        Self::over(Arc::new(Store::default()), Arc::new(Authority::new(clock::now()).unwrap())).await
    }

    async fn over(store: Arc<Store>, authority: Arc<Authority>) -> Self {
        let identity = ServerIdentity::new(Arc::clone(&authority), &[], clock::now).unwrap();
        let tls = ServerTls::new(Arc::new(identity)).unwrap();
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let broker = Broker::open(Arc::clone(&store), clock::now).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { drop(stopped.await) };
        let serving = tokio::spawn(listener::serve(broker.clone(), socket, Arc::new(tls), 2_000, stopped));
        Self { broker, store, address, authority, stop: Some(stop), serving: Some(serving) }
    }

    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        self.serving.take().unwrap().await.unwrap();
    }

    /// Simulates a killed process: the memory is lost, and the written data is kept.
    pub(crate) async fn kill_and_start_again(self) -> Self {
        let (store, authority) = (self.store.survivor(), Arc::clone(&self.authority));
        self.serving.as_ref().unwrap().abort();
        Self::over(Arc::new(store), authority).await
    }

    /// An identity whose certificate was issued by the authority and is not in the registry.
    pub(crate) fn stranger(&self, name: &str) -> Identity {
        self.certified(name, &[b"x-amzn-mqtt-ca"])
    }

    pub(crate) fn certified(&self, name: &str, protocols: &[&[u8]]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        let issued = self.authority.issue_for(&request, clock::now()).unwrap();
        let certificate = CertificateDer::from_pem_slice(issued.pem.as_bytes()).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.root_pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut tls = builder.with_root_certificates(roots).with_client_auth_cert(vec![certificate], key).unwrap();
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Identity { name: name.to_owned(), certificate: issued.id, tls: Arc::new(tls) }
    }

    /// The identity of a device with a thing of the same name and the policy [`DEVICE`].
    pub(crate) fn device(&self, name: &str) -> Identity {
        self.device_with(name, policy(DEVICE))
    }

    pub(crate) fn device_with(&self, name: &str, policy: Arc<Policy>) -> Identity {
        let identity = self.stranger(name);
        let thing = ThingContext { name: name.to_owned(), ..ThingContext::default() };
        let attachments = vec![Attached { thing, exclusive: true }];
        self.store.set(&identity.certificate, CertificateStatus { active: true, policies: vec![policy], attachments });
        identity
    }

    /// Options for `rumqttc` with the certificate and the client id of this identity.
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

    /// A TLS connection for hand-made MQTT 5 packets.
    pub(crate) async fn by_hand(&self, identity: &Identity) -> Raw<v5::Codec> {
        Raw::new(self.tls(identity).await, v5::Codec::new(0, 0))
    }

    /// A TLS connection for hand-made MQTT 3.1.1 packets.
    pub(crate) async fn by_hand_v311(&self, identity: &Identity) -> Raw<v3::Codec> {
        Raw::new(self.tls(identity).await, v3::Codec::new(0))
    }

    /// An MQTT 5 connection for hand-made packets, after a successful CONNECT.
    pub(crate) async fn connected(&self, identity: &Identity, connect: v5::Connect) -> Raw<v5::Codec> {
        let mut raw = self.by_hand(identity).await;
        let ack = raw.connect(connect).await;
        assert_eq!(ack.reason_code, v5::ConnectAckReason::Success);
        raw
    }
}

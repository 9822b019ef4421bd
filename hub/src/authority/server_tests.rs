//! Tests of handshakes between a `rustls` client and the hub, in memory.

use std::cell::Cell;
use std::sync::LazyLock;

use rcgen::KeyPair;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CipherSuite, ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, ServerConnection};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::super::pem;
use super::super::tests::NOW;
use super::*;

thread_local! {
    static CLOCK: Cell<u64> = const { Cell::new(NOW) };
}

fn clock() -> u64 {
    CLOCK.get()
}

fn set_clock(to: u64) {
    CLOCK.set(to);
}

const ONLY_1_3: &[&SupportedProtocolVersion] = &[&version::TLS13];
const ONLY_1_2: &[&SupportedProtocolVersion] = &[&version::TLS12];

static KEY: LazyLock<Arc<KeyPair>> = LazyLock::new(|| Arc::new(KeyPair::generate().unwrap()));

/// An RSA key, as mailed bundles contain one.
static RSA_KEY: LazyLock<Arc<KeyPair>> = LazyLock::new(|| Arc::new(rsa_key().unwrap()));

/// The TLS client of a device.
#[derive(Clone)]
struct Device {
    root: CertificateDer<'static>,
    certificate: Option<CertificateDer<'static>>,
    key: Arc<KeyPair>,
    versions: &'static [&'static SupportedProtocolVersion],
    protocols: Vec<Vec<u8>>,
    host: &'static str,
    suites: Vec<CipherSuite>,
    schemes: Vec<SignatureScheme>,
}

impl Device {
    /// A device with a certificate of this authority.
    fn of(authority: &Authority) -> Self {
        Self::with_key(authority, &KEY)
    }

    fn with_key(authority: &Authority, key: &Arc<KeyPair>) -> Self {
        let csr = CertificateParams::default().serialize_request(&**key).unwrap().pem().unwrap();
        let issued = authority.issue_for(&csr, clock()).unwrap();
        Self {
            root: certificate(&authority.root_pem()),
            certificate: Some(certificate(&issued.pem)),
            key: Arc::clone(key),
            versions: rustls::ALL_VERSIONS,
            protocols: Vec::new(),
            host: "localhost",
            suites: Vec::new(),
            schemes: Vec::new(),
        }
    }

    /// A device that supports only RSA, and trusts the RSA root in its bundle.
    fn of_rsa(authority: &Authority) -> Self {
        let root = certificate(&pem(authority.by_rsa().root.certificate()));
        let schemes = vec![SignatureScheme::RSA_PKCS1_SHA256];
        Self { root, schemes, versions: ONLY_1_2, ..Self::with_key(authority, &RSA_KEY) }
    }

    fn connection(&self) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let mut provider = aws_lc_rs::default_provider();
        if !self.suites.is_empty() {
            provider.cipher_suites.retain(|suite| self.suites.contains(&suite.suite()));
        }
        if !self.schemes.is_empty() {
            let mapping = provider.signature_verification_algorithms.mapping;
            let mapping: Vec<_> = mapping.iter().filter(|(scheme, _)| self.schemes.contains(scheme)).copied().collect();
            provider.signature_verification_algorithms.mapping = mapping.leak();
        }
        let config = ClientConfig::builder_with_details(Arc::new(provider), Arc::new(Clock(clock))).with_protocol_versions(self.versions);
        let config = config.unwrap().with_root_certificates(roots);
        let mut config = match &self.certificate {
            Some(certificate) => {
                let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
                config.with_client_auth_cert(vec![certificate.clone()], key).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.protocols);
        ClientConnection::new(Arc::new(config), ServerName::try_from(self.host).unwrap()).unwrap()
    }
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// The result of a handshake.
struct Met {
    version: ProtocolVersion,
    protocol: Option<Vec<u8>>,
    chain: Vec<CertificateDer<'static>>,
    shown: Vec<CertificateDer<'static>>,
}

fn meet(device: &Device, server: &Arc<ServerConfig>) -> Result<Met, rustls::Error> {
    let mut client = device.connection();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut rest = &wire[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut rest = &wire[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(Met {
        version: server.protocol_version().unwrap(),
        protocol: server.alpn_protocol().map(<[u8]>::to_vec),
        chain: client.peer_certificates().unwrap().to_vec(),
        shown: server.peer_certificates().unwrap().to_vec(),
    })
}

fn server(authority: Authority, names: &[&str]) -> Arc<ServerConfig> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let identity = Arc::new(ServerIdentity::new(Arc::new(authority), &names, clock).unwrap());
    Arc::new(server_config(identity).unwrap())
}

#[test]
fn a_device_and_the_hub_authenticate_each_other() {
    let authority = Authority::new(NOW).unwrap();
    let device = Device::of(&authority);
    let server = server(authority, &[]);
    for (versions, expected) in
        [(rustls::ALL_VERSIONS, ProtocolVersion::TLSv1_3), (ONLY_1_3, ProtocolVersion::TLSv1_3), (ONLY_1_2, ProtocolVersion::TLSv1_2)]
    {
        let met = meet(&Device { versions, ..device.clone() }, &server).unwrap();
        assert_eq!((met.version, met.protocol), (expected, None));
        assert_eq!(met.shown, [device.certificate.clone().unwrap()]);
        assert_eq!(met.chain.len(), 1);
    }
}

#[test]
fn a_device_connects_with_every_supported_kind_of_key() {
    use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_RSA_SHA256};
    let authority = Authority::new(NOW).unwrap();
    let kinds = [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ECDSA_P521_SHA512, &PKCS_RSA_SHA256];
    let devices = kinds.map(|kind| Device::with_key(&authority, &Arc::new(KeyPair::generate_for(kind).unwrap())));
    let server = server(authority, &[]);
    for device in devices {
        for versions in [ONLY_1_3, ONLY_1_2] {
            meet(&Device { versions, ..device.clone() }, &server).unwrap();
        }
    }
}

/// Whether the hub presented an RSA certificate.
fn is_of_rsa(met: &Met) -> bool {
    let (_, parsed) = X509Certificate::from_der(&met.chain[0]).unwrap();
    parsed.public_key().parsed().is_ok_and(|key| matches!(key, x509_parser::public_key::PublicKey::RSA(_)))
}

#[test]
fn only_a_client_without_ecdsa_support_gets_the_rsa_certificate() {
    let authority = Authority::new(NOW).unwrap();
    let (any, rsa) = (Device::of(&authority), Device::of_rsa(&authority));
    let server = server(authority, &[]);
    let (_, ecdsa_root) = X509Certificate::from_der(&any.root).unwrap();
    assert!(!is_of_rsa(&meet(&any, &server).unwrap()));
    let suites = vec![CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    for device in [rsa.clone(), Device { suites, schemes: Vec::new(), ..rsa.clone() }] {
        let met = meet(&device, &server).unwrap();
        let (_, leaf) = X509Certificate::from_der(&met.chain[0]).unwrap();
        assert!(is_of_rsa(&met) && leaf.issuer() != ecdsa_root.subject());
    }
    // TLS 1.3 with RSA-PSS, the only RSA signature in that version.
    let schemes = vec![SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256];
    assert!(is_of_rsa(&meet(&Device { versions: ONLY_1_3, schemes, ..rsa.clone() }, &server).unwrap()));
    // A client that supports both gets the ECDSA certificate.
    let both = Device { versions: rustls::ALL_VERSIONS, schemes: Vec::new(), root: any.root.clone(), ..rsa };
    assert!(!is_of_rsa(&meet(&both, &server).unwrap()));
}

#[test]
fn the_rsa_certificate_is_issued_on_demand_and_renewed() {
    let authority = Authority::new(NOW).unwrap();
    let device = Device::of_rsa(&authority);
    let identity = Arc::new(ServerIdentity::new(Arc::new(authority), &[], clock).unwrap());
    let server = Arc::new(server_config(Arc::clone(&identity)).unwrap());
    assert!(identity.rsa.read().unwrap().is_none());
    let first = meet(&device, &server).unwrap();
    set_clock(NOW + 60 * DAY - 1);
    assert_eq!(meet(&device, &server).unwrap().chain, first.chain);
    set_clock(NOW + 60 * DAY);
    assert_eq!(validity(&meet(&device, &server).unwrap()), (NOW + 60 * DAY - 120, NOW + 150 * DAY));
}

#[test]
fn devices_of_every_rsa_root_connect_after_several_replacements() {
    let mut authority = Authority::new(NOW).unwrap();
    let mut devices = vec![Device::of_rsa(&authority)];
    for _ in 0..3 {
        authority = authority.succeeded(NOW).unwrap();
        devices.push(Device::of_rsa(&authority));
    }
    let server = server(authority, &[]);
    for device in &devices {
        assert!(is_of_rsa(&meet(device, &server).unwrap()));
    }
}

#[test]
fn both_alpn_names_of_mqtt_are_accepted() {
    let authority = Authority::new(NOW).unwrap();
    let device = Device::of(&authority);
    let server = server(authority, &[]);
    let meet = |protocols: &[&str]| {
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        meet(&Device { protocols, ..device.clone() }, &server).map(|met| met.protocol.map(|name| String::from_utf8(name).unwrap()))
    };
    assert_eq!(meet(&["x-amzn-mqtt-ca"]).unwrap().as_deref(), Some("x-amzn-mqtt-ca"));
    assert_eq!(meet(&["mqtt"]).unwrap().as_deref(), Some("mqtt"));
    assert_eq!(meet(&["h2", "mqtt"]).unwrap().as_deref(), Some("mqtt"));
    assert!(meet(&["h2"]).is_err());
}

#[test]
fn a_device_without_a_certificate_of_this_authority_is_refused() {
    let authority = Authority::new(NOW).unwrap();
    let stranger = Device::of(&Authority::new(NOW).unwrap());
    let device = Device { root: certificate(&authority.root_pem()), ..stranger };
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let self_signed = params.self_signed(&**KEY).unwrap().der().clone();
    let for_servers = {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        authority.line.root.sign(params, &**KEY, NOW, NOW + DAY).unwrap().der().clone()
    };
    let expired = {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        authority.line.root.sign(params, &**KEY, NOW - 2 * DAY, NOW - DAY).unwrap().der().clone()
    };
    let server = server(authority, &[]);
    for versions in [ONLY_1_3, ONLY_1_2] {
        let device = Device { versions, ..device.clone() };
        assert!(meet(&device, &server).is_err());
        for certificate in [None, Some(self_signed.clone()), Some(for_servers.clone()), Some(expired.clone())] {
            assert!(meet(&Device { certificate, ..device.clone() }, &server).is_err());
        }
    }
}

#[test]
fn the_certificate_is_valid_only_for_the_names_of_the_hub() {
    let authority = Authority::new(NOW).unwrap();
    let device = Device::of(&authority);
    let server = server(authority, &["hub.example.com", "192.168.1.2", "fe80::1", "localhost"]);
    for host in ["localhost", "127.0.0.1", "::1", "hub.example.com", "192.168.1.2", "fe80::1"] {
        meet(&Device { host, ..device.clone() }, &server).unwrap();
    }
    for host in ["example.com", "x.hub.example.com", "127.0.0.2", "::2"] {
        assert!(meet(&Device { host, ..device.clone() }, &server).is_err(), "{host}");
    }
    // A device does not accept the hub of another authority.
    assert!(meet(&Device { root: certificate(&Authority::new(NOW).unwrap().root_pem()), ..device }, &server).is_err());
}

#[test]
fn invalid_host_names_are_refused() {
    for name in ["", "a b", "http://hub", "hub:8883", "b\u{fc}ro", "*.example.com", "-"] {
        let names = [name.to_owned()];
        let refusal = ServerIdentity::new(Arc::new(Authority::new(NOW).unwrap()), &names, clock).unwrap_err();
        assert!(matches!(refusal, AuthorityError::Name(ref refused) if refused == name), "{name} {refusal:?}");
    }
}

/// The validity of the server certificate.
fn validity(met: &Met) -> (u64, u64) {
    let (_, parsed) = X509Certificate::from_der(&met.chain[0]).unwrap();
    let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap();
    (seconds(parsed.validity().not_before), seconds(parsed.validity().not_after))
}

#[test]
fn the_server_certificate_is_renewed_while_the_hub_runs() {
    let authority = Authority::new(NOW).unwrap();
    let device = Device::of(&authority);
    let server = server(authority, &[]);
    let first = meet(&device, &server).unwrap();
    assert_eq!(validity(&first), (NOW - 120, NOW + 90 * DAY));
    set_clock(NOW + 60 * DAY - 1);
    assert_eq!(meet(&device, &server).unwrap().chain, first.chain);
    set_clock(NOW + 60 * DAY);
    let second = meet(&device, &server).unwrap();
    assert_eq!(validity(&second), (NOW + 60 * DAY - 120, NOW + 150 * DAY));
    assert_eq!(meet(&device, &server).unwrap().chain, second.chain);
    // After more than a year without a connection.
    set_clock(NOW + 500 * DAY);
    assert_eq!(validity(&meet(&device, &server).unwrap()).1, NOW + 590 * DAY);
    // After the clock was wrong for some time and was set back.
    set_clock(NOW + 10 * DAY);
    assert_eq!(validity(&meet(&device, &server).unwrap()).1, NOW + 100 * DAY);
}

#[test]
fn the_server_certificate_is_not_valid_for_longer_than_the_root() {
    let end = 2_524_607_999;
    set_clock(end - 100 * DAY);
    let authority = Authority::new(clock()).unwrap();
    let device = Device::of(&authority);
    let server = server(authority, &[]);
    assert_eq!(validity(&meet(&device, &server).unwrap()).1, end - 10 * DAY);
    set_clock(end - 40 * DAY);
    let last = meet(&device, &server).unwrap();
    assert_eq!(validity(&last).1, end);
    set_clock(end - 1);
    assert_eq!(meet(&device, &server).unwrap().chain, last.chain);
    // After the end of the root no certificate can be renewed, and the device rejects the old one.
    set_clock(end + 1);
    assert!(meet(&device, &server).is_err());
}

#[test]
fn devices_of_every_root_connect_after_several_replacements() {
    let mut authority = Authority::new(NOW).unwrap();
    let mut devices = vec![Device::of(&authority)];
    for _ in 0..MAX_CROSSES {
        authority = authority.succeeded(NOW).unwrap();
        devices.push(Device::of(&authority));
    }
    let another = Device { root: devices[0].root.clone(), ..Device::of(&Authority::new(NOW).unwrap()) };
    let server = server(authority, &[]);
    for (age, device) in devices.iter().rev().enumerate() {
        for versions in [ONLY_1_3, ONLY_1_2] {
            let met = meet(&Device { versions, ..device.clone() }, &server).unwrap_or_else(|error| panic!("{age}: {error}"));
            assert_eq!(met.chain.len(), 1 + MAX_CROSSES);
        }
    }
    assert!(meet(&another, &server).is_err());
}

#[test]
fn certificates_of_a_root_beyond_the_longest_chain_are_still_accepted() {
    let first = Authority::new(NOW).unwrap();
    let device = Device::of(&first);
    let mut authority = first;
    for _ in 0..=MAX_CROSSES {
        authority = authority.succeeded(NOW).unwrap();
    }
    let root = certificate(&authority.root_pem());
    let server = server(authority, &[]);
    assert!(meet(&device, &server).is_err());
    let met = meet(&Device { root, ..device }, &server).unwrap();
    assert_eq!(met.chain.len(), 1 + MAX_CROSSES);
}

#[test]
fn sessions_cannot_be_resumed() {
    let authority = Authority::new(NOW).unwrap();
    let server = server(authority, &[]);
    assert!(!server.session_storage.can_cache() && !server.ticketer.enabled());
    assert_eq!(server.send_tls13_tickets, 0);
}

#[test]
fn the_debug_form_of_an_identity_contains_no_key() {
    let identity = ServerIdentity::new(Arc::new(Authority::new(NOW).unwrap()), &[], clock).unwrap();
    assert_eq!(format!("{identity:?}"), r#"ServerIdentity { names: ["localhost", "127.0.0.1", "::1"], .. }"#);
}

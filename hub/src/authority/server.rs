//! The server certificate of the hub, and the TLS configuration of the MQTT listener.
//!
//! The certificate is valid for 90 days. When a device connects and 30 days or less are left, the running process issues the next
//! one. The chain contains the cross certificates from the current root back to former roots, so a device that trusts only a
//! former root connects as well. Clients must present a certificate of the current root or of a former root. The registry then
//! decides whether the certificate is active and what it permits.
//!
//! There is an ECDSA certificate and an RSA certificate, each with roots of the same algorithm. As in AWS IoT, the ClientHello
//! decides which one the device gets. The RSA certificate is issued when the first device needs it.
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/transport-security.html>)

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{DnsName, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{ServerConfig, SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion, version};

use super::{Authority, AuthorityError, ecdsa_key, rsa_key};

/// Names and addresses of this machine that are in every server certificate.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
const DAY: u64 = 24 * 60 * 60;
const LIFETIME: u64 = 90 * DAY;
const RENEWED_BEFORE: u64 = 30 * DAY;
/// After a failure to issue a certificate the old one is used, and the next attempt is made after this time, in seconds.
const RETRY: u64 = 60 * 60;
/// The largest number of cross certificates in a chain. With more of them our clients (`webpki`) cannot build a path to a former
/// root.
const MAX_CROSSES: usize = 6;
/// The ALPN protocols: the name of AWS IoT for MQTT with a client certificate, and the registered name.
const PROTOCOLS: [&[u8]; 2] = [b"x-amzn-mqtt-ca", b"mqtt"];

/// The server certificate of the hub, which is renewed automatically.
pub struct ServerIdentity {
    authority: Arc<Authority>,
    names: Vec<String>,
    now: fn() -> u64,
    ecdsa: RwLock<Current>,
    rsa: RwLock<Option<Current>>,
}

/// The algorithm of a server certificate and of its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ecdsa,
    Rsa,
}

struct Current {
    key: Arc<CertifiedKey>,
    /// The Unix times in seconds at which the certificate is used. A time before the range means that the clock was set back.
    shown: std::ops::Range<u64>,
}

impl ServerIdentity {
    /// An identity for these host names and IP addresses, and for `localhost`. `now` returns a Unix time in seconds. Issues the
    /// ECDSA certificate.
    pub fn new(authority: Arc<Authority>, names: &[String], now: fn() -> u64) -> Result<Self, AuthorityError> {
        let mut all: Vec<String> = LOCAL.map(str::to_owned).into();
        for name in names {
            if name.parse::<IpAddr>().is_err() && DnsName::try_from(name.as_str()).is_err() {
                return Err(AuthorityError::Name(name.clone()));
            }
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        let ecdsa = RwLock::new(issue(&authority, Kind::Ecdsa, &all, now())?);
        Ok(Self { authority, names: all, now, ecdsa, rsa: RwLock::new(None) })
    }

    /// The ECDSA certificate for a new connection.
    fn ecdsa(&self) -> Arc<CertifiedKey> {
        let now = (self.now)();
        // The value is only ever replaced as a whole, so a panic in another thread leaves it consistent.
        let current = self.ecdsa.read().unwrap_or_else(PoisonError::into_inner);
        if current.shown.contains(&now) {
            return Arc::clone(&current.key);
        }
        drop(current);
        let mut current = self.ecdsa.write().unwrap_or_else(PoisonError::into_inner);
        if !current.shown.contains(&now) {
            match issue(&self.authority, Kind::Ecdsa, &self.names, now) {
                Ok(next) => *current = next,
                Err(error) => {
                    not_renewed(&error);
                    current.shown = now..now.saturating_add(RETRY);
                }
            }
        }
        Arc::clone(&current.key)
    }

    /// The RSA certificate for a new connection. Issuing one takes a tenth of a second or more.
    fn rsa(&self) -> Option<Arc<CertifiedKey>> {
        let now = (self.now)();
        let current = self.rsa.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = current.as_ref().filter(|current| current.shown.contains(&now)) {
            return Some(Arc::clone(&current.key));
        }
        drop(current);
        let mut current = self.rsa.write().unwrap_or_else(PoisonError::into_inner);
        if !current.as_ref().is_some_and(|current| current.shown.contains(&now)) {
            match issue(&self.authority, Kind::Rsa, &self.names, now) {
                Ok(next) => *current = Some(next),
                Err(error) => {
                    not_renewed(&error);
                    current.as_mut()?.shown = now..now.saturating_add(RETRY);
                }
            }
        }
        current.as_ref().map(|current| Arc::clone(&current.key))
    }
}

fn not_renewed(error: &AuthorityError) {
    tracing::error!(step = "authority", %error, "the server's certificate could not be renewed");
}

impl ResolvesServerCert for ServerIdentity {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let ecdsa = self.ecdsa();
        // A client that offers a usable signature scheme also offers a cipher suite for it.
        if ecdsa.key.choose_scheme(hello.signature_schemes()).is_some() { Some(ecdsa) } else { self.rsa() }
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerIdentity").field("names", &self.names).finish_non_exhaustive()
    }
}

fn issue(authority: &Authority, kind: Kind, names: &[String], now: u64) -> Result<Current, AuthorityError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "onething hub");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let (line, key) = match kind {
        Kind::Ecdsa => (&authority.line, ecdsa_key()?),
        Kind::Rsa => (authority.by_rsa(), rsa_key()?),
    };
    let until = now.saturating_add(LIFETIME);
    let certificate = line.root.sign(params, &key, now, until)?;
    // The last certificate of a root is not renewed, because a new one would end at the same time.
    let renewed = if until <= line.root.not_after() { until - RENEWED_BEFORE } else { line.root.not_after() };

    let chain = [certificate.der()].into_iter().chain(line.crosses.iter().take(MAX_CROSSES)).cloned().collect();
    let key = aws_lc_rs::sign::any_supported_type(&PrivatePkcs8KeyDer::from(key).into()).map_err(AuthorityError::Tls)?;
    Ok(Current { key: Arc::new(CertifiedKey::new(chain, key)), shown: now..renewed })
}

/// TLS for the MQTT listener. The ClientHello of a device decides about the versions and about the certificate.
pub struct ServerTls {
    identity: Arc<ServerIdentity>,
    all: Arc<ServerConfig>,
    only_1_2: Arc<ServerConfig>,
}

impl ServerTls {
    /// Builds the configurations for an identity. Fails if a root is not accepted by `rustls`.
    pub fn new(identity: Arc<ServerIdentity>) -> Result<Self, AuthorityError> {
        let all = Arc::new(server_config(Arc::clone(&identity))?);
        let only_1_2 = Arc::new(config(Arc::clone(&identity), &[&version::TLS12])?);
        Ok(Self { identity, all, only_1_2 })
    }

    /// Chooses the configuration for a ClientHello.
    pub fn answer_to(&self, hello: &ClientHello<'_>) -> Answer {
        let offered = Offered::read(hello);
        let config = Arc::clone(if offered.signs_in_1_3() { &self.all } else { &self.only_1_2 });
        Answer { config, rsa: (!offered.ecdsa).then(|| Arc::clone(&self.identity)) }
    }
}

/// The chosen configuration for a ClientHello.
pub struct Answer {
    config: Arc<ServerConfig>,
    /// The identity whose RSA certificate must exist before the handshake continues.
    rsa: Option<Arc<ServerIdentity>>,
}

impl Answer {
    /// The configuration, after the certificate exists. The first RSA certificate is issued in a blocking task, so other
    /// connections do not wait.
    pub async fn config(self) -> Arc<ServerConfig> {
        if let Some(identity) = self.rsa {
            // After a panic in this task the handshake issues the certificate itself, and fails.
            let _ = tokio::task::spawn_blocking(move || identity.rsa()).await;
        }
        self.config
    }
}

/// The capabilities of a client, from its ClientHello.
struct Offered {
    /// It can verify an ECDSA signature of the hub.
    ecdsa: bool,
    /// It supports RSA-PSS signatures, which TLS 1.3 requires.
    rsa_pss: bool,
    rsa_pkcs1: bool,
    tls_1_2: bool,
}

impl Offered {
    fn read(hello: &ClientHello<'_>) -> Self {
        let schemes = hello.signature_schemes();
        let offers = |some: &[SignatureScheme]| schemes.iter().any(|scheme| some.contains(scheme));
        let suites = || aws_lc_rs::ALL_CIPHER_SUITES.iter().filter(|suite| hello.cipher_suites().contains(&suite.suite()));
        let takes_ecdsa = |suite: &SupportedCipherSuite| match suite {
            SupportedCipherSuite::Tls13(_) => true,
            SupportedCipherSuite::Tls12(suite) => suite.sign.contains(&SignatureScheme::ECDSA_NISTP256_SHA256),
        };
        Self {
            ecdsa: offers(&[SignatureScheme::ECDSA_NISTP256_SHA256]) && suites().any(takes_ecdsa),
            rsa_pss: offers(&[SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PSS_SHA384, SignatureScheme::RSA_PSS_SHA512]),
            rsa_pkcs1: offers(&[SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::RSA_PKCS1_SHA384, SignatureScheme::RSA_PKCS1_SHA512]),
            tls_1_2: suites().any(|suite| matches!(suite, SupportedCipherSuite::Tls12(_))),
        }
    }

    /// Whether TLS 1.3 may be negotiated. The only RSA signatures in TLS 1.3 are RSA-PSS. A client that supports only PKCS#1
    /// signatures would agree on TLS 1.3 and then fail, with the certificate of the hub or with its own.
    fn signs_in_1_3(&self) -> bool {
        self.rsa_pss || !self.rsa_pkcs1 || !self.tls_1_2
    }
}

/// The configuration for TLS 1.2 and 1.3 with mutual authentication.
///
/// There is no session resumption, neither with stored sessions nor with tickets. So disconnected devices use no memory, and the
/// certificate of a client is verified at every connection.
pub fn server_config(identity: Arc<ServerIdentity>) -> Result<ServerConfig, AuthorityError> {
    config(identity, &[&version::TLS13, &version::TLS12])
}

fn config(identity: Arc<ServerIdentity>, versions: &[&'static SupportedProtocolVersion]) -> Result<ServerConfig, AuthorityError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let devices = WebPkiClientVerifier::builder_with_provider(identity.authority.trusted()?.into(), Arc::clone(&provider));
    let devices = devices.build().map_err(|fault| AuthorityError::Tls(rustls::Error::General(fault.to_string())))?;
    let clock = Arc::new(Clock(identity.now));
    let mut config = ServerConfig::builder_with_details(provider, clock)
        .with_protocol_versions(versions)
        .map_err(AuthorityError::Tls)?
        .with_client_cert_verifier(devices)
        .with_cert_resolver(identity);
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

#[derive(Debug)]
struct Clock(fn() -> u64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs((self.0)())))
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;

//! The hub's own certificate, as devices see it, and the TLS that they speak to it.
//!
//! The certificate is good for 90 days and followed by the next one when 30 are left, in the running process: it is
//! looked at when a device connects. With it goes the way from the present root back to the former ones, so that a device
//! which knows only one of those connects as well. Devices show certificates of their own, issued by the present root
//! or a former one; whether one of them still opens anything is the registry's to say.
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/transport-security.html>)

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{DnsName, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{ServerConfig, version};

use super::{Authority, AuthorityError};

/// The hub's names for itself.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
const DAY: u64 = 24 * 60 * 60;
const LIFETIME: u64 = 90 * DAY;
const RENEWED_BEFORE: u64 = 30 * DAY;
/// When a new certificate could not be made, the old one serves on; so long nobody tries again.
const RETRY: u64 = 60 * 60;
/// With more of them between it and a server, no client of ours (`webpki`) finds a former root.
const MAX_CROSSES: usize = 6;
/// By which AWS IoT knows MQTT with a client certificate, and by which everybody else does.
const PROTOCOLS: [&[u8]; 2] = [b"x-amzn-mqtt-ca", b"mqtt"];

/// The certificate by which devices know the hub.
pub struct ServerIdentity {
    authority: Arc<Authority>,
    names: Vec<String>,
    now: fn() -> u64,
    current: RwLock<Current>,
}

struct Current {
    key: Arc<CertifiedKey>,
    /// From when to when it is shown, in seconds since the epoch; before, the clock was set back.
    shown: std::ops::Range<u64>,
}

impl ServerIdentity {
    /// An identity under these host names and IP addresses, and as `localhost`. `now` is in seconds since the epoch.
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
        let current = RwLock::new(issue(&authority, &all, now())?);
        Ok(Self { authority, names: all, now, current })
    }

    /// The certificate for a device that connects now.
    fn certified(&self) -> Arc<CertifiedKey> {
        let now = (self.now)();
        // What is in there is replaced as a whole, so a panic elsewhere leaves it whole.
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        if current.shown.contains(&now) {
            return Arc::clone(&current.key);
        }
        drop(current);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if !current.shown.contains(&now) {
            match issue(&self.authority, &self.names, now) {
                Ok(next) => *current = next,
                Err(error) => {
                    tracing::error!(step = "authority", %error, "the server's certificate could not be renewed");
                    current.shown = now..now.saturating_add(RETRY);
                }
            }
        }
        Arc::clone(&current.key)
    }
}

impl ResolvesServerCert for ServerIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certified())
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerIdentity").field("names", &self.names).finish_non_exhaustive()
    }
}

fn issue(authority: &Authority, names: &[String], now: u64) -> Result<Current, AuthorityError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "onething hub");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let until = now.saturating_add(LIFETIME);
    let certificate = authority.root.sign(params, &key, now, until)?;
    // At the end of the root another one would not last longer.
    let renewed = if until <= authority.root.not_after() { until - RENEWED_BEFORE } else { authority.root.not_after() };

    let chain = [certificate.der()].into_iter().chain(authority.crosses.iter().take(MAX_CROSSES)).cloned().collect();
    let key = aws_lc_rs::sign::any_ecdsa_type(&PrivatePkcs8KeyDer::from(key).into()).map_err(AuthorityError::Tls)?;
    Ok(Current { key: Arc::new(CertifiedKey::new(chain, key)), shown: now..renewed })
}

/// TLS 1.2 and 1.3 for the MQTT listener: the hub shows its identity, and so must who connects.
///
/// Nothing of a connection outlives it, neither here nor in a ticket: that costs no memory for devices that are away, and whoever
/// comes back shows a certificate that is looked at anew.
pub fn server_config(identity: Arc<ServerIdentity>) -> Result<ServerConfig, AuthorityError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let devices = WebPkiClientVerifier::builder_with_provider(identity.authority.trusted()?.into(), Arc::clone(&provider));
    let devices = devices.build().map_err(|fault| AuthorityError::Tls(rustls::Error::General(fault.to_string())))?;
    let clock = Arc::new(Clock(identity.now));
    let mut config = ServerConfig::builder_with_details(provider, clock)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
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

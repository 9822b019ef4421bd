//! The HTTPS certificate: whether Alexa and devices trust it, for how long, and for which names.

use std::path::Path;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::Finding;
use crate::clock::iso8601;
use crate::settings::Settings;

const TEST: &str = "certificate";
const DAY: u64 = 86_400;
/// The remaining validity below which there is a warning. Certificates with automatic renewal are renewed earlier.
const SOON: u64 = 14 * DAY;

/// Checks the HTTPS certificate of a hub with these settings. `now` is a Unix time in seconds.
pub fn check(settings: &Settings, now: u64) -> Finding {
    let names: Vec<&str> = endpoint(settings).into_iter().chain([settings.host.as_str()]).collect();
    match &settings.tls {
        Some((file, _)) => match evaluate(file, &names, now, webpki_roots::TLS_SERVER_ROOTS) {
            Ok(says) => Finding::ok(TEST, says),
            Err(what) => Finding::warning(TEST, format!("{}: {what}", file.display())),
        },
        None if settings.trying() || settings.http.ip().is_loopback() => Finding::ok(TEST, "HTTPS is the reverse proxy's"),
        None => Finding::warning(
            TEST,
            format!(
                "HTTP is spoken at {}, which others can reach, and Alexa calls by HTTPS only: name a certificate by --tls-certificate, or let a \
                 reverse proxy on this machine call --http 127.0.0.1:8080",
                settings.http
            ),
        ),
    }
}

fn endpoint(settings: &Settings) -> Option<&str> {
    settings.register_url.as_ref()?.split_once("://")?.1.split(['/', ':']).next()
}

/// Why a certificate is suitable, or else the first fault.
fn evaluate(file: &Path, names: &[&str], now: u64, roots: &[TrustAnchor<'_>]) -> Result<String, String> {
    let chain = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| format!("it cannot be read: {error}"))?;
    let (own, others) = chain.split_first().ok_or("there is no certificate in it")?;
    let (_, parsed) = X509Certificate::from_der(own).map_err(|_| "it is no certificate")?;
    let until = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
    let from = u64::try_from(parsed.validity().not_before.timestamp()).unwrap_or_default();
    if until <= now {
        return Err(format!("it has expired, at {}: put a new one there and start the hub again", iso8601(until)));
    }
    if from > now {
        return Err(format!("it is not valid before {}, or the clock of this machine is behind", iso8601(from)));
    }
    let leaf = EndEntityCert::try_from(own).map_err(|_| "it is no certificate")?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let trusted = leaf.verify_for_usage(ALL_VERIFICATION_ALGS, roots, others, time, KeyUsage::server_auth(), None, None).map(drop);
    if let Err(error) = trusted {
        return Err(if parsed.subject().as_raw() == parsed.issuer().as_raw() {
            "it is self-signed, and neither Alexa nor a device trusts it: use one of a public authority, or let a reverse proxy have it"
                .to_owned()
        } else {
            format!("no public authority vouches for it, or a certificate between is missing behind it in the file ({error})")
        });
    }
    let is_for = |name: &&&str| ServerName::try_from(**name).is_ok_and(|name| leaf.verify_is_valid_for_subject_name(&name).is_ok());
    if !names.iter().any(|name| is_for(&name)) {
        return Err(format!("it is not for the name {}: is it the one of your skill's endpoint?", names.first().unwrap_or(&"")));
    }
    if until - now < SOON {
        return Err(format!("it expires at {}: renew it and start the hub again", iso8601(until)));
    }
    Ok(format!("the certificate is good until {}", iso8601(until)))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use time::OffsetDateTime;

    use super::*;

    const NOW: u64 = 1_795_305_600;

    fn moment(seconds: u64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap()).unwrap()
    }

    fn params(from: u64, until: u64) -> CertificateParams {
        let mut params = CertificateParams::new(["hub.example.com".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (moment(from), moment(until));
        params
    }

    fn judge(pem: &str, names: &[&str], roots: &[TrustAnchor<'_>]) -> Result<String, String> {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("certificate.pem");
        std::fs::write(&file, pem).unwrap();
        evaluate(&file, names, NOW, roots)
    }

    fn check_bad(pem: &str, words: &str) {
        let what = judge(pem, &["hub.example.com"], webpki_roots::TLS_SERVER_ROOTS).unwrap_err();
        assert!(what.contains(words), "{what}");
    }

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut ca = params(NOW - DAY, NOW + 900 * DAY);
        ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, "an authority of one's own");
        CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_trusted_certificate_is_accepted_for_its_name_until_it_expires_soon() {
        let ca = authority();
        let roots = [webpki::anchor_from_trusted_cert(ca.der()).unwrap()];
        let leaf = |until| params(NOW - DAY, until).signed_by(&KeyPair::generate().unwrap(), &ca).unwrap().pem();
        assert!(judge(&leaf(NOW + 90 * DAY), &["hub.example.com"], &roots).unwrap().contains("is good until"));
        assert!(judge(&leaf(NOW + 90 * DAY), &["other.example.com", "hub.example.com"], &roots).is_ok(), "one matching name is enough");
        let other = judge(&leaf(NOW + 90 * DAY), &["other.example.com"], &roots).unwrap_err();
        assert!(other.contains("not for the name other.example.com"), "{other}");
        let soon = judge(&leaf(NOW + SOON - 1), &["hub.example.com"], &roots).unwrap_err();
        assert!(soon.contains("expires at"), "{soon}");
    }

    #[test]
    fn each_fault_of_a_certificate_is_named() {
        let own = |from, until| params(from, until).self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        check_bad(&own(NOW - DAY, NOW + 90 * DAY), "self-signed");
        check_bad(&own(NOW - 9 * DAY, NOW - DAY), "expired");
        check_bad(&own(NOW + DAY, NOW + 9 * DAY), "not valid before");
        let leaf = params(NOW - DAY, NOW + 90 * DAY).signed_by(&KeyPair::generate().unwrap(), &authority()).unwrap().pem();
        check_bad(&leaf, "no public authority");
        check_bad("", "no certificate");
        check_bad("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no certificate");
        assert!(evaluate(Path::new("/nowhere.pem"), &[], NOW, &[]).unwrap_err().contains("cannot be read"));
    }
}

//! A root: the certificate of a certificate authority with its private key.
//!
//! The hub creates a root, or an operator supplies one. Both are checked before they issue a certificate, so that an error is
//! reported once at the start, and not by devices that cannot connect. (RFC 5280, sections 4.2.1.3 and 4.2.1.9)

use std::time::Duration;

use data_encoding::HEXLOWER;
use pkcs8::der::asn1::BitStringRef;
use pkcs8::der::{Any, Decode, Encode};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
    PublicKeyData, SerialNumber, SigningKey,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256};
use thiserror::Error;
use time::OffsetDateTime;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use super::{AuthorityError, FOREVER};

/// How far the clock of a device may be behind ours, in seconds. Certificates are valid from this much earlier.
const BACKDATED: u64 = 120;
const SERIAL_BYTES: usize = 16;

/// Why a certificate is not accepted as a root.
#[derive(Debug, Error)]
pub enum RootFault {
    /// The file is not in PEM, or it contains no certificate.
    #[error("it is not a certificate in PEM")]
    Unreadable,
    /// The issuer is not the subject.
    #[error("it is not self-signed")]
    NotSelfSigned,
    /// The basic constraints or the key usage do not allow the certificate to sign certificates.
    #[error("it is not a certificate authority's: basic constraints and key usage must let it sign certificates")]
    NotCa,
    /// The public key of the certificate does not belong to the private key.
    #[error("the private key beside it is not its own")]
    KeyMismatch,
    /// The validity has ended.
    #[error("it has expired")]
    Expired,
    /// The validity has not begun.
    #[error("it is not valid yet, or the clock is wrong")]
    NotYetValid,
    /// The subject cannot be copied byte for byte into the issuer field of other certificates.
    #[error("its name has parts that cannot be copied")]
    Name,
    /// A TLS client would not accept a certificate that this root issued.
    #[error("what it issues would not be accepted")]
    Useless(#[source] webpki::Error),
}

/// A checked root, which may issue certificates.
pub(super) struct Root {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    not_after: u64,
    may_vouch: bool,
}

impl Root {
    /// Creates a self-signed certificate for a key, valid until the end of 2049. The common name contains a hash of the key, so
    /// roots that follow each other have different names.
    pub(super) fn make(key: KeyPair, now: u64) -> Result<Self, AuthorityError> {
        let mut params = authority_params();
        params.distinguished_name = DistinguishedName::new();
        let key_hash = HEXLOWER.encode(&Sha256::digest(key.subject_public_key_info())[..4]);
        params.distinguished_name.push(DnType::CommonName, format!("onething hub root {key_hash}"));
        date(&mut params, now, FOREVER)?;
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { certificate, issuer: Issuer::new(params, key), not_after: FOREVER, may_vouch: true })
    }

    /// Checks a certificate and its key, and makes a root of them.
    pub(super) fn read(certificate: &CertificateDer<'static>, key: KeyPair, now: u64) -> Result<Self, RootFault> {
        let parsed = parse(certificate)?;
        if parsed.subject().as_raw() != parsed.issuer().as_raw() {
            return Err(RootFault::NotSelfSigned);
        }
        let constraints = parsed.basic_constraints().map_err(|_| RootFault::NotCa)?.map(|extension| extension.value);
        let usage = parsed.key_usage().map_err(|_| RootFault::NotCa)?;
        if !constraints.is_some_and(|constraints| constraints.ca) || usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
            return Err(RootFault::NotCa);
        }
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(RootFault::KeyMismatch);
        }
        // A time before 1970 becomes 1970, which is in the past as well.
        let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or_default();
        let (not_before, not_after) = (seconds(parsed.validity().not_before), seconds(parsed.validity().not_after));
        if not_after <= now {
            return Err(RootFault::Expired);
        }
        if not_before > now {
            return Err(RootFault::NotYetValid);
        }
        if parsed.subject().iter_rdn().any(|part| part.iter().count() != 1) {
            return Err(RootFault::Name);
        }
        let may_vouch = constraints.is_some_and(|constraints| constraints.path_len_constraint != Some(0));
        let issuer = Issuer::from_ca_cert_der(certificate, key).map_err(|_| RootFault::Name)?;
        let root = Self { issuer, not_after, may_vouch, certificate: certificate.clone() };
        root.try_out(now)?;
        Ok(root)
    }

    /// Issues a test certificate for the root's own key, and verifies it as a TLS client does.
    fn try_out(&self, now: u64) -> Result<(), RootFault> {
        let trial = self.sign(CertificateParams::default(), self.issuer.key(), now, FOREVER).map_err(|_| RootFault::Name)?;
        let anchor = anchor_from_trusted_cert(&self.certificate).map_err(RootFault::Useless)?;
        let leaf = EndEntityCert::try_from(trial.der()).map_err(RootFault::Useless)?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now));
        let verified = leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &[anchor], &[], time, KeyUsage::server_auth(), None, None).map(drop);
        verified.map_err(|fault| if fault == webpki::Error::UnknownIssuer { RootFault::Name } else { RootFault::Useless(fault) })
    }

    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The private key in PEM. Use it only to write the key file.
    pub(super) fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// Whether the root has an RSA key. Then clients that support only RSA can verify its certificates.
    pub(super) fn is_rsa(&self) -> bool {
        self.issuer.key().is_compatible(&PKCS_RSA_SHA256)
    }

    /// The end of the validity of the root, as Unix time in seconds.
    pub(super) fn not_after(&self) -> u64 {
        self.not_after
    }

    /// Issues a certificate with a random serial number. It is valid from `now` until `until` or until the end of the root,
    /// whichever is earlier.
    pub(super) fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
        now: u64,
        until: u64,
    ) -> Result<Certificate, AuthorityError> {
        let until = until.min(self.not_after);
        if until <= now {
            return Err(AuthorityError::RootExpired);
        }
        date(&mut params, now, until)?;
        let mut serial = [0; SERIAL_BYTES];
        getrandom::fill(&mut serial).map_err(AuthorityError::Randomness)?;
        // A positive number of full length for any random bytes.
        serial[0] = serial[0] & 0x7f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(key, &self.issuer)?)
    }

    /// Issues a certificate like [`Root::sign`] with a subject in DER, which is copied byte for byte. `rcgen` cannot represent a
    /// subject that has an attribute twice.
    pub(super) fn sign_as(
        &self,
        subject: &[u8],
        mut params: CertificateParams,
        key: &impl PublicKeyData,
        now: u64,
        until: u64,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        params.distinguished_name = DistinguishedName::new();
        let unnamed = self.sign(params, key, now, until)?;
        let (signed, algorithm) = named(unnamed.der(), subject).map_err(AuthorityError::Encoding)?;
        let signature = self.issuer.key().sign(&signed)?;
        let certificate = BitStringRef::from_bytes(&signature)
            .and_then(|signature| vec![Any::from_der(&signed)?, algorithm, Any::encode_from(&signature)?].to_der());
        Ok(certificate.map_err(AuthorityError::Encoding)?.into())
    }

    /// Issues a cross certificate: the subject and the key are those of the other root. A client that trusts this root then
    /// accepts certificates of the other root.
    pub(super) fn vouch_for(&self, other: &Root, now: u64) -> Result<CertificateDer<'static>, AuthorityError> {
        if !self.may_vouch {
            return Err(AuthorityError::NoSuccessor);
        }
        let other_parsed = parse(&other.certificate).map_err(|_| AuthorityError::NoSuccessor)?;
        self.sign_as(other_parsed.subject().as_raw(), authority_params(), other.issuer.key(), now, other.not_after)
    }
}

/// Replaces the subject of a certificate. Returns the new TBSCertificate, which must be signed again, and the signature algorithm
/// (RFC 5280, section 4.1).
fn named(certificate: &[u8], subject: &[u8]) -> Result<(Vec<u8>, Any), pkcs8::der::Error> {
    let mut parts = Vec::<Any>::from_der(certificate)?.into_iter();
    let (Some(to_be_signed), Some(algorithm)) = (parts.next(), parts.next()) else { return Err(pkcs8::der::ErrorKind::Failed.into()) };
    let mut fields = Vec::<Any>::from_der(&to_be_signed.to_der()?)?;
    // The fields before are version, serial number, signature, issuer and validity.
    *fields.get_mut(5).ok_or(pkcs8::der::ErrorKind::Failed)? = Any::from_der(subject)?;
    Ok((fields.to_der()?, algorithm))
}

/// Whether the issuer of a certificate is its subject, as in roots but not in cross certificates.
pub(super) fn is_self_issued(certificate: &CertificateDer<'_>) -> Result<bool, RootFault> {
    parse(certificate).map(|parsed| parsed.subject().as_raw() == parsed.issuer().as_raw())
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, RootFault> {
    match X509Certificate::from_der(certificate) {
        Ok(([], parsed)) => Ok(parsed),
        _ => Err(RootFault::Unreadable),
    }
}

/// The parameters of a root and of a cross certificate. There is no path length constraint, because a chain may contain several
/// cross certificates.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn date(params: &mut CertificateParams, now: u64, until: u64) -> Result<(), AuthorityError> {
    let moment = |seconds: u64| {
        let seconds = i64::try_from(seconds).ok();
        seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()).ok_or(AuthorityError::Clock)
    };
    params.not_before = moment(now.checked_sub(BACKDATED).ok_or(AuthorityError::Clock)?)?;
    params.not_after = moment(until)?;
    Ok(())
}

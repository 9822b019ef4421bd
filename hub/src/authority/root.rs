//! A root: a certificate authority's own certificate with its key.
//!
//! The hub makes one, or an operator brings one; either way it is looked through before it issues anything, so that
//! what is wrong with it is said once and at the start, and not by a device that does not connect.
//! (RFC 5280, sections 4.2.1.3 and 4.2.1.9)

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

/// How far the clock of a device may be behind, in seconds.
const BACKDATED: u64 = 120;
const SERIAL_BYTES: usize = 16;

/// Why a certificate is no root.
#[derive(Debug, Error)]
pub enum RootFault {
    /// Not in PEM, or no certificate in it.
    #[error("it is not a certificate in PEM")]
    Unreadable,
    /// Somebody else vouches for it.
    #[error("it is not self-signed")]
    NotSelfSigned,
    /// Its constraints or key usage say so.
    #[error("it is not a certificate authority's: basic constraints and key usage must let it sign certificates")]
    NotCa,
    /// Another key's certificate.
    #[error("the private key beside it is not its own")]
    KeyMismatch,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet, or the clock is wrong")]
    NotYetValid,
    /// Its name cannot be written into what it issues exactly as it stands.
    #[error("its name has parts that cannot be copied")]
    Name,
    /// A certificate issued by it would not be admitted.
    #[error("what it issues would not be accepted")]
    Useless(#[source] webpki::Error),
}

/// A root that may issue certificates.
pub(super) struct Root {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    not_after: u64,
    may_vouch: bool,
}

impl Root {
    /// A certificate for a key, good until the end of 2049. Its name is the key's own: roots that follow each other are told
    /// apart by name, too.
    pub(super) fn make(key: KeyPair, now: u64) -> Result<Self, AuthorityError> {
        let mut params = authority_params();
        params.distinguished_name = DistinguishedName::new();
        let key_hash = HEXLOWER.encode(&Sha256::digest(key.subject_public_key_info())[..4]);
        params.distinguished_name.push(DnType::CommonName, format!("onething hub root {key_hash}"));
        date(&mut params, now, FOREVER)?;
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { certificate, issuer: Issuer::new(params, key), not_after: FOREVER, may_vouch: true })
    }

    /// Takes a certificate with its key for a root.
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
        // A time before 1970 is the same as 1970 here: it has passed.
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

    /// Issues a certificate for the root's own key to nobody, and verifies it as a TLS client would.
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

    /// The private key in PEM, for its file only.
    pub(super) fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// Whether its key is of RSA, so that whoever knows nothing else can verify what it issues.
    pub(super) fn is_rsa(&self) -> bool {
        self.issuer.key().is_compatible(&PKCS_RSA_SHA256)
    }

    /// The last second of its time, since the epoch.
    pub(super) fn not_after(&self) -> u64 {
        self.not_after
    }

    /// Issues a certificate: with a serial number of its own, from now until a time that is not after the root's own end.
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
        // Positive, and of full length, however it comes out.
        serial[0] = serial[0] & 0x7f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(key, &self.issuer)?)
    }

    /// The same under a name in DER, to the byte. Names as `rcgen` knows them have each attribute once.
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

    /// Vouches for another root: a certificate under the other's name and key, by which whoever knows this one knows the other.
    pub(super) fn vouch_for(&self, other: &Root, now: u64) -> Result<CertificateDer<'static>, AuthorityError> {
        if !self.may_vouch {
            return Err(AuthorityError::NoSuccessor);
        }
        let other_parsed = parse(&other.certificate).map_err(|_| AuthorityError::NoSuccessor)?;
        self.sign_as(other_parsed.subject().as_raw(), authority_params(), other.issuer.key(), now, other.not_after)
    }
}

/// What is to be signed of a certificate (RFC 5280, section 4.1) that has another subject, and the algorithm of its signature.
fn named(certificate: &[u8], subject: &[u8]) -> Result<(Vec<u8>, Any), pkcs8::der::Error> {
    let mut parts = Vec::<Any>::from_der(certificate)?.into_iter();
    let (Some(to_be_signed), Some(algorithm)) = (parts.next(), parts.next()) else { return Err(pkcs8::der::ErrorKind::Failed.into()) };
    let mut fields = Vec::<Any>::from_der(&to_be_signed.to_der()?)?;
    // After version, serial number, algorithm, issuer and validity.
    *fields.get_mut(5).ok_or(pkcs8::der::ErrorKind::Failed)? = Any::from_der(subject)?;
    Ok((fields.to_der()?, algorithm))
}

/// Whether a certificate is in its own name, as roots are and the certificates between them are not.
pub(super) fn is_self_issued(certificate: &CertificateDer<'_>) -> Result<bool, RootFault> {
    parse(certificate).map(|parsed| parsed.subject().as_raw() == parsed.issuer().as_raw())
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, RootFault> {
    match X509Certificate::from_der(certificate) {
        Ok(([], parsed)) => Ok(parsed),
        _ => Err(RootFault::Unreadable),
    }
}

/// A root may be followed by others, so the way from it to a server may be long: no path length.
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

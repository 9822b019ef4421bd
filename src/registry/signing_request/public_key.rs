//! The public keys and signatures of devices. The accepted kinds are those that AWS IoT accepts
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/x509-client-certs.html>).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPssSaltLength, VerificationAlgorithm,
};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{AnyRef, Decode, Encode, Tag, Tagged};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::pem::sequence;

const fn oid(dotted: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(dotted)
}

/// The ECDSA signature algorithms (RFC 5758, section 3.2).
pub(super) const ECDSA_WITH_SHA256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = oid("1.2.840.10045.4.3.3");
const ECDSA_WITH_SHA512: ObjectIdentifier = oid("1.2.840.10045.4.3.4");
/// The RSA keys and signature algorithms (RFC 8017, appendix A.2).
const RSA_ENCRYPTION: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = oid("1.2.840.113549.1.1.10");
const SHA256_WITH_RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.11");
const SHA384_WITH_RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.12");
const SHA512_WITH_RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.13");
/// The elliptic curve keys and the named curves (RFC 5480, section 2).
const EC_PUBLIC_KEY: ObjectIdentifier = oid("1.2.840.10045.2.1");
const P256: ObjectIdentifier = oid("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = oid("1.3.132.0.34");
const P521: ObjectIdentifier = oid("1.3.132.0.35");
/// The digests (RFC 8017, appendix B.1).
const SHA1: ObjectIdentifier = oid("1.3.14.3.2.26");
const SHA224: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.4");
const SHA256: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.3");

/// The names of key algorithms that are not accepted, for the error message.
const OTHER_KEYS: [(ObjectIdentifier, &str); 6] = [
    (oid("1.3.101.112"), "Ed25519"),
    (oid("1.3.101.113"), "Ed448"),
    (oid("1.3.101.110"), "X25519"),
    (oid("1.3.101.111"), "X448"),
    (oid("1.2.840.10040.4.1"), "DSA"),
    (RSA_PSS, "RSA that is for RSA-PSS only"),
];
/// The names of curves that are not accepted, for the error message.
const OTHER_CURVES: [(ObjectIdentifier, &str); 7] = [
    (oid("1.2.840.10045.3.1.1"), "ECDSA on P-192"),
    (oid("1.3.132.0.33"), "ECDSA on P-224"),
    (oid("1.3.132.0.10"), "ECDSA on secp256k1"),
    (oid("1.3.36.3.3.2.8.1.1.7"), "ECDSA on brainpoolP256r1"),
    (oid("1.3.36.3.3.2.8.1.1.11"), "ECDSA on brainpoolP384r1"),
    (oid("1.3.36.3.3.2.8.1.1.13"), "ECDSA on brainpoolP512r1"),
    (oid("1.2.156.10197.1.301"), "ECDSA on SM2's curve"),
];
/// The names of signature algorithms that are not accepted, for the error message.
const OTHER_SIGNATURES: [(ObjectIdentifier, &str); 18] = [
    (oid("1.2.840.113549.1.1.4"), "RSA with MD5"),
    (oid("1.2.840.113549.1.1.5"), "RSA with SHA-1"),
    (oid("1.3.14.3.2.29"), "RSA with SHA-1"),
    (oid("1.2.840.113549.1.1.14"), "RSA with SHA-224"),
    (oid("1.2.840.113549.1.1.15"), "RSA with SHA-512/224"),
    (oid("1.2.840.113549.1.1.16"), "RSA with SHA-512/256"),
    (oid("2.16.840.1.101.3.4.3.14"), "RSA with SHA3-256"),
    (oid("2.16.840.1.101.3.4.3.15"), "RSA with SHA3-384"),
    (oid("2.16.840.1.101.3.4.3.16"), "RSA with SHA3-512"),
    (oid("1.2.840.10045.4.1"), "ECDSA with SHA-1"),
    (oid("1.2.840.10045.4.3.1"), "ECDSA with SHA-224"),
    (oid("2.16.840.1.101.3.4.3.9"), "ECDSA with SHA3-224"),
    (oid("2.16.840.1.101.3.4.3.10"), "ECDSA with SHA3-256"),
    (oid("2.16.840.1.101.3.4.3.11"), "ECDSA with SHA3-384"),
    (oid("2.16.840.1.101.3.4.3.12"), "ECDSA with SHA3-512"),
    (oid("1.2.840.10040.4.3"), "DSA with SHA-1"),
    (oid("2.16.840.1.101.3.4.3.2"), "DSA with SHA-256"),
    (oid("1.3.101.112"), "Ed25519"),
];

fn name(of: ObjectIdentifier, names: &[(ObjectIdentifier, &str)], otherwise: &str) -> String {
    names.iter().find(|(oid, _)| *oid == of).map_or(otherwise, |(_, name)| name).to_owned()
}

/// A public key that verifies signatures.
pub(super) struct PublicKey<'a> {
    kind: Kind,
    bytes: &'a [u8],
}

#[derive(Clone, Copy)]
enum Kind {
    Rsa,
    P256,
    P384,
    P521,
}

/// Why a signature is not accepted.
pub(super) enum SignatureFault {
    /// The signature algorithm is not accepted. Contains its name.
    Algorithm(String),
    /// The signature does not verify with this key.
    Signature,
}

impl<'a> PublicKey<'a> {
    /// Parses a key. The error is a description of a key that is not accepted.
    pub(super) fn read(spki: &'a SubjectPublicKeyInfoOwned) -> Result<Self, String> {
        let kind = match spki.algorithm.oid {
            RSA_ENCRYPTION => Kind::Rsa,
            EC_PUBLIC_KEY => curve(&spki.algorithm)?,
            other => return Err(name(other, &OTHER_KEYS, "of a kind that is not known")),
        };
        let bytes = spki.subject_public_key.as_bytes().ok_or("broken")?;
        if matches!(kind, Kind::Rsa) {
            if spki.algorithm.parameters.as_ref().is_none_or(|parameters| parameters.tag() != Tag::Null) {
                return Err("RSA without the parameters that belong to it (NULL)".into());
            }
            let bits = RsaParameters::public_modulus_len(bytes).map_err(|_| "RSA that cannot be read")?;
            if !(RSA_PKCS1_2048_8192_SHA256.min_modulus_len()..=RSA_PKCS1_2048_8192_SHA256.max_modulus_len()).contains(&bits) {
                return Err(format!("RSA of {bits} bits"));
            }
        }
        Ok(Self { kind, bytes })
    }

    /// The signature algorithm with SHA-256 for this kind of key.
    pub(super) fn with_sha256(&self) -> ObjectIdentifier {
        if matches!(self.kind, Kind::Rsa) { SHA256_WITH_RSA } else { ECDSA_WITH_SHA256 }
    }

    /// Verifies a signature over a message. `by` is the algorithm that the signer names.
    pub(super) fn verify(&self, by: &AlgorithmIdentifierOwned, message: &[u8], signature: &[u8]) -> Result<(), SignatureFault> {
        let pss;
        let algorithm: &dyn VerificationAlgorithm = match (self.kind, by.oid) {
            (Kind::Rsa, RSA_PSS) => {
                pss = pss_parameters(by).map_err(SignatureFault::Algorithm)?;
                &pss
            }
            (Kind::Rsa, SHA256_WITH_RSA) => &RSA_PKCS1_2048_8192_SHA256,
            (Kind::Rsa, SHA384_WITH_RSA) => &RSA_PKCS1_2048_8192_SHA384,
            (Kind::Rsa, SHA512_WITH_RSA) => &RSA_PKCS1_2048_8192_SHA512,
            (Kind::P256, ECDSA_WITH_SHA256) => &ECDSA_P256_SHA256_ASN1,
            (Kind::P256, ECDSA_WITH_SHA384) => &ECDSA_P256_SHA384_ASN1,
            (Kind::P256, ECDSA_WITH_SHA512) => &ECDSA_P256_SHA512_ASN1,
            (Kind::P384, ECDSA_WITH_SHA256) => &ECDSA_P384_SHA256_ASN1,
            (Kind::P384, ECDSA_WITH_SHA384) => &ECDSA_P384_SHA384_ASN1,
            (Kind::P384, ECDSA_WITH_SHA512) => &ECDSA_P384_SHA512_ASN1,
            (Kind::P521, ECDSA_WITH_SHA256) => &ECDSA_P521_SHA256_ASN1,
            (Kind::P521, ECDSA_WITH_SHA384) => &ECDSA_P521_SHA384_ASN1,
            (Kind::P521, ECDSA_WITH_SHA512) => &ECDSA_P521_SHA512_ASN1,
            // The algorithm belongs to another kind of key.
            (Kind::Rsa, ECDSA_WITH_SHA256 | ECDSA_WITH_SHA384 | ECDSA_WITH_SHA512)
            | (_, RSA_PSS | SHA256_WITH_RSA | SHA384_WITH_RSA | SHA512_WITH_RSA) => return Err(SignatureFault::Signature),
            (_, other) => return Err(SignatureFault::Algorithm(name(other, &OTHER_SIGNATURES, "an algorithm that is not known"))),
        };
        algorithm.verify_sig(self.bytes, message, signature).map_err(|_| SignatureFault::Signature)
    }
}

fn curve(algorithm: &AlgorithmIdentifierOwned) -> Result<Kind, String> {
    let curve = algorithm.parameters.as_ref().and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
    match curve.ok_or("ECDSA on a curve that is spelled out instead of named")? {
        P256 => Ok(Kind::P256),
        P384 => Ok(Kind::P384),
        P521 => Ok(Kind::P521),
        other => Err(name(other, &OTHER_CURVES, "ECDSA on another curve")),
    }
}

/// The parameters of an RSA-PSS signature (RFC 8017, appendix A.2.3): the digest, which must also be the digest of the mask, and
/// the length of the salt.
fn pss_parameters(algorithm: &AlgorithmIdentifierOwned) -> Result<RsaParameters, String> {
    let broken = "RSA-PSS with parameters that cannot be read";
    let (mut digest, mut mask_digest, mut salt) = (SHA1, SHA1, 20);
    let parameters = algorithm.parameters.as_ref().and_then(|parameters| parameters.to_der().ok()).ok_or(broken)?;
    for field in sequence(&parameters).ok_or(broken)? {
        let Tag::ContextSpecific { number, .. } = field.tag() else { return Err(broken.into()) };
        match number.value() {
            0 => digest = AlgorithmIdentifierOwned::from_der(field.value()).map_err(|_| broken)?.oid,
            1 => {
                let mask = AlgorithmIdentifierOwned::from_der(field.value()).map_err(|_| broken)?;
                mask_digest = mask.parameters.and_then(|digest| digest.decode_as::<AlgorithmIdentifierOwned>().ok()).ok_or(broken)?.oid;
            }
            2 => salt = AnyRef::from_der(field.value()).and_then(|salt| salt.decode_as::<u16>()).map_err(|_| broken)?,
            _ => {}
        }
    }
    let by_digest = match digest {
        SHA256 => RSA_PSS_2048_8192_SHA256,
        SHA384 => RSA_PSS_2048_8192_SHA384,
        SHA512 => RSA_PSS_2048_8192_SHA512,
        other => return Err(name(other, &[(SHA1, "RSA-PSS with SHA-1"), (SHA224, "RSA-PSS with SHA-224")], "RSA-PSS with another digest")),
    };
    if digest != mask_digest {
        return Err("RSA-PSS with one digest for the message and another one for the mask".into());
    }
    Ok(by_digest.with_pss_salt_length(RsaPssSaltLength::Custom(salt)))
}

use base64::prelude::{BASE64_STANDARD, Engine as _};
use onething::registry::signing_request::{CertificateRequest, DeviceKey};
use onething::secrets::Fingerprint;
use proptest::prelude::*;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use x509_cert::der::pem::decode_vec;

use super::super::renewal_proof::proof;
use super::*;

const BEGIN: u64 = 1_800_000_000;
const YEAR: u64 = 365 * DAY;

fn check(life: u64, age: u64, random: u32, expected: Option<u64>) {
    let until = due(BEGIN, BEGIN + life, BEGIN + age, random);
    assert_eq!(until.map(|until| until.as_secs()), expected, "{life} {age} {random}");
}

#[test]
fn a_certificate_is_renewed_in_the_first_half_of_its_last_third() {
    check(90 * DAY, 0, 0, Some(60 * DAY));
    check(90 * DAY, 0, u32::MAX, Some(75 * DAY));
    check(90 * DAY, 59 * DAY, u32::MAX / 2, Some(8 * DAY + DAY / 2 - 1));
    // The clock was never set, so its time is before the start of the validity.
    assert_eq!(due(BEGIN, BEGIN + 90 * DAY, 0, 0), Some(Duration::from_secs(BEGIN + 60 * DAY)));
}

#[test]
fn a_late_renewal_is_due_within_the_hour_and_on_the_last_day_at_once() {
    check(90 * DAY, 80 * DAY, 0, Some(0));
    check(90 * DAY, 80 * DAY, u32::MAX, Some(HOUR));
    check(90 * DAY, 89 * DAY, u32::MAX, Some(0));
    check(90 * DAY, 90 * DAY, u32::MAX, Some(0));
    check(90 * DAY, 20 * YEAR, u32::MAX, Some(0));
}

#[test]
fn a_certificate_without_an_end_is_not_renewed() {
    assert_eq!(due(BEGIN, NEVER, BEGIN, 0), None);
    assert_eq!(due(BEGIN, u64::MAX, BEGIN, 0), None);
    assert_eq!(due(BEGIN, BEGIN, BEGIN, 0), None);
    assert_eq!(due(BEGIN, BEGIN - 1, BEGIN, 0), None);
}

#[test]
fn pauses_after_failed_renewals_grow_and_are_at_most_an_hour_on_the_last_day() {
    let again = |failures, left, random| again(failures, BEGIN + left, BEGIN, random).as_secs();
    assert_eq!([1, 2, 3].map(|failures| again(failures, YEAR, u32::MAX)), [60, 120, 240]);
    assert_eq!((again(1, YEAR, 0), again(60, YEAR, u32::MAX), again(u32::MAX, YEAR, 0)), (30, DAY, DAY / 2));
    assert_eq!((again(60, DAY, u32::MAX), again(60, 0, u32::MAX), again(60, DAY + 3 * HOUR, u32::MAX)), (HOUR, HOUR, 3 * HOUR));
}

proptest! {
    #[test]
    fn a_running_device_registers_before_its_certificate_expires(
        life in DAY..30 * YEAR, age in 0..40 * YEAR, random in any::<u32>(), failures in 1..40_u32,
    ) {
        let (end, now) = (BEGIN + life, BEGIN + age);
        let until = due(BEGIN, end, now, random).unwrap().as_secs();
        prop_assert!(now + until <= end.max(now));
        // No certificate is renewed before its last third, except at once.
        prop_assert!(now + until >= end - life / 3 || until == 0);
        let pause = again(failures, end, now, random).as_secs();
        prop_assert!((30..=DAY).contains(&pause));
        prop_assert!(now + DAY + HOUR >= end || now + pause + DAY <= end || pause <= HOUR);
    }
}

/// Verifies the proof as an endpoint does, with an independent verifier.
fn check_proof(key: &KeyPair, algorithm: &dyn rustls::pki_types::SignatureVerificationAlgorithm) {
    let csr = DeviceKey::generate().unwrap().request("lamp").unwrap();
    let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let proof = BASE64_STANDARD.decode(proof(&private, &csr, 1_800_000_000).unwrap().as_bytes()).unwrap();
    let (_, der) = decode_vec(csr.as_bytes()).unwrap();
    let message = format!("onething-renew\n{}\n1800000000", Fingerprint::of_bytes(&der).hex());
    algorithm.verify_signature(key.public_key_raw(), message.as_bytes(), &proof).unwrap();
    algorithm.verify_signature(key.public_key_raw(), message.replace("000", "001").as_bytes(), &proof).unwrap_err();
    assert!(CertificateRequest::parse(&csr).is_ok());
}

#[test]
fn a_proof_of_any_key_type_covers_the_request_and_its_time() {
    let supported = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
    let of = |scheme| supported.mapping.iter().find(|(known, _)| *known == scheme).unwrap().1;
    // A scheme may have several verifiers for different curves; the first one is for the curve in its name.
    for (algorithm, scheme) in [
        (&PKCS_ECDSA_P256_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256),
        (&PKCS_ECDSA_P384_SHA384, SignatureScheme::ECDSA_NISTP384_SHA384),
        (&PKCS_RSA_SHA256, SignatureScheme::RSA_PKCS1_SHA256),
    ] {
        check_proof(&KeyPair::generate_for(algorithm).unwrap(), of(scheme)[0]);
    }
}

#[test]
fn an_unsupported_key_type_has_no_proof() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    assert_eq!(proof(&key, &DeviceKey::generate().unwrap().request("lamp").unwrap(), 0), None);
}

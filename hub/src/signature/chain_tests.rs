//! Tests of valid and invalid certificate chains, in the form of Amazon's files.

use rcgen::{DnType, ExtendedKeyUsagePurpose, KeyPair, SigningKey};

use super::super::forge::{Amazon, Ca, KEY, NOW, anchor, cross_certificate, days, intermediate, leaf, root, sign};
use super::*;

/// Checks a file at time `NOW` with one trusted root. `expected` is `ok` or the beginning of the fault.
#[track_caller]
fn check(root: &Ca, pem: &str, expected: &str) {
    check_at(NOW, root, pem, expected);
}

#[track_caller]
fn check_at(now: u64, root: &Ca, pem: &str, expected: &str) {
    let verdict = Chain::parse(pem.as_bytes()).and_then(|chain| chain.check(&[anchor(root)], now));
    let verdict = verdict.map_or_else(|fault| format!("{fault:?}"), |()| "ok".to_owned());
    assert!(verdict.starts_with(expected), "{verdict}, not {expected}");
}

#[test]
fn a_chain_to_a_trusted_root_is_accepted() {
    let amazon = Amazon::new();
    check(&amazon.root, &amazon.chain, "ok");
    check(&amazon.root, &(amazon.chain.clone() + &amazon.root.pem()), "ok");
    check(&amazon.root, &leaf(&amazon.root, &KEY, |_| ()), "ok");
    check(&root("another"), &amazon.chain, "Untrusted(UnknownIssuer");
    check(&root("root"), &amazon.chain, "Untrusted(InvalidSignatureForPublicKey");
}

#[test]
fn surplus_certificates_and_their_order_do_not_matter() {
    let amazon = Amazon::new();
    let deeper = intermediate("deeper", &amazon.between, |_| ());
    let leaf = leaf(&deeper, &KEY, |_| ());
    let (deeper, between) = (deeper.pem(), amazon.between.pem());
    check(&amazon.root, &format!("{leaf}{deeper}{between}"), "ok");
    check(&amazon.root, &format!("{leaf}{between}{deeper}"), "ok");

    // As in Amazon's files: a cross certificate for the root, from an older root that is no longer trusted.
    let distrusted = root("distrusted");
    let cross = cross_certificate(&amazon.root, "root", &distrusted);
    check(&amazon.root, &format!("{leaf}{deeper}{between}{cross}"), "ok");
    check(&amazon.root, &format!("{leaf}{cross}{}{between}{deeper}", distrusted.pem()), "ok");
    // The reverse case: only the older root is trusted.
    check(&distrusted, &format!("{leaf}{deeper}{between}{cross}"), "ok");
    check(&distrusted, &format!("{leaf}{deeper}{between}"), "Untrusted(UnknownIssuer");
    // The certificate of Alexa must be the first.
    check(&amazon.root, &format!("{between}{leaf}{deeper}"), "Untrusted(CaUsedAsEndEntity");
}

#[test]
fn a_chain_with_a_missing_intermediate_is_refused() {
    let amazon = Amazon::new();
    let deeper = intermediate("deeper", &amazon.between, |_| ());
    let leaf = leaf(&deeper, &KEY, |_| ());
    check(&amazon.root, &leaf, "Untrusted(UnknownIssuer");
    check(&amazon.root, &format!("{leaf}{}", deeper.pem()), "Untrusted(UnknownIssuer");
    check(&amazon.root, &format!("{leaf}{}", amazon.between.pem()), "Untrusted(UnknownIssuer");
}

#[test]
fn self_signed_certificates_and_non_ca_issuers_are_refused() {
    let amazon = Amazon::new();
    let mut params = rcgen::CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "root");
    days(-1, 1)(&mut params);
    let alone = params.self_signed(&*KEY).unwrap().pem();
    check(&amazon.root, &alone, "Untrusted(");
    check(&amazon.root, &(alone + &amazon.root.pem()), "Untrusted(");
    check(&amazon.root, &amazon.root.pem(), "Untrusted(CaUsedAsEndEntity");
    // A certificate that is not a CA cannot issue certificates.
    let device = rcgen::Issuer::new(rcgen::CertificateParams::default(), KeyPair::generate().unwrap());
    let child = leaf(&device, &KEY, |_| ());
    let mut params = rcgen::CertificateParams::default();
    days(-1, 1)(&mut params);
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    let device = params.signed_by(device.key(), &amazon.root).unwrap().pem();
    check(&amazon.root, &(child + &device), "Untrusted(EndEntityUsedAsCa");
}

#[test]
fn the_validity_of_every_certificate_is_checked() {
    let amazon = Amazon::new();
    let between = &amazon.between;
    let with = |from, to| leaf(between, &KEY, days(from, to)) + &between.pem();
    check(&amazon.root, &with(-10, -1), "Untrusted(CertExpired");
    check(&amazon.root, &with(1, 10), "Untrusted(CertNotValidYet");
    check(&amazon.root, &with(0, 1), "ok");
    check(&amazon.root, &with(-1, 0), "ok");
    check_at(NOW + 1, &amazon.root, &with(-1, 0), "Untrusted(CertExpired");
    check_at(NOW - 1, &amazon.root, &with(0, 1), "Untrusted(CertNotValidYet");

    let old = intermediate("old", &amazon.root, days(-10, -1));
    check(&amazon.root, &(leaf(&old, &KEY, |_| ()) + &old.pem()), "Untrusted(CertExpired");
    let young = intermediate("young", &amazon.root, days(1, 10));
    check(&amazon.root, &(leaf(&young, &KEY, |_| ()) + &young.pem()), "Untrusted(CertNotValidYet");
}

#[test]
fn the_first_certificate_must_contain_exactly_the_dns_name_of_alexa() {
    let amazon = Amazon::new();
    let named = |names: &[&str]| {
        let names = rcgen::CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        leaf(&amazon.root, &KEY, |params| params.subject_alt_names = names.subject_alt_names)
    };
    check(&amazon.root, &named(&[NAME]), "ok");
    check(&amazon.root, &named(&["other.amazon.com", NAME]), "ok");
    check(&amazon.root, &named(&[NAME, "127.0.0.1"]), "ok");
    // The common name is not considered.
    check(&amazon.root, &named(&[]), "Name");
    for name in ["example.com", "*.amazon.com", "echo-api.amazon.com.example.com", "x.echo-api.amazon.com", "amazon.com", "127.0.0.1"] {
        check(&amazon.root, &named(&[name]), "Name");
    }
}

#[test]
fn the_certificate_must_allow_server_authentication() {
    let amazon = Amazon::new();
    let used_for = |usages| leaf(&amazon.root, &KEY, |params| params.extended_key_usages = usages);
    check(&amazon.root, &used_for(vec![ExtendedKeyUsagePurpose::ServerAuth]), "ok");
    check(&amazon.root, &used_for(vec![ExtendedKeyUsagePurpose::ClientAuth]), "Untrusted(RequiredEkuNotFound");
    check(&amazon.root, &used_for(vec![ExtendedKeyUsagePurpose::CodeSigning]), "Untrusted(RequiredEkuNotFound");
}

#[test]
fn a_file_without_a_chain_is_refused() {
    let amazon = Amazon::new();
    let many = amazon.chain.clone() + &amazon.root.pem().repeat(MAX_CERTIFICATES);
    for file in [
        "",
        "\n",
        "garbage",
        "<html><body>AccessDenied</body></html>",
        "-----BEGIN CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        &many,
    ] {
        check(&amazon.root, file, "Unreadable");
    }
    check(&amazon.root, &KEY.serialize_pem(), "Unreadable");
    check(&amazon.root, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "Untrusted(");
    let broken = amazon.chain.clone() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check(&amazon.root, &broken, "ok");
    assert!(Chain::parse(b"\xff\xfe\x00").is_err());
    assert!(Chain::parse(&amazon.chain.as_bytes()[..amazon.chain.len() - 40]).is_err());
}

#[track_caller]
fn check_signature(key: &KeyPair, body: &[u8], signature: &[u8], expected: bool) {
    let amazon = Amazon::new();
    let chain = Chain::parse((leaf(&amazon.root, key, |_| ())).as_bytes()).unwrap();
    chain.check(&[anchor(&amazon.root)], NOW).unwrap();
    assert_eq!(chain.signed(body, signature).is_ok(), expected);
}

#[test]
fn a_signature_is_valid_for_one_body_and_one_key() {
    let body = "{\"text\":\"Pok\u{e9}mon\"}".as_bytes();
    let signature = sign(body);
    check_signature(&KEY, body, &signature, true);
    check_signature(&KEY, b"", &sign(b""), true);
    check_signature(&KEY, "{\"text\":\"Poke\u{301}mon\"}".as_bytes(), &signature, false);
    check_signature(&KEY, b"{ \"text\":\"Pok\\u00e9mon\"}", &signature, false);
    check_signature(&KEY, b"", &signature, false);
    check_signature(&KEY, body, &signature[1..], false);
    check_signature(&KEY, body, b"", false);
    check_signature(&KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap(), body, &signature, false);
}

#[test]
fn only_rsa_signatures_with_sha_256_are_accepted() {
    let body = b"{}";
    let sha384 = KeyPair::from_pkcs8_pem_and_sign_algo(&KEY.serialize_pem(), &rcgen::PKCS_RSA_SHA384).unwrap();
    check_signature(&KEY, body, &sha384.sign(body).unwrap(), false);
    for other in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let key = KeyPair::generate_for(other).unwrap();
        check_signature(&key, body, &key.sign(body).unwrap(), false);
    }
}

//! Tests of the folder after first starts, crashes, changes by operators, and accidents.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, DnValue, IsCa, KeyUsagePurpose, PKCS_RSA_SHA256};
use tempfile::TempDir;
use time::OffsetDateTime;

use super::super::tests::{NOW, admitted};
use super::*;

struct Place {
    _above: TempDir,
    dir: PathBuf,
}

impl Place {
    fn new() -> Self {
        let above = tempfile::tempdir().unwrap();
        Self { dir: above.path().join("data/authority"), _above: above }
    }

    /// A folder with these files, as an operator creates it.
    fn with(files: &[(&str, &str)]) -> Self {
        let place = Self::new();
        fs::create_dir_all(&place.dir).unwrap();
        place.set_mode("", 0o700);
        for (name, content) in files {
            place.put(name, content);
        }
        place
    }

    fn put(&self, name: &str, content: &str) {
        fs::write(self.dir.join(name), content).unwrap();
        self.set_mode(name, 0o600);
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.dir.join(name)).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn open(&self) -> Authority {
        Authority::open(&self.dir, NOW).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Checks the error message of a failed start.
    #[track_caller]
    fn check_refused(&self, expected: &str) {
        let Err(error) = Authority::open(&self.dir, NOW) else { panic!("the folder was opened") };
        let said = onething::fault::chain(&error).replace(self.dir.to_str().unwrap(), "DIR");
        assert_eq!(said, expected);
    }
}

const FILES: [&str; 5] = ["lock", KEY, CERTIFICATES, RSA.key, RSA.certificates];

#[test]
fn an_authority_is_created_once_and_read_afterwards() {
    let place = Place::new();
    let first = place.open();
    let device = first.issue(NOW).unwrap();
    assert_eq!((place.names(), place.text(CERTIFICATES)), (FILES.map(str::to_owned).to_vec(), first.root_pem()));
    assert_eq!((place.mode(""), place.mode(KEY), place.mode(RSA.key)), (0o700, 0o600, 0o600));
    let again = place.open();
    assert_eq!(again.roots_pem(), first.roots_pem());
    assert_eq!(first.roots_pem(), first.root_pem() + &place.text(RSA.certificates));
    admitted(&again.root_pem(), &device.pem, NOW).unwrap();
    admitted(&first.root_pem(), &again.issue(NOW).unwrap().pem, NOW).unwrap();
}

#[test]
fn concurrent_first_starts_create_one_authority() {
    let place = Place::new();
    let roots: Vec<String> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| place.open().root_pem())).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(roots.iter().all(|root| *root == place.text(CERTIFICATES)));
}

#[test]
fn a_key_readable_by_others_and_a_folder_writable_by_others_are_refused() {
    let place = Place::new();
    place.open();
    for mode in [0o640, 0o604, 0o660] {
        place.set_mode(KEY, mode);
        place.check_refused("others than its owner may read the key DIR/root.key.pem; say: chmod 600 DIR/root.key.pem");
    }
    place.set_mode(KEY, 0o400);
    for mode in [0o770, 0o702, 0o777] {
        place.set_mode("", mode);
        place.check_refused("others than its owner may write to the folder DIR; say: chmod go-w DIR");
    }
    place.set_mode("", 0o755);
    place.open();
}

#[test]
fn an_interrupted_first_start_is_finished_by_the_next() {
    // Before any file was complete.
    let place = Place::with(&[("root.key.pem.half", "-----BEGIN PRI")]);
    place.set_mode("root.key.pem.half", 0o644);
    place.open();
    assert_eq!((place.names(), place.mode(KEY)), (FILES.map(str::to_owned).to_vec(), 0o600));
    // After the key and before its root was written.
    let key = place.text(KEY);
    fs::remove_file(place.dir.join(CERTIFICATES)).unwrap();
    place.put("root.pem.half", "-----BEGIN CERT");
    place.open();
    assert_eq!((place.text(KEY), place.names()), (key, FILES.map(str::to_owned).to_vec()));
    assert_eq!(place.open().root_pem(), place.text(CERTIFICATES));
}

/// A folder before and after a replacement of its root, and all intermediate states.
#[test]
fn an_interrupted_replacement_leaves_the_old_or_the_new_root() {
    let place = Place::new();
    let old = place.open();
    let (old_key, old_root) = (place.text(KEY), place.text(CERTIFICATES));
    let new = Authority::replace(&place.dir, NOW).unwrap();
    let (new_key, new_root) = (place.text(KEY), place.text(CERTIFICATES));
    assert!(old_key != new_key && new_root.starts_with(&new.root_pem()) && new_root.ends_with(&old_root));
    assert_eq!((place.names(), place.mode(KEY)), (FILES.map(str::to_owned).to_vec(), 0o600));

    let check = |files: &[(&str, &str)], expected: &Authority| {
        let place = Place::with(files);
        let opened = place.open();
        assert_eq!(opened.root_pem(), expected.root_pem());
        admitted(&expected.root_pem(), &opened.issue_for(CSR, NOW).unwrap().pem, NOW).unwrap();
        assert!(!place.dir.join(NEXT_KEY).exists() && place.open().root_pem() == expected.root_pem());
        // After this start another replacement works.
        Authority::replace(&place.dir, NOW).unwrap();
    };
    check(&[(KEY, &old_key), (CERTIFICATES, &old_root)], &old);
    check(&[(KEY, &old_key), (CERTIFICATES, &old_root), ("next.key.pem.half", &new_key[..40])], &old);
    check(&[(KEY, &old_key), (CERTIFICATES, &old_root), (NEXT_KEY, &new_key)], &old);
    check(&[(KEY, &old_key), (CERTIFICATES, &old_root), (NEXT_KEY, &new_key), ("root.pem.half", &new_root[..90])], &old);
    check(&[(KEY, &old_key), (CERTIFICATES, &new_root), (NEXT_KEY, &new_key)], &new);
    check(&[(KEY, &new_key), (CERTIFICATES, &new_root)], &new);
}

const CSR: &str = include_str!("../../tests/fixtures/requests/openssl.pem");

#[test]
fn former_roots_are_kept_newest_first() {
    let place = Place::new();
    let first = place.open().root_pem();
    let second = Authority::replace(&place.dir, NOW).unwrap().root_pem();
    let third = Authority::replace(&place.dir, NOW).unwrap();
    let opened = place.open();
    assert_eq!(opened.root_pem(), third.root_pem());
    assert_eq!((&opened.line.former, &opened.line.crosses), (&third.line.former, &third.line.crosses));
    assert_eq!(opened.line.former.iter().map(|root| super::super::pem(root)).collect::<Vec<_>>(), [second, first]);
    assert_eq!(opened.line.crosses.len(), 2);
}

/// The folder of an older hub, which has no RSA root.
#[test]
fn a_folder_without_an_rsa_root_gets_one_at_the_next_start() {
    let place = Place::new();
    place.open();
    for name in [RSA.certificates, RSA.key] {
        fs::remove_file(place.dir.join(name)).unwrap();
    }
    let (key, root) = (place.text(KEY), place.text(CERTIFICATES));
    let names = place.names();
    let looked = Authority::look(&place.dir, NOW).unwrap().unwrap();
    assert!(looked.rsa.is_none() && place.names() == names, "Authority::look creates no files");
    let opened = place.open();
    assert_eq!((place.text(KEY), place.text(CERTIFICATES), place.names()), (key, root, FILES.map(str::to_owned).to_vec()));
    assert!(opened.rsa.is_some_and(|line| line.root.is_rsa() && line.former.is_empty()));
}

#[test]
fn both_lines_of_roots_are_replaced_with_a_cross_certificate_each() {
    let place = Place::new();
    let first = place.open();
    let second = Authority::replace(&place.dir, NOW).unwrap();
    let opened = place.open();
    assert_eq!(opened.roots_pem(), second.roots_pem());
    let (old, new) = (first.rsa.unwrap(), opened.rsa.unwrap());
    assert_eq!((new.former.as_slice(), new.crosses.len()), (&[old.root.certificate().clone()][..], 1));
    assert!(new.root.is_rsa() && new.root.certificate() != old.root.certificate());
    // An interruption between the two lines: each is complete.
    let place = Place::with(&[
        (CERTIFICATES, &first.line.certificates_pem()),
        (KEY, &first.line.root.key_pem()),
        (RSA.certificates, &new.certificates_pem()),
        (RSA.key, &old.root.key_pem()),
        (RSA.next_key, &new.root.key_pem()),
    ]);
    let opened = place.open();
    assert_eq!((opened.root_pem(), opened.by_rsa().certificates_pem()), (first.line.certificates_pem(), new.certificates_pem()));
}

#[test]
fn an_operators_rsa_root_gets_an_rsa_line_only_when_it_is_replaced() {
    let (root, key) = operator_root(&KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap(), |_| ());
    let place = Place::with(&[(CERTIFICATES, &root), (KEY, &key)]);
    let authority = place.open();
    assert!(authority.rsa.is_none() && authority.roots_pem() == authority.root_pem());
    let next = Authority::replace(&place.dir, NOW).unwrap();
    let rsa = next.rsa.as_ref().unwrap();
    assert!(!next.line.root.is_rsa() && rsa.root.is_rsa());
    // A device that trusts the operator's root accepts both new roots.
    assert_eq!((rsa.former.as_slice(), rsa.crosses.len()), (next.line.former.as_slice(), 1));
    assert_eq!(place.open().roots_pem(), next.roots_pem());
}

/// A root of an operator with a modification: the content of its certificate file and of its key file.
fn operator_root(key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, DnValue::PrintableString("DE".try_into().unwrap()));
    params.distinguished_name.push(DnType::CommonName, "A Maker's Root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (params.not_before, params.not_after) = (at(NOW - 1_000), at(NOW + 1_000_000));
    change(&mut params);
    (params.self_signed(key).unwrap().pem(), key.serialize_pem())
}

fn at(seconds: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap()).unwrap()
}

#[test]
fn an_operators_root_issues_certificates_and_can_be_replaced() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &PKCS_RSA_SHA256] {
        let (root, key) = operator_root(&KeyPair::generate_for(algorithm).unwrap(), |_| ());
        let place = Place::with(&[(CERTIFICATES, &root), (KEY, &key)]);
        let authority = place.open();
        assert_eq!(CertificateDer::from_pem_slice(root.as_bytes()).unwrap(), *authority.line.root.certificate());
        let device = authority.issue_for(CSR, NOW).unwrap().pem;
        // No certificate is valid for longer than the root.
        admitted(&root, &device, NOW + 1_000_000).unwrap();
        assert!(admitted(&root, &device, NOW + 1_000_001).is_err());
        let error = authority.issue_for(CSR, NOW + 1_000_000).unwrap_err();
        assert!(matches!(error, AuthorityError::RootExpired), "{error:?}");
        let next = Authority::replace(&place.dir, NOW).unwrap();
        assert_eq!((next.line.former.len(), next.line.crosses.len()), (1, 1));
        place.open();
    }
}

#[track_caller]
fn check_operator_root(root: &str, key: &str, expected: &str) {
    Place::with(&[(CERTIFICATES, root), (KEY, key)]).check_refused(expected);
}

#[test]
fn an_unsuitable_operators_root_is_refused_with_a_reason() {
    let key = KeyPair::generate().unwrap();
    let says = |reason: &str| format!("DIR/root.pem cannot be the root: {reason}");
    let not_ca = says("it is not a certificate authority's: basic constraints and key usage must let it sign certificates");

    for kind in [IsCa::NoCa, IsCa::ExplicitNoCa] {
        let (root, pem) = operator_root(&key, |params| params.is_ca = kind);
        check_operator_root(&root, &pem, &not_ca);
    }
    let (root, pem) = operator_root(&key, |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    check_operator_root(&root, &pem, &not_ca);
    let (root, pem) = operator_root(&key, |params| params.not_after = at(NOW));
    check_operator_root(&root, &pem, &says("it has expired"));
    let (root, pem) = operator_root(&key, |params| params.not_before = at(NOW + 1));
    check_operator_root(&root, &pem, &says("it is not valid yet, or the clock is wrong"));
    let (root, pem) = operator_root(&key, |_| ());
    check_operator_root(&root, &KeyPair::generate().unwrap().serialize_pem(), &says("the private key beside it is not its own"));

    let above = rcgen::Issuer::from_ca_cert_pem(&root, KeyPair::from_pem(&pem).unwrap()).unwrap();
    let mut between = CertificateParams::default();
    between.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = KeyPair::generate().unwrap();
    check_operator_root(&between.signed_by(&own, &above).unwrap().pem(), &own.serialize_pem(), &says("it is not self-signed"));
}

#[test]
fn a_root_with_path_length_zero_works_but_cannot_be_replaced() {
    let (root, key) = operator_root(&KeyPair::generate().unwrap(), |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let place = Place::with(&[(CERTIFICATES, &root), (KEY, &key)]);
    admitted(&root, &place.open().issue_for(CSR, NOW).unwrap().pem, NOW).unwrap();
    let Err(error) = Authority::replace(&place.dir, NOW) else { panic!("the root was replaced") };
    assert!(matches!(error, AuthorityError::NoSuccessor), "{error:?}");
    assert_eq!((place.text(CERTIFICATES), place.text(KEY)), (root, key));
}

#[test]
fn an_error_names_the_broken_file() {
    let place = Place::new();
    place.open();
    let (root, key) = (place.text(CERTIFICATES), place.text(KEY));
    let unreadable = "DIR/root.pem cannot be the root: it is not a certificate in PEM";
    let no_key = "DIR/root.key.pem is not a private key in PEM";
    check_operator_root("", &key, unreadable);
    check_operator_root("garbage", &key, unreadable);
    check_operator_root(&root[..root.len() / 2], &key, unreadable);
    check_operator_root("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key, unreadable);
    check_operator_root(&format!("{root}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), &key, unreadable);
    check_operator_root(&root, "", no_key);
    check_operator_root(&root, "garbage", no_key);
    check_operator_root(&root, &key[..key.len() / 2], no_key);
    check_operator_root(&root, &root, no_key);
    check_operator_root(&root, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", no_key);
    let missing = "the key DIR/root.key.pem is missing: put it back, or take away the root certificate beside it for a new authority";
    Place::with(&[(CERTIFICATES, &root)]).check_refused(missing);

    fs::remove_file(place.dir.join(CERTIFICATES)).unwrap();
    fs::create_dir(place.dir.join(CERTIFICATES)).unwrap();
    place.check_refused("DIR/root.pem cannot be used: Is a directory (os error 21)");
}

#[test]
fn an_error_names_the_path_where_no_folder_can_be_created() {
    let above = tempfile::tempdir().unwrap();
    fs::write(above.path().join("file"), "").unwrap();
    let place = Place { dir: above.path().join("file/authority"), _above: above };
    place.check_refused("DIR cannot be used: Not a directory (os error 20)");
}

#[test]
fn error_messages_contain_no_key() {
    let place = Place::new();
    place.open();
    let key = place.text(KEY);
    place.put(CERTIFICATES, &key);
    let Err(error) = Authority::open(&place.dir, NOW) else { panic!("the folder was opened") };
    let shown = format!("{} {error:?}", onething::fault::chain(&error));
    assert!(key.lines().filter(|line| line.len() > 20).all(|line| !shown.contains(line)) && !shown.contains("BEGIN"), "{shown}");
}

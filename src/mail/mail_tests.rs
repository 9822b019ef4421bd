use super::*;
use crate::identifiers::{OwnerId, ThingPrefix};
use crate::secrets::PrivateKey;

const NOW: u64 = 1_795_305_600;

fn sender() -> Sender {
    Sender { from: "Printers <printers@example.com>".parse().unwrap(), reply_to: None }
}

fn certificate() -> Certificate {
    Certificate {
        id: CertificateId::of(b"ana"),
        pem: "certificate".into(),
        public_key: "public".into(),
        private_key: PrivateKey::new("private".into()),
    }
}

/// Composes a mail to an address. Returns the mail as text, and its thing. The name of the thing has the maximum length.
fn mail_to(address: &str) -> (String, ThingName) {
    let thing = ThingName::of(&ThingPrefix::parse(&"P".repeat(38)).unwrap(), &OwnerId::parse("amzn1.account.ANA").unwrap());
    let broker = Broker { host: "localhost".into(), port: 8883, roots: vec![("RootCA.pem".into(), "root".into())], register: None };
    let to = EmailAddress::parse(address).unwrap();
    let parcel = Parcel {
        name: Some("Ana"),
        to: &to,
        thing: &thing,
        device: "printer",
        invocation: "my printer",
        device_model: "",
        broker: &broker,
        locale: Locale::English,
        now: NOW,
    };
    (String::from_utf8(compose(&sender(), &parcel, &certificate()).unwrap().message).unwrap(), thing)
}

#[test]
fn content_type_and_content_disposition_have_the_whole_file_name_on_one_line() {
    let (mail, thing) = mail_to("ana@example.com");
    let lines: Vec<&str> = mail.split("\r\n").collect();
    assert_eq!(thing.as_str().len(), 64);
    assert!(lines.contains(&format!("Content-Type: application/zip; name=\"{thing}.zip\"").as_str()), "{mail}");
    assert!(lines.contains(&format!("Content-Disposition: attachment; filename=\"{thing}.zip\"").as_str()), "{mail}");
    assert!(!mail.contains("name*"), "Outlook does not support RFC 2231");
    assert!(lines.contains(&"Content-Transfer-Encoding: base64"));
}

#[test]
fn the_recipient_header_is_quoted_and_its_domain_is_in_punycode() {
    for (typed, line) in [
        ("ana..b@ezweb.ne.jp", "To: \"ana..b\"@ezweb.ne.jp"),
        ("\"ana miller\"@example.com", "To: \"ana miller\"@example.com"),
        ("ana@bücher.example", "To: ana@xn--bcher-kva.example"),
        ("jörg@bücher.example", "To: jörg@xn--bcher-kva.example"),
    ] {
        let (mail, _) = mail_to(typed);
        assert!(mail.split("\r\n").any(|other| other == line), "{mail}");
    }
}

#[tokio::test]
async fn a_refused_address_has_its_own_measure() {
    static COUNTED: std::sync::Mutex<Vec<Measure>> = std::sync::Mutex::new(Vec::new());
    struct Refuses;
    impl Mailer for Refuses {
        async fn send(&self, letter: Letter) -> Result<(), MailError> {
            Err(if letter.to.is_ascii() { MailError::Refused("x".into()) } else { MailError::AddressRefused("x".into()) })
        }
    }
    let letter =
        |address: &str| Letter { from: String::new(), to: EmailAddress::parse(address).unwrap(), message: Vec::new(), label: None };
    for address in ["jörg@example.com", "ana@example.com"] {
        let by_mail = ByMail {
            mailer: &Refuses,
            write: |_: &Certificate| Ok(letter(address)),
            measure: |measure| COUNTED.lock().unwrap().push(*measure),
        };
        by_mail.deliver(NewCertificate::WithKey(certificate())).await.unwrap_err();
    }
    assert_eq!(*COUNTED.lock().unwrap(), [Measure::MailAddressRefused, Measure::MailRefused]);
}

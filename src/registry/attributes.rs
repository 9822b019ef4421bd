//! The conversion between the record of an owner and the attributes of a thing. AWS IoT and the hub both store the record in this
//! form.

use std::collections::BTreeMap;
use std::iter::repeat;

use crate::identifiers::{AlexaUser, CertificateId};
use crate::registry::{Bounce, Record, Replaced};

/// The attribute with the owner, which never changes. `UserId`, `AlexaUser` and `Unfinished` are searchable attributes of the
/// thing type.
pub const USER_ID: &str = "UserId";
/// The attribute with the Alexa user id of the owner.
pub const ALEXA_USER: &str = "AlexaUser";
/// The attribute that marks a record as unfinished ([`Record::is_unfinished`]).
pub const UNFINISHED: &str = "Unfinished";
/// The value of a Boolean attribute that is true. If it is false, the attribute does not exist.
pub const YES: &str = "yes";

/// The attributes of the record. A device cannot set them.
pub const OURS: [&str; 17] = [
    USER_ID,
    "Run",
    "LeaseUntil",
    "CertificateId",
    "DeliveredAt",
    "Coming",
    "Sent",
    "Replaced",
    "ReplacedUntil",
    "Predecessor",
    "Again",
    "PausedAt",
    "MailReturned",
    "Forget",
    ALEXA_USER,
    "LinkedAt",
    UNFINISHED,
];

/// The record as attributes. All attributes of the record are included, because an empty value deletes an attribute. Other
/// attributes of the thing do not change.
pub fn attributes(record: &Record) -> BTreeMap<String, String> {
    let time = |time: Option<u64>| time.map(|time| time.to_string()).unwrap_or_default();
    let yes = |yes: bool| if yes { YES } else { "" }.to_owned();
    let bounce = record.bounce.map_or("", |how| match how {
        Bounce::Bounced => "bounced",
        Bounce::Complained => "complained",
        Bounce::Unsent => "unsent",
    });
    let attributes = [
        ("Run", record.run.clone()),
        ("LeaseUntil", record.until.to_string()),
        ("CertificateId", list(&record.certificate)),
        ("DeliveredAt", time(record.delivered)),
        ("Coming", list(&record.coming)),
        ("Sent", list(&record.sent)),
        ("Replaced", list(record.replaced.iter().map(|replaced| &replaced.certificate))),
        ("ReplacedUntil", list(record.replaced.iter().map(|replaced| replaced.until))),
        ("Predecessor", list(&record.predecessor)),
        ("Again", yes(record.again)),
        ("PausedAt", time(record.suspended)),
        ("MailReturned", bounce.to_owned()),
        ("Forget", yes(record.forget)),
        (ALEXA_USER, record.alexa_user.as_ref().map(|user| user.as_str().to_owned()).unwrap_or_default()),
        ("LinkedAt", record.linked.to_string()),
        (UNFINISHED, yes(record.is_unfinished())),
    ];
    let said = record.said.iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
    let said = said.map(|(name, value)| (name.clone(), value.clone()));
    said.chain(attributes.map(|(name, value)| (name.to_owned(), value))).collect()
}

fn list(values: impl IntoIterator<Item = impl ToString>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(",")
}

/// Parses the record from the attributes. Invalid values are treated as missing.
pub fn record(attributes: &BTreeMap<String, String>) -> Record {
    let attribute = |name: &str| attributes.get(name).map(String::as_str).unwrap_or_default();
    let time = |name: &str| attribute(name).parse::<u64>().ok();
    Record {
        run: attribute("Run").to_owned(),
        until: time("LeaseUntil").unwrap_or_default(),
        certificate: CertificateId::parse(attribute("CertificateId")),
        delivered: time("DeliveredAt"),
        coming: CertificateId::parse(attribute("Coming")),
        sent: attribute("Sent").split(',').filter_map(|sent| sent.parse().ok()).collect(),
        replaced: attribute("Replaced")
            .split(',')
            .zip(attribute("ReplacedUntil").split(',').chain(repeat("0")))
            .filter_map(|(id, until)| Some(Replaced { certificate: CertificateId::parse(id)?, until: until.parse().unwrap_or_default() }))
            .collect(),
        predecessor: CertificateId::parse(attribute("Predecessor")),
        again: attribute("Again") == YES,
        suspended: time("PausedAt"),
        bounce: match attribute("MailReturned") {
            "bounced" => Some(Bounce::Bounced),
            "complained" => Some(Bounce::Complained),
            "unsent" => Some(Bounce::Unsent),
            _ => None,
        },
        forget: attribute("Forget") == YES,
        alexa_user: AlexaUser::parse(attribute(ALEXA_USER)),
        linked: time("LinkedAt").unwrap_or_default(),
        said: attributes
            .iter()
            .filter(|(name, _)| !OURS.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &Record) {
        let mut stored = BTreeMap::new();
        for (name, value) in attributes(written) {
            // AWS IoT allows values of at most 800 of these characters.
            assert!(value.len() <= 800 && value.bytes().all(|c| c.is_ascii_alphanumeric() || b"_.,@/:#=[]-".contains(&c)), "{value}");
            if !value.is_empty() {
                stored.insert(name, value);
            }
        }
        assert!(stored.keys().all(|name| OURS.contains(&name.as_str()) || written.said.contains_key(name)), "{stored:?}");
        assert_eq!(&record(&stored), written);
        assert_eq!(stored.contains_key(UNFINISHED), written.is_unfinished());
    }

    #[test]
    fn a_record_is_the_same_after_conversion_to_attributes_and_back() {
        check(&Record::default());
        let id = |name: &[u8]| CertificateId::of(name);
        let settled = Record { run: "a".into(), certificate: Some(id(b"1")), delivered: Some(7), linked: 6, ..Record::default() };
        check(&settled);
        let replaced = [(b"2", 8), (b"3", 9)].map(|(name, until)| Replaced { certificate: id(name), until });
        check(&Record { replaced: replaced.into(), predecessor: Some(id(b"3")), sent: vec![1, 2, 3], ..settled.clone() });
        check(&Record { suspended: Some(8), bounce: Some(Bounce::Bounced), alexa_user: Some(AlexaUser::of("x")), ..settled.clone() });
        check(&Record { coming: Some(id(b"4")), said: [("Version".into(), "1.2".into())].into(), ..settled.clone() });
        check(&Record { delivered: None, bounce: Some(Bounce::Unsent), ..settled.clone() });
        check(&Record { again: true, forget: true, bounce: Some(Bounce::Complained), until: 9, ..settled });
    }

    #[test]
    fn invalid_attribute_values_are_treated_as_missing() {
        let odd = ["Run", "LeaseUntil", "CertificateId", "Sent", "Replaced", "PausedAt", "MailReturned", "AlexaUser", "Again", "Forget"];
        let odd = odd.map(|name| (name.to_owned(), "odd,:".to_owned())).into();
        assert_eq!(record(&odd), Record { run: "odd,:".into(), ..Record::default() });
    }
}

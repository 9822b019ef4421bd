//! A mail came back: it is noted on the thing, the next contact says so, and until then nothing more is
//! sent there. A mailbox that bounces or complains costs the maker's right to send any mail at all.
//!
//! SES tells by way of SNS
//! (<https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>); the tags
//! that the mail went out with say whose it was.

use serde_json::Value;

use super::LifecycleError;
use crate::identifiers::{CertificateId, ThingName, ThingPrefix};
use crate::registry::{Bounce, Registry, RegistryError};
use crate::shadow::{Patch, Shadows};

/// How often a note is tried that somebody else's write gets ahead of.
const TRIES: usize = 5;

/// A mail that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whose mail it was.
    pub thing: ThingName,
    /// Which certificate it held.
    pub certificate: Option<CertificateId>,
    /// What became of it.
    pub how: Bounce,
}

impl Notice {
    /// The notices in an event of SNS. What is of another kind, or about a mail that is not ours, is none.
    pub fn read(event: &Value, prefix: &ThingPrefix) -> Vec<Self> {
        let records = event.get("Records").and_then(Value::as_array);
        let messages = records.into_iter().flatten().filter_map(|record| record.pointer("/Sns/Message")?.as_str());
        messages.filter_map(|message| Self::of(&serde_json::from_str(message).ok()?, prefix)).collect()
    }

    fn of(event: &Value, prefix: &ThingPrefix) -> Option<Self> {
        let how = match event.get("eventType").or_else(|| event.get("notificationType"))?.as_str()? {
            // A mail that SES itself rejects had a virus, or what looks like one.
            "Bounce" | "Reject" => Bounce::Bounced,
            "Complaint" => Bounce::Complained,
            _ => return None,
        };
        let tag = |name: &str| event.pointer(&format!("/mail/tags/{name}/0")).and_then(Value::as_str);
        let thing = ThingName::recall(prefix, tag("thing")?)?;
        Some(Self { thing, certificate: tag("certificate").and_then(CertificateId::parse), how })
    }
}

/// Notes on the thing that its owner's mail came back. Returns whether there was anything to note: a mail
/// whose certificate has been replaced since is of no interest any more, unless its recipient complained.
pub async fn note<R: Registry, S: Shadows>(registry: &R, shadows: &S, notice: &Notice, now: u64) -> Result<bool, LifecycleError> {
    let thing = &notice.thing;
    for _ in 0..TRIES {
        let Some(entry) = registry.look(thing).await? else { return Ok(false) };
        let mut record = entry.record;
        let outdated = notice.certificate.is_some() && notice.certificate != record.certificate;
        if record.forget || (outdated && notice.how == Bounce::Bounced) {
            return Ok(false);
        }
        // The same event may come twice; the shadow is marked again in case the first one got no further.
        if record.bounce != Some(notice.how) {
            record.bounce = Some(notice.how);
            match registry.write(thing, entry.version, &record).await {
                Ok(()) => {}
                Err(RegistryError::Taken | RegistryError::Unclear(_)) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        shadows.update(thing, &Patch::look(now)).await?;
        return Ok(true);
    }
    Err(RegistryError::Taken.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SES: [(&str, &str, Option<Bounce>); 4] = [
        ("bounce", include_str!("../../tests/fixtures/ses/bounce.json"), Some(Bounce::Bounced)),
        ("transient bounce", include_str!("../../tests/fixtures/ses/transient_bounce.json"), Some(Bounce::Bounced)),
        ("complaint", include_str!("../../tests/fixtures/ses/complaint.json"), Some(Bounce::Complained)),
        ("reject", include_str!("../../tests/fixtures/ses/reject.json"), Some(Bounce::Bounced)),
    ];

    fn by_sns(message: &str) -> Value {
        let mut event: Value = serde_json::from_str(include_str!("../../tests/fixtures/sns/notification.json")).unwrap();
        event["Records"][0]["Sns"]["Message"] = message.into();
        event
    }

    #[test]
    fn the_documented_events_say_whose_mail_it_was() {
        let prefix = ThingPrefix::parse("3D_Printer-").unwrap();
        for (name, message, expected) in SES {
            let tags = serde_json::from_str::<Value>(message).unwrap()["mail"]["tags"].clone();
            let notices = Notice::read(&by_sns(message), &prefix);
            assert_eq!(notices.first().map(|notice| notice.how), expected, "{name}");
            assert_eq!(notices[0].thing.as_str(), tags["thing"][0], "{name}");
            assert_eq!(notices[0].certificate.as_ref().map(CertificateId::as_str), tags["certificate"][0].as_str(), "{name}");
        }
    }

    #[test]
    fn what_is_not_about_a_mail_of_ours_is_no_notice() {
        let ours = ThingPrefix::parse("3D_Printer-").unwrap();
        let other = ThingPrefix::parse("Lamp-").unwrap();
        assert!(Notice::read(&by_sns(SES[0].1), &other).is_empty(), "another skill's thing");
        let validation: Value = serde_json::from_str(include_str!("../../tests/fixtures/sns/validation.json")).unwrap();
        assert!(Notice::read(&validation, &ours).is_empty(), "SES tries the topic");
        for message in ["", "{}", "[]", r#"{"eventType":"Delivery","mail":{}}"#, r#"{"eventType":"Bounce"}"#, r#"{"eventType":7}"#] {
            assert!(Notice::read(&by_sns(message), &ours).is_empty(), "{message}");
        }
        assert!(Notice::read(&Value::Null, &ours).is_empty());
    }
}

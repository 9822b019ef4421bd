//! Mail bounces and complaints. They are recorded on the thing, and the next contact tells the owner. Until then no other mail is
//! sent to that address, because bounces and complaints can cost the operator the right to send mail.
//!
//! SES reports them through SNS (<https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>). The
//! tags of the mail name the thing and the certificate.

use serde_json::Value;

use super::LifecycleError;
use crate::identifiers::{CertificateId, ThingName, ThingPrefix};
use crate::registry::{Bounce, Registry, RegistryError};
use crate::shadow::{Patch, Shadows};

/// The number of attempts to write the record when other writes conflict.
const TRIES: usize = 5;

/// A notification about a mail that bounced or caused a complaint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The thing that the mail was about.
    pub thing: ThingName,
    /// The certificate in the mail.
    pub certificate: Option<CertificateId>,
    /// The kind of the notification.
    pub how: Bounce,
}

impl Notice {
    /// Parses the notifications in an SNS event. Notifications of another kind or about other mails are ignored.
    pub fn read(event: &Value, prefix: &ThingPrefix) -> Vec<Self> {
        let records = event.get("Records").and_then(Value::as_array);
        let messages = records.into_iter().flatten().filter_map(|record| record.pointer("/Sns/Message")?.as_str());
        messages.filter_map(|message| Self::of(&serde_json::from_str(message).ok()?, prefix)).collect()
    }

    fn of(event: &Value, prefix: &ThingPrefix) -> Option<Self> {
        let how = match event.get("eventType").or_else(|| event.get("notificationType"))?.as_str()? {
            // SES rejects a mail in which it detects a virus.
            "Bounce" | "Reject" => Bounce::Bounced,
            "Complaint" => Bounce::Complained,
            _ => return None,
        };
        let tag = |name: &str| event.pointer(&format!("/mail/tags/{name}/0")).and_then(Value::as_str);
        let thing = ThingName::recall(prefix, tag("thing")?)?;
        Some(Self { thing, certificate: tag("certificate").and_then(CertificateId::parse), how })
    }
}

/// Records the bounce on the thing. Returns `false` if there is nothing to record: a bounce of a mail whose certificate was
/// replaced since is ignored, but a complaint is not.
pub async fn note<R: Registry, S: Shadows>(registry: &R, shadows: &S, notice: &Notice, now: u64) -> Result<bool, LifecycleError> {
    let thing = &notice.thing;
    for _ in 0..TRIES {
        let Some(entry) = registry.look(thing).await? else { return Ok(false) };
        let mut record = entry.record;
        let outdated = notice.certificate.is_some() && notice.certificate != record.certificate;
        if record.forget || (outdated && notice.how == Bounce::Bounced) {
            return Ok(false);
        }
        // The same event may arrive twice. The shadow is marked again in case the first attempt failed before it.
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

    fn sns_event(message: &str) -> Value {
        let mut event: Value = serde_json::from_str(include_str!("../../tests/fixtures/sns/notification.json")).unwrap();
        event["Records"][0]["Sns"]["Message"] = message.into();
        event
    }

    #[test]
    fn the_documented_events_name_thing_and_certificate() {
        let prefix = ThingPrefix::parse("3D_Printer-").unwrap();
        for (name, message, expected) in SES {
            let tags = serde_json::from_str::<Value>(message).unwrap()["mail"]["tags"].clone();
            let notices = Notice::read(&sns_event(message), &prefix);
            assert_eq!(notices.first().map(|notice| notice.how), expected, "{name}");
            assert_eq!(notices[0].thing.as_str(), tags["thing"][0], "{name}");
            assert_eq!(notices[0].certificate.as_ref().map(CertificateId::as_str), tags["certificate"][0].as_str(), "{name}");
        }
    }

    #[test]
    fn other_notifications_are_ignored() {
        let ours = ThingPrefix::parse("3D_Printer-").unwrap();
        let other = ThingPrefix::parse("Lamp-").unwrap();
        assert!(Notice::read(&sns_event(SES[0].1), &other).is_empty(), "another skill's thing");
        let validation: Value = serde_json::from_str(include_str!("../../tests/fixtures/sns/validation.json")).unwrap();
        assert!(Notice::read(&validation, &ours).is_empty(), "SES tries the topic");
        for message in ["", "{}", "[]", r#"{"eventType":"Delivery","mail":{}}"#, r#"{"eventType":"Bounce"}"#, r#"{"eventType":7}"#] {
            assert!(Notice::read(&sns_event(message), &ours).is_empty(), "{message}");
        }
        assert!(Notice::read(&Value::Null, &ours).is_empty());
    }
}

//! Tests of the queue with the registry of the hub and a mail server on this machine whose replies the tests set.

use onething::fault::ClassifiedError;
use onething::identifiers::{CertificateId, OwnerId, ThingPrefix};
use onething::login::EmailAddress;
use onething::mail::Label;
use onething::registry::{Bounce, Kind, Record, Registry};
use onething::shadow::{Patch, Shadows};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::authority::Authority;
use crate::registry::Stack;

#[allow(dead_code, unreachable_pub, missing_docs, reason = "the stories of function and hub take the rest of it")]
#[path = "../../../../tests/harness/smtp_server.rs"]
mod smtp_server;

use smtp_server::SmtpServer;

const LIMIT: Duration = Duration::from_secs(20);

async fn within<T>(limit: Duration, what: &str, event: impl Future<Output = T>) -> T {
    timeout(limit, event).await.unwrap_or_else(|_| panic!("{what}: not within {limit:?}"))
}

fn id(name: &str) -> CertificateId {
    CertificateId::of(name.as_bytes())
}

fn delivered(certificate: &str) -> Record {
    Record { certificate: Some(id(certificate)), delivered: Some(7), sent: vec![7], ..Record::default() }
}

/// A registry with one thing, whose record says that its certificate was sent, and the mail queue of that hub.
struct TestHub {
    place: TempDir,
    store: Store,
    registry: LocalRegistry,
    shadows: LocalShadows,
    thing: ThingName,
    running: Option<(Outgoing, JoinHandle<()>)>,
}

impl TestHub {
    async fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(&place.path().join("hub.db")).unwrap();
        let kind = Kind { thing_type: "lamp".into(), policies: Vec::new() };
        let stack = Stack { kind, thing_prefix: ThingPrefix::parse("Lamp-").unwrap() };
        let registry = LocalRegistry::new(store.clone(), Arc::new(Authority::new(clock::now()).unwrap()), stack, clock::now);
        registry.create_thing_type("lamp").await.unwrap();
        let shadows = LocalShadows::new(store.clone(), clock::now);
        let owner = OwnerId::parse("amzn1.account.A").unwrap();
        let thing = ThingName::of(&ThingPrefix::parse("Lamp-").unwrap(), &owner);
        registry.claim(&thing, &owner, &delivered("a")).await.unwrap();
        for certificate in ["a", "b"] {
            registry.register(&id(certificate), &thing).await.unwrap();
            registry.activate(&id(certificate)).await.unwrap();
        }
        shadows.update(&thing, &Patch::ready(7, Some(&id("a")), None)).await.unwrap();
        Self { place, store, registry, shadows, thing, running: None }
    }

    /// Starts the queue, as a hub does that starts with the same data. Stops the last one.
    fn start(&mut self, url: &str, pace: Pace) -> Outgoing {
        if let Some((_, running)) = self.running.take() {
            running.abort();
        }
        let (registry, shadows, smtp) = (self.registry.clone(), self.shadows.clone(), Smtp::new(url).unwrap());
        let outgoing = Outgoing::to_server(self.store.clone(), Server { smtp, registry, shadows, lease: 1, pace });
        let running = tokio::spawn(outgoing.clone().run(std::future::pending()));
        self.running = Some((outgoing.clone(), running));
        outgoing
    }

    fn letter(&self, certificate: &str) -> Letter {
        let message = format!("From: hub@example.com\r\nTo: ana@example.com\r\nSubject: {certificate}\r\n\r\nsecret of {certificate}\r\n");
        let label = Label { thing: self.thing.clone(), certificate: id(certificate) };
        Letter { label: Some(label), ..plain(&message) }
    }

    async fn record(&self) -> Record {
        self.registry.look(&self.thing).await.unwrap().unwrap().record
    }

    async fn write(&self, change: impl FnOnce(&mut Record)) {
        let entry = self.registry.look(&self.thing).await.unwrap().unwrap();
        let mut record = entry.record;
        change(&mut record);
        self.registry.write(&self.thing, entry.version, &record).await.unwrap();
    }

    /// Waits until the mail with this number is in this state.
    async fn until(&self, number: i64, state: State) -> Mail {
        let outgoing = &self.running.as_ref().unwrap().0;
        let mut changes = outgoing.watch();
        let reached = async {
            loop {
                let mail = outgoing.last(None, 99).await.unwrap().into_iter().find(|mail| mail.number == number);
                if let Some(mail) = mail.filter(|mail| mail.state == state) {
                    return mail;
                }
                changes.changed().await.unwrap();
            }
        };
        within(LIMIT, &format!("mail {number} {state:?}"), reached).await
    }

    /// Waits until the database and its WAL no longer contain `text`. The content of a mail is deleted when the mail stops
    /// waiting.
    async fn wiped(&self, text: &str) {
        let mut changes = self.running.as_ref().unwrap().0.watch();
        let wiped = async {
            while self.holds(text) {
                changes.changed().await.unwrap();
            }
        };
        within(LIMIT, "the content is deleted", wiped).await;
    }

    fn holds(&self, text: &str) -> bool {
        let files = ["hub.db", "hub.db-wal"].map(|name| std::fs::read(self.place.path().join(name)).unwrap_or_default());
        files.iter().any(|file| file.windows(text.len()).any(|part| part == text.as_bytes()))
    }
}

fn plain(message: &str) -> Letter {
    let to = EmailAddress::parse("ana.miller@example.com").unwrap();
    Letter { from: "hub@example.com".into(), to, message: message.as_bytes().to_vec(), label: None }
}

fn quick() -> Pace {
    Pace { first: Duration::from_millis(20), longest: Duration::from_millis(200), ..Pace::default() }
}

/// A pace with which nothing is tried twice during a test.
fn slow() -> Pace {
    Pace { first: Duration::from_secs(600), ..Pace::default() }
}

async fn closed() -> String {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("smtp://{}", nobody.local_addr().unwrap())
}

#[tokio::test]
async fn a_mail_that_is_accepted_at_the_first_attempt_does_not_wait() {
    let (mut stage, office) = (TestHub::new().await, SmtpServer::open().await);
    let outgoing = stage.start(&format!("smtp://{}", office.address), slow());
    outgoing.send(stage.letter("a")).await.unwrap();
    assert_eq!(office.count_to("ana.miller@example.com"), 1, "the mail is sent before the call returns");
    assert_eq!(outgoing.waits(&stage.thing).await, None);
    let mail = stage.until(1, State::Sent).await;
    assert_eq!((mail.to.as_str(), mail.attempts, mail.failure), ("a***r@example.com", 0, None));
    assert!(outgoing.faults().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_mail_that_is_refused_temporarily_is_sent_later_and_once() {
    let (mut stage, office) = (TestHub::new().await, SmtpServer::open().await);
    office.replies("RCPT", "450 4.2.0 greylisted, ana.miller@example.com");
    let outgoing = stage.start(&format!("smtp://{}", office.address), quick());
    outgoing.send(stage.letter("a")).await.unwrap();
    assert_eq!(outgoing.waits(&stage.thing).await, Some(Fault::Again));
    let waiting = stage.until(1, State::Waiting).await;
    assert!(waiting.failure.as_ref().is_some_and(|why| why.contains("SMTP 450") && !why.contains("miller")), "{waiting:?}");
    assert!(outgoing.faults().await.unwrap().is_empty(), "a temporary refusal is not a fault");
    office.takes_all();
    let sent = stage.until(1, State::Sent).await;
    assert!(sent.attempts >= 1 && sent.failure.is_none(), "{sent:?}");
    assert_eq!((outgoing.waits(&stage.thing).await, office.count()), (None, 1));
    let record = stage.record().await;
    assert!(
        record.delivered > Some(7) && record.sent == [record.delivered.unwrap()],
        "the record has the time of the successful attempt: {record:?}"
    );
}

#[tokio::test]
async fn a_permanent_error_is_returned_at_once_and_the_mail_does_not_wait() {
    let (mut stage, office) = (TestHub::new().await, SmtpServer::open().await);
    let outgoing = stage.start(&format!("smtp://{}", office.address), quick());
    for (reply, cause) in [("550 5.1.1 unknown", "mail_address_refused"), ("554 5.7.1 no", "mail_refused")] {
        office.replies("RCPT", reply);
        assert_eq!(outgoing.send(stage.letter("a")).await.unwrap_err().cause(), cause);
    }
    let (first, second) = (stage.until(1, State::Failed).await, stage.until(2, State::Failed).await);
    assert_eq!((first.fault.as_deref(), second.fault.as_deref()), (Some("speaker"), Some("maker")));
    stage.wiped("secret of a").await;
    let [fault] = outgoing.faults().await.unwrap().try_into().unwrap();
    assert!(fault.contains("the last mail did not go out") && fault.contains("SMTP 554"), "{fault}");
    assert_eq!(stage.record().await, delivered("a"), "the caller updates the record");
    office.takes_all();
    outgoing.send(stage.letter("a")).await.unwrap();
    assert!(outgoing.faults().await.unwrap().is_empty(), "the next mail was sent");
}

#[tokio::test]
async fn a_mail_that_waits_for_the_operator_is_sent_after_a_restart_with_a_working_server() {
    let mut stage = TestHub::new().await;
    let outgoing = stage.start(&closed().await, slow());
    outgoing.send(stage.letter("a")).await.unwrap();
    assert_eq!(outgoing.waits(&stage.thing).await, Some(Fault::Maker));
    let [fault] = outgoing.faults().await.unwrap().try_into().unwrap();
    assert!(fault.contains("1 mail waits to be sent") && fault.contains("the mail server cannot be used"), "{fault}");
    assert!(stage.holds("secret of a"));

    let office = SmtpServer::open().await;
    let outgoing = stage.start(&format!("smtp://{}", office.address), slow());
    stage.until(1, State::Sent).await;
    assert!(String::from_utf8_lossy(&office.mail(0).await.message).contains("secret of a"));
    assert!(outgoing.faults().await.unwrap().is_empty());
    stage.wiped("secret of a").await;
}

#[tokio::test]
async fn a_full_mailbox_is_not_a_fault_while_other_mail_is_sent() {
    let (mut stage, office) = (TestHub::new().await, SmtpServer::open().await);
    office.replies("RCPT", "452 4.2.2 full");
    let pace = Pace { first: Duration::from_secs(600), ..Pace::default() };
    let outgoing = stage.start(&format!("smtp://{}", office.address), pace);
    outgoing.send(stage.letter("a")).await.unwrap();
    stage.until(1, State::Waiting).await;
    let long_ago = "UPDATE outgoing_mail SET at = at - 7200 WHERE number = 1";
    stage.store.change::<_, StoreError>(move |db| Ok(db.execute(long_ago, []).map(drop)?)).await.unwrap();
    let [fault] = outgoing.faults().await.unwrap().try_into().unwrap();
    assert!(fault.contains("the oldest for 120 minutes") && fault.contains("SMTP 452"), "{fault}");
    office.takes_all();
    let other = Letter { to: EmailAddress::parse("ben@example.com").unwrap(), ..plain("Subject: x\r\n\r\nx\r\n") };
    outgoing.send(other).await.unwrap();
    stage.until(2, State::Sent).await;
    assert!(outgoing.faults().await.unwrap().is_empty(), "the server works");
}

#[tokio::test]
async fn after_one_mail_is_sent_the_waiting_mails_follow() {
    let (mut stage, office) = (TestHub::new().await, SmtpServer::open().await);
    office.replies("CONNECT", "554 closed");
    let pace = Pace { first: Duration::from_secs(600), ..Pace::default() };
    let outgoing = stage.start(&format!("smtp://{}", office.address), pace);
    outgoing.send(stage.letter("a")).await.unwrap();
    office.takes_all();
    let other = Letter { to: EmailAddress::parse("ben@example.com").unwrap(), ..plain("Subject: x\r\n\r\nx\r\n") };
    outgoing.send(other).await.unwrap();
    stage.until(1, State::Sent).await;
    assert_eq!((office.count_to("ana.miller@example.com"), office.count_to("ben@example.com")), (1, 1));
}

#[tokio::test]
async fn a_newer_mail_replaces_a_waiting_one() {
    let mut stage = TestHub::new().await;
    let outgoing = stage.start(&closed().await, slow());
    outgoing.send(stage.letter("a")).await.unwrap();
    stage.write(|record| record.replace(Some(id("b")), 9)).await;
    stage.write(|record| record.delivered = Some(9)).await;
    outgoing.send(stage.letter("b")).await.unwrap();
    stage.until(1, State::Dropped).await;
    let office = SmtpServer::open().await;
    stage.start(&format!("smtp://{}", office.address), slow());
    stage.until(2, State::Sent).await;
    let mails = office.watches().borrow().clone();
    assert_eq!(mails.len(), 1);
    assert!(String::from_utf8_lossy(&mails[0].message).contains("secret of b"), "the newest mail contains the valid certificate");
}

#[tokio::test]
async fn replaced_and_deleted_certificates_are_not_sent() {
    for forgotten in [false, true] {
        let mut stage = TestHub::new().await;
        let outgoing = stage.start(&closed().await, slow());
        outgoing.send(stage.letter("a")).await.unwrap();
        if forgotten {
            let version = stage.registry.look(&stage.thing).await.unwrap().unwrap().version;
            stage.registry.remove(&stage.thing, version).await.unwrap();
        } else {
            // Meanwhile a device has registered and has another certificate.
            stage.write(|record| record.certificate = Some(id("b"))).await;
        }
        let office = SmtpServer::open().await;
        let outgoing_now = stage.start(&format!("smtp://{}", office.address), slow());
        outgoing_now.send(plain("Subject: farewell\r\n\r\nThis is the last mail.\r\n")).await.unwrap();
        stage.until(1, State::Dropped).await;
        stage.until(2, State::Sent).await;
        let mails = office.watches().borrow().clone();
        assert!(mails.len() == 1 && String::from_utf8_lossy(&mails[0].message).contains("the last mail"), "{}", mails.len());
        drop(outgoing);
    }
}

#[tokio::test]
async fn a_mail_whose_record_has_no_delivery_is_not_sent_later() {
    let mut stage = TestHub::new().await;
    let outgoing = stage.start(&closed().await, slow());
    outgoing.send(stage.letter("a")).await.unwrap();
    // The caller crashed before it recorded the delivery, so the next request of the owner issues another certificate.
    stage.write(|record| record.delivered = None).await;
    stage.shadows.delete(&stage.thing).await.unwrap();
    let office = SmtpServer::open().await;
    stage.start(&format!("smtp://{}", office.address), slow());
    stage.until(1, State::Dropped).await;
    assert_eq!(office.count(), 0);
}

#[tokio::test]
async fn a_mail_waits_while_the_skill_is_disabled_and_is_sent_afterwards() {
    let mut stage = TestHub::new().await;
    let outgoing = stage.start(&closed().await, slow());
    outgoing.send(stage.letter("a")).await.unwrap();
    stage.write(|record| record.suspended = Some(9)).await;
    let office = SmtpServer::open().await;
    let url = format!("smtp://{}", office.address);
    let outgoing = stage.start(&url, slow());
    outgoing.send(plain("Subject: x\r\n\r\nof another\r\n")).await.unwrap();
    assert_eq!(office.count(), 1, "only the mail without a thing was sent");
    stage.write(|record| record.suspended = None).await;
    stage.start(&url, slow());
    stage.until(1, State::Sent).await;
    assert_eq!(office.count(), 2);
}

#[tokio::test]
async fn giving_a_mail_up_is_recorded_for_the_owner() {
    for (reply, how) in [("421 too busy", Bounce::Unsent), ("550 5.1.1 unknown", Bounce::Bounced)] {
        let mut stage = TestHub::new().await;
        let outgoing = stage.start(&closed().await, slow());
        outgoing.send(stage.letter("a")).await.unwrap();
        let office = SmtpServer::open().await;
        office.replies("RCPT", reply);
        stage.start(&format!("smtp://{}", office.address), Pace { give_up: Duration::ZERO, ..slow() });
        let failed = stage.until(1, State::Failed).await;
        assert!(failed.failure.is_some(), "{failed:?}");
        let record = stage.record().await;
        assert_eq!((record.delivered, record.bounce, record.until), (None, Some(how), 0));
        let shadow = stage.shadows.read(&stage.thing).await.unwrap().unwrap();
        assert!(shadow.onboarded && shadow.look && shadow.delivered.is_none(), "the next request reads the record: {shadow:?}");
        assert_eq!(office.count(), 0);
    }
}

#[tokio::test]
async fn while_a_mail_waits_the_replaced_certificate_stays_valid_for_a_day() {
    let mut stage = TestHub::new().await;
    let outgoing = stage.start(&closed().await, slow());
    stage.write(|record| record.replace(Some(id("b")), 9)).await;
    stage.write(|record| record.delivered = Some(9)).await;
    outgoing.send(stage.letter("b")).await.unwrap();
    let now = clock::now();
    let day = now + 86_000..=now + 86_500;
    let replaced = stage.record().await.replaced;
    assert!(replaced.len() == 1 && day.contains(&replaced[0].until), "{replaced:?}");
}

#[tokio::test]
async fn the_number_of_waiting_mails_is_limited() {
    let mut stage = TestHub::new().await;
    let outgoing = stage.start(&closed().await, slow());
    outgoing.send(stage.letter("a")).await.unwrap();
    let fill = "INSERT INTO outgoing_mail (at, changed, sender, recipient, message, state, attempts, next_attempt)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
        SELECT ?1, ?1, 's', 'r' || i || '@example.com', x'00', 'waiting', 1, ?1 * 1000 + 500000 FROM n";
    let now = i64::try_from(clock::now()).unwrap();
    stage.store.change::<_, StoreError>(move |db: &Connection| Ok(db.execute(fill, [now]).map(drop)?)).await.unwrap();
    let refused = outgoing.send(plain("x")).await.unwrap_err();
    assert_eq!((refused.cause(), refused.is_definite()), ("mail_throttled", true));
}

//! Behaviour of AWS that ministack 1.5.33 lacks. The proxy in front of the emulator adds it, once for all proxies of one
//! emulator, so that tests can rely on the documented behaviour of AWS.
//!
//! - `UpdateThing` with an `expectedVersion` that differs from the version of the thing is refused with VersionConflictException
//!   (409). The emulator counts the versions but ignores `expectedVersion`. All writes pass through the proxies, so counting the
//!   successful ones gives the exact version.
//! - Writes to one thing are serialised.
//! - `DeleteThing` counts as a write, too; the emulator itself compares the version.
//! - GetConnection and DeleteConnection. The test sets the state of a connection; an unknown client is ResourceNotFoundException
//!   (404), as on AWS.
//! - The age of certificates. The clock of the emulator cannot be set, so the proxy changes the dates in the response of
//!   ListCertificates.
//! - Mail is delivered in the order of the calls. The emulator delivers each mail in the background; the proxy forwards the next
//!   call after the previous mail has arrived.
//!
//! The proxy cannot add behaviour between a device and the broker. When a certificate becomes INACTIVE, the emulator refuses it
//! in every later handshake, but keeps an open connection. AWS IoT closes the connection within minutes
//! (<https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateCertificate.html>). Where that matters, a test cuts the
//! connection ([`Line`](super::line::Line)); a test in `agent.rs` checks that the emulator still behaves so.
//!
//! The emulator itself makes `CreateThing` exclusive; a test in `at_once.rs` checks it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::{OwnedMutexGuard, watch};

use super::smtp_server::Mail;
use super::within;

/// The version of a thing; `None` if the thing does not exist.
type Version = Option<u64>;

pub struct Gaps {
    things: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Version>>>>,
    /// Held from the call that sends a mail until the mail has arrived.
    counter: Arc<tokio::sync::Mutex<()>>,
    mailbox: watch::Receiver<Vec<Mail>>,
    /// The responses of GetConnection, by client id.
    connections: Mutex<HashMap<String, Value>>,
    /// Seconds that are added to the age of a certificate, by certificate id.
    ages: Mutex<HashMap<String, u64>>,
}

/// How a call passes on to the emulator.
pub enum Passage {
    /// The call is forwarded; the emulator lacks nothing for it.
    Open,
    /// A write to a thing. The guard keeps other writes to the thing out.
    Thing { change: Change, version: OwnedMutexGuard<Version> },
    /// A mail. `before` is the number of mails that had arrived earlier; the guard keeps other mails out.
    Mail { before: usize, mailbox: watch::Receiver<Vec<Mail>>, counter: OwnedMutexGuard<()> },
    /// The call is refused as AWS would refuse it: status, code and message.
    Refused(u16, &'static str, &'static str),
    /// The emulator lacks the operation; this is the response of AWS.
    Answered(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Create,
    Update,
    Delete,
}

impl Gaps {
    pub fn of(mailbox: watch::Receiver<Vec<Mail>>) -> Self {
        let (connections, ages) = (Mutex::default(), Mutex::default());
        Self { things: Mutex::default(), counter: Arc::default(), mailbox, connections, ages }
    }

    /// Sets the response of GetConnection for a client.
    pub fn says_of(&self, client: &str, state: Value) {
        self.connections.lock().expect("the lock of the connections").insert(client.to_owned(), state);
    }

    /// Makes a certificate look `seconds` older than it is.
    pub fn ages(&self, certificate: &str, seconds: u64) {
        self.ages.lock().expect("the lock of the ages").insert(certificate.to_owned(), seconds);
    }

    /// Changes the response `body` of the emulator into the response of AWS.
    pub fn amend(&self, operation: &str, body: Bytes) -> Bytes {
        let ages = self.ages.lock().expect("the lock of the ages");
        if operation != "ListCertificates" || ages.is_empty() {
            return body;
        }
        let Ok(mut listed) = serde_json::from_slice::<Value>(&body) else { return body };
        for certificate in listed["certificates"].as_array_mut().into_iter().flatten() {
            let age = certificate["certificateId"].as_str().and_then(|id| ages.get(id)).copied();
            if let (Some(age), Some(made_at)) = (age, certificate["creationDate"].as_f64()) {
                certificate["creationDate"] = json!(made_at - f64::from(u32::try_from(age).expect("an age that fits into 32 bits")));
            }
        }
        listed.to_string().into()
    }

    fn connection(&self, operation: &str, client: &str) -> Passage {
        let mut connections = self.connections.lock().expect("the lock of the connections");
        let known = match operation {
            "DeleteConnection" => {
                connections.remove(client);
                Some(json!({}))
            }
            _ => connections.get(client).cloned(),
        };
        known.map_or(Passage::Refused(404, "ResourceNotFoundException", "No such client."), Passage::Answered)
    }

    /// Waits until no other call conflicts with this one, and returns how the call passes.
    pub async fn enter(&self, operation: &str, path: &str, body: &Bytes) -> Passage {
        let change = match operation {
            "CreateThing" => Change::Create,
            "UpdateThing" => Change::Update,
            "DeleteThing" => Change::Delete,
            "SendRawEmail" => {
                let counter = Arc::clone(&self.counter).lock_owned().await;
                let mailbox = self.mailbox.clone();
                let before = mailbox.borrow().len();
                return Passage::Mail { before, mailbox, counter };
            }
            "GetConnection" | "DeleteConnection" => return self.connection(operation, path.rsplit('/').next().unwrap_or_default()),
            _ => return Passage::Open,
        };
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let thing = Arc::clone(self.things.lock().expect("the lock of the things").entry(name).or_default());
        let version = thing.lock_owned().await;
        let expected = serde_json::from_slice::<Value>(body).ok().and_then(|body| body["expectedVersion"].as_u64());
        match (change, expected, *version) {
            (Change::Update, Some(expected), Some(version)) if expected != version => {
                Passage::Refused(409, "VersionConflictException", "The version of the thing is not the expected one.")
            }
            _ => Passage::Thing { change, version },
        }
    }
}

impl Passage {
    /// Records the outcome at the emulator and releases the guard, so that the next call can pass.
    pub async fn leave(self, status: StatusCode) {
        if !status.is_success() {
            return;
        }
        match self {
            Passage::Open | Passage::Refused(..) | Passage::Answered(_) => {}
            Passage::Thing { change, mut version } => {
                *version = match (change, *version) {
                    // A repeated CreateThing with the same arguments succeeds and changes nothing.
                    (Change::Create, known) => known.or(Some(1)),
                    (Change::Update, known) => known.map(|version| version + 1),
                    (Change::Delete, _) => None,
                };
            }
            Passage::Mail { before, mut mailbox, counter } => {
                let arrived = mailbox.wait_for(|mails| mails.len() > before);
                within(Duration::from_secs(10), "the mail arrives that SES accepted", arrived).await.expect("the SMTP server");
                drop(counter);
            }
        }
    }
}

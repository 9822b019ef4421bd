//! What AWS does and ministack 1.5.33 does not. The gate in front of it adds
//! it, once for all gates of one emulator, so that a test relies on AWS as it
//! is documented.
//!
//! - `UpdateThing` with an `expectedVersion` that is not the thing's is
//!   refused with VersionConflictException (409). The emulator counts the
//!   versions and ignores what was expected. As every write comes through
//!   here, counting what succeeds is exact.
//! - Writes to one thing come one after the other.
//! - `DeleteThing` counts as a write, too, and the emulator itself compares the version.
//! - GetConnection and DeleteConnection. Who is connected is what the test says; AWS answers
//!   ResourceNotFoundException (404) where it knows nothing of a client.
//! - Certificates get old. The emulator's clock cannot be set, so the gate changes the dates in the list.
//! - Mail arrives in the order in which it was taken. The emulator hands each
//!   on in the background; here the next is taken when the last one is there.
//!
//! What happens behind the gate, between a device and the broker, nothing can add: a certificate that goes INACTIVE is refused
//! from then on, in the handshake, but a connection that stands stays. AWS IoT ends it within minutes
//! (<https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateCertificate.html>); where that matters, a test cuts the line
//! ([`Line`](super::line::Line)), and `agent.rs` sees to it that this is still so.
//!
//! That `CreateThing` is exclusive it has itself, and `at_once.rs` sees to it
//! that this stays so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::{OwnedMutexGuard, watch};

use super::post_office::Mail;
use super::within;

/// The version of a thing; `None` where there is no thing.
type Version = Option<u64>;

pub struct Gaps {
    things: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Version>>>>,
    /// Held from taking a mail until it has arrived.
    counter: Arc<tokio::sync::Mutex<()>>,
    mailbox: watch::Receiver<Vec<Mail>>,
    /// What GetConnection answers, by the client's id.
    connections: Mutex<HashMap<String, Value>>,
    /// How much older than it is a certificate looks, in seconds, by its id.
    ages: Mutex<HashMap<String, u64>>,
}

/// A call that is on its way to the emulator.
pub enum Passage {
    /// Nothing is missing.
    Open,
    /// A change of a thing, alone with it.
    Thing { change: Change, version: OwnedMutexGuard<Version> },
    /// A mail, alone at the counter, and how many had arrived before it.
    Mail { before: usize, mailbox: watch::Receiver<Vec<Mail>>, counter: OwnedMutexGuard<()> },
    /// AWS would say no: status, code and message.
    Refused(u16, &'static str, &'static str),
    /// The emulator has no such call; AWS would say this.
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

    /// From now on GetConnection says this of the client.
    pub fn says_of(&self, client: &str, state: Value) {
        self.connections.lock().expect("the connections").insert(client.to_owned(), state);
    }

    /// From now on the certificate looks so many seconds older than it is.
    pub fn ages(&self, certificate: &str, seconds: u64) {
        self.ages.lock().expect("the ages").insert(certificate.to_owned(), seconds);
    }

    /// What AWS would have answered where the emulator answers `body`.
    pub fn amend(&self, operation: &str, body: Bytes) -> Bytes {
        let ages = self.ages.lock().expect("the ages");
        if operation != "ListCertificates" || ages.is_empty() {
            return body;
        }
        let Ok(mut listed) = serde_json::from_slice::<Value>(&body) else { return body };
        for certificate in listed["certificates"].as_array_mut().into_iter().flatten() {
            let age = certificate["certificateId"].as_str().and_then(|id| ages.get(id)).copied();
            if let (Some(age), Some(made_at)) = (age, certificate["creationDate"].as_f64()) {
                certificate["creationDate"] = json!(made_at - f64::from(u32::try_from(age).expect("a possible age")));
            }
        }
        listed.to_string().into()
    }

    fn connection(&self, operation: &str, client: &str) -> Passage {
        let mut connections = self.connections.lock().expect("the connections");
        let known = match operation {
            "DeleteConnection" => {
                connections.remove(client);
                Some(json!({}))
            }
            _ => connections.get(client).cloned(),
        };
        known.map_or(Passage::Refused(404, "ResourceNotFoundException", "No such client."), Passage::Answered)
    }

    /// Waits until nothing is in the way of the call, and says what has to be done about it.
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
        let thing = Arc::clone(self.things.lock().expect("the things").entry(name).or_default());
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
    /// Notes what the emulator answered, and lets the next call in.
    pub async fn leave(self, status: StatusCode) {
        if !status.is_success() {
            return;
        }
        match self {
            Passage::Open | Passage::Refused(..) | Passage::Answered(_) => {}
            Passage::Thing { change, mut version } => {
                *version = match (change, *version) {
                    // The same once more succeeds and changes nothing.
                    (Change::Create, known) => known.or(Some(1)),
                    (Change::Update, known) => known.map(|version| version + 1),
                    (Change::Delete, _) => None,
                };
            }
            Passage::Mail { before, mut mailbox, counter } => {
                let arrived = mailbox.wait_for(|mails| mails.len() > before);
                within(Duration::from_secs(10), "a mail that was taken arrives", arrived).await.expect("the post office");
                drop(counter);
            }
        }
    }
}

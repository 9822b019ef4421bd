//! A backend of the broker in memory: the registry and the stored sessions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use onething::identifiers::CertificateId;
use onething_hub::mqtt::broker::backend::{
    Backend, CertificateStatus, Change, Notice, Request, RequestError, StoreError, Stored, StoredSession,
};
use onething_hub::mqtt::broker::message::Message;
use onething_hub::mqtt::broker::refusal::Refusal;
use onething_hub::policy::Policy;

/// The policy of a device in the tests: all actions on topics below its own name and on its own shadow.
pub(crate) const DEVICE: &[(&str, &[&str])] = &[
    ("iot:Connect", &["client/${iot:Connection.Thing.ThingName}"]),
    ("iot:Publish", &["topic/${iot:ClientId}/*", "topic/shared/*", "topic/$aws/things/${iot:ClientId}/*", "topic/$SYS/*"]),
    ("iot:RetainPublish", &["topic/${iot:ClientId}/*", "topic/shared/*"]),
    ("iot:Subscribe", &["topicfilter/${iot:ClientId}/*", "topicfilter/shared/*", "topicfilter/$aws/things/${iot:ClientId}/*"]),
    ("iot:Receive", &["topic/${iot:ClientId}/*", "topic/shared/*", "topic/$aws/things/${iot:ClientId}/*"]),
];

pub(crate) fn policy(rules: &[(&str, &[&str])]) -> Arc<Policy> {
    let statements: Vec<_> = rules
        .iter()
        .map(|(action, resources)| {
            let resources: Vec<_> = resources.iter().map(|name| format!("arn:aws:iot:eu-west-1:123456789012:{name}")).collect();
            serde_json::json!({"Effect": "Allow", "Action": action, "Resource": resources})
        })
        .collect();
    let document = serde_json::json!({"Version": "2012-10-17", "Statement": statements});
    Arc::new(Policy::parse(&document.to_string()).unwrap())
}

/// The backend, which records the notices and refusals of the broker.
#[derive(Default)]
pub(crate) struct Store {
    certificate_statuses: Mutex<BTreeMap<CertificateId, CertificateStatus>>,
    disk: Mutex<Disk>,
    pub(crate) notices: Mutex<Vec<Notice>>,
    pub(crate) refusals: Mutex<Vec<Refusal>>,
    pub(crate) broken: AtomicBool,
}

#[derive(Clone, Default)]
struct Disk {
    sessions: BTreeMap<String, StoredSession>,
    retained: BTreeMap<String, Message>,
}

impl Disk {
    fn apply(&mut self, change: &Change) {
        match change.clone() {
            Change::SessionKept { client_id, expiry, ends } => {
                let session = self.sessions.entry(client_id.to_string()).or_insert_with(|| StoredSession {
                    client_id,
                    expiry,
                    ends,
                    subscriptions: Vec::new(),
                    queue: Vec::new(),
                });
                (session.expiry, session.ends) = (expiry, ends);
            }
            Change::SessionEnded { client_id } => drop(self.sessions.remove(&*client_id)),
            Change::Subscribed { client_id, subscription } => {
                let session = self.sessions.get_mut(&*client_id).unwrap();
                session.subscriptions.retain(|held| held.filter != subscription.filter);
                session.subscriptions.push(subscription);
            }
            Change::Unsubscribed { client_id, filter } => {
                self.sessions.get_mut(&*client_id).unwrap().subscriptions.retain(|held| held.filter != filter);
            }
            Change::Queued { client_id, waiting } => self.sessions.get_mut(&*client_id).unwrap().queue.push(waiting),
            Change::Dequeued { client_id, number } => {
                self.sessions.get_mut(&*client_id).unwrap().queue.retain(|waiting| waiting.number != number);
            }
            Change::Retained { message } => drop(self.retained.insert(message.topic.to_string(), message)),
            Change::Unretained { topic } => drop(self.retained.remove(&*topic)),
        }
    }
}

impl Store {
    /// A copy with the data that would remain after a kill of the process.
    pub(crate) fn survivor(&self) -> Self {
        let (certificate_statuses, disk) = (self.certificate_statuses.lock().unwrap().clone(), self.disk.lock().unwrap().clone());
        Self { certificate_statuses: Mutex::new(certificate_statuses), disk: Mutex::new(disk), ..Self::default() }
    }

    pub(crate) fn set(&self, certificate: &CertificateId, certificate_status: CertificateStatus) {
        self.certificate_statuses.lock().unwrap().insert(certificate.clone(), certificate_status);
    }

    /// The number of messages that are queued for a client.
    pub(crate) fn queued(&self, client_id: &str) -> usize {
        self.disk.lock().unwrap().sessions.get(client_id).map_or(0, |session| session.queue.len())
    }
}

impl Backend for Store {
    async fn certificate_status(&self, certificate: &CertificateId) -> Result<Option<CertificateStatus>, StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError("the disk is full".into()));
        }
        Ok(self.certificate_statuses.lock().unwrap().get(certificate).cloned())
    }

    /// A shadow service that accepts every update.
    async fn request(&self, request: Request) -> Result<Vec<Message>, RequestError> {
        let Some(shadow) = request.topic.strip_suffix("/update") else { return Err(RequestError::NoSuchTopic) };
        Ok(vec![Message::new(&format!("{shadow}/update/accepted"), request.payload)])
    }

    async fn load(&self) -> Result<Stored, StoreError> {
        let disk = self.disk.lock().unwrap();
        Ok(Stored { sessions: disk.sessions.values().cloned().collect(), retained: disk.retained.values().cloned().collect() })
    }

    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError("the disk is full".into()));
        }
        let mut disk = self.disk.lock().unwrap();
        changes.iter().for_each(|change| disk.apply(change));
        Ok(())
    }

    fn noticed(&self, notice: &Notice) {
        self.notices.lock().unwrap().push(notice.clone());
    }

    fn refused(&self, refusal: &Refusal) {
        self.refusals.lock().unwrap().push(refusal.clone());
    }
}

//! What can be done to a living device from outside, and what it shows of itself.

use onething::identifiers::CertificateId;
use tokio::sync::{mpsc, watch};

use crate::agent::Answer;
use crate::bundle::Bundle;

/// How a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its connection.
    pub connection: Connection,
    /// Of the bundle that this connection is made with.
    pub certificate: CertificateId,
    /// What became of the newest command that has an answer.
    pub command: Option<Answer>,
}

/// The state of the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// Nobody wants one, or the device has stopped.
    Off,
    /// It is tried for the first time.
    #[default]
    Connecting,
    /// It stands.
    Connected {
        /// Seconds since the epoch.
        since: u64,
    },
    /// The server says no; it is tried again.
    Refused {
        /// For a person.
        why: String,
    },
    /// What answers is not the server that the bundle knows; it is tried again.
    Stranger {
        /// For a person.
        why: String,
    },
    /// It could not be made, or broke off; it is tried again.
    Lost {
        /// For a person.
        why: String,
    },
}

pub(crate) enum ControlRequest {
    Connect,
    Disconnect,
    Use(Box<Bundle>),
    Stop,
}

/// A hand on a living device. When the last one is gone, the device stops.
#[derive(Clone)]
pub struct Control {
    requests: mpsc::Sender<ControlRequest>,
    status: watch::Receiver<Status>,
}

pub(crate) fn pair(certificate: CertificateId) -> (Control, mpsc::Receiver<ControlRequest>, watch::Sender<Status>) {
    let (requests, granted) = mpsc::channel(16);
    let (tell, status) = watch::channel(Status { connection: Connection::default(), certificate, command: None });
    (Control { requests, status }, granted, tell)
}

impl Control {
    /// Connects, at once; nothing, where there is a connection.
    pub async fn connect(&self) {
        self.send(ControlRequest::Connect).await;
    }

    /// Disconnects, and stays so.
    pub async fn disconnect(&self) {
        self.send(ControlRequest::Disconnect).await;
    }

    /// Connects anew with these credentials of the same thing, and reports their certificate.
    pub async fn use_bundle(&self, bundle: Bundle) {
        self.send(ControlRequest::Use(Box::new(bundle))).await;
    }

    /// Says goodbye and ends, as on SIGTERM.
    pub async fn stop(&self) {
        self.send(ControlRequest::Stop).await;
    }

    /// How it is.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Tells whenever its status has changed; ends with the device.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    async fn send(&self, request: ControlRequest) {
        // Without a receiver the device has ended, and nothing can be done to it.
        let _ = self.requests.send(request).await;
    }
}

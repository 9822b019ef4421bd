//! The handle that controls a running device, and its status.

use onething::identifiers::CertificateId;
use tokio::sync::{mpsc, watch};

use crate::agent::Answer;
use crate::bundle::Bundle;

/// The status of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The state of the connection.
    pub connection: Connection,
    /// The certificate of the bundle that the connection uses.
    pub certificate: CertificateId,
    /// The answer to the newest command that has one.
    pub command: Option<Answer>,
}

/// The state of the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// The device is disconnected on request, or has stopped.
    Off,
    /// The first attempt is in progress.
    #[default]
    Connecting,
    /// The connection is established.
    Connected {
        /// Unix time in seconds.
        since: u64,
    },
    /// The server refuses the device; the device tries again.
    Refused {
        /// The reason for the user.
        why: String,
    },
    /// The server failed the verification with the roots of the bundle; the device tries again.
    Unverified {
        /// The reason for the user.
        why: String,
    },
    /// The connection was lost or could not be established; the device tries again.
    Lost {
        /// The reason for the user.
        why: String,
    },
}

pub(crate) enum ControlRequest {
    Connect,
    Disconnect,
    Use(Box<Bundle>),
    Stop,
}

/// A handle of a running device. When the last one is dropped, the device stops.
#[derive(Clone)]
pub struct Control {
    requests: mpsc::Sender<ControlRequest>,
    status: watch::Receiver<Status>,
}

pub(crate) fn pair(certificate: CertificateId) -> (Control, mpsc::Receiver<ControlRequest>, watch::Sender<Status>) {
    let (requests, received) = mpsc::channel(16);
    let (tell, status) = watch::channel(Status { connection: Connection::default(), certificate, command: None });
    (Control { requests, status }, received, tell)
}

impl Control {
    /// Connects at once. Has no effect on an existing connection.
    pub async fn connect(&self) {
        self.send(ControlRequest::Connect).await;
    }

    /// Disconnects, and does not connect again by itself.
    pub async fn disconnect(&self) {
        self.send(ControlRequest::Disconnect).await;
    }

    /// Connects again with these credentials of the same thing, and reports their certificate.
    pub async fn use_bundle(&self, bundle: Bundle) {
        self.send(ControlRequest::Use(Box::new(bundle))).await;
    }

    /// Reports what is pending, disconnects and ends, as on SIGTERM.
    pub async fn stop(&self) {
        self.send(ControlRequest::Stop).await;
    }

    /// The current status.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// A receiver that is notified of each change of the status. The channel closes when the device ends.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    async fn send(&self, request: ControlRequest) {
        // A closed channel means that the device has ended, so the request has no effect.
        let _ = self.requests.send(request).await;
    }
}

//! A client of a running hub, which connects to an HTTP address or to the Unix socket in the data folder.

pub mod print;
mod socket;

use std::io;
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use clap::ValueEnum;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use onething::https::{Https, HttpsError};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::{Duration, timeout};
use url::form_urlencoded::byte_serialize;

use crate::audit::Kind;
use crate::cli::command_line::{DATA, Remote};
use crate::storage::disk::write_whole;

/// The time limit of a request. A hub responds within seven seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest size of a response, in bytes. It is sufficient for thousands of things.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
/// The default address of a hub.
const ADDRESS: &str = "http://127.0.0.1:8080";

/// Why a request to the hub failed.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// The address or the password cannot be part of a request.
    #[error("`{0}` is no address of a hub: it has to be like http://127.0.0.1:8080")]
    Address(String),
    /// There is no socket in the data folder, or no process listens at it.
    #[error("no hub runs over {}; start one with `onething-hub --data`, or name another data folder", .0.display())]
    NotRunning(PathBuf),
    /// The socket belongs to another user.
    #[error("the hub over {} answers only the user whose hub it is, and root: say it with sudo", .0.display())]
    NotOperator(PathBuf),
    /// Only a hub in trying mode returns bundles.
    #[error("a hub in use hands out no bundles: they are mailed to their owners. `onething-hub mail` without --save shows what was sent")]
    NoMailbox,
    /// The connection to the address failed.
    #[error("no hub answers at {0}; start one with `onething-hub`, or name its address with --hub")]
    Unreachable(String, #[source] HttpsError),
    /// The time limit of a request was exceeded.
    #[error("the hub at {0} did not answer in time")]
    Silent(String),
    /// The hub responded with an error.
    #[error("the hub refused: {0}")]
    Refused(String),
    /// No mail has a bundle.
    #[error("there is no mail with a bundle; `onething-hub link` links an account, and the mail follows")]
    NoBundle,
    /// The bundle cannot be written to this file.
    #[error("{} cannot be written", .0.display())]
    Unsaved(PathBuf, #[source] io::Error),
    /// The response is not one of a hub.
    #[error("what answers at {0} is no hub")]
    NoHub(String),
    /// The output could not be written.
    #[error("the answer could not be written")]
    Output(#[from] io::Error),
}

/// A running hub that can be reached.
pub struct RemoteHub {
    way: Way,
}

enum Way {
    /// The HTTP address, and the password of the hub if one is known.
    Address { address: String, password: Option<String>, https: Https },
    /// The Unix socket in this data folder.
    Socket(PathBuf),
}

impl RemoteHub {
    /// Finds the hub that the options name. `password` is the one of the hub, if it has one.
    pub async fn find(named: &Remote, password: Option<String>) -> Result<Self, RemoteError> {
        let at = |address: &str| Way::Address { address: address.trim_end_matches('/').to_owned(), password, https: Https::default() };
        let way = match (&named.hub, &named.data) {
            (Some(address), _) => at(address),
            (None, Some(data)) => {
                socket::reach(data).await?;
                Way::Socket(data.clone())
            }
            (None, None) => match socket::reach(Path::new(DATA)).await {
                Ok(()) => Way::Socket(DATA.into()),
                Err(_) => at(ADDRESS),
            },
        };
        Ok(Self { way })
    }

    /// Sends an utterance to the Echo of a user.
    pub async fn say(&self, user: &str, utterance: &str) -> Result<Value, RemoteError> {
        self.ask(Method::POST, "/echo", Some(&json!({"user": user, "say": utterance}))).await
    }

    /// The things of the hub, with certificates and shadows.
    pub async fn things(&self) -> Result<Value, RemoteError> {
        self.ask(Method::GET, "/api/things", None).await
    }

    /// Enables the skill for a user and links their account.
    pub async fn link(&self, user: &str) -> Result<(), RemoteError> {
        self.exchange(Method::POST, "/link", Some(&json!({"user": user}))).await.map(drop)
    }

    /// The outgoing mail of all users or of one user, and whether the hub is in trying mode.
    pub async fn outgoing(&self, user: Option<&str>) -> Result<Value, RemoteError> {
        self.ask(Method::GET, &format!("/api/outgoing-mail{}", whose(user)), None).await
    }

    /// The mailbox of a hub in trying mode, for all users or for one user.
    pub async fn mail(&self, user: Option<&str>) -> Result<Value, RemoteError> {
        self.ask(Method::GET, &format!("/api/mail{}", whose(user)), None).await
    }

    /// Saves the bundle of the newest mail that has one. Only the owner of the file may read it.
    pub async fn save_bundle(&self, mail: &Value, folder: &Path) -> Result<PathBuf, RemoteError> {
        let newest = mail["mail"].as_array().into_iter().flatten().rfind(|message| message["attachment"].is_object());
        let newest = newest.ok_or(RemoteError::NoBundle)?;
        let text = |at: &str| newest.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let (id, name) = (text("/id"), text("/attachment/name"));
        let bundle = self.exchange(Method::GET, &format!("/api/mail/{id}/attachment"), None).await?.into_body();
        let file = folder.join(name);
        let is_plain = Path::new(name).file_name().is_some_and(|plain| plain == name);
        let written = if is_plain { write_whole(folder, name, &bundle) } else { Err(io::ErrorKind::InvalidFilename.into()) };
        written.map_err(|error| RemoteError::Unsaved(file.clone(), error))?;
        Ok(file)
    }

    /// Writes a copy of the current database of a running hub into a file. Only the socket offers this.
    #[cfg(unix)]
    pub async fn copy_database(data: &Path, to: &Path) -> Result<(), RemoteError> {
        let unsaved = |error| RemoteError::Unsaved(to.to_owned(), error);
        let mut answer = socket::send(data, Request::get("http://localhost/database").body(Full::default())).await?.into_body();
        let mut file = std::fs::OpenOptions::new().write(true).truncate(true).open(to).map_err(unsaved)?;
        while let Some(frame) = answer.frame().await {
            let frame = frame.map_err(|error| unsaved(io::Error::other(error)))?;
            io::Write::write_all(&mut file, frame.data_ref().map_or(&[], Bytes::as_ref)).map_err(unsaved)?;
        }
        Ok(())
    }

    /// The health of the hub.
    pub async fn health(&self) -> Result<Value, RemoteError> {
        self.ask(Method::GET, "/health", None).await
    }

    /// The last events, of one kind or of all kinds.
    pub async fn events(&self, kind: Option<Kind>, last: u32) -> Result<Value, RemoteError> {
        let kind = kind.and_then(|kind| Some(format!("&kind={}", kind.to_possible_value()?.get_name())));
        self.ask(Method::GET, &format!("/api/audit?last={last}{}", kind.unwrap_or_default()), None).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, RemoteError> {
        let answer = self.exchange(method, path, body).await?;
        serde_json::from_slice(answer.body()).map_err(|_| RemoteError::NoHub(self.name()))
    }

    /// The name of the hub for use in a sentence.
    fn name(&self) -> String {
        match &self.way {
            Way::Address { address, .. } => address.clone(),
            Way::Socket(data) => data.display().to_string(),
        }
    }

    /// The response to a request, if its status is a success.
    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response<Bytes>, RemoteError> {
        let base = match &self.way {
            Way::Address { address, .. } => address.as_str(),
            Way::Socket(_) => "http://localhost",
        };
        let mut request = Request::builder().method(method).uri(format!("{base}{path}"));
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let exchange = async {
            match &self.way {
                Way::Socket(data) => socket::exchange(data, request.body(Full::new(body)), ANSWER_LIMIT).await,
                Way::Address { address, password, https } => {
                    let unusable = || RemoteError::Address(address.clone());
                    if let Some(password) = password {
                        let credentials = format!("Basic {}", BASE64_STANDARD.encode(format!(":{password}").as_bytes()));
                        let mut credentials = HeaderValue::try_from(credentials).map_err(|_| unusable())?;
                        credentials.set_sensitive(true);
                        request = request.header(AUTHORIZATION, credentials);
                    }
                    let request = request.body(body).map_err(|_| unusable())?;
                    if request.uri().host().is_none() {
                        return Err(unusable());
                    }
                    https.exchange(request, ANSWER_LIMIT).await.map_err(|error| RemoteError::Unreachable(address.clone(), error))
                }
            }
        };
        let answer = timeout(PATIENCE, exchange).await.map_err(|_| RemoteError::Silent(self.name()))??;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let problem: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        match problem["detail"].as_str() {
            Some(detail) => Err(RemoteError::Refused(detail.to_owned())),
            None => Err(RemoteError::NoHub(self.name())),
        }
    }
}

fn whose(user: Option<&str>) -> String {
    user.map(|user| format!("?user={}", byte_serialize(user.as_bytes()).collect::<String>())).unwrap_or_default()
}

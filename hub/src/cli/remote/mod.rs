//! A running hub, asked from a terminal: at an address, or by the socket in its data folder.

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

/// A hub answers within seven seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of an answer: thousands of things.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
/// Where a hub serves when nothing else is said.
const ADDRESS: &str = "http://127.0.0.1:8080";

/// Why the hub was not asked, or did not do it.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// The address or the password cannot be part of a request.
    #[error("`{0}` is no address of a hub: it has to be like http://127.0.0.1:8080")]
    Address(String),
    /// Nothing answers in that data folder.
    #[error("no hub runs over {}; start one with `onething-hub --data`, or name another data folder", .0.display())]
    NotRunning(PathBuf),
    /// The socket is another user's.
    #[error("the hub over {} answers only the user whose hub it is, and root: say it with sudo", .0.display())]
    NotOperator(PathBuf),
    /// A hub in use hands out nobody's identity.
    #[error("a hub in use hands out no bundles: they are mailed to their owners. `onething-hub mail` without --save shows what was sent")]
    NoMailbox,
    /// Nobody answers there.
    #[error("no hub answers at {0}; start one with `onething-hub`, or name its address with --hub")]
    Unreachable(String, #[source] HttpsError),
    /// It took too long.
    #[error("the hub at {0} did not answer in time")]
    Silent(String),
    /// It said no.
    #[error("the hub refused: {0}")]
    Refused(String),
    /// Nothing to save.
    #[error("there is no mail with a bundle; `onething-hub link` links an account, and the mail follows")]
    NoBundle,
    /// A bundle that cannot be a file there.
    #[error("{} cannot be written", .0.display())]
    Unsaved(PathBuf, #[source] io::Error),
    /// What came was no answer of a hub.
    #[error("what answers at {0} is no hub")]
    NoHub(String),
    /// Nobody to print for.
    #[error("the answer could not be written")]
    Output(#[from] io::Error),
}

/// A running hub.
pub struct RemoteHub {
    way: Way,
}

enum Way {
    /// At an address, with the password that it was started with.
    Address { address: String, password: Option<String>, https: Https },
    /// By the socket in this data folder.
    Socket(PathBuf),
}

impl RemoteHub {
    /// The hub that is meant. The password is the one it was started with.
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

    /// Says something to a user's Echo.
    pub async fn say(&self, user: &str, utterance: &str) -> Result<Value, RemoteError> {
        self.ask(Method::POST, "/echo", Some(&json!({"user": user, "say": utterance}))).await
    }

    /// Its things.
    pub async fn things(&self) -> Result<Value, RemoteError> {
        self.ask(Method::GET, "/api/things", None).await
    }

    /// Enables the skill for a user and links their account.
    pub async fn link(&self, user: &str) -> Result<(), RemoteError> {
        self.exchange(Method::POST, "/link", Some(&json!({"user": user}))).await.map(drop)
    }

    /// What became of its mail, and whether it is in trying mode: of all mail, or of this user's.
    pub async fn outgoing(&self, user: Option<&str>) -> Result<Value, RemoteError> {
        self.ask(Method::GET, &format!("/api/outgoing-mail{}", whose(user)), None).await
    }

    /// The mailbox of a hub in trying mode, or the part of it that is this user's.
    pub async fn mail(&self, user: Option<&str>) -> Result<Value, RemoteError> {
        self.ask(Method::GET, &format!("/api/mail{}", whose(user)), None).await
    }

    /// Saves the bundle of the newest mail that has one, for nobody but its owner to read.
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

    /// Writes its database, as it is now, into a file. It is asked for by the socket only.
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

    /// How it is.
    pub async fn health(&self) -> Result<Value, RemoteError> {
        self.ask(Method::GET, "/health", None).await
    }

    /// Its last events, of one kind or of all.
    pub async fn events(&self, kind: Option<Kind>, last: u32) -> Result<Value, RemoteError> {
        let kind = kind.and_then(|kind| Some(format!("&kind={}", kind.to_possible_value()?.get_name())));
        self.ask(Method::GET, &format!("/api/audit?last={last}{}", kind.unwrap_or_default()), None).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, RemoteError> {
        let answer = self.exchange(method, path, body).await?;
        serde_json::from_slice(answer.body()).map_err(|_| RemoteError::NoHub(self.name()))
    }

    /// What the hub is called in a sentence.
    fn name(&self) -> String {
        match &self.way {
            Way::Address { address, .. } => address.clone(),
            Way::Socket(data) => data.display().to_string(),
        }
    }

    /// An answer, whatever it is, unless it is a refusal.
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

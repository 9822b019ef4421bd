//! A running hub, asked from a terminal.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use data_encoding::BASE64;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::Full;
use onething::https::{Https, HttpsError};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::{Duration, timeout};
use url::form_urlencoded::byte_serialize;

use crate::clock;
use crate::disk::write_whole;
use crate::screen::Screen;

/// A hub answers within seven seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of an answer: thousands of things.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// Why the hub was not asked, or did not do it.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// The address or the password cannot be part of a request.
    #[error("`{0}` is no address of a hub: it has to be like http://127.0.0.1:8080")]
    Address(String),
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

/// A hub at an address.
pub struct RemoteHub {
    address: String,
    password: Option<String>,
    https: Https,
}

impl RemoteHub {
    /// The hub at this address. The password is the one it was started with.
    pub fn new(address: &str, password: Option<String>) -> Self {
        Self { address: address.trim_end_matches('/').to_owned(), password, https: Https::default() }
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

    /// Its mailbox, or the part of it that is this user's.
    pub async fn mail(&self, user: Option<&str>) -> Result<Value, RemoteError> {
        let whose = user.map(|user| format!("?user={}", byte_serialize(user.as_bytes()).collect::<String>()));
        self.ask(Method::GET, &format!("/api/mail{}", whose.unwrap_or_default()), None).await
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

    /// What became of its last knocks.
    pub async fn events(&self, last: u32) -> Result<Value, RemoteError> {
        self.ask(Method::GET, &format!("/api/registrations?last={last}"), None).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, RemoteError> {
        let answer = self.exchange(method, path, body).await?;
        serde_json::from_slice(answer.body()).map_err(|_| RemoteError::NoHub(self.address.clone()))
    }

    /// An answer, whatever it is, unless it is a refusal.
    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response<Bytes>, RemoteError> {
        let address = || self.address.clone();
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.address));
        if let Some(password) = &self.password {
            let credentials = HeaderValue::try_from(format!("Basic {}", BASE64.encode(format!(":{password}").as_bytes())));
            let mut credentials = credentials.map_err(|_| RemoteError::Address(address()))?;
            credentials.set_sensitive(true);
            request = request.header(AUTHORIZATION, credentials);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(Full::new(body)).map_err(|_| RemoteError::Address(address()))?;
        if request.uri().host().is_none() {
            return Err(RemoteError::Address(address()));
        }
        let answered = timeout(PATIENCE, self.https.exchange(request, ANSWER_LIMIT)).await.map_err(|_| RemoteError::Silent(address()))?;
        let answer = answered.map_err(|error| RemoteError::Unreachable(address(), error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let problem: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        match problem["detail"].as_str() {
            Some(detail) => Err(RemoteError::Refused(detail.to_owned())),
            None => Err(RemoteError::NoHub(address())),
        }
    }
}

/// Prints what was said and what came back.
pub fn print_turn(out: impl Write, colour: bool, user: &str, utterance: &str, turn: &Value) -> io::Result<()> {
    let mut screen = Screen::new(out, colour);
    let heard = &turn["heard"];
    screen.says(user, &format!("Alexa, {utterance}."))?;
    screen.says("Alexa", heard["speech"].as_str().unwrap_or_default())?;
    match heard["card"]["type"].as_str() {
        Some("LinkAccount") => screen.shows("Alexa app", "[ Link account ] on the page of the hub, or `onething-hub link`")?,
        Some(_) => screen.shows("Alexa app", &format!("[ {} ]", heard["card"]["title"].as_str().unwrap_or_default()))?,
        None => {}
    }
    if heard["listening"] == true { screen.fact("", "Alexa is listening") } else { Ok(()) }
}

/// Prints things with their certificates and shadows.
pub fn print_things(out: impl Write, colour: bool, things: &Value) -> io::Result<()> {
    let mut screen = Screen::new(out, colour);
    let things = things["things"].as_array().map(Vec::as_slice).unwrap_or_default();
    if things.is_empty() {
        return screen.headline("There are no things yet. Say \"open my printer\".");
    }
    for thing in things {
        screen.headline(thing["thing"].as_str().unwrap_or_default())?;
        if let Some(user) = thing["user"].as_str() {
            screen.fact("owner", user)?;
        }
        screen.fact("device", if thing["connected"] == true { "connected" } else { "not connected" })?;
        for certificate in thing["certificates"].as_array().into_iter().flatten() {
            let text = |name: &str| certificate[name].as_str().unwrap_or_default();
            let replaced =
                certificate["replacedUntil"].as_u64().map(|until| format!(", replaced, until {} at most", clock::iso8601(until)));
            screen.fact("certificate", &format!("{} {}{}", text("status"), text("id"), replaced.unwrap_or_default()))?;
        }
        for section in ["desired", "reported", "delta"] {
            if let Some(state) = thing.pointer(&format!("/shadow/state/{section}")) {
                screen.document(section, state)?;
            }
        }
    }
    Ok(())
}

/// Prints the mailbox, newest last.
pub fn print_mail(out: impl Write, colour: bool, mail: &Value) -> io::Result<()> {
    let mut screen = Screen::new(out, colour);
    let messages = mail["mail"].as_array().map(Vec::as_slice).unwrap_or_default();
    if messages.is_empty() {
        return screen.headline("There is no mail yet.");
    }
    for message in messages {
        let text = |name: &str| message[name].as_str().unwrap_or_default();
        screen.headline(text("subject"))?;
        screen.fact("to", text("to"))?;
        screen.fact("message", text("id"))?;
        if let Some(name) = message["attachment"]["name"].as_str() {
            screen.fact("bundle", name)?;
        }
        for line in text("text").lines() {
            screen.fact("", line)?;
        }
    }
    Ok(())
}

/// Prints what became of knocks, one line each, newest last.
pub fn print_events(out: impl Write, colour: bool, events: &Value) -> io::Result<()> {
    let mut screen = Screen::new(out, colour);
    let events = events["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    if events.is_empty() {
        return screen.headline("Nobody has knocked yet.");
    }
    for event in events {
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        let at = clock::iso8601(event["at"].as_u64().unwrap_or_default());
        let about = [text("thing"), text("label")].join(" ");
        screen.fact(&at, format!("{} {} {} {} {about}", event["status"], text("outcome"), text("by"), text("source")).trim_end())?;
    }
    Ok(())
}

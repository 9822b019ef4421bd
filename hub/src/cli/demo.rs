//! A demonstration in a terminal: two owners, each with a thing.
//!
//! The demonstration runs a complete hub. Each utterance goes to a simulated Echo and through the interaction model. Mail is put
//! into a folder, and the printer connects with the bundle from the mail, by MQTT over mutual TLS. The output consists of the
//! responses and of the state of the hub. It contains no token, no key and no complete mail address.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use onething::config::Environment;
use onething::identifiers::{CertificateId, ThingName};
use onething::registry::RegistryError;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::timeout;

use crate::cli::terminal::Terminal;
use crate::hub::Hub;
use crate::policy::DEVICE_POLICY;
use crate::policy::permissions;
use crate::registry::Status;
use crate::serve::{Running, ServeError};
use crate::settings::{Asked, Settings, SettingsError};
use crate::sign_in::{UserError, UserName};
use crate::simulator::devices::{DeviceError, DeviceRequest};
use crate::simulator::echo_sessions::{EchoError, Words};
use crate::simulator::turn::Turn;
use crate::storage::store::{self, StoreError};

/// The time limit for the printer, which needs a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the demonstration failed.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The folder of the last demonstration could not be removed.
    #[error("the folder {} cannot be used", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    /// The hub could not start.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The settings of the demonstration are not valid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The output could not be written, or a bundle could not be saved.
    #[error("the demo could not be written")]
    Output(#[from] io::Error),
    /// A part of the hub returned an error.
    #[error("the hub failed; with RUST_LOG=info the log says why")]
    Hub(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A result differs from the expected one.
    #[error("{0}; with RUST_LOG=info the log says why")]
    Unexpected(&'static str),
}

macro_rules! of_the_hub {
    ($($error:ty),*) => {
        $(impl From<$error> for DemoError {
            fn from(error: $error) -> Self {
                Self::Hub(Box::new(error))
            }
        })*
    };
}

of_the_hub!(EchoError, UserError, RegistryError, StoreError, DeviceError);

/// Runs the demonstration, and writes its output to `out`. Deletes the data folder of an earlier demonstration.
pub async fn run(data: &Path, out: impl Write, colour: bool) -> Result<(), DemoError> {
    remove_earlier(data)?;
    let running = Running::start(Settings::read(Asked::over(data), &Environment)?).await?;
    let mut demonstration = Demo { hub: &running.hub, terminal: Terminal::new(out, colour) };
    let told = demonstration.run_all().await;
    running.end().await;
    told
}

/// Removes the folder only if it contains a database, so only if an earlier demonstration created it.
fn remove_earlier(data: &Path) -> Result<(), DemoError> {
    if data.join(store::FILE).exists() {
        fs::remove_dir_all(data).map_err(|error| DemoError::Folder(data.to_owned(), error))?;
    }
    Ok(())
}

/// The results of an onboarding.
struct Onboarded {
    thing: ThingName,
    certificate: CertificateId,
    mail: PathBuf,
    bundle: PathBuf,
}

/// The hub of the demonstration and its output.
struct Demo<'a, W> {
    hub: &'a Hub,
    terminal: Terminal<W>,
}

impl<W: Write> Demo<'_, W> {
    async fn run_all(&mut self) -> Result<(), DemoError> {
        let (ana, ben) = (UserName::parse("Ana")?, UserName::parse("Ben")?);
        self.not_linked(&ana).await?;
        let first = self.onboarded("2. Ana links her Amazon account", &ana).await?;
        self.print_a_vase(&ana, &first).await?;
        self.ask_for_the_status(&ana, &first).await?;
        let second = self.onboarded("5. Ben has a printer, too, and links his account", &ben).await?;
        self.end(&[first, second]).await
    }

    async fn not_linked(&mut self, owner: &UserName) -> Result<(), DemoError> {
        self.terminal.headline("1. Ana has enabled the skill, and linked no account")?;
        let turn = self.tell(owner, "open my printer").await?;
        expect(turn.output["card"]["type"] == "LinkAccount", "the skill did not ask for a link")?;
        let made = self.hub.registry.things().await?.len() + self.hub.registry.registrations().await?.len();
        expect(made + self.hub.mail.sent().len() == 0, "something was made for nobody")?;
        Ok(self.terminal.fact("behind", "nothing: no thing, no certificate, no mail")?)
    }

    async fn onboarded(&mut self, headline: &str, owner: &UserName) -> Result<Onboarded, DemoError> {
        self.terminal.headline(headline)?;
        self.hub.link(owner).await?;
        self.tell(owner, "open my printer").await?;

        let thing = self.hub.thing_of(owner).ok_or(DemoError::Unexpected("the owner has no thing"))?;
        let mut registrations = self.hub.registry.registrations().await?.into_iter();
        let certificate = registrations.find(|(_, registration)| registration.thing.as_deref() == Some(thing.as_str()));
        let (certificate, registration) = certificate.ok_or(DemoError::Unexpected("the owner has no certificate"))?;
        let works = registration.status == Status::Active && registration.policies.contains(DEVICE_POLICY);
        expect(works && self.hub.skill.shadows.document(&thing).await?.is_some(), "the owner is not ready")?;
        let mail = self.hub.mail.sent().pop().ok_or(DemoError::Unexpected("there is no mail"))?;
        let bundle = self.hub.mail.save_attachment(&mail)?;
        let user = self.hub.users.user(owner, None).await?;

        self.terminal.fact("thing", &format!("{thing}, of type {}", self.hub.skill.model.thing_type))?;
        self.terminal.fact("certificate", certificate.as_str())?;
        self.terminal.fact("", &format!("ACTIVE, with the policy {DEVICE_POLICY}, attached to this thing and to no other"))?;
        for permission in permissions(&thing).ok_or(DemoError::Unexpected("the device policy cannot be read"))? {
            let resources = permission.resources.join(", ").replace(thing.as_str(), "(this thing)");
            self.terminal.fact("may", &format!("{} {resources}", permission.action))?;
        }
        self.terminal.fact("mail", &format!("{} to {}", mail.display(), user.masked_address()))?;
        self.terminal.fact("bundle", &bundle.display().to_string())?;
        Ok(Onboarded { thing, certificate, mail, bundle })
    }

    async fn print_a_vase(&mut self, owner: &UserName, its: &Onboarded) -> Result<(), DemoError> {
        self.terminal.headline("3. Ana wants a vase, before her printer is online")?;
        self.tell(owner, "ask my printer to print a vase").await?;
        let state = self.state(&its.thing).await?;
        expect(state.pointer("/delta/command/args/model") == Some(&json!("vase")), "the command is not in the shadow")?;
        self.terminal.document("desired", &state["desired"])?;
        self.terminal.document("delta", &state["delta"])?;
        Ok(())
    }

    async fn ask_for_the_status(&mut self, owner: &UserName, its: &Onboarded) -> Result<(), DemoError> {
        self.terminal.headline("4. Ana's printer connects with the bundle, takes the command and prints")?;
        let mut changes = self.hub.skill.shadows.watch();
        let mail = its.mail.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.hub.devices.request(owner, DeviceRequest::Start { mail }).await?;
        let printing = async {
            loop {
                let state = self.state(&its.thing).await?;
                if state["reported"]["progress"].as_u64().is_some_and(|progress| progress > 0) {
                    return Ok::<_, DemoError>(state);
                }
                // A receiver that missed changes gets an error, and reads the current state again.
                let _ = changes.recv().await;
            }
        };
        let state = timeout(PATIENCE, printing).await.map_err(|_| DemoError::Unexpected("the printer does not print"))??;
        self.terminal.document("reported", &without_mark(&state["reported"]))?;
        let turn = self.tell(owner, "ask my printer for the status").await?;
        let speech = turn.output["speech"].as_str().unwrap_or_default();
        expect(speech.contains("percent of vase"), "the report did not come through")
    }

    async fn end(&mut self, onboarded_owners: &[Onboarded]) -> Result<(), DemoError> {
        let [first, second] = onboarded_owners else { return Err(DemoError::Unexpected("somebody is missing")) };
        let (things, certificates) = (self.hub.registry.things().await?, self.hub.registry.registrations().await?);
        expect(first.thing != second.thing && first.certificate != second.certificate, "two owners share something")?;
        expect(things.len() == 2 && certificates.len() == 2, "something is left over")?;
        self.terminal.headline("Two owners, two things, two certificates, and nothing shared.")?;
        self.terminal.fact("look inside", &format!("unzip -l {}", first.bundle.display()))?;
        self.terminal.fact("go on", "onething-hub serves the same with a page: http://127.0.0.1:8080")?;
        Ok(())
    }

    /// Sends an utterance to the owner's Echo, and prints the utterance and the response.
    async fn tell(&mut self, owner: &UserName, words: &str) -> Result<Arc<Turn>, DemoError> {
        let user = self.hub.users.user(owner, None).await?;
        self.terminal.says(&user.name, &format!("Alexa, {words}."))?;
        let turn = self.hub.say(owner, Words::Said(words.to_owned())).await?;
        self.terminal.says("Alexa", turn.output["speech"].as_str().unwrap_or_default())?;
        let card = &turn.output["card"];
        match card["type"].as_str() {
            Some("LinkAccount") => self.terminal.shows("Alexa app", "[ Link account ]")?,
            Some(_) => self.terminal.shows("Alexa app", &format!("[ {} ]", card["title"].as_str().unwrap_or_default()))?,
            None => {}
        }
        Ok(turn)
    }

    /// The `state` of the shadow: desired, reported and delta.
    async fn state(&self, thing: &ThingName) -> Result<Value, DemoError> {
        let document = self.hub.skill.shadows.document(thing).await?;
        Ok(document.map(|document| document["state"].clone()).unwrap_or_default())
    }
}

/// The reported state without the attributes that the skill or the device library adds.
fn without_mark(reported: &Value) -> Value {
    let mut reported = reported.clone();
    if let Some(reported) = reported.as_object_mut() {
        reported.remove("onboarded");
        reported.remove("certificateId");
    }
    reported
}

fn expect(condition: bool, otherwise: &'static str) -> Result<(), DemoError> {
    if condition { Ok(()) } else { Err(DemoError::Unexpected(otherwise)) }
}

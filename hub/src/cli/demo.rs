//! The story, told in a terminal: two owners, each with a thing of their own.
//!
//! A whole hub runs for it. Everything is said to an Echo and goes through the interaction model, the mail lies in a
//! folder, and the printer connects with the bundle out of the mail, by MQTT over mutual TLS. What is printed is
//! what came back and what the hub then holds. No token, key or whole mail address is among it.

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

/// How long the printer may take for what it does in a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the story was not told to its end.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The folder of the last demo could not be removed.
    #[error("the folder {} cannot be used", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    /// The hub did not start.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The demo's own settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Nobody to print for, or no place for a bundle.
    #[error("the demo could not be written")]
    Output(#[from] io::Error),
    /// A part of the hub failed.
    #[error("the hub failed; with RUST_LOG=info the log says why")]
    Hub(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It came out otherwise than it should.
    #[error("{0}; with RUST_LOG=info the log says why")]
    Otherwise(&'static str),
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

/// Tells the story to `out`, in a folder of its own that is begun anew each time.
pub async fn run(data: &Path, out: impl Write, colour: bool) -> Result<(), DemoError> {
    begin_anew(data)?;
    let running = Running::start(Settings::read(Asked::over(data), &Environment)?).await?;
    let mut stage = Stage { hub: &running.hub, terminal: Terminal::new(out, colour) };
    let told = stage.tell_the_story().await;
    running.end().await;
    told
}

/// Only a folder that an earlier demo made is removed: the database is the sign.
fn begin_anew(data: &Path) -> Result<(), DemoError> {
    if data.join(store::FILE).exists() {
        fs::remove_dir_all(data).map_err(|error| DemoError::Folder(data.to_owned(), error))?;
    }
    Ok(())
}

/// What an owner has after onboarding.
struct Possession {
    thing: ThingName,
    certificate: CertificateId,
    mail: PathBuf,
    bundle: PathBuf,
}

/// The hub and those who watch it.
struct Stage<'a, W> {
    hub: &'a Hub,
    terminal: Terminal<W>,
}

impl<W: Write> Stage<'_, W> {
    async fn tell_the_story(&mut self) -> Result<(), DemoError> {
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

    async fn onboarded(&mut self, headline: &str, owner: &UserName) -> Result<Possession, DemoError> {
        self.terminal.headline(headline)?;
        self.hub.link(owner).await?;
        self.tell(owner, "open my printer").await?;

        let thing = self.hub.thing_of(owner).ok_or(DemoError::Otherwise("the owner has no thing"))?;
        let mut registrations = self.hub.registry.registrations().await?.into_iter();
        let certificate = registrations.find(|(_, registration)| registration.thing.as_deref() == Some(thing.as_str()));
        let (certificate, registration) = certificate.ok_or(DemoError::Otherwise("the owner has no certificate"))?;
        let works = registration.status == Status::Active && registration.policies.contains(DEVICE_POLICY);
        expect(works && self.hub.skill.shadows.document(&thing).await?.is_some(), "the owner is not ready")?;
        let mail = self.hub.mail.sent().pop().ok_or(DemoError::Otherwise("there is no mail"))?;
        let bundle = self.hub.mail.save_attachment(&mail)?;
        let user = self.hub.users.user(owner, None).await?;

        self.terminal.fact("thing", &format!("{thing}, of type {}", self.hub.skill.model.thing_type))?;
        self.terminal.fact("certificate", certificate.as_str())?;
        self.terminal.fact("", &format!("ACTIVE, with the policy {DEVICE_POLICY}, attached to this thing and to no other"))?;
        for permission in permissions(&thing).ok_or(DemoError::Otherwise("the device policy cannot be read"))? {
            let resources = permission.resources.join(", ").replace(thing.as_str(), "(this thing)");
            self.terminal.fact("may", &format!("{} {resources}", permission.action))?;
        }
        self.terminal.fact("mail", &format!("{} to {}", mail.display(), user.masked_address()))?;
        self.terminal.fact("bundle", &bundle.display().to_string())?;
        Ok(Possession { thing, certificate, mail, bundle })
    }

    async fn print_a_vase(&mut self, owner: &UserName, its: &Possession) -> Result<(), DemoError> {
        self.terminal.headline("3. Ana wants a vase, before her printer is online")?;
        self.tell(owner, "ask my printer to print a vase").await?;
        let state = self.state(&its.thing).await?;
        expect(state.pointer("/delta/command/args/model") == Some(&json!("vase")), "the command is not in the shadow")?;
        self.terminal.document("desired", &state["desired"])?;
        self.terminal.document("delta", &state["delta"])?;
        Ok(())
    }

    async fn ask_for_the_status(&mut self, owner: &UserName, its: &Possession) -> Result<(), DemoError> {
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
                // Who was too slow to hear of a change looks again all the same.
                let _ = changes.recv().await;
            }
        };
        let state = timeout(PATIENCE, printing).await.map_err(|_| DemoError::Otherwise("the printer does not print"))??;
        self.terminal.document("reported", &without_mark(&state["reported"]))?;
        let turn = self.tell(owner, "ask my printer for the status").await?;
        let speech = turn.output["speech"].as_str().unwrap_or_default();
        expect(speech.contains("percent of vase"), "the report did not come through")
    }

    async fn end(&mut self, possessions: &[Possession]) -> Result<(), DemoError> {
        let [first, second] = possessions else { return Err(DemoError::Otherwise("somebody is missing")) };
        let (things, certificates) = (self.hub.registry.things().await?, self.hub.registry.registrations().await?);
        expect(first.thing != second.thing && first.certificate != second.certificate, "two owners share something")?;
        expect(things.len() == 2 && certificates.len() == 2, "something is left over")?;
        self.terminal.headline("Two owners, two things, two certificates, and nothing shared.")?;
        self.terminal.fact("look inside", &format!("unzip -l {}", first.bundle.display()))?;
        self.terminal.fact("go on", "onething-hub serves the same with a page: http://127.0.0.1:8080")?;
        Ok(())
    }

    /// Says something to the owner's Echo, and shows what was said and what came back.
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

    /// Desired, reported and the difference.
    async fn state(&self, thing: &ThingName) -> Result<Value, DemoError> {
        let document = self.hub.skill.shadows.document(thing).await?;
        Ok(document.map(|document| document["state"].clone()).unwrap_or_default())
    }
}

/// What the device reported, without what the skill keeps beside it.
fn without_mark(reported: &Value) -> Value {
    let mut reported = reported.clone();
    if let Some(reported) = reported.as_object_mut() {
        reported.remove("onboarded");
        reported.remove("certificateId");
    }
    reported
}

fn expect(so: bool, otherwise: &'static str) -> Result<(), DemoError> {
    if so { Ok(()) } else { Err(DemoError::Otherwise(otherwise)) }
}

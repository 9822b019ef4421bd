//! The story, told in a terminal: two owners, each with a thing of their own.
//!
//! Every request is an envelope as Alexa sends it and goes through [`onething::answer`]; what is printed is
//! what came back and what the ports then hold. No token, key or whole mail address is among it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use onething::answer::answer;
use onething::thing::{CertificateId, ThingName};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::Instant;

use crate::clock;
use crate::echo::{Card, Echo, Heard};
use crate::policy::permissions;
use crate::registry::{Registration, Status};
use crate::screen::Screen;
use crate::sign_in::User;
use crate::skill::{LocalSkill, OpenError, POLICY, SKILL_ID, interaction_model, open};
use crate::utterance::interaction::InteractionModel;

/// A terminal waits longer than Alexa: on a busy machine a debug build takes its time for an RSA key.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the story was not told to its end.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The hub did not start.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Nobody to print for, or no place for a bundle.
    #[error("the demo could not be written")]
    Output(#[from] io::Error),
    /// It came out otherwise than it should.
    #[error("{0}; with RUST_LOG=info the log says why")]
    Otherwise(&'static str),
}

/// Tells the story to `out`, with mail and bundles in the data folder.
pub async fn run(data: &Path, out: impl Write, colour: bool) -> Result<(), DemoError> {
    let skill = open(data)?;
    let earlier = skill.mailer.sent().len();
    let mut stage = Stage { skill, earlier, screen: Screen::new(out, colour) };
    let model = Arc::new(interaction_model()?);
    let mut ana = Owner::new("Ana", "ana@example.com", &model)?;
    let mut ben = Owner::new("Ben", "ben@example.com", &model)?;
    stage.not_linked(&mut ana).await?;
    let first = stage.onboarded("2. Ana links her Amazon account", &mut ana).await?;
    stage.print_a_vase(&mut ana, &first).await?;
    stage.ask_for_the_status(&mut ana, &first).await?;
    let second = stage.onboarded("5. Ben has a printer, too, and links his account", &mut ben).await?;
    stage.end(&[first, second])
}

/// Somebody with an Echo.
struct Owner {
    user: User,
    echo: Echo,
}

impl Owner {
    fn new(name: &str, address: &str, model: &Arc<InteractionModel>) -> Result<Self, DemoError> {
        let user = User::new(name, address).ok_or(DemoError::Otherwise("an account could not be made"))?;
        Ok(Self { echo: Echo::new(SKILL_ID, &name.to_ascii_uppercase(), Arc::clone(model)), user })
    }
}

/// What an owner has after onboarding.
struct Possession {
    thing: ThingName,
    certificate: CertificateId,
    bundle: PathBuf,
}

/// The skill and those who watch it.
struct Stage<W> {
    skill: LocalSkill,
    /// How many mails an earlier telling has left in the folder.
    earlier: usize,
    screen: Screen<W>,
}

impl<W: Write> Stage<W> {
    async fn not_linked(&mut self, owner: &mut Owner) -> Result<(), DemoError> {
        self.screen.headline("1. Ana has enabled the skill, and linked no account")?;
        let heard = self.tell(owner, "open my printer").await?;
        expect(heard.card == Some(Card::LinkAccount), "the skill did not ask for a link")?;
        let (things, certificates) = (self.skill.registry.things().len(), self.skill.registry.registrations().len());
        expect(things + certificates == 0 && self.skill.mailer.sent().len() == self.earlier, "something was made for nobody")?;
        Ok(self.screen.fact("behind", "nothing: no thing, no certificate, no mail")?)
    }

    async fn onboarded(&mut self, headline: &str, owner: &mut Owner) -> Result<Possession, DemoError> {
        self.screen.headline(headline)?;
        let token = self.skill.login.link(&owner.user).ok_or(DemoError::Otherwise("a token could not be made"))?;
        owner.echo.link(token);
        self.tell(owner, "open my printer").await?;

        let thing = ThingName::of(&self.skill.model.thing_prefix, owner.user.owner());
        let tied_to_it = |(_, registration): &(CertificateId, Registration)| registration.thing.as_deref() == Some(thing.as_str());
        let certificate = self.skill.registry.registrations().into_iter().find(tied_to_it);
        let (certificate, registration) = certificate.ok_or(DemoError::Otherwise("the owner has no certificate"))?;
        let works = registration.status == Status::Active && registration.policies.contains(POLICY);
        expect(works && self.skill.shadows.document(&thing).is_some(), "the owner is not ready")?;
        let mail = self.skill.mailer.sent().pop().ok_or(DemoError::Otherwise("there is no mail"))?;
        let bundle = self.skill.mailer.save_attachment(&mail)?;

        self.screen.fact("thing", &format!("{thing}, of type {}", self.skill.model.thing_type))?;
        self.screen.fact("certificate", certificate.as_str())?;
        self.screen.fact("", &format!("ACTIVE, with the policy {POLICY}, tied to this thing and to no other"))?;
        for permission in permissions(&thing).ok_or(DemoError::Otherwise("the device policy cannot be read"))? {
            let resources = permission.resources.join(", ").replace(thing.as_str(), "(this thing)");
            self.screen.fact("may", &format!("{} {resources}", permission.action))?;
        }
        self.screen.fact("mail", &format!("{} to {}", mail.display(), owner.user.masked_address()))?;
        self.screen.fact("bundle", &bundle.display().to_string())?;
        Ok(Possession { thing, certificate, bundle })
    }

    async fn print_a_vase(&mut self, owner: &mut Owner, its: &Possession) -> Result<(), DemoError> {
        self.screen.headline("3. Ana wants a vase, before her printer is online")?;
        self.tell(owner, "ask my printer to print a vase").await?;
        let shadow = self.skill.shadows.document(&its.thing).unwrap_or_default();
        let delta = Value::Object(shadow.delta());
        expect(delta.pointer("/command/args/model") == Some(&json!("vase")), "the command is not in the shadow")?;
        self.screen.document("desired", &Value::Object(shadow.desired().clone()))?;
        self.screen.document("delta", &delta)?;
        Ok(())
    }

    async fn ask_for_the_status(&mut self, owner: &mut Owner, its: &Possession) -> Result<(), DemoError> {
        self.screen.headline("4. Ana's printer comes online, takes the command and reports")?;
        let report = self.printer_takes_the_command(its)?;
        self.screen.document("reported", &report)?;
        let heard = self.tell(owner, "ask my printer for the status").await?;
        expect(heard.speech.contains("12"), "the report did not come through")
    }

    /// A simulated printer: takes the command out of the delta and reports, as a device does by MQTT.
    fn printer_takes_the_command(&mut self, its: &Possession) -> Result<Value, DemoError> {
        let delta = self.skill.shadows.document(&its.thing).unwrap_or_default().delta();
        let command = delta.get("command").ok_or(DemoError::Otherwise("there is no command for the printer"))?;
        let in_time = command["expiresAt"].as_u64().is_some_and(|end| clock::now() < end);
        expect(in_time, "the command has expired")?;
        let report = json!({
            "power": "ON", "status": "printing", "model": command["args"]["model"], "progress": 12, "nozzle": 205, "bed": 60,
            "command": {"id": command["id"], "status": "accepted"},
        });
        let taken = self.skill.shadows.take(&its.thing, &json!({"state": {"reported": report}}));
        taken.map_err(|_| DemoError::Otherwise("the report was refused"))?;
        Ok(report)
    }

    fn end(&mut self, possessions: &[Possession]) -> Result<(), DemoError> {
        let [first, second] = possessions else { return Err(DemoError::Otherwise("somebody is missing")) };
        let registry = &self.skill.registry;
        expect(first.thing != second.thing && first.certificate != second.certificate, "two owners share something")?;
        expect(registry.things().len() == 2 && registry.registrations().len() == 2, "something is left over")?;
        self.screen.headline("Two owners, two things, two certificates, and nothing shared.")?;
        self.screen.fact("look inside", &format!("unzip -l {}", first.bundle.display()))?;
        Ok(())
    }

    /// Says something to the Echo, and shows what was said and what came back.
    async fn tell(&mut self, owner: &mut Owner, words: &str) -> Result<Heard, DemoError> {
        let words = format!("Alexa, {words}.");
        self.screen.says(owner.user.name(), &words)?;
        let request = owner.echo.say(&words).map_err(|_| DemoError::Otherwise("the Echo took the words for somebody else's"))?;
        let answer = answer(&self.skill, &request, Instant::now() + PATIENCE).await;
        let heard = owner.echo.hear(&answer.map_err(|_| DemoError::Otherwise("the skill took the request for a stranger's"))?);
        self.screen.says("Alexa", &heard.speech)?;
        let shown = heard.card.as_ref().map(|card| card.title().unwrap_or("Link account"));
        if let Some(shown) = shown {
            self.screen.shows("Alexa app", &format!("[ {shown} ]"))?;
        }
        Ok(heard)
    }
}

fn expect(so: bool, otherwise: &'static str) -> Result<(), DemoError> {
    if so { Ok(()) } else { Err(DemoError::Otherwise(otherwise)) }
}

//! The simulated Echos of the local users: one in each household, with what was said to it.
//!
//! The session lives in the Echo, so it ends with the process, as it would with an Echo that loses its power.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use onething::identify::AccessToken;
use onething::invocation::Failure;
use serde::Serialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::echo::{Card, Echo, Heard, NotForTheSkill};
use crate::sign_in::{UserError, UserName};
use crate::utterance::interaction::InteractionModel;
use crate::utterance::spoken::asked_of;

/// How many turns and cards are shown again.
const HISTORY: usize = 50;
/// How many examples of each intent are suggested.
const EXAMPLES: usize = 4;

/// What reaches an Echo.
#[derive(Clone, Debug)]
pub enum Words {
    /// Somebody speaks.
    Said(String),
    /// A request as it stands, which is put into an envelope.
    Request(Value),
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum EchoError {
    /// The skill took the request for somebody else's.
    #[error("the skill did not take the request")]
    NotOurs(#[from] Failure),
    /// The users.
    #[error(transparent)]
    User(#[from] UserError),
}

/// What was said, and what came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Turn {
    /// When, in seconds since the epoch.
    pub at: u64,
    /// The words, where there were any.
    pub say: Option<String>,
    /// The envelope that went to the skill; `None` when it was not for the skill.
    pub request: Option<Value>,
    /// The envelope that came back.
    pub response: Option<Value>,
    /// What that comes to, for somebody in the room.
    pub heard: Value,
}

/// An Echo with its past.
pub struct Household {
    /// The device.
    pub echo: Echo,
    turns: Vec<Arc<Turn>>,
    cards: Vec<Value>,
}

impl Household {
    /// From now on this token goes along with every request, or none.
    pub fn hold(&mut self, token: Option<AccessToken>) {
        match token {
            Some(token) => self.echo.link(token),
            None => self.echo.unlink(),
        }
    }

    /// Keeps what was said.
    pub fn keep(&mut self, turn: &Arc<Turn>) {
        push(&mut self.turns, Arc::clone(turn));
    }

    /// Keeps a card that came.
    pub fn card(&mut self, at: u64, card: Option<&Card>) {
        if let Some(card) = card {
            push(&mut self.cards, json!({"at": at, "card": as_json(card)}));
        }
    }
}

/// What was heard, as the page and a program get it.
pub fn shown(heard: &Heard) -> Value {
    let card = heard.card.as_ref().map(as_json);
    json!({"speech": heard.speech, "reprompt": heard.reprompt, "card": card, "listening": heard.listening, "hint": null})
}

/// What Alexa says to what is not for the skill, and how to say it so that the skill hears it.
pub fn not_for_the_skill(said: &NotForTheSkill) -> Value {
    json!({"speech": said.speech, "reprompt": null, "card": null, "listening": said.listening, "hint": said.hint})
}

fn as_json(card: &Card) -> Value {
    match card {
        Card::LinkAccount => json!({"type": "LinkAccount"}),
        Card::Simple { title, content } => json!({"type": "Simple", "title": title, "text": content}),
        Card::Standard { title, text, image } => json!({"type": "Standard", "title": title, "text": text, "image": image}),
        Card::Permissions(scopes) => json!({"type": "AskForPermissionsConsent", "permissions": scopes}),
        Card::Other(kind) => json!({"type": kind}),
    }
}

fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() == HISTORY {
        list.remove(0);
    }
    list.push(item);
}

/// All Echos.
pub struct Households {
    skill_id: String,
    model: Arc<InteractionModel>,
    echos: Mutex<HashMap<UserName, Arc<tokio::sync::Mutex<Household>>>>,
}

impl Households {
    /// Echos on which this skill is enabled, with its interaction model.
    pub fn new(skill_id: &str, model: Arc<InteractionModel>) -> Self {
        Self { skill_id: skill_id.to_owned(), model, echos: Mutex::default() }
    }

    /// The Echo of a user. Who speaks while another answer is under way waits for it, as in a room.
    pub fn of(&self, user: &UserName) -> Arc<tokio::sync::Mutex<Household>> {
        let mut echos = self.echos.lock().unwrap_or_else(PoisonError::into_inner);
        let household = || {
            let echo = Echo::new(&self.skill_id, &user.as_str().to_ascii_uppercase(), Arc::clone(&self.model));
            Arc::new(tokio::sync::Mutex::new(Household { echo, turns: Vec::new(), cards: Vec::new() }))
        };
        Arc::clone(echos.entry(user.clone()).or_insert_with(household))
    }

    /// What one can say, by intent: the samples of the interaction model, as one says them.
    pub fn suggestions(&self) -> Value {
        let (model, name) = (&self.model, &self.model.invocation_name);
        let of_the_skill = model.intents.iter().filter(|intent| !intent.name.starts_with("AMAZON."));
        let groups: Vec<Value> = of_the_skill
            .map(|intent| {
                let examples: Vec<String> = model.examples(intent).take(EXAMPLES).map(|words| asked_of(name, &words)).collect();
                json!({"intent": intent.name, "say": examples})
            })
            .collect();
        json!({"invocation": name, "start": [format!("open {name}")], "groups": groups})
    }

    /// What was said lately, and the cards in the app, oldest first.
    pub async fn history(&self, user: &UserName) -> (Vec<Arc<Turn>>, Vec<Value>) {
        let household = self.of(user);
        let household = household.lock().await;
        (household.turns.clone(), household.cards.clone())
    }
}

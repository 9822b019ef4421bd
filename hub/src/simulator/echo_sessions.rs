//! The simulated Echos of the local users: one in each echo_session, with what was said to it.
//!
//! The session lives in the Echo, so it ends with the process, as it would with an Echo that loses its power. What was said and the
//! cards of the app are kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use onething::lambda::Failure;
use onething::login::AccessToken;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::sync::OwnedMutexGuard;

use crate::sign_in::{UserError, UserName};
use crate::simulator::echo::{Card, Echo, EchoOutput, NotForTheSkill};
use crate::simulator::history;
use crate::simulator::turn::Turn;
use crate::simulator::utterance::interaction::InteractionModel;
use crate::simulator::utterance::interpretation::asked_of;
use crate::storage::store::Store;

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

/// An Echo with its past.
pub struct EchoSession {
    /// The device.
    pub echo: Echo,
    turns: Vec<Arc<Turn>>,
    cards: Vec<Value>,
    /// Whether what is kept has been read.
    is_recalled: bool,
}

impl EchoSession {
    /// From now on this token goes along with every request, or none.
    pub fn hold(&mut self, token: Option<AccessToken>) {
        match token {
            Some(token) => self.echo.link(token),
            None => self.echo.unlink(),
        }
    }
}

/// A card as it is kept and shown. `at` is in seconds since the epoch.
pub fn dated(at: u64, card: &Card) -> Value {
    json!({"at": at, "card": as_json(card)})
}

/// What was output, as the page and a program get it.
pub fn shown(output: &EchoOutput) -> Value {
    let card = output.card.as_ref().map(as_json);
    json!({"speech": output.speech, "reprompt": output.reprompt, "card": card, "listening": output.listening, "hint": null})
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
    if list.len() == history::LENGTH {
        list.remove(0);
    }
    list.push(item);
}

/// All Echos.
pub struct EchoSessions {
    store: Store,
    skill_id: String,
    model: Arc<InteractionModel>,
    echos: Mutex<HashMap<UserName, Arc<tokio::sync::Mutex<EchoSession>>>>,
}

impl EchoSessions {
    /// Echos on which this skill is enabled, with its interaction model.
    pub fn new(store: Store, skill_id: &str, model: Arc<InteractionModel>) -> Self {
        Self { store, skill_id: skill_id.to_owned(), model, echos: Mutex::default() }
    }

    /// The Echo of a user. Who speaks while another answer is under way waits for it, as in a room.
    pub async fn of(&self, user: &UserName) -> OwnedMutexGuard<EchoSession> {
        let mut echo_session = self.shared(user).lock_owned().await;
        if !echo_session.is_recalled {
            match history::load(&self.store, user).await {
                Ok((turns, cards)) => (echo_session.turns, echo_session.cards, echo_session.is_recalled) = (turns, cards, true),
                Err(error) => tracing::warn!(step = "store", cause = "store_refused", "{}", onething::fault::chain(&error)),
            }
        }
        echo_session
    }

    fn shared(&self, user: &UserName) -> Arc<tokio::sync::Mutex<EchoSession>> {
        let mut echos = self.echos.lock().unwrap_or_else(PoisonError::into_inner);
        let echo_session = || {
            let echo = Echo::new(&self.skill_id, &user.as_str().to_ascii_uppercase(), Arc::clone(&self.model));
            Arc::new(tokio::sync::Mutex::new(EchoSession { echo, turns: Vec::new(), cards: Vec::new(), is_recalled: false }))
        };
        Arc::clone(echos.entry(user.clone()).or_insert_with(echo_session))
    }

    /// Keeps what was said and the cards that came with it.
    pub async fn keep(&self, user: &UserName, echo_session: &mut EchoSession, turn: &Arc<Turn>, cards: Vec<Value>) {
        if let Err(error) = history::keep(&self.store, user, turn, &cards).await {
            tracing::warn!(step = "store", cause = "store_refused", "{}", onething::fault::chain(&error));
        }
        push(&mut echo_session.turns, Arc::clone(turn));
        cards.into_iter().for_each(|card| push(&mut echo_session.cards, card));
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

    /// Forgets a user's Echo.
    pub fn forget(&self, user: &UserName) {
        self.echos.lock().unwrap_or_else(PoisonError::into_inner).remove(user);
    }

    /// What was said lately and the cards in the app, oldest first; and whether the skill is enabled.
    pub async fn history(&self, user: &UserName) -> (Vec<Arc<Turn>>, Vec<Value>, bool) {
        let echo_session = self.of(user).await;
        (echo_session.turns.clone(), echo_session.cards.clone(), echo_session.echo.is_enabled())
    }
}

/// A request as it may be shown: its token belongs to nobody who looks.
pub fn without_token(mut request: Value) -> Value {
    for holder in ["/session/user", "/context/System/user"] {
        if let Some(token) = request.pointer_mut(&format!("{holder}/accessToken")) {
            *token = json!("(not shown)");
        }
    }
    request
}

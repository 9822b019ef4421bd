//! The simulated Echo devices of the local users: one for each user, with the history of its conversation.
//!
//! The Alexa session is held in memory only, so it ends with the process, as it ends on an Echo that loses power. The turns and
//! the cards of the Alexa app are stored in the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use onething::lambda::Failure;
use onething::login::AccessToken;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::sync::OwnedMutexGuard;

use crate::sign_in::{UserError, UserName};
use crate::simulator::echo::{Card, Echo, EchoOutput, HandledByAlexa};
use crate::simulator::history;
use crate::simulator::turn::Turn;
use crate::simulator::utterance::interaction::InteractionModel;
use crate::simulator::utterance::interpretation::invocation_utterance;
use crate::storage::store::Store;

/// The number of example utterances that are suggested for each intent.
const EXAMPLES: usize = 4;

/// The input of an Echo.
#[derive(Clone, Debug)]
pub enum Words {
    /// An utterance.
    Said(String),
    /// A request in JSON, which is sent to the skill in an envelope.
    Request(Value),
}

/// Why the Echo has no response to a request.
#[derive(Debug, Error)]
pub enum EchoError {
    /// The skill failed to process the request, for example because the application id is not the id of this skill.
    #[error("the skill did not take the request")]
    NotOurs(#[from] Failure),
    /// The user does not exist, or another error of the user store.
    #[error(transparent)]
    User(#[from] UserError),
}

/// A user's Echo with its stored history.
pub struct EchoSession {
    /// The simulated Echo.
    pub echo: Echo,
    turns: Vec<Arc<Turn>>,
    cards: Vec<Value>,
    /// Whether the stored turns and cards have been loaded.
    is_recalled: bool,
}

impl EchoSession {
    /// Sets the access token that later requests carry; `None` unlinks the account.
    pub fn hold(&mut self, token: Option<AccessToken>) {
        match token {
            Some(token) => self.echo.link(token),
            None => self.echo.unlink(),
        }
    }
}

/// A card in the form in which it is stored and shown. `at` is a Unix time in seconds.
pub fn dated(at: u64, card: &Card) -> Value {
    json!({"at": at, "card": as_json(card)})
}

/// The output of the Echo as JSON, for the page and for API clients.
pub fn shown(output: &EchoOutput) -> Value {
    let card = output.card.as_ref().map(as_json);
    json!({"speech": output.speech, "reprompt": output.reprompt, "card": card, "listening": output.listening, "hint": null})
}

/// Alexa's reaction to an utterance that is not for the skill, with a hint that shows how to address the skill.
pub fn not_for_the_skill(said: &HandledByAlexa) -> Value {
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

/// The Echo devices of all users.
pub struct EchoSessions {
    store: Store,
    skill_id: String,
    model: Arc<InteractionModel>,
    echos: Mutex<HashMap<UserName, Arc<tokio::sync::Mutex<EchoSession>>>>,
}

impl EchoSessions {
    /// Creates no Echo yet. Every Echo has the skill with this id enabled, and uses this interaction model.
    pub fn new(store: Store, skill_id: &str, model: Arc<InteractionModel>) -> Self {
        Self { store, skill_id: skill_id.to_owned(), model, echos: Mutex::default() }
    }

    /// The Echo of a user, locked: a second utterance waits until the first one is answered.
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

    /// Stores a turn and the cards of its response.
    pub async fn keep(&self, user: &UserName, echo_session: &mut EchoSession, turn: &Arc<Turn>, cards: Vec<Value>) {
        if let Err(error) = history::keep(&self.store, user, turn, &cards).await {
            tracing::warn!(step = "store", cause = "store_refused", "{}", onething::fault::chain(&error));
        }
        push(&mut echo_session.turns, Arc::clone(turn));
        cards.into_iter().for_each(|card| push(&mut echo_session.cards, card));
    }

    /// Example utterances for each intent of the skill, made from the samples of the interaction model.
    pub fn suggestions(&self) -> Value {
        let (model, name) = (&self.model, &self.model.invocation_name);
        let of_the_skill = model.intents.iter().filter(|intent| !intent.name.starts_with("AMAZON."));
        let groups: Vec<Value> = of_the_skill
            .map(|intent| {
                let examples: Vec<String> = model.examples(intent).take(EXAMPLES).map(|words| invocation_utterance(name, &words)).collect();
                json!({"intent": intent.name, "say": examples})
            })
            .collect();
        json!({"invocation": name, "start": [format!("open {name}")], "groups": groups})
    }

    /// Removes a user's Echo and its session from memory.
    pub fn forget(&self, user: &UserName) {
        self.echos.lock().unwrap_or_else(PoisonError::into_inner).remove(user);
    }

    /// The latest turns and cards, oldest first, and whether the skill is enabled.
    pub async fn history(&self, user: &UserName) -> (Vec<Arc<Turn>>, Vec<Value>, bool) {
        let echo_session = self.of(user).await;
        (echo_session.turns.clone(), echo_session.cards.clone(), echo_session.echo.is_enabled())
    }
}

/// A copy of a request without its access token, which must not be shown.
pub fn without_token(mut request: Value) -> Value {
    for holder in ["/session/user", "/context/System/user"] {
        if let Some(token) = request.pointer_mut(&format!("{holder}/accessToken")) {
            *token = json!("(not shown)");
        }
    }
    request
}

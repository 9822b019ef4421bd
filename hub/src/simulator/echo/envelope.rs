//! The envelopes of requests, and the events that Alexa sends outside of a session.

use data_encoding::{HEXLOWER, HEXUPPER};
use serde_json::{Value, json};

use super::Echo;
use super::dialog::Dialog;
use crate::clock;

/// An open session.
pub(super) struct Session {
    id: String,
    pub(super) is_new: bool,
    pub(super) attributes: Value,
    /// The intent of the last request and the state of its dialog.
    pub(super) dialog: Option<Dialog>,
}

impl Session {
    pub(super) fn new() -> Self {
        let id = format!("amzn1.echo-api.session.{}", HEXLOWER.encode(&random()));
        Self { id, is_new: true, attributes: json!({}), dialog: None }
    }
}

/// Whether Alexa sends requests of this type without a session.
pub(super) fn is_out_of_session(kind: &str) -> bool {
    let families = [
        "AlexaSkillEvent.",
        "AlexaHouseholdListEvent.",
        "Alexa.Authorization.",
        "AudioPlayer.",
        "Messaging.",
        "PlaybackController.",
        "Reminders.",
        "System.",
    ];
    families.iter().any(|family| kind.starts_with(family))
}

impl Echo {
    /// Disables the skill and unlinks the account. Returns the event that Alexa sends.
    pub fn disable(&mut self) -> Value {
        let event = self.event("AlexaSkillEvent.SkillDisabled");
        self.enabled = false;
        self.token = None;
        self.session = None;
        event
    }

    /// Enables the skill again, with a new user id. Returns the event that Alexa sends.
    pub fn enable(&mut self) -> Value {
        self.enabled = true;
        self.user_id = format!("amzn1.ask.account.{}", HEXUPPER.encode(&random()));
        self.event("AlexaSkillEvent.SkillEnabled")
    }

    /// The event that Alexa sends when an account has been linked; `None` if no account is linked.
    pub fn linked_event(&mut self) -> Option<Value> {
        let token = self.token.as_ref()?.secret().to_owned();
        let mut event = self.event("AlexaSkillEvent.SkillAccountLinked");
        event["request"]["body"] = json!({"accessToken": token});
        Some(event)
    }

    /// The envelope of a request within the open session, or within a new session.
    pub(super) fn in_session(&mut self, request: Value) -> Value {
        let (application, user) = (json!({"applicationId": self.skill_id}), self.user());
        let session = self.session.get_or_insert_with(Session::new);
        let session = json!({
            "new": session.is_new,
            "sessionId": session.id,
            "application": application,
            "attributes": session.attributes,
            "user": user,
        });
        let mut envelope = self.out_of_session(request);
        envelope["session"] = session;
        if let Some(request) = envelope["request"].as_object_mut() {
            request.entry("locale").or_insert_with(|| json!("en-US"));
        }
        envelope
    }

    /// The envelope of a request that ends the session.
    pub(super) fn last_of_session(&mut self, request: Value) -> Value {
        let envelope = self.in_session(request);
        self.session = None;
        envelope
    }

    /// The envelope of a request without a session.
    pub(super) fn out_of_session(&self, mut request: Value) -> Value {
        if let Some(request) = request.as_object_mut() {
            let id = || json!(format!("amzn1.echo-api.request.{}", HEXLOWER.encode(&random())));
            request.entry("requestId").or_insert_with(id);
            request.entry("timestamp").or_insert_with(|| json!(clock::iso8601(clock::now())));
        }
        json!({
            "version": "1.0",
            "context": {"System": {
                "application": {"applicationId": self.skill_id},
                "user": self.user(),
                "device": {"deviceId": format!("amzn1.ask.device.{}", self.household), "supportedInterfaces": {}},
            }},
            "request": request,
        })
    }

    fn event(&self, kind: &str) -> Value {
        let now = json!(clock::iso8601(clock::now()));
        let mut event = self.out_of_session(json!({"type": kind, "eventCreationTime": now, "eventPublishingTime": now}));
        // An event does not come from a device.
        if let Some(system) = event["context"]["System"].as_object_mut() {
            system.remove("device");
        }
        event
    }

    fn user(&self) -> Value {
        let mut user = json!({"userId": self.user_id});
        if let Some(token) = &self.token {
            user["accessToken"] = json!(token.secret());
        }
        user
    }
}

/// Random bits for ids. They must be unique, because the id of a request is also the id of its command.
fn random() -> [u8; 16] {
    let mut bits = [0_u8; 16];
    if getrandom::fill(&mut bits).is_err() {
        bits = u128::from(clock::micros()).to_be_bytes();
    }
    bits
}

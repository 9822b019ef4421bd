//! An Alexa device: it builds the request envelopes that Alexa sends to the skill, and keeps the session as Alexa does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::answer::Answer;
use super::deployment::SKILL_ID;

/// A slot of an intent with its value and resolutions.
#[derive(Clone, Debug)]
pub struct Slot {
    name: &'static str,
    body: Value,
}

impl Slot {
    /// A value of a built-in slot type, which has no resolutions.
    pub fn said(name: &'static str, value: &str) -> Self {
        Self::of(name, json!({"value": value}))
    }

    /// A value of a custom type that matched the entry with this id.
    pub fn matched(name: &'static str, value: &str, canonical: &str, id: &str) -> Self {
        let authority = "amzn1.er-authority.echo-sdk.skill.Values";
        let resolution = json!({
            "authority": authority,
            "status": {"code": "ER_SUCCESS_MATCH"},
            "values": [{"value": {"name": canonical, "id": id}}],
        });
        Self::resolved(name, value, &resolution)
    }

    /// A value of a custom type that matched no entry. `values` is absent, as in real requests.
    pub fn unmatched(name: &'static str, value: &str) -> Self {
        let authority = "amzn1.er-authority.echo-sdk.skill.Values";
        let resolution = json!({
            "authority": authority,
            "status": {"code": "ER_SUCCESS_NO_MATCH"},
        });
        Self::resolved(name, value, &resolution)
    }

    /// A slot without a value.
    pub fn empty(name: &'static str) -> Self {
        Self::of(name, json!({}))
    }

    fn resolved(name: &'static str, value: &str, resolution: &Value) -> Self {
        let resolutions = json!({"resolutionsPerAuthority": [resolution]});
        Self::of(
            name,
            json!({
                "value": value,
                "resolutions": resolutions,
                "slotValue": {"type": "Simple", "value": value, "resolutions": resolutions},
            }),
        )
    }

    fn of(name: &'static str, mut body: Value) -> Self {
        body["name"] = json!(name);
        body["confirmationStatus"] = json!("NONE");
        body["source"] = json!("USER");
        Self { name, body }
    }
}

/// One Echo of one Alexa user.
#[derive(Clone, Debug)]
pub struct Echo {
    pub skill_id: String,
    pub alexa_user: String,
    pub token: Option<String>,
    pub locale: String,
    /// The API endpoint and the API access token for progressive responses, if Alexa sends them.
    pub api: Option<(String, String)>,
    session: Option<Session>,
    spoken: u32,
}

#[derive(Clone, Debug)]
struct Session {
    id: String,
    is_new: bool,
    attributes: Value,
}

impl Echo {
    /// An Echo whose owner has not linked an account.
    pub fn unlinked() -> Self {
        Self {
            skill_id: SKILL_ID.to_owned(),
            alexa_user: "amzn1.ask.account.AHQPTESTOWNER".to_owned(),
            token: None,
            locale: "en-US".to_owned(),
            api: None,
            session: None,
            spoken: 0,
        }
    }

    /// An Echo whose owner has linked the account that this access token belongs to.
    pub fn linked(token: &str) -> Self {
        Self { token: Some(token.to_owned()), alexa_user: alexa_user_of(token), ..Self::unlinked() }
    }

    /// Replaces the access token, as after linking the account again, and ends the session.
    pub fn links_again(&mut self, token: &str) {
        self.token = Some(token.to_owned());
        self.session = None;
    }

    /// Adds the API endpoint and the API access token to every request, so that the skill can send progressive responses.
    pub fn hearing_progress(mut self, endpoint: &str, access_token: &str) -> Self {
        self.api = Some((endpoint.to_owned(), access_token.to_owned()));
        self
    }

    /// "Alexa, open my printer."
    pub fn launch(&mut self) -> Value {
        let request = self.request("LaunchRequest", json!({}));
        self.in_session(&request)
    }

    /// "Alexa, ask my printer to ..."
    pub fn intent(&mut self, name: &str, slots: &[Slot]) -> Value {
        self.intent_in("COMPLETED", "NONE", name, slots)
    }

    /// An intent with the given dialog state and confirmation status.
    pub fn intent_in(&mut self, dialog_state: &str, confirmation: &str, name: &str, slots: &[Slot]) -> Value {
        let slots: serde_json::Map<String, Value> = slots.iter().map(|slot| (slot.name.to_owned(), slot.body.clone())).collect();
        let request = self.request(
            "IntentRequest",
            json!({
                "dialogState": dialog_state,
                "intent": {"name": name, "confirmationStatus": confirmation, "slots": slots},
            }),
        );
        self.in_session(&request)
    }

    /// The given request, with a request id, timestamp and session of this Echo.
    pub fn turn(&mut self, request: Value) -> Value {
        let kind = request["type"].as_str().expect("the type of the request").to_owned();
        let request = self.request(&kind, request);
        self.in_session(&request)
    }

    /// A CanFulfillIntentRequest: Alexa asks whether the skill can fulfil the intent, which must have no side effect.
    pub fn can_fulfill(&mut self, name: &str, slots: &[Slot]) -> Value {
        let mut envelope = self.intent(name, slots);
        envelope["request"]["type"] = json!("CanFulfillIntentRequest");
        envelope
    }

    /// A SessionEndedRequest: the user left the skill, or an error ended the session.
    pub fn session_ended(&mut self, reason: &str) -> Value {
        let mut fields = json!({"reason": reason});
        if reason == "ERROR" {
            fields["error"] = json!({"type": "INVALID_RESPONSE", "message": "An exception occurred"});
        }
        let request = self.request("SessionEndedRequest", fields);
        let envelope = self.in_session(&request);
        self.session = None;
        envelope
    }

    /// A System.ExceptionEncountered request: Alexa could not use an earlier response.
    pub fn exception_encountered(&mut self) -> Value {
        let request = self.request(
            "System.ExceptionEncountered",
            json!({
                "error": {"type": "INVALID_RESPONSE", "message": "An exception occurred"},
                "cause": {"requestId": "amzn1.echo-api.request.earlier"},
            }),
        );
        self.out_of_session(&request)
    }

    pub fn session_resumed(&mut self) -> Value {
        let request = self.request(
            "SessionResumedRequest",
            json!({"cause": {
                "type": "ConnectionCompleted",
                "token": "1234",
                "status": {"code": 200, "message": "OK"},
            }}),
        );
        self.in_session(&request)
    }

    /// A skill event: it has no session and no locale, but two timestamps of its own.
    pub fn skill_event(&mut self, kind: &str, body: Option<Value>) -> Value {
        let now = iso8601(SystemTime::now());
        let mut request = self.request(&format!("AlexaSkillEvent.{kind}"), json!({"eventCreationTime": now, "eventPublishingTime": now}));
        if let Some(body) = body {
            request["body"] = body;
        }
        if let Some(fields) = request.as_object_mut() {
            fields.remove("locale");
        }
        self.out_of_session(&request)
    }

    /// SkillAccountLinked, with the access token in the body.
    pub fn account_linked(&mut self) -> Value {
        let body = json!({"accessToken": self.token});
        self.skill_event("SkillAccountLinked", Some(body))
    }

    /// A documented skill event for this skill, user and account, created at `at`, a Unix time in seconds.
    pub fn documented_event(&self, fixture: &str, at: u64) -> Value {
        let mut envelope: Value = serde_json::from_str(fixture).expect("a documented event");
        envelope["context"]["System"]["application"]["applicationId"] = json!(self.skill_id);
        envelope["context"]["System"]["user"]["userId"] = json!(self.alexa_user);
        envelope["request"]["eventCreationTime"] = json!(iso8601(UNIX_EPOCH + Duration::from_secs(at)));
        if envelope["request"]["body"].is_object() {
            envelope["request"]["body"]["accessToken"] = json!(self.token);
        }
        envelope
    }

    /// A request of any type with only the common fields, in a session.
    pub fn anything(&mut self, kind: &str) -> Value {
        let request = self.request(kind, json!({}));
        self.in_session(&request)
    }

    /// A request of any type with only the common fields, without a session.
    pub fn anything_out_of_session(&mut self, kind: &str) -> Value {
        let request = self.request(kind, json!({}));
        self.out_of_session(&request)
    }

    /// Stores the session attributes of the response, or ends the session if the response does.
    pub fn hear(&mut self, answer: &Answer) {
        if answer.ends_session() {
            self.session = None;
        } else if let Some(session) = &mut self.session {
            session.is_new = false;
            session.attributes = answer.session_attributes();
        }
    }

    /// Ends the session without a request; the next request starts a new one.
    pub fn start_over(&mut self) {
        self.session = None;
    }

    fn request(&mut self, kind: &str, fields: Value) -> Value {
        self.spoken += 1;
        let mut request = fields;
        request["type"] = json!(kind);
        request["requestId"] = json!(format!("amzn1.echo-api.request.00000000-0000-4000-9000-{:012x}", self.spoken));
        request["timestamp"] = json!(iso8601(SystemTime::now()));
        request["locale"] = json!(self.locale);
        request
    }

    fn in_session(&mut self, request: &Value) -> Value {
        let number = self.spoken;
        let session = self.session.get_or_insert_with(|| Session {
            id: format!("amzn1.echo-api.session.00000000-0000-4000-a000-{number:012x}"),
            is_new: true,
            attributes: json!({}),
        });
        let mut block = json!({
            "new": session.is_new,
            "sessionId": session.id,
            "application": {"applicationId": self.skill_id},
            "attributes": session.attributes,
            "user": {"userId": self.alexa_user},
        });
        if let Some(token) = &self.token {
            block["user"]["accessToken"] = json!(token);
        }
        let mut envelope = self.out_of_session(request);
        envelope["session"] = block;
        envelope
    }

    fn out_of_session(&self, request: &Value) -> Value {
        let mut system = json!({
            "application": {"applicationId": self.skill_id},
            "user": {"userId": self.alexa_user},
            "device": {
                "deviceId": "amzn1.ask.device.AETEST",
                "supportedInterfaces": {"AudioPlayer": {}},
            },
        });
        if let Some(token) = &self.token {
            system["user"]["accessToken"] = json!(token);
        }
        if let Some((endpoint, token)) = &self.api {
            system["apiEndpoint"] = json!(endpoint);
            system["apiAccessToken"] = json!(token);
        }
        json!({
            "version": "1.0",
            "context": {
                "AudioPlayer": {"playerActivity": "IDLE"},
                "System": system,
                "Viewports": [],
            },
            "request": request,
        })
    }
}

/// The Alexa user id of the owner of a token. It differs from the user id of the Amazon account.
fn alexa_user_of(token: &str) -> String {
    let whose = token.rsplit('=').next().unwrap_or_default();
    format!("amzn1.ask.account.{}", whose.to_uppercase())
}

/// A time as Alexa writes it: `2026-11-22T00:04:05Z`.
pub fn iso8601(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
    // civil_from_days, for days after 1970.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

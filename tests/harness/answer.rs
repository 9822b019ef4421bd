//! A response of the skill. It is checked against the rules of Alexa's response format ("Request and Response JSON Reference")
//! before a test reads it.

use serde_json::{Value, json};

/// The limit of the whole response in bytes: "The total size of your response can't exceed 120 kilobytes."
const RESPONSE_LIMIT: usize = 120 * 1024;
/// The limit of the speech, and of title and text of a card together, in characters.
const TEXT_LIMIT: usize = 8_000;

#[derive(Clone, Debug)]
pub struct Answer(Value);

impl Answer {
    /// Parses and checks a response; panics with the response if it breaks a rule.
    pub fn check(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        assert!(body.len() <= RESPONSE_LIMIT, "{} bytes", body.len());
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            panic!("not JSON: {text}");
        };
        let mut faults = Vec::new();
        check_envelope(&value, &mut faults);
        assert!(faults.is_empty(), "{faults:#?} in {value:#}");
        Self(value)
    }

    pub fn json(&self) -> &Value {
        &self.0
    }

    pub fn response(&self) -> &Value {
        &self.0["response"]
    }

    /// The speech without SSML tags.
    pub fn speech(&self) -> String {
        spoken(&self.response()["outputSpeech"])
    }

    /// The reprompt without SSML tags.
    pub fn reprompt(&self) -> String {
        spoken(&self.response()["reprompt"]["outputSpeech"])
    }

    pub fn card(&self) -> Option<&str> {
        self.response()["card"]["type"].as_str()
    }

    /// Title and text of the card.
    pub fn card_text(&self) -> String {
        let card = &self.response()["card"];
        ["title", "content", "text"].iter().filter_map(|field| card[field].as_str()).collect::<Vec<_>>().join("\n")
    }

    pub fn directives(&self) -> Vec<&str> {
        self.response()["directives"].as_array().into_iter().flatten().filter_map(|directive| directive["type"].as_str()).collect()
    }

    pub fn ends_session(&self) -> bool {
        self.response()["shouldEndSession"] == json!(true)
    }

    pub fn keeps_session_open(&self) -> bool {
        self.response()["shouldEndSession"] == json!(false)
    }

    pub fn session_attributes(&self) -> Value {
        self.0.get("sessionAttributes").cloned().unwrap_or_else(|| json!({}))
    }

    /// Whether the response has no speech, card, reprompt, directive or answer to a CanFulfillIntentRequest.
    pub fn is_empty(&self) -> bool {
        ["outputSpeech", "card", "reprompt", "directives", "canFulfillIntent"].iter().all(|field| self.response().get(field).is_none())
    }

    /// Requires that the speech contains all of `parts`, ignoring case.
    pub fn says(&self, parts: &[&str]) -> &Self {
        let speech = self.speech().to_lowercase();
        for part in parts {
            assert!(speech.contains(&part.to_lowercase()), "{part:?} is not in {speech:?}");
        }
        self
    }

    /// Whether the response is the welcome of a new owner: the speech mentions the mail, and a card keeps the text.
    pub fn is_a_welcome(&self) -> bool {
        self.speech().contains("mail") && matches!(self.card(), Some("Simple" | "Standard"))
    }

    /// Requires the welcome of a new owner.
    pub fn welcomes(&self) -> &Self {
        assert!(self.is_a_welcome(), "{:#}", self.0);
        self
    }

    /// Requires that the response asks to link the account, by speech and card, and ends the session.
    pub fn asks_to_link(&self) -> &Self {
        assert_eq!(self.card(), Some("LinkAccount"), "{:#}", self.0);
        assert!(self.ends_session(), "{:#}", self.0);
        // A response that says only "you have to link" fails certification: it has to say where the card is.
        self.says(&["alexa app"])
    }

    /// Requires an apology for a fault that is not the account's: speech, but no LinkAccount card, since linking again would not
    /// help.
    pub fn apologises(&self) -> &Self {
        assert!(!self.speech().is_empty(), "{:#}", self.0);
        assert_ne!(self.card(), Some("LinkAccount"), "{:#}", self.0);
        self
    }
}

fn spoken(output: &Value) -> String {
    if let Some(text) = output["text"].as_str() {
        return text.to_owned();
    }
    let mut text = String::new();
    let mut depth = 0_u32;
    for character in output["ssml"].as_str().unwrap_or_default().chars() {
        match character {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            other if depth == 0 => text.push(other),
            _ => {}
        }
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn check_envelope(answer: &Value, faults: &mut Vec<String>) {
    only_fields(answer, "", &["version", "sessionAttributes", "userAgent", "response"], faults);
    if answer["version"] != json!("1.0") {
        faults.push("version is not 1.0".into());
    }
    if let Some(attributes) = answer.get("sessionAttributes")
        && !attributes.is_object()
    {
        faults.push("sessionAttributes is no object".into());
    }
    let response = &answer["response"];
    if !response.is_object() {
        faults.push("response is no object".into());
        return;
    }
    no_nulls(answer, "", faults);
    only_fields(response, "response.", &["outputSpeech", "card", "reprompt", "directives", "shouldEndSession", "canFulfillIntent"], faults);
    if let Some(ends) = response.get("shouldEndSession")
        && !ends.is_boolean()
    {
        faults.push("shouldEndSession is no boolean".into());
    }
    if let Some(speech) = response.get("outputSpeech") {
        check_speech(speech, faults);
    }
    if let Some(reprompt) = response.get("reprompt") {
        check_speech(&reprompt["outputSpeech"], faults);
        if response["shouldEndSession"] != json!(false) {
            faults.push("a reprompt in a session that does not stay open".into());
        }
    }
    if let Some(card) = response.get("card") {
        check_card(card, faults);
    }
    if let Some(directives) = response.get("directives") {
        for directive in directives.as_array().into_iter().flatten() {
            check_directive(directive, faults);
        }
        if directives.as_array().is_none_or(Vec::is_empty) {
            faults.push("directives is no list of directives".into());
        }
    }
}

fn check_speech(speech: &Value, faults: &mut Vec<String>) {
    let text = match speech["type"].as_str() {
        Some("PlainText") => &speech["text"],
        Some("SSML") => &speech["ssml"],
        _ => {
            faults.push("speech is neither PlainText nor SSML".into());
            return;
        }
    };
    let Some(text) = text.as_str() else {
        faults.push("speech without its text".into());
        return;
    };
    if text.trim().is_empty() || text.chars().count() > TEXT_LIMIT {
        faults.push(format!("speech of {} characters", text.chars().count()));
    }
    if speech["type"] == json!("SSML") {
        check_ssml(text, faults);
    }
}

/// Requires one pair of `<speak>` tags, and every `&` and `<` either as markup or escaped. Invalid SSML ends the session with
/// INVALID_RESPONSE.
fn check_ssml(ssml: &str, faults: &mut Vec<String>) {
    if !(ssml.starts_with("<speak>") && ssml.ends_with("</speak>")) {
        faults.push("SSML without its wrapper".into());
    }
    let entities = ["&amp;", "&lt;", "&gt;", "&quot;", "&apos;"];
    for (at, _) in ssml.match_indices('&') {
        if !entities.iter().any(|entity| ssml[at..].starts_with(entity)) {
            faults.push("a bare & in SSML".into());
        }
    }
    let mut open = Vec::new();
    for (at, _) in ssml.match_indices('<') {
        let Some(tag) = ssml[at + 1..].split('>').next() else {
            continue;
        };
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        if tag.starts_with('/') {
            if open.pop() != Some(name) {
                faults.push(format!("</{tag}> closes nothing"));
            }
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    if !open.is_empty() {
        faults.push(format!("{open:?} is never closed"));
    }
}

fn check_card(card: &Value, faults: &mut Vec<String>) {
    let allowed: &[&str] = match card["type"].as_str() {
        Some("Simple") => &["type", "title", "content"],
        Some("Standard") => &["type", "title", "text", "image"],
        Some("LinkAccount") => &["type"],
        Some("AskForPermissionsConsent") => &["type", "permissions"],
        other => {
            faults.push(format!("no such card: {other:?}"));
            return;
        }
    };
    only_fields(card, "card.", allowed, faults);
    let length: usize = ["title", "content", "text"].iter().filter_map(|field| card[field].as_str()).map(|text| text.chars().count()).sum();
    if length > TEXT_LIMIT {
        faults.push(format!("a card of {length} characters"));
    }
}

fn check_directive(directive: &Value, faults: &mut Vec<String>) {
    let needed = match directive["type"].as_str() {
        Some("Dialog.Delegate" | "Dialog.ConfirmIntent") => None,
        Some("Dialog.ElicitSlot") => Some("slotToElicit"),
        Some("Dialog.ConfirmSlot") => Some("slotToConfirm"),
        other => {
            faults.push(format!("a directive that we do not send: {other:?}"));
            return;
        }
    };
    if let Some(field) = needed
        && !directive[field].is_string()
    {
        faults.push(format!("a directive without its {field}"));
    }
}

fn only_fields(value: &Value, path: &str, allowed: &[&str], faults: &mut Vec<String>) {
    for field in value.as_object().into_iter().flat_map(|fields| fields.keys()) {
        if !allowed.contains(&field.as_str()) {
            faults.push(format!("{path}{field} is no field"));
        }
    }
}

/// `null` differs from an absent field: as `shouldEndSession` it opens the microphone.
fn no_nulls(value: &Value, path: &str, faults: &mut Vec<String>) {
    match value {
        Value::Null => faults.push(format!("{path} is null")),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                no_nulls(item, &format!("{path}[{index}]"), faults);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                no_nulls(field, &format!("{path}.{name}"), faults);
            }
        }
        _ => {}
    }
}

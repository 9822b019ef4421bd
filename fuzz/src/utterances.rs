//! What is said to an Echo, and what a skill may answer to it.
//!
//! Each line is said, unless it begins with `{`: then it is the answer of the skill, or, after a `!`, a request of the client's own. The lines
//! `+` and `-` enable and disable the skill, `*` links the account, and `.` is nobody saying anything.

use std::sync::{Arc, OnceLock};

use onething::alexa::request::{Kind, Request};
use onething::login::AccessToken;
use onething_hub::simulator::echo::{Echo, EndReason};
use onething_hub::simulator::utterance::interaction::InteractionModel;
use onething_hub::simulator::utterance::words::{MAX_WORDS, Utterance};
use serde_json::Value;

const SKILL: &str = "amzn1.ask.skill.fuzz";

/// The model that is built in.
fn model() -> Arc<InteractionModel> {
    static MODEL: OnceLock<Arc<InteractionModel>> = OnceLock::new();
    let sample = || match InteractionModel::parse(InteractionModel::SAMPLE) {
        Ok(model) => Arc::new(model),
        Err(error) => panic!("{error}"),
    };
    Arc::clone(MODEL.get_or_init(sample))
}

/// Speaks, and hears the answers.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut echo = Echo::new(SKILL, "home", model());
    for line in text.split('\n') {
        match (line, line.strip_prefix('!')) {
            ("+", _) => sent(&echo.enable()),
            ("-", _) => sent(&echo.disable()),
            ("*", _) => echo.link(AccessToken::new("Atza|token".into())),
            (".", _) => {
                echo.end(EndReason::ExceededMaxReprompts).iter().for_each(sent);
                assert!(!echo.is_listening());
            }
            (_, Some(request)) => {
                if let Ok(request) = serde_json::from_str(request) {
                    let _ = Request::read(&echo.request(request));
                }
            }
            (answer, None) if answer.starts_with('{') => {
                if let Ok(answer) = serde_json::from_str(answer) {
                    heard(&mut echo, &answer);
                }
            }
            (said, None) => {
                stable(said);
                match echo.say(said) {
                    Ok(request) => sent(&request),
                    Err(not) => assert!(not.speech.len() <= 16 * 1024),
                }
            }
        }
    }
}

/// What was read is read again as the same words.
fn stable(said: &str) {
    let utterance = Utterance::read(said);
    assert_eq!(utterance.all().words().count(), utterance.all().len(), "{said:?}");
    // Of more words than anybody says only some are read.
    if utterance.all().len() <= MAX_WORDS {
        assert_eq!(Utterance::read(utterance.text()).text(), utterance.text(), "{said:?}");
    }
}

/// What the skill gets is a request for it.
fn sent(request: &Value) {
    let read = Request::read(request);
    assert!(read.is_for(&[SKILL.to_owned()]) && !matches!(read.kind, Kind::Missing) && read.id.is_some(), "{request}");
}

fn heard(echo: &mut Echo, answer: &Value) {
    let heard = echo.take_answer(answer);
    assert!(!heard.listening || echo.is_listening());
    assert!(heard.speech.len() <= 64 * 1024, "{} bytes are said", heard.speech.len());
    if let Some(request) = heard.follow_up {
        sent(&request);
        let _ = echo.take_answer(answer);
    }
}

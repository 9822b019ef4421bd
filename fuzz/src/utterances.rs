//! Utterances to the simulated Echo, and responses of the skill.
//!
//! Each line is an utterance, unless it begins with `{`: then it is a response of the skill, or, after a `!`, a request of the
//! client. The lines `+` and `-` enable and disable the skill, `*` links the account, and `.` means that the user does not
//! answer.

use std::sync::{Arc, OnceLock};

use onething::alexa::request::{Kind, Request};
use onething::login::AccessToken;
use onething_hub::simulator::echo::{Echo, EndReason};
use onething_hub::simulator::utterance::interaction::InteractionModel;
use onething_hub::simulator::utterance::words::{MAX_WORDS, Utterance};
use serde_json::Value;

const SKILL: &str = "amzn1.ask.skill.fuzz";

/// The built-in interaction model.
fn model() -> Arc<InteractionModel> {
    static MODEL: OnceLock<Arc<InteractionModel>> = OnceLock::new();
    let sample = || match InteractionModel::parse(InteractionModel::SAMPLE) {
        Ok(model) => Arc::new(model),
        Err(error) => panic!("{error}"),
    };
    Arc::clone(MODEL.get_or_init(sample))
}

/// Runs all lines in order.
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

/// Requires that the text of an utterance is parsed into the same words again.
fn stable(said: &str) {
    let utterance = Utterance::read(said);
    assert_eq!(utterance.all().words().count(), utterance.all().len(), "{said:?}");
    // Of an utterance above the limit, only the first words are used.
    if utterance.all().len() <= MAX_WORDS {
        assert_eq!(Utterance::read(utterance.text()).text(), utterance.text(), "{said:?}");
    }
}

/// Requires that a request to the skill is valid and for this skill.
fn sent(request: &Value) {
    let read = Request::read(request);
    assert!(read.is_for(&[SKILL.to_owned()]) && !matches!(read.kind, Kind::Missing) && read.id.is_some(), "{request}");
}

fn heard(echo: &mut Echo, answer: &Value) {
    let heard = echo.take_answer(answer);
    assert!(!heard.listening || echo.is_listening());
    assert!(heard.speech.len() <= 64 * 1024, "a speech of {} bytes", heard.speech.len());
    if let Some(request) = heard.follow_up {
        sent(&request);
        let _ = echo.take_answer(answer);
    }
}

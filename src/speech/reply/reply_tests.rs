//! Tests of the speech and the cards for all outcomes.

use serde_json::json;

use super::*;
use crate::alexa::request::Request;
use crate::registry::RegistryError;
use crate::shadow::Command;

fn model() -> Model {
    Model::parse(Model::SAMPLE).unwrap()
}

fn spoken(answer: &Answer) -> String {
    answer.speech.as_ref().map(Speech::words).unwrap_or_default()
}

/// Checks the classification of an error, whether there is a LinkAccount card, and a part of the speech.
fn check(error: impl Into<SkillError>, cause: &str, fault: Fault, card: bool, says: &str) {
    let (error, model) = (error.into(), model());
    let responder = Responder { locale: Locale::default(), model: &model };
    let answer = responder.coded(responder.error(&error), &error, "48213");
    // An account that is not linked yet is no failure.
    assert_eq!(spoken(&answer).ends_with("Code 4 8 2 1 3."), cause != "not_linked", "{cause}: {}", spoken(&answer));
    assert_eq!((error.cause(), error.fault()), (cause, fault));
    assert_eq!(answer.card, card.then_some(Card::LinkAccount), "{cause}");
    assert!(spoken(&answer).contains(says), "{cause}: {}", spoken(&answer));
}

fn mail(error: MailError) -> OnboardError {
    OnboardError::Mail(error)
}

#[test]
fn only_token_faults_show_the_link_account_card() {
    use IdentifyError::{NotLinked, ScopeMissing, TokenForOtherClient, TokenInvalid, Unavailable};
    check(NotLinked, "not_linked", Fault::Speaker, true, "Open the Alexa app");
    check(TokenInvalid, "token_invalid", Fault::Speaker, true, "no longer valid");
    check(TokenForOtherClient, "token_foreign", Fault::Speaker, true, "link it again");
    check(ScopeMissing, "scope_missing", Fault::Speaker, true, "profile");
    check(Unavailable("x".into()), "login_unavailable", Fault::Again, false, "try again in a minute");
}

#[test]
fn the_speech_for_an_error_says_who_can_correct_it() {
    check(SkillError::NoEmail, "no_email", Fault::Speaker, false, "allow it to see your e-mail address");
    check(OnboardError::Busy, "busy", Fault::Again, false, "One moment");
    check(OnboardError::NoTime, "no_time", Fault::Again, false, "try again");
    check(OnboardError::Registry(RegistryError::ThingTypeMissing("x".into())), "thing_type_missing", Fault::Maker, false, "maker");
    check(OnboardError::Registry(RegistryError::PolicyMissing("x".into())), "policy_missing", Fault::Maker, false, "maker");
    check(OnboardError::Registry(RegistryError::Throttled), "registry_throttled", Fault::Again, false, "try again");
    check(mail(MailError::NotVerified("x".into())), "mail_not_verified", Fault::Maker, false, "cannot send you a mail");
    check(mail(MailError::Paused("x".into())), "mail_paused", Fault::Maker, false, "cannot send you a mail");
    check(mail(MailError::Throttled("x".into())), "mail_throttled", Fault::Again, false, "in a minute");
    check(
        mail(MailError::AddressRefused("x".into())),
        "mail_address_refused",
        Fault::Speaker,
        false,
        "Mail cannot be sent to the e-mail address of your Amazon account",
    );
    check(ShadowError::Conflict, "shadow_conflict", Fault::Again, false, "try again");
    check(ShadowError::TooLarge, "shadow_too_large", Fault::Maker, false, "shorter");
    check(ShadowError::Unclear("x".into()), "shadow_unclear", Fault::Again, false, "cannot tell");
    check(OnboardError::Bounced(Bounce::Bounced), "mail_returned", Fault::Speaker, false, "came back");
    check(OnboardError::TooOften(7_200), "mail_too_often", Fault::Speaker, false, "2 hours");
    check(LifecycleError::Registry(RegistryError::Taken), "thing_taken", Fault::Again, false, "One moment");
    check(SkillError::Late, "late", Fault::Again, false, "cannot tell");
}

fn status(reported: &Value, reported_at: u64) -> String {
    let model = model();
    let crate::device_model::Action::Answer(sentences) = &model.intents["StatusIntent"].action else { panic!("the action is no answer") };
    let shadow = Shadow { reported_at: Some(reported_at), ..Shadow::read(&json!({"state": {"reported": reported}})) };
    spoken(&Responder { locale: Locale::default(), model: &model }.status(sentences, &shadow, 10_000, &shadow.untold()))
}

#[test]
fn a_status_contains_the_reported_values_and_their_age() {
    assert_eq!(status(&json!({"status": "idle", "nozzle": 21.5}), 9_990), "Your printer is idle. The nozzle has 21.5 degrees.");
    let printing = json!({"status": "printing", "progress": 12, "model": "vase", "bed": 60});
    assert_eq!(status(&printing, 9_990), "Your printer is printing. 12 percent of vase is done. The bed has 60 degrees.");
    assert_eq!(status(&json!({"status": "idle"}), 9_000), "Your printer is idle. That was 16 minutes ago.");
    let done = json!({"status": "idle", "command": {"id": "1", "status": "done", "detail": "vase is printed"}});
    assert_eq!(status(&done, 9_990), "Your printer is idle.");
    assert_eq!(status(&json!({"firmware": {"a": 1}}), 9_990), "Your 3D printer has not said anything about that yet.");
}

#[test]
fn a_failure_of_the_device_is_reported_with_its_age() {
    let failed = json!({"status": "idle", "command": {"name": "print", "status": "failed", "detail": "no filament", "at": 9_999}});
    assert_eq!(status(&failed, 9_990), "Your printer is idle. Just now the command print failed: no filament.");
    let refused = json!({"command": {"id": "1", "status": "refused", "detail": "it came too late.", "at": 9_880}});
    assert_eq!(status(&refused, 9_990), "Two minutes ago your 3D printer refused a command: it came too late.");
    let settings = json!({"failures": {
        "nozzleTarget": {"value": 250.0, "detail": "the heater is off", "at": 9_700},
        "power": {"value": "OFF", "at": 2_000},
        "bedTarget": {"value": 1, "detail": {"a": 1}, "at": 9_955},
    }});
    assert_eq!(
        status(&settings, 9_000),
        "Two hours ago your 3D printer could not set the power to off. \
         Five minutes ago your 3D printer could not set the nozzle target to 250 degrees: the heater is off. \
         45 seconds ago your 3D printer could not set the bed target to 1 degree."
    );
}

const LAMP: &str = r#"
    [device]
    name = "lamp"
    invocation = "my lamp"
    thing_type = "lamp"
    thing_prefix = "Lamp-"
    [property.power]
    type = "switch"
    [property.mode]
    type = "choice"
    values = ["WARM_WHITE", "error", "PLA"]
    words = { PLA = "P. L. A." }
    written_by = "device"
    [property.level]
    type = "integer"
    min = 0
    max = 100
    unit = "percent"
    [property.waterTemperature]
    type = "number"
    min = -20
    max = 100
    unit = "degrees"
    [property.note]
    type = "text"
    max_length = 20
    [intent.StateIntent]
    answer = [
      { say = "The lamp is {power}." },
      { say = "It is {mode}." },
      { say = "Its mode is {mode}.", when = { power = "ON" } },
      { say = "It shines at {level} percent." },
      { say = "The water has {waterTemperature} degrees." },
      { say = "Bright.", when = { level = "100" } },
      { say = "It shows {note}." },
    ]
"#;

fn check_lamp(reported: &Value, expected: &str) {
    let model = Model::parse(LAMP).unwrap();
    let crate::device_model::Action::Answer(sentences) = &model.intents["StateIntent"].action else { panic!("the action is no answer") };
    let shadow = Shadow { reported: reported.as_object().cloned().unwrap(), reported_at: Some(9_990), ..Shadow::default() };
    assert_eq!(
        spoken(&Responder { locale: Locale::default(), model: &model }.status(sentences, &shadow, 10_000, &[])),
        expected,
        "{reported}"
    );
}

#[test]
fn a_reported_value_is_spoken_by_the_type_of_its_property() {
    for (reported, expected) in [
        (json!({"power": "OFF"}), "The lamp is off."),
        (json!({"power": true}), "The lamp is on."),
        (json!({"mode": "WARM_WHITE"}), "It is warm white."),
        (json!({"mode": "warm white"}), "It is warm white."),
        (json!({"mode": "PLA"}), "It is P. L. A."),
        (json!({"mode": "error", "power": "ON"}), "The lamp is on. It is in an error state. Its mode is error."),
        (json!({"level": 12.0}), "It shines at 12 percent."),
        (json!({"level": 99.999_999_999_999_99}), "It shines at 100 percent. Bright."),
        (json!({"waterTemperature": 20.499_999_999_999_97}), "The water has 20.5 degrees."),
        (json!({"waterTemperature": -3.0}), "The water has -3 degrees."),
        (json!({"waterTemperature": 1.0}), "The water has 1 degree."),
        (json!({"note": "\u{1f3fa}"}), "Your lamp has not said anything about that yet."),
        (json!({"note": ""}), "Your lamp has not said anything about that yet."),
    ] {
        check_lamp(&reported, expected);
    }
}

#[test]
fn an_invalid_reported_value_is_not_spoken() {
    for (reported, expected) in [
        (json!({"waterTemperature": 5_000}), "Your lamp reports a value for the water temperature that cannot be right."),
        (json!({"waterTemperature": "warm"}), "Your lamp reports a value for the water temperature that cannot be right."),
        (json!({"level": 12.5, "power": "ON"}), "The lamp is on. Your lamp reports a value for the level that cannot be right."),
        (json!({"power": 7, "mode": "boiling"}), "Your lamp reports values for the power and the mode that cannot be right."),
        (json!({"note": "a text that is longer than it can be"}), "Your lamp reports a value for the note that cannot be right."),
        (json!({"note": {"a": 1}}), "Your lamp reports a value for the note that cannot be right."),
    ] {
        check_lamp(&reported, expected);
    }
}

#[test]
fn a_state_that_is_a_noun_is_spoken_as_a_predicate() {
    assert_eq!(status(&json!({"status": "error"}), 9_990), "Your printer is in an error state.");
    let model = model();
    let last = |reported: Value| {
        let shadow = Shadow { reported: reported.as_object().cloned().unwrap(), ..Shadow::default() };
        let connection = Connection::Connected { since: None };
        let diagnosis = Diagnosis { address: None, mailed_at: None, waits: None, bounce: None, connection, shadow, now: 10_000 };
        spoken(&Responder { locale: Locale::default(), model: &model }.diagnosis(&diagnosis))
    };
    assert!(last(json!({"status": "idle"})).ends_with("Its last state was idle."));
    assert!(last(json!({"status": "error"})).ends_with("When it last reported, it was in an error state."));
    assert_eq!(last(json!({"status": "melting"})), "Your 3D printer is connected.");
}

#[test]
fn a_reported_duration_is_spoken_in_words() {
    assert!(
        status(&json!({"status": "printing", "model": "PT1H30M", "progress": 12}), 1_000)
            .contains("12 percent of one hour and 30 minutes is done")
    );
}

#[test]
fn text_from_a_device_is_escaped_and_limited() {
    let said =
        status(&json!({"status": "idle", "command": {"status": "failed", "at": 9_000, "detail": "<audio src='x'/>".repeat(100)}}), 9_990);
    assert!(said.chars().count() < 300, "{said}");
    let request = Request::read(&json!({"request": {"type": "LaunchRequest"}}));
    let answer = Answer::say(Speech::sentences(vec![said]));
    let ssml = answer.envelope(&request)["response"]["outputSpeech"]["ssml"].to_string();
    assert!(!ssml.contains("<audio"), "{ssml}");
}

#[test]
fn the_speech_says_that_a_change_waits_for_an_offline_device() {
    let model = model();
    let responder = Responder { locale: Locale::default(), model: &model };
    let args = serde_json::Map::new();
    let print = Patch::command(&Command { id: "x".into(), name: "print".into(), args, issued_at: 0, expires_at: 3_600 });
    let heat = Patch::set(serde_json::Map::from_iter([("nozzleTarget".to_owned(), json!(200))]));
    let said = |presence, patch| spoken(&responder.relayed("So be it.", presence, patch));
    for (presence, expected) in [
        (Presence::NeverSeen, "Your 3D printer has not been online yet."),
        (Presence::Away { since: 9 }, "Your 3D printer is not connected at the moment."),
        (Presence::Unsure, "As far as I know, your 3D printer has not been online yet."),
    ] {
        assert_eq!(said(presence, &print), format!("So be it. {expected} The command waits for it, for 60 minutes."));
        assert_eq!(said(presence, &heat), format!("So be it. {expected} It will do so as soon as it is."));
    }
    assert_eq!(said(Presence::Present, &print), "So be it.");
}

#[test]
fn a_silent_device_is_called_new_only_if_it_never_connected() {
    let model = model();
    let responder = Responder { locale: Locale::default(), model: &model };
    for (connection, expected) in [
        (Ok(Connection::Connected { since: Some(9_000) }), "Your 3D printer is connected, but reports nothing."),
        (Ok(Connection::Disconnected { since: Some(9_400) }), "Your 3D printer is not connected. I last heard of it 10 minutes ago."),
        (Ok(Connection::Unknown), "Your 3D printer has not been online yet. Please do the one step of the mail I sent you, and ask again."),
        (Err("out of order"), "Your 3D printer reports nothing, and I cannot tell whether it is connected at the moment."),
    ] {
        assert_eq!(spoken(&responder.reports_nothing(Presence::of(&connection), 10_000)), expected, "{connection:?}");
    }
}

#[test]
fn a_code_is_spelled_out_twice_in_halves_and_shown_on_a_card() {
    let (model, code) = (model(), Code::parse("K7QF-93PD").unwrap());
    let responder = Responder { locale: Locale::default(), model: &model };
    let answer = responder.code(&code, Some("https://endpoint.example.com/register"), None);
    let ssml = answer.speech.as_ref().unwrap().ssml();
    let spelled =
        r#"<s><say-as interpret-as="spell-out">K7QF</say-as><break time="1s"/><say-as interpret-as="spell-out">93PD</say-as></s>"#;
    assert_eq!(ssml.matches(spelled).count(), 2, "{ssml}");
    assert!(ssml.ends_with("<s>It is good for 10 minutes, and for one device.</s></speak>"), "{ssml}");
    let Some(Card::Simple { title, content }) = &answer.card else { panic!("there is no card") };
    assert!(title.contains("code") && content.starts_with("K7QF-93PD\n"), "{title}: {content}");
    assert!(content.contains("onething-device claim K7QF-93PD --register-url https://endpoint.example.com/register\n"), "{content}");
    let rendered = answer.envelope(&Request::read(&json!({"request": {"type": "LaunchRequest"}, "session": {"sessionId": "s"}})));
    assert_eq!(rendered["response"]["outputSpeech"]["type"], "SSML");
    assert!(rendered.get("sessionAttributes").is_none());
    assert!(
        spoken(&responder.code(&code, None, Some(responder.new_owner(None)))).starts_with(&responder.words(&Phrase::Welcome)),
        "a new owner has a mail on its way"
    );
}

#[test]
fn a_refused_code_comes_with_an_alternative_or_a_reason() {
    let model = model();
    let responder = Responder { locale: Locale::default(), model: &model };
    assert!(spoken(&responder.no_codes()).contains("send my certificate again"));
    assert!(spoken(&responder.codes_too_often(1_800)).ends_with("the next one in 30 minutes."));
    check(ClaimsError::Unclear("x".into()), "claims_unclear", Fault::Again, false, "try again");
    check(ClaimsError::Refused("x".into()), "claims_refused", Fault::Maker, false, "maker");
}

#[test]
fn the_speech_says_that_the_mail_is_queued_and_who_can_correct_the_cause() {
    let model = Model::parse(Model::SAMPLE).unwrap();
    let responder = Responder { locale: Locale::English, model: &model };
    for (fault, words) in [(Fault::Maker, "whoever runs this skill has to mend that"), (Fault::Again, "I try again by myself")] {
        for answer in [responder.welcome(None, Some(fault)), responder.sent_again(Some(fault)), responder.mail_waits(fault)] {
            let said = spoken(&answer);
            assert!(said.contains(words) && !said.contains("I have sent") && !said.contains("ask me again"), "{said}");
        }
    }
    let diagnosis = Diagnosis {
        address: None,
        mailed_at: Some(7),
        waits: Some(Fault::Maker),
        bounce: None,
        connection: Connection::Unknown,
        shadow: Shadow::default(),
        now: 9,
    };
    let said = spoken(&responder.diagnosis(&diagnosis));
    assert!(said.contains("has to mend that") && !said.contains("I sent"), "{said}");
    let unusable = OnboardError::Mail(MailError::ServerUnusable("x".into()));
    let said = spoken(&responder.error(&SkillError::Onboard(unusable)));
    assert!(said.contains("whoever runs this skill has to mend that") && !said.contains("in a minute"), "{said}");
}

#[test]
fn a_value_that_is_no_longer_measured_is_spoken_with_its_own_age() {
    let plant = r#"
        [device]
        name = "plant"
        invocation = "my plant"
        thing_type = "plant"
        thing_prefix = "Plant-"
        [property.moisture]
        type = "number"
        min = 0
        max = 100
        written_by = "device"
        [property.pump]
        type = "switch"
        [report.moisture]
        run = ["/bin/moisture"]
        every = 60
        [intent.StateIntent]
        answer = [{ say = "The moisture is {moisture} percent." }, { say = "The pump is {pump}." }]
    "#;
    let model = Model::parse(plant).unwrap();
    let crate::device_model::Action::Answer(sentences) = &model.intents["StateIntent"].action else { panic!("the action is no answer") };
    let status = |moisture: u64, pump: u64| {
        let times = json!({"moisture": {"timestamp": moisture}, "pump": {"timestamp": pump}});
        let document = json!({"state": {"reported": {"moisture": 41.5, "pump": "OFF"}}, "metadata": {"reported": times}});
        spoken(&Responder { locale: Locale::default(), model: &model }.status(sentences, &Shadow::read(&document), 10_000, &[]))
    };
    let said = "The moisture is 41.5 percent. The pump is off.";
    assert_eq!(status(9_900, 9_990), said);
    assert_eq!(status(9_990, 1_000), said, "a switch without a report stays current");
    assert_eq!(status(2_500, 9_990), format!("{said} The moisture was last measured 2 hours ago."));
    assert_eq!(status(2_500, 2_500), format!("{said} That was 2 hours ago."));
}

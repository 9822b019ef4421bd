//! Tests of the phrases that contain the invocation name.

use super::*;
use crate::simulator::utterance::interaction::InteractionModel;

fn check(said: &str, expected: &str) {
    let words = |found: Match| {
        let slots = found.slots.into_iter().map(|(name, filled)| format!(" {name}={}", filled[0].value));
        std::iter::once(found.intent).chain(slots).collect::<String>()
    };
    let meant = match read(
        &InteractionModel::parse(InteractionModel::SAMPLE).unwrap(),
        &Utterance::read(said),
        jiff::civil::datetime(2026, 12, 1, 8, 0, 0, 0),
    ) {
        Interpretation::Launch => "launch".to_owned(),
        Interpretation::Asked(found) => format!("asked {}", found.map_or("nothing".into(), words)),
        Interpretation::AskedLast(found) => format!("asked {}", words(found)),
        Interpretation::Unnamed(found) => format!("unnamed {}", found.map_or("nothing".into(), words)),
    };
    assert_eq!(meant, expected, "{said}");
}

#[test]
fn a_skill_is_opened_by_its_name() {
    for said in [
        "open my printer",
        "Alexa, open my printer.",
        "Hey Alexa, please launch my printer!",
        "start my printer",
        "my printer",
        "run my printer",
        "talk to my printer",
        "open my printer skill",
        "open my printer please",
        "ask my printer",
    ] {
        check(said, "launch");
    }
}

#[test]
fn a_request_may_follow_the_name() {
    check("ask my printer to print a vase", "asked PrintIntent model=vase");
    check("Alexa, tell my printer to print two vases, please", "asked PrintIntent copies=2 model=vases");
    check("ask my printer for the status", "asked StatusIntent");
    check("ask my printer what's the status", "asked StatusIntent");
    check("ask my printer whether it is connected", "asked ConnectionIntent");
    check("ask my printer if it's online", "asked ConnectionIntent");
    check("open my printer and cancel the print", "asked CancelPrintIntent");
    check("use my printer to print a vase", "asked PrintIntent model=vase");
    check("ask my printer to send my certificate again", "asked SendCertificateIntent");
    check("ask my printer to forget me", "asked ForgetMeIntent");
    check("ask my printer to give me a code", "asked GiveCodeIntent");
    check("ask my printer for a code", "asked GiveCodeIntent");
    check("tell my printer to pair a new device", "asked GiveCodeIntent");
    check("tell my printer to set the nozzle to two hundred degrees", "asked SetTemperatureIntent part=nozzle degrees=200");
    check("ask my printer for help", "asked AMAZON.HelpIntent");
    check("ask my printer to dance", "asked nothing");
}

#[test]
fn please_is_accepted_at_either_end_and_after_the_name() {
    for said in [
        "please ask my printer to print a vase",
        "Alexa, please ask my printer to print a vase, please",
        "ask my printer please to print a vase",
        "ask my printer to please print a vase",
        "ask my printer to print a vase please",
        "open my printer please to print a vase",
        "open my printer, please, and print a vase",
        "tell my printer please print a vase",
        "please print a vase with my printer",
        "print a vase with my printer please",
    ] {
        check(said, "asked PrintIntent model=vase");
    }
    check("please print a vase", "unnamed PrintIntent model=vase");
    check("please turn it off", "unnamed SetPowerIntent power=off");
    check("turn it off please", "unnamed SetPowerIntent power=off");
    check("please open my printer please", "launch");
    check("ask my printer please", "launch");
}

#[test]
fn the_name_may_be_at_the_end() {
    check("print a vase with my printer", "asked PrintIntent model=vase");
    check("Print a vase using my printer, please.", "asked PrintIntent model=vase");
    check("print three cups on my printer", "asked PrintIntent copies=3 model=cups");
    check("get the weather from my printer", "unnamed nothing");
}

#[test]
fn an_utterance_without_the_name_is_not_for_the_skill() {
    check("print a vase", "unnamed PrintIntent model=vase");
    check("turn my printer on", "unnamed SetPowerIntent power=on");
    check("open the door", "unnamed nothing");
    check("with my printer on", "asked nothing");
    check("open your printer", "unnamed nothing");
    check("", "unnamed nothing");
    check("Alexa", "unnamed nothing");
}

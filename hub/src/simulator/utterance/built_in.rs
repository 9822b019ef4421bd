//! The utterances of the standard built-in intents in English
//! (<https://developer.amazon.com/docs/alexa/custom-skills/standard-built-in-intents.html>), and the utterances that never reach
//! a skill.

/// The samples of a built-in intent; empty for any other intent.
pub fn samples(intent: &str) -> &'static [&'static str] {
    match intent {
        "AMAZON.CancelIntent" => &["cancel", "cancel it", "cancel that", "never mind", "nevermind", "forget it"],
        "AMAZON.HelpIntent" => &["help", "help me", "can you help me", "i need help", "what can i say", "what can you do"],
        "AMAZON.StopIntent" => &["stop", "stop it", "stop that", "off", "shut up", "be quiet"],
        "AMAZON.YesIntent" => &[
            "yes",
            "yes please",
            "yeah",
            "yep",
            "yup",
            "sure",
            "sure thing",
            "of course",
            "ok",
            "okay",
            "all right",
            "alright",
            "correct",
            "right",
            "go ahead",
            "do it",
            "please do",
            "yes i do",
            "yes do it",
            "absolutely",
            "definitely",
        ],
        "AMAZON.NoIntent" => {
            &["no", "no thanks", "no thank you", "nope", "nah", "no way", "do not", "please do not", "no i do not", "not now"]
        }
        "AMAZON.NavigateHomeIntent" => &["go home", "home", "navigate home", "home screen", "take me home"],
        "AMAZON.RepeatIntent" => &["repeat", "say that again", "repeat that", "repeat it"],
        "AMAZON.StartOverIntent" => &["start over", "restart", "start again"],
        "AMAZON.NextIntent" => &["next", "skip", "skip forward"],
        "AMAZON.PreviousIntent" => &["go back", "skip back", "back up", "previous"],
        "AMAZON.PauseIntent" => &["pause", "pause that"],
        "AMAZON.ResumeIntent" => &["resume", "continue", "keep going"],
        "AMAZON.LoopOnIntent" => &["loop", "loop on", "keep repeating this"],
        "AMAZON.LoopOffIntent" => &["loop off"],
        "AMAZON.ShuffleOnIntent" => &["shuffle", "shuffle on", "shuffle mode"],
        "AMAZON.ShuffleOffIntent" => &["stop shuffling", "shuffle off", "turn off shuffle"],
        _ => &[],
    }
}

/// The built-in intent for utterances that match no sample.
pub const FALLBACK: &str = "AMAZON.FallbackIntent";
/// The built-in intent for yes.
pub const YES: &str = "AMAZON.YesIntent";
/// The built-in intent for no.
pub const NO: &str = "AMAZON.NoIntent";

/// Whether an utterance ends any session. The skill receives only a `SessionEndedRequest`.
pub fn ends_session(text: &str) -> bool {
    matches!(text, "exit" | "quit" | "goodbye" | "good bye" | "bye" | "bye bye" | "leave the skill" | "close the skill")
}

//! Parses the commands of a printer. The AWS IoT policies check the sender of a command; this module checks its content.

use serde_json::Value;

use crate::agent::Command;

/// The action that a command requests.
#[derive(Debug, PartialEq)]
pub(super) enum Task {
    Print {
        model: String,
        copies: u32,
    },
    Pause,
    Resume,
    Cancel,
    /// A print request with invalid arguments, and the reason.
    Unclear(&'static str),
    Unknown,
}

impl Task {
    pub(super) fn read(command: &Command) -> Self {
        match command.name.as_str() {
            "print" => print(&command.args),
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "cancel" => Self::Cancel,
            _ => Self::Unknown,
        }
    }
}

fn print(args: &Value) -> Task {
    let model = args.get("model").and_then(Value::as_str).filter(|model| (1..=64).contains(&model.chars().count()));
    let copies = match args.get("copies") {
        None | Some(Value::Null) => Some(1),
        Some(copies) => copies.as_u64().filter(|copies| (1..=20).contains(copies)).and_then(|copies| u32::try_from(copies).ok()),
    };
    match (model, copies) {
        (None, _) => Task::Unclear("it does not say what to print"),
        (_, None) => Task::Unclear("it does not say how many"),
        (Some(model), Some(copies)) => Task::Print { model: model.to_owned(), copies },
    }
}

//! A command in a shadow's delta: who sent it is checked by the policies, what it says is checked here.

use serde_json::{Map, Value};

/// No id is longer: Alexa's request ids have some 60 characters.
const ID_LIMIT: usize = 256;

/// A command that has an id.
#[derive(Debug, PartialEq)]
pub(super) struct Command {
    pub(super) id: String,
    pub(super) name: String,
    /// Seconds since the epoch; from then on it must not be done.
    pub(super) expires_at: Option<u64>,
    pub(super) order: Order,
}

/// What a command asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Order {
    Print {
        model: String,
        copies: u32,
    },
    Pause,
    Resume,
    Cancel,
    /// A print that cannot be, and why.
    Unclear(&'static str),
    Unknown,
}

impl Command {
    /// Reads `command` out of a delta. One without an id has been answered already.
    pub(super) fn read(command: &Map<String, Value>) -> Option<Self> {
        let id = command.get("id")?.as_str().filter(|id| (1..=ID_LIMIT).contains(&id.len()))?;
        let name = command.get("name").and_then(Value::as_str).unwrap_or_default();
        let order = match name {
            "print" => print(command.get("args").unwrap_or(&Value::Null)),
            "pause" => Order::Pause,
            "resume" => Order::Resume,
            "cancel" => Order::Cancel,
            _ => Order::Unknown,
        };
        let expires_at = command.get("expiresAt").and_then(Value::as_u64);
        Some(Self { id: id.to_owned(), name: name.to_owned(), expires_at, order })
    }
}

fn print(args: &Value) -> Order {
    let model = args.get("model").and_then(Value::as_str).filter(|model| (1..=64).contains(&model.chars().count()));
    let copies = match args.get("copies") {
        None | Some(Value::Null) => Some(1),
        Some(copies) => copies.as_u64().filter(|copies| (1..=20).contains(copies)).and_then(|copies| u32::try_from(copies).ok()),
    };
    match (model, copies) {
        (None, _) => Order::Unclear("it does not say what to print"),
        (_, None) => Order::Unclear("it does not say how many"),
        (Some(model), Some(copies)) => Order::Print { model: model.to_owned(), copies },
    }
}

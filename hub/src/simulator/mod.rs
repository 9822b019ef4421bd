//! Alexa and devices without either: utterances become requests, Echos of local users send them, and simulated devices answer.

pub mod devices;
pub mod echo;
pub mod echo_sessions;
mod history;
pub mod model_check;
pub mod turn;
pub mod utterance;

//! Simulators of Alexa and of devices: utterances become requests, the Echo of a local user sends them, and simulated devices
//! execute the commands.

pub mod devices;
pub mod echo;
pub mod echo_sessions;
mod history;
pub mod model_check;
pub mod turn;
pub mod utterance;

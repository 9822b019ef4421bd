//! Whatever strangers may send to the hub, its endpoint or a device, and what must hold for it.
//!
//! Each module is about one kind of input and has one function, `run`, which takes any bytes and panics when what reads them does or
//! when something does not hold that always should. libFuzzer calls it with bytes that it makes up (`fuzz/run`), and `cargo test`
//! with those that were kept in `fuzz/corpus` (`hub/tests/corpus.rs`).
//!
//! Inputs of several parts are lines, so that the corpus can be read and written by hand.

pub mod alexa_requests;
pub mod bundles;
pub mod certificate_requests;
mod credentials;
pub mod interaction_models;
pub mod journals;
pub mod mail;
pub mod models;
pub mod packets;
pub mod policies;
pub mod registration_answers;
pub mod registration_policies;
pub mod registration_requests;
pub mod shadows;
pub mod topics;
mod unreachable;
pub mod utterances;

/// The name of a kind of input, which is that of its folder in `fuzz/corpus`, and what takes it.
pub type Target = (&'static str, fn(&[u8]));

/// All kinds.
pub const TARGETS: [Target; 15] = [
    ("alexa_requests", alexa_requests::run),
    ("bundles", bundles::run),
    ("certificate_requests", certificate_requests::run),
    ("registration_answers", registration_answers::run),
    ("interaction_models", interaction_models::run),
    ("journals", journals::run),
    ("registration_requests", registration_requests::run),
    ("mail", mail::run),
    ("models", models::run),
    ("packets", packets::run),
    ("policies", policies::run),
    ("shadows", shadows::run),
    ("registration_policies", registration_policies::run),
    ("topics", topics::run),
    ("utterances", utterances::run),
];

/// A second of 2026, in seconds since the epoch.
const NOW: u64 = 1_795_305_600;

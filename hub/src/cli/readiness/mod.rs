//! Whether a hub is ready to be used: what is not is said at the start, one line of the log each, and by `onething-hub check`.
//!
//! What can be told from the settings and this machine is told at once ([`settings`], [`certificate`], [`clock`]); the rest asks other
//! machines ([`network`]) or needs what a running hub has to itself ([`machine`]).

pub mod certificate;
pub mod clock;
pub mod machine;
pub mod network;
pub mod settings;

use serde::Serialize;

use crate::settings::Settings;

/// What a test came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing is wrong.
    Ok,
    /// Something does not work for everybody, or soon will not.
    Warning,
    /// Something does not work.
    Failed,
}

impl Verdict {
    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Failed => "failed",
        }
    }
}

/// What a test came to, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was tested.
    pub test: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// What was found, and what to do about it, in one line.
    pub says: String,
}

impl Finding {
    fn new(test: &'static str, verdict: Verdict, says: impl Into<String>) -> Self {
        Self { test, verdict, says: says.into() }
    }

    /// Nothing is wrong.
    pub fn ok(test: &'static str, says: impl Into<String>) -> Self {
        Self::new(test, Verdict::Ok, says)
    }

    /// Something does not work for everybody, or soon will not.
    pub fn warning(test: &'static str, says: impl Into<String>) -> Self {
        Self::new(test, Verdict::Warning, says)
    }

    /// Something does not work.
    pub fn failed(test: &'static str, says: impl Into<String>) -> Self {
        Self::new(test, Verdict::Failed, says)
    }
}

/// Says in the log what is not ready.
pub fn log(findings: &[Finding]) {
    for Finding { test, says, .. } in findings.iter().filter(|finding| finding.verdict != Verdict::Ok) {
        tracing::warn!(step = "start", fault = "maker", cause = "not_ready", test, "{says}");
    }
}

/// What can be told without asking anybody.
pub fn at_once(settings: &Settings) -> Vec<Finding> {
    let mut findings = settings::check(settings);
    findings.push(certificate::check(settings, crate::clock::now()));
    findings
}

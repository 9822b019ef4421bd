//! Checks whether a hub is ready for use. The hub logs failed checks at its start, one line each; `onething-hub check` prints all
//! checks.
//!
//! Checks of the settings and of files are immediate ([`settings`], [`certificate`], [`clock`]). The others connect to other
//! machines ([`network`]), or need what a running hub holds exclusively ([`machine`]).

pub mod certificate;
pub mod clock;
pub mod machine;
pub mod network;
pub mod settings;

use serde::Serialize;

use crate::settings::Settings;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No fault was found.
    Ok,
    /// Something does not work for all users, or will soon stop working.
    Warning,
    /// Something does not work.
    Failed,
}

impl Verdict {
    /// The name in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Failed => "failed",
        }
    }
}

/// The result of a check, with advice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub test: &'static str,
    /// The result.
    pub verdict: Verdict,
    /// The fault and the advice, in one line.
    pub says: String,
}

impl Finding {
    fn new(test: &'static str, verdict: Verdict, says: impl Into<String>) -> Self {
        Self { test, verdict, says: says.into() }
    }

    /// A check that found no fault.
    pub fn ok(test: &'static str, says: impl Into<String>) -> Self {
        Self::new(test, Verdict::Ok, says)
    }

    /// A check that found a fault for some users, or a future fault.
    pub fn warning(test: &'static str, says: impl Into<String>) -> Self {
        Self::new(test, Verdict::Warning, says)
    }

    /// A check that found a fault.
    pub fn failed(test: &'static str, says: impl Into<String>) -> Self {
        Self::new(test, Verdict::Failed, says)
    }
}

/// Logs the findings that are not [`Verdict::Ok`].
pub fn log(findings: &[Finding]) {
    for Finding { test, says, .. } in findings.iter().filter(|finding| finding.verdict != Verdict::Ok) {
        tracing::warn!(step = "start", fault = "maker", cause = "not_ready", test, "{says}");
    }
}

/// The checks that need no connection to another machine.
pub fn at_once(settings: &Settings) -> Vec<Finding> {
    let mut findings = settings::check(settings);
    findings.push(certificate::check(settings, crate::clock::now()));
    findings
}

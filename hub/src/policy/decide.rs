//! May this connection do that? An explicit Deny goes before an Allow, and what nothing allows is denied.
//!
//! Source: <https://docs.aws.amazon.com/iot/latest/developerguide/iot-policy-actions.html>,
//! <https://docs.aws.amazon.com/iot/latest/developerguide/iot-action-resources.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>.

use super::condition::Condition;
use super::context::Context;
use super::document::{Policy, Statement};
use super::effect::Effect;
use super::key::Key;
use super::pattern::Pattern;
use super::request::Request;

/// What policies say to a request, in the words of AWS IoT's TestAuthorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it and none denies it.
    Allowed(Ground),
    /// A statement denies it, whatever others say.
    ExplicitDeny(Ground),
    /// No statement is about it.
    ImplicitDeny,
}

impl Decision {
    /// Whether it may be done.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// What decided, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ground {
    /// Which of the policies.
    pub policy: usize,
    /// Which of its statements.
    pub statement: usize,
    /// Which of its resources.
    pub resource: usize,
}

/// Asks all the policies of a certificate, of which there are up to ten.
///
/// A resource with a variable that has no value matches nothing, in an Allow as in a Deny: AWS IoT leaves the text of such a variable
/// where it is, and no resource bears that name.
pub fn decide<'p>(policies: impl IntoIterator<Item = &'p Policy>, request: &Request<'_>, context: &Context) -> Decision {
    let mut decision = Decision::ImplicitDeny;
    for (policy, document) in policies.into_iter().enumerate() {
        for (statement, rule) in document.statements().iter().enumerate() {
            if decision.is_allowed() && rule.effect() == Effect::Allow {
                continue;
            }
            let Some(resource) = rule.applies(request, context) else { continue };
            let ground = Ground { policy, statement, resource };
            match rule.effect() {
                Effect::Deny => return Decision::ExplicitDeny(ground),
                Effect::Allow => decision = Decision::Allowed(ground),
            }
        }
    }
    decision
}

/// Whether a connection that is no thing is refused for that: a statement allows the action to things.
pub fn is_for_things<'p>(policies: impl IntoIterator<Item = &'p Policy>, request: &Request<'_>) -> bool {
    let allowing = |rule: &&Statement| rule.effect() == Effect::Allow && rule.covers(request);
    policies.into_iter().flat_map(Policy::statements).filter(allowing).any(Statement::names_thing)
}

impl Statement {
    /// Whether a resource or a condition is about the thing of the connection.
    fn names_thing(&self) -> bool {
        self.patterns().iter().flat_map(Pattern::variables).chain(self.conditions().iter().map(Condition::key)).any(Key::is_of_thing)
    }

    /// The resource because of which the statement is about the request, if it is.
    fn applies(&self, request: &Request<'_>, context: &Context) -> Option<usize> {
        if !self.covers(request) {
            return None;
        }
        let text = request.text();
        let resource = self.patterns().iter().position(|pattern| pattern.matches(text, context))?;
        let holds = self.conditions().iter().all(|condition| condition.holds(self.effect(), request, context));
        holds.then_some(resource)
    }

    /// Whether it is about the action of the request.
    pub(super) fn covers(&self, request: &Request<'_>) -> bool {
        self.covered() & (1 << request.position()) != 0
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;

//! The evaluation of policies. An explicit Deny overrides an Allow, and a request that no statement allows is denied.
//!
//! Sources: <https://docs.aws.amazon.com/iot/latest/developerguide/iot-policy-actions.html>,
//! <https://docs.aws.amazon.com/iot/latest/developerguide/iot-action-resources.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>.

use super::condition::Condition;
use super::context::Context;
use super::document::{Policy, Statement};
use super::effect::Effect;
use super::key::Key;
use super::pattern::Pattern;
use super::request::Request;

/// The decision about a request, with the names of TestAuthorization in AWS IoT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows the request, and no statement denies it.
    Allowed(DecidingStatement),
    /// A statement denies the request. It overrides statements that allow the request.
    ExplicitDeny(DecidingStatement),
    /// No statement applies to the request.
    ImplicitDeny,
}

impl Decision {
    /// Whether the request is allowed.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// The position of the statement and the resource that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecidingStatement {
    /// The index of the policy.
    pub policy: usize,
    /// The index of the statement in the policy.
    pub statement: usize,
    /// The index of the matching resource in the statement.
    pub resource: usize,
}

/// Evaluates all policies of a certificate, of which there are at most ten.
///
/// A resource with a variable without a value matches nothing, in an Allow and in a Deny statement. AWS IoT leaves the text of
/// such a variable unchanged, and no resource has that name.
pub fn decide<'p>(policies: impl IntoIterator<Item = &'p Policy>, request: &Request<'_>, context: &Context) -> Decision {
    let mut decision = Decision::ImplicitDeny;
    for (policy, document) in policies.into_iter().enumerate() {
        for (statement, rule) in document.statements().iter().enumerate() {
            if decision.is_allowed() && rule.effect() == Effect::Allow {
                continue;
            }
            let Some(resource) = rule.applies(request, context) else { continue };
            let ground = DecidingStatement { policy, statement, resource };
            match rule.effect() {
                Effect::Deny => return Decision::ExplicitDeny(ground),
                Effect::Allow => decision = Decision::Allowed(ground),
            }
        }
    }
    decision
}

/// Whether an Allow statement on the action of the request depends on the thing of the connection. A connection without a thing
/// may then be denied because of the missing thing.
pub fn requires_thing<'p>(policies: impl IntoIterator<Item = &'p Policy>, request: &Request<'_>) -> bool {
    let allowing = |rule: &&Statement| rule.effect() == Effect::Allow && rule.covers(request);
    policies.into_iter().flat_map(Policy::statements).filter(allowing).any(Statement::names_thing)
}

impl Statement {
    /// Whether a resource or a condition depends on the thing of the connection.
    fn names_thing(&self) -> bool {
        self.patterns().iter().flat_map(Pattern::variables).chain(self.conditions().iter().map(Condition::key)).any(Key::is_of_thing)
    }

    /// Returns the index of the first matching resource, if the statement applies to the request.
    fn applies(&self, request: &Request<'_>, context: &Context) -> Option<usize> {
        if !self.covers(request) {
            return None;
        }
        let text = request.text();
        let resource = self.patterns().iter().position(|pattern| pattern.matches(text, context))?;
        let holds = self.conditions().iter().all(|condition| condition.holds(self.effect(), request, context));
        holds.then_some(resource)
    }

    /// Whether the statement covers the action of the request.
    pub(super) fn covers(&self, request: &Request<'_>) -> bool {
        self.covered() & (1 << request.position()) != 0
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;

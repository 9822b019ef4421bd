//! Explains the decision of a policy. `onething-hub policy check` prints the explanation.

use std::fmt;

use super::context::Context;
use super::decide::{DecidingStatement, Decision, decide};
use super::document::{Policy, Statement};
use super::effect::Effect;
use super::request::Request;

/// The decision of a policy about one request, with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// The request, such as `iot:Publish of topic/a`.
    pub asked: String,
    /// The statement that decided. For an implicit deny: why each statement on the action does not apply.
    pub reasons: Vec<String>,
}

/// Evaluates one policy and explains the decision.
pub fn check(policy: &Policy, request: &Request<'_>, context: &Context) -> Verdict {
    let decision = decide([policy], request, context);
    let statements = policy.statements();
    let reasons = match decision {
        Decision::Allowed(ground) | Decision::ExplicitDeny(ground) => vec![decided(statements, ground, context)],
        Decision::ImplicitDeny => {
            let related = statements.iter().enumerate().filter(|(_, statement)| statement.covers(request));
            let reasons: Vec<String> = related.map(|(position, statement)| not_applicable(position, statement, request, context)).collect();
            if reasons.is_empty() { vec![format!("no statement is about {}", request.action())] } else { reasons }
        }
    };
    Verdict { decision, asked: format!("{} of {}", request.action(), request.resource()), reasons }
}

/// Describes the statement that decided, with its resource before and after the replacement of variables.
fn decided(statements: &[Statement], ground: DecidingStatement, context: &Context) -> String {
    let DecidingStatement { statement: position, resource, .. } = ground;
    let statement = &statements[position];
    let pattern = &statement.patterns()[resource];
    let verb = match statement.effect() {
        Effect::Allow => "allows",
        Effect::Deny => "denies",
    };
    let (written, means) = (pattern.to_string(), pattern.resolved(context));
    let here = if written == means { String::new() } else { format!(", here {means}") };
    format!("Statement[{position}] {verb} {} of {written}{here}", statement.actions().join(", "))
}

/// Describes why a statement on the action does not apply to the request.
fn not_applicable(position: usize, statement: &Statement, request: &Request<'_>, context: &Context) -> String {
    let matching = statement.patterns().iter().any(|pattern| pattern.matches(request.text(), context));
    if matching {
        let failed = |condition: &&super::condition::Condition| !condition.holds(statement.effect(), request, context);
        let keys = statement.conditions().iter().filter(failed).map(|condition| condition.key().to_string());
        return format!(
            "Statement[{position}] has the resource, but its condition on {} does not hold",
            keys.collect::<Vec<_>>().join(", ")
        );
    }
    match statement.patterns().iter().find_map(|pattern| pattern.unresolved(context)) {
        Some(variable) => format!("Statement[{position}] needs ${{{variable}}}, which has no value on this connection"),
        None => {
            let resources: Vec<String> = statement.patterns().iter().map(|pattern| pattern.resolved(context)).collect();
            format!("Statement[{position}] is about {}", resources.join(", "))
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.decision {
            Decision::Allowed(_) => "allowed",
            Decision::ExplicitDeny(_) => "denied",
            Decision::ImplicitDeny => "denied, because nothing allows it",
        };
        write!(formatter, "{}: {word}", self.asked)?;
        self.reasons.iter().try_for_each(|reason| write!(formatter, "\n  {reason}"))
    }
}

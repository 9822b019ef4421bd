//! The conditions of a statement: an operator, a key, and the expected values.
//!
//! Conditions are evaluated as IAM documents them. One of the expected values has to match; with `Not` none may match. A key
//! without a value fails the condition, except with `Not` or `IfExists`. `ForAllValues:` tests that each value of the key
//! matches, and holds without values. `ForAnyValue:` tests that at least one value matches. An unknown key, or a variable without
//! a value under `Not`, never lets a condition of an Allow statement hold.
//!
//! Sources: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>.

use std::net::IpAddr;

use thiserror::Error;

use super::context::Context;
use super::effect::Effect;
use super::key::{Key, Values};
use super::pattern::{Pattern, PatternError, Syntax};
use super::request::Request;
use super::text::Text;

/// Why a condition is not valid.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum ConditionError {
    #[error("is not a condition operator")]
    UnknownOperator,
    #[error("is neither `true` nor `false`")]
    NotBool,
    #[error("is neither an IP address nor a range such as 203.0.113.0/24")]
    NotNetwork,
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// An operator with its prefix and suffix, such as `ForAnyValue:StringNotLikeIfExists`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    quantifier: Option<Quantifier>,
    comparison: Comparison,
    negated: bool,
    if_exists: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    All,
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equals,
    EqualsIgnoreCase,
    Like,
    Arn,
    Bool,
    IpAddress,
    Null,
}

impl Operator {
    pub(super) fn parse(name: &str) -> Result<Self, ConditionError> {
        let (quantifier, rest) = match name.split_once(':') {
            Some(("ForAllValues", rest)) => (Some(Quantifier::All), rest),
            Some(("ForAnyValue", rest)) => (Some(Quantifier::Any), rest),
            _ => (None, name),
        };
        let (rest, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |rest| (rest, true));
        let (comparison, negated) = match rest {
            "StringEquals" => (Comparison::Equals, false),
            "StringNotEquals" => (Comparison::Equals, true),
            "StringEqualsIgnoreCase" => (Comparison::EqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (Comparison::EqualsIgnoreCase, true),
            "StringLike" => (Comparison::Like, false),
            "StringNotLike" => (Comparison::Like, true),
            "ArnEquals" | "ArnLike" => (Comparison::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Comparison::Arn, true),
            "Bool" => (Comparison::Bool, false),
            "IpAddress" => (Comparison::IpAddress, false),
            "NotIpAddress" => (Comparison::IpAddress, true),
            "Null" if quantifier.is_none() && !if_exists => (Comparison::Null, false),
            _ => return Err(ConditionError::UnknownOperator),
        };
        Ok(Self { quantifier, comparison, negated, if_exists })
    }
}

/// An expected value of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expected {
    Pattern(Pattern),
    Flag(bool),
    Network(Network),
}

/// A condition: one key of one operator, with its expected values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    operator: Operator,
    key: Key,
    expected: Vec<Expected>,
}

impl Condition {
    pub(super) fn new(operator: Operator, key: &str) -> Self {
        Self { operator, key: Key::parse(key), expected: Vec::new() }
    }

    /// Adds an expected value. `variables` tells whether the document has variables `${…}`.
    pub(super) fn expect(&mut self, value: &str, variables: bool) -> Result<(), ConditionError> {
        let wildcards = matches!(self.operator.comparison, Comparison::Like | Comparison::Arn);
        let syntax = Syntax { wildcards, variables };
        self.expected.push(match self.operator.comparison {
            Comparison::Bool | Comparison::Null if value.eq_ignore_ascii_case("true") => Expected::Flag(true),
            Comparison::Bool | Comparison::Null if value.eq_ignore_ascii_case("false") => Expected::Flag(false),
            Comparison::Bool | Comparison::Null => return Err(ConditionError::NotBool),
            Comparison::IpAddress => Expected::Network(Network::parse(value).ok_or(ConditionError::NotNetwork)?),
            Comparison::Arn => Expected::Pattern(Pattern::parse_arn(value, syntax)?),
            _ if self.key.is_arn() => Expected::Pattern(Pattern::parse_arn(value, syntax)?),
            _ => Expected::Pattern(Pattern::parse(value, syntax)?),
        });
        Ok(())
    }

    /// Returns the key, which is displayed as written in the document.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn holds(&self, effect: Effect, request: &Request<'_>, context: &Context) -> bool {
        let unknown = !self.key.is_known() || (self.operator.negated && self.expected.iter().any(|value| value.is_unresolved(context)));
        if unknown && effect == Effect::Allow {
            return false;
        }
        let Operator { quantifier, comparison, negated, if_exists } = self.operator;
        let values = self.key.values(request, context);
        if comparison == Comparison::Null {
            return self.expected.contains(&Expected::Flag(values.is_absent()));
        }
        match quantifier {
            None if values.is_absent() => if_exists || negated,
            Some(Quantifier::Any) if values.is_absent() => if_exists,
            None => self.finds_any(&values, context) != negated,
            Some(Quantifier::All) => !values.any(|value| self.finds(value, context) == negated),
            Some(Quantifier::Any) => values.any(|value| self.finds(value, context) != negated),
        }
    }

    fn finds_any(&self, values: &Values<'_>, context: &Context) -> bool {
        values.any(|value| self.finds(value, context))
    }

    /// Whether one of the expected values matches a value. A `Not` of the operator is not considered.
    fn finds(&self, value: Text<'_>, context: &Context) -> bool {
        self.expected.iter().any(|expected| match expected {
            Expected::Flag(flag) => value.is_ignoring_case(if *flag { "true" } else { "false" }),
            Expected::Network(network) => self.key.is_source_ip() && context.source_ip.is_some_and(|address| network.holds(address)),
            // The values of other keys are not ARNs.
            Expected::Pattern(_) if self.operator.comparison == Comparison::Arn && !self.key.is_arn() => false,
            Expected::Pattern(pattern) if pattern.unresolved(context).is_some() => false,
            Expected::Pattern(pattern) if self.operator.comparison == Comparison::EqualsIgnoreCase => {
                value.is_ignoring_case(&pattern.resolved(context))
            }
            Expected::Pattern(pattern) => pattern.matches(value, context),
        })
    }
}

impl Expected {
    fn is_unresolved(&self, context: &Context) -> bool {
        matches!(self, Self::Pattern(pattern) if pattern.unresolved(context).is_some())
    }
}

/// A range of IP addresses in CIDR notation: the addresses with the same first `prefix` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let digits = |prefix: &str| prefix.bytes().all(|byte| byte.is_ascii_digit()).then(|| prefix.parse().ok())?;
        let prefix = prefix.map_or(Some(bits), digits)?;
        (prefix <= bits).then_some(Self { address, prefix })
    }

    fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => (ours.to_bits() ^ theirs.to_bits()).leading_zeros() >= self.prefix,
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits() ^ theirs.to_bits()).leading_zeros() >= self.prefix,
            _ => false,
        }
    }
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;

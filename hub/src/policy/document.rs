//! The parser of policy documents. It refuses all elements that it does not know, with their path, so that no restriction is
//! ignored.
//!
//! A document is JSON as AWS IoT takes it, or as a CloudFormation template contains it. In a template, `{"Fn::Sub": "…"}` stands
//! for a text in which `${AWS::…}` is a pseudo parameter and `${!…}` is a policy variable.
//!
//! AWS IoT does not support `NotAction`, `NotResource` and `Principal`, and limits a document to 2,048 characters without white
//! space. A document of version 2008-10-17 has no variables. Actions of other services are accepted and have no effect.
//!
//! Sources: <https://docs.aws.amazon.com/iot/latest/developerguide/iot-policies.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>,
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-sub.html>.

use thiserror::Error;

use super::condition::{Condition, Operator};
use super::context::Context;
use super::effect::Effect;
use super::json::Node;
use super::pattern::{Pattern, Syntax};
use super::request::ACTIONS;
use super::text::Text;

/// The largest document, in characters without white space.
const SIZE_LIMIT: usize = 2048;
/// The largest text of a document, in bytes. It bounds the time of parsing.
const TEXT_LIMIT: usize = 64 * 1024;

/// Why a text is not a policy.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PolicyError {
    /// The text is not JSON, is nested too deep, or has a name twice in one object.
    #[error("line {line}, column {column}: not JSON in which every name occurs once")]
    NotJson {
        /// The line of the fault, counted from 1.
        line: usize,
        /// The column of the fault, counted from 1.
        column: usize,
    },
    /// The document exceeds the size limit of AWS IoT.
    #[error("the document has more than {SIZE_LIMIT} characters without white space")]
    TooLarge,
    /// The document is JSON, but does not follow the policy language.
    #[error("{path}: {fault}")]
    Invalid {
        /// The element with the fault, such as `Statement[1].Resource[0]`, or `the document`.
        path: String,
        /// What is wrong with the element.
        fault: String,
    },
}

/// A parsed policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy(Vec<Statement>);

/// One statement of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    effect: Effect,
    actions: Vec<String>,
    /// The [`ACTIONS`] that the statement covers, one bit each.
    covered: u8,
    resources: Vec<Pattern>,
    conditions: Vec<Condition>,
}

/// An allowed action with its resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The action, such as `iot:Publish`.
    pub action: String,
    /// The resources without the beginning of their ARNs, such as `topic/$aws/things/…/shadow/update`.
    pub resources: Vec<String>,
}

impl Policy {
    /// Parses a document. It accepts any text and never panics.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > TEXT_LIMIT {
            return Err(PolicyError::TooLarge);
        }
        let document: Node =
            serde_json::from_str(text).map_err(|error| PolicyError::NotJson { line: error.line(), column: error.column() })?;
        let document = resolved(document, "")?;
        if document.size() > SIZE_LIMIT {
            return Err(PolicyError::TooLarge);
        }
        let fields = fields(&document, "")?;
        check_names(fields, &["Version", "Id", "Statement"], "")?;
        let variables = match required(fields, "Version", "")? {
            Node::Text(version) if version == "2012-10-17" => true,
            Node::Text(version) if version == "2008-10-17" => false,
            _ => return invalid("Version", "is neither 2012-10-17 nor 2008-10-17"),
        };
        let statements = non_empty_items(required(fields, "Statement", "")?, "Statement")?;
        let read = |(path, node): (String, &Node)| Statement::parse(node, &path, variables);
        Ok(Self(statements.into_iter().map(read).collect::<Result<_, _>>()?))
    }

    /// Returns the statements, in their order.
    pub fn statements(&self) -> &[Statement] {
        &self.0
    }

    /// Returns the permissions of a connection, one for each action of an Allow statement. Conditions are not evaluated. A
    /// resource with a variable without a value is left out.
    pub fn permissions(&self, context: &Context) -> Vec<Permission> {
        let allowed = self.0.iter().filter(|statement| statement.effect == Effect::Allow);
        let of = |statement: &Statement| {
            let usable = statement.resources.iter().filter(|resource| resource.unresolved(context).is_none());
            let resources: Vec<String> = usable.map(|resource| resource.resolved(context)).collect();
            let permission = move |action: &String| Permission { action: action.clone(), resources: resources.clone() };
            statement.actions.iter().map(permission).collect::<Vec<_>>()
        };
        allowed.flat_map(of).collect()
    }
}

impl Statement {
    /// Returns the effect.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Returns the actions as written, such as `iot:*`.
    pub fn actions(&self) -> &[String] {
        &self.actions
    }

    /// Returns the resources without the beginning of their ARNs. Variables are not replaced.
    pub fn resources(&self) -> impl ExactSizeIterator<Item = String> + '_ {
        self.resources.iter().map(Pattern::to_string)
    }

    pub(super) fn covered(&self) -> u8 {
        self.covered
    }

    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.resources
    }

    pub(super) fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    fn parse(node: &Node, path: &str, variables: bool) -> Result<Self, PolicyError> {
        let fields = fields(node, path)?;
        check_names(fields, &["Sid", "Effect", "Action", "Resource", "Condition"], path)?;
        let effect = match required(fields, "Effect", path)? {
            Node::Text(effect) if effect == "Allow" => Effect::Allow,
            Node::Text(effect) if effect == "Deny" => Effect::Deny,
            _ => return invalid(&below(path, "Effect"), "is neither Allow nor Deny"),
        };
        let (mut actions, mut covered) = (Vec::new(), 0);
        for (path, action) in non_empty_items(required(fields, "Action", path)?, &below(path, "Action"))? {
            let action = text(action, &path)?;
            covered |= covered_actions(action).ok_or_else(|| fault(&path, "is no action, such as iot:Publish"))?;
            actions.push(action.to_owned());
        }
        let mut resources = Vec::new();
        for (path, resource) in non_empty_items(required(fields, "Resource", path)?, &below(path, "Resource"))? {
            let resource = Pattern::parse_arn(text(resource, &path)?, Syntax { wildcards: true, variables });
            resources.push(resource.map_err(|error| fault(&path, &error.to_string()))?);
        }
        let conditions = match field(fields, "Condition") {
            Some(block) => conditions(block, &below(path, "Condition"), variables)?,
            None => Vec::new(),
        };
        Ok(Self { effect, actions, covered, resources, conditions })
    }
}

/// Returns the [`ACTIONS`] that an action pattern covers, one bit each. `None` if the text is not an action pattern, such as
/// `publish`.
fn covered_actions(action: &str) -> Option<u8> {
    let named = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-*?".contains(&byte));
    let well_formed = action == "*" || action.split_once(':').is_some_and(|(service, name)| named(service) && named(name));
    let syntax = Syntax { wildcards: true, variables: false };
    let pattern = Pattern::parse(&action.to_ascii_lowercase(), syntax).ok().filter(|_| well_formed)?;
    let covers = |full: &str| pattern.matches(Text::whole(&full.to_ascii_lowercase()), &Context::default());
    Some(ACTIONS.iter().enumerate().fold(0, |bits, (position, full)| bits | (u8::from(covers(full)) << position)))
}

fn conditions(block: &Node, path: &str, variables: bool) -> Result<Vec<Condition>, PolicyError> {
    let mut conditions = Vec::new();
    for (name, keys) in fields(block, path)? {
        let path = below(path, name);
        let operator = Operator::parse(name).map_err(|error| fault(&path, &error.to_string()))?;
        for (key, values) in fields(keys, &path)? {
            let path = below(&path, key);
            let mut condition = Condition::new(operator, key);
            for (path, value) in items(values, &path) {
                let expected = match value {
                    Node::Text(value) | Node::Number(value) => condition.expect(value, variables),
                    Node::Flag(value) => condition.expect(if *value { "true" } else { "false" }, variables),
                    _ => return invalid(&path, "is not a text"),
                };
                expected.map_err(|error| fault(&path, &error.to_string()))?;
            }
            conditions.push(condition);
        }
    }
    Ok(conditions)
}

/// Replaces the functions that CloudFormation would replace.
fn resolved(node: Node, path: &str) -> Result<Node, PolicyError> {
    match node {
        Node::Fields(mut fields) if fields.len() == 1 && fields[0].0.contains("::") => {
            let (function, argument) = fields.remove(0);
            match argument {
                Node::Text(template) if function == "Fn::Sub" => Ok(Node::Text(substituted(&template, path)?)),
                _ => invalid(path, "is a function of CloudFormation other than Fn::Sub with one text"),
            }
        }
        Node::Fields(fields) => {
            let resolve = |(name, node)| Ok((String::clone(&name), resolved(node, &below(path, &name))?));
            Ok(Node::Fields(fields.into_iter().map(resolve).collect::<Result<_, _>>()?))
        }
        Node::Many(nodes) => {
            let resolve = |(position, node)| resolved(node, &format!("{path}[{position}]"));
            Ok(Node::Many(nodes.into_iter().enumerate().map(resolve).collect::<Result<_, _>>()?))
        }
        other => Ok(other),
    }
}

/// Evaluates an `Fn::Sub`. The Region and the account are placeholders, because resources are compared without them.
fn substituted(template: &str, path: &str) -> Result<String, PolicyError> {
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or_else(|| fault(path, "has `${` without `}`"))?;
        text.push_str(before);
        match (name.strip_prefix('!'), name) {
            (Some(literal), _) => text.push_str(&format!("${{{literal}}}")),
            (None, "AWS::Partition") => text.push_str("aws"),
            (None, "AWS::Region") => text.push_str("us-east-1"),
            (None, "AWS::AccountId") => text.push_str("123456789012"),
            (None, _) => return invalid(path, "refers to a parameter or resource of its template"),
        }
        rest = after;
    }
    Ok(text + rest)
}

/// Returns a single value, or the items of an array, each with its path. Refuses an empty array.
fn non_empty_items<'a>(node: &'a Node, path: &str) -> Result<Vec<(String, &'a Node)>, PolicyError> {
    let nodes = items(node, path);
    if nodes.is_empty() { invalid(path, "is empty") } else { Ok(nodes) }
}

fn items<'a>(node: &'a Node, path: &str) -> Vec<(String, &'a Node)> {
    match node {
        Node::Many(nodes) => nodes.iter().enumerate().map(|(position, node)| (format!("{path}[{position}]"), node)).collect(),
        one => vec![(path.to_owned(), one)],
    }
}

fn text<'a>(node: &'a Node, path: &str) -> Result<&'a str, PolicyError> {
    let Node::Text(text) = node else { return invalid(path, "is not a text") };
    Ok(text)
}

fn fields<'a>(node: &'a Node, path: &str) -> Result<&'a [(String, Node)], PolicyError> {
    let Node::Fields(fields) = node else { return invalid(path, "is not an object") };
    Ok(fields)
}

fn field<'a>(fields: &'a [(String, Node)], name: &str) -> Option<&'a Node> {
    fields.iter().find(|(other, _)| other == name).map(|(_, node)| node)
}

fn required<'a>(fields: &'a [(String, Node)], name: &str, path: &str) -> Result<&'a Node, PolicyError> {
    field(fields, name).ok_or_else(|| fault(path, &format!("has no {name}")))
}

/// Refuses names that the policy language does not have, so that no intended restriction is ignored.
fn check_names(fields: &[(String, Node)], names: &[&str], path: &str) -> Result<(), PolicyError> {
    match fields.iter().find(|(name, _)| !names.contains(&name.as_str())) {
        Some((name, _)) if name.starts_with("Not") || name == "Principal" => {
            invalid(&below(path, name), "is not supported in policies of AWS IoT")
        }
        Some((name, _)) => invalid(&below(path, name), "is not an element of the policy language"),
        None => Ok(()),
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn fault(path: &str, fault: &str) -> PolicyError {
    let path = if path.is_empty() { "the document" } else { path };
    PolicyError::Invalid { path: path.to_owned(), fault: fault.to_owned() }
}

fn invalid<T>(path: &str, what: &str) -> Result<T, PolicyError> {
    Err(fault(path, what))
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;

//! Tests of patterns and decisions against a slow and simple model. The model replaces variables first, character by character,
//! and matches wildcards by recursion.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::pattern::{Pattern, Syntax};
use super::text::Text;
use super::{Context, Decision, Effect, Policy, Request, ThingContext, decide};

/// One character or wildcard of a pattern without variables.
#[derive(Clone, Copy)]
enum Symbol {
    Exactly(char),
    One,
    Many,
}

/// The tokens of generated patterns.
const TOKENS: [&str; 12] = [
    "a",
    "b",
    "/",
    "ä",
    "$",
    "*",
    "?",
    "${*}",
    "${iot:ClientId}",
    "${iot:Connection.Thing.ThingName}",
    "${iot:Connection.Thing.Attributes[k]}",
    "${iot:Unknown}",
];

fn value(token: &str, context: &Context) -> Option<String> {
    match token {
        "${*}" => Some("*".to_owned()),
        "${iot:ClientId}" => Some(context.client_id.clone()),
        "${iot:Connection.Thing.ThingName}" => Some(context.thing.as_ref()?.name.clone()),
        "${iot:Connection.Thing.Attributes[k]}" => context.thing.as_ref()?.attributes.get("k").cloned(),
        "${iot:Unknown}" => None,
        literal => Some(literal.to_owned()),
    }
}

/// Replaces the variables of a pattern. `None` if a variable has no value.
fn symbols(tokens: &[&str], context: &Context, wildcards: bool) -> Option<Vec<Symbol>> {
    let mut symbols = Vec::new();
    for token in tokens {
        match *token {
            "*" if wildcards => symbols.push(Symbol::Many),
            "?" if wildcards => symbols.push(Symbol::One),
            token => symbols.extend(value(token, context)?.chars().map(Symbol::Exactly)),
        }
    }
    Some(symbols)
}

fn fits(pattern: &[Symbol], text: &[char]) -> bool {
    match (pattern, text) {
        ([], rest) => rest.is_empty(),
        ([Symbol::Many, pattern @ ..], text) => (0..=text.len()).any(|taken| fits(pattern, &text[taken..])),
        ([Symbol::One, pattern @ ..], [_, text @ ..]) => fits(pattern, text),
        ([Symbol::Exactly(wanted), pattern @ ..], [given, text @ ..]) => wanted == given && fits(pattern, text),
        (_, []) => false,
    }
}

fn model_matches(tokens: &[&str], text: &str, context: &Context, wildcards: bool) -> bool {
    symbols(tokens, context, wildcards).is_some_and(|symbols| fits(&symbols, &text.chars().collect::<Vec<_>>()))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[ab/*?$ä]{0,3}", Just("${iot:ClientId}".to_owned())]
}

fn context() -> impl Strategy<Value = Context> {
    let thing = (name(), prop::option::of(name())).prop_map(|(name, value)| {
        let attributes = value.into_iter().map(|value| ("k".to_owned(), value)).collect();
        ThingContext { name, attributes, thing_type: None }
    });
    (name(), prop::option::of(thing), any::<bool>(), prop::option::of(name())).prop_map(|(client_id, thing, persistent_connect, will)| {
        Context { client_id, thing, persistent_connect, last_will_topic: will, ..Context::default() }
    })
}

fn tokens(most: usize) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(select(&TOKENS[..]), 0..most)
}

/// A text that the pattern is likely to match: the pattern with a text in place of each wildcard.
fn near(tokens: &[&str], context: &Context, fillings: &[String]) -> String {
    let fill = |(position, token): (usize, &&str)| match *token {
        "*" => fillings[position % fillings.len()].clone(),
        "?" => "ä".to_owned(),
        token => value(token, context).unwrap_or_else(|| token.to_owned()),
    };
    tokens.iter().enumerate().map(fill).collect()
}

/// A generated statement.
#[derive(Clone, Debug)]
struct Draft {
    deny: bool,
    actions: Vec<&'static str>,
    resources: Vec<(&'static str, Vec<&'static str>)>,
    condition: Option<Test>,
}

/// A generated condition.
#[derive(Clone, Debug)]
enum Test {
    Attached(bool),
    ClientId { negated: bool, like: Vec<&'static str> },
    ThingName { negated: bool, equals: Vec<&'static str> },
    Attributes { all: bool, among: Vec<&'static str> },
}

const KINDS: [&str; 4] = ["client/", "topic/", "topicfilter/", "t*/"];
const ACTIONS: [&str; 6] = ["iot:Connect", "iot:Publish", "iot:RetainPublish", "iot:Subscribe", "iot:Receive", "iot:*"];

fn draft() -> impl Strategy<Value = Draft> {
    let condition = prop_oneof![
        any::<bool>().prop_map(Test::Attached),
        (any::<bool>(), tokens(3)).prop_map(|(negated, like)| Test::ClientId { negated, like }),
        (any::<bool>(), tokens(3)).prop_map(|(negated, equals)| Test::ThingName { negated, equals }),
        (any::<bool>(), prop::sample::subsequence(vec!["PersistentConnect", "LastWill"], 0..=2))
            .prop_map(|(all, among)| Test::Attributes { all, among }),
    ];
    let actions = prop::collection::vec(select(&ACTIONS[..]), 1..3);
    let resources = prop::collection::vec((select(&KINDS[..]), tokens(5)), 1..3);
    (any::<bool>(), actions, resources, prop::option::of(condition)).prop_map(|(deny, actions, resources, condition)| Draft {
        deny,
        actions,
        resources,
        condition,
    })
}

impl Draft {
    fn json(&self) -> Value {
        let arn = |(kind, tokens): &(&str, Vec<&str>)| format!("arn:aws:iot:us-east-1:123456789012:{kind}{}", tokens.concat());
        let mut statement = json!({
            "Effect": if self.deny { "Deny" } else { "Allow" },
            "Action": self.actions,
            "Resource": self.resources.iter().map(arn).collect::<Vec<_>>(),
        });
        if let Some(condition) = &self.condition {
            statement["Condition"] = match condition {
                Test::Attached(attached) => json!({"Bool": {"iot:Connection.Thing.IsAttached": attached}}),
                Test::ClientId { negated, like } => {
                    json!({if *negated { "StringNotLike" } else { "StringLike" }: {"iot:ClientId": like.concat()}})
                }
                Test::ThingName { negated, equals } => {
                    json!({if *negated { "StringNotEquals" } else { "StringEquals" }: {"iot:Connection.Thing.ThingName": equals.concat()}})
                }
                Test::Attributes { all, among } => {
                    json!({if *all { "ForAllValues:StringEquals" } else { "ForAnyValue:StringEquals" }: {"iot:ConnectAttributes": among}})
                }
            };
        }
        statement
    }

    fn is_about(&self, request: &Request<'_>, context: &Context) -> bool {
        let action = self.actions.iter().any(|action| *action == "iot:*" || *action == request.action());
        let resource = self.resources.iter().any(|(kind, tokens)| {
            let characters: Vec<String> = kind.chars().map(String::from).collect();
            let whole: Vec<&str> = characters.iter().map(String::as_str).chain(tokens.iter().copied()).collect();
            model_matches(&whole, &request.resource(), context, true)
        });
        action && resource && self.condition.as_ref().is_none_or(|condition| condition.holds(self.deny, request, context))
    }
}

impl Test {
    fn holds(&self, deny: bool, request: &Request<'_>, context: &Context) -> bool {
        match self {
            Self::Attached(attached) => context.thing.is_some() == *attached,
            Self::ClientId { negated: false, like } => model_matches(like, &context.client_id, context, true),
            Self::ClientId { negated: true, like } => {
                (deny || symbols(like, context, true).is_some()) && !model_matches(like, &context.client_id, context, true)
            }
            Self::ThingName { negated, equals } => {
                let known = deny || !negated || symbols(equals, context, false).is_some();
                let found = context.thing.as_ref().is_some_and(|thing| model_matches(equals, &thing.name, context, false));
                known && found != *negated
            }
            Self::Attributes { all, among } => {
                let mut asked = Vec::new();
                if matches!(request, Request::Connect(_)) {
                    asked.extend(context.persistent_connect.then_some("PersistentConnect"));
                    asked.extend(context.last_will_topic.as_ref().map(|_| "LastWill"));
                }
                let among = |attribute: &&str| among.contains(attribute);
                if *all { asked.iter().all(among) } else { asked.iter().any(among) }
            }
        }
    }
}

fn request<'a>(action: usize, name: &'a str) -> Request<'a> {
    Request::of(ACTIONS[action], name).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_pattern_matches_like_the_model(
        tokens in tokens(8), context in context(), fillings in prop::collection::vec("[ab/ä]{0,3}", 1..4), other in "[ab/*$ä]{0,6}", wildcards: bool,
    ) {
        let pattern = Pattern::parse(&tokens.concat(), Syntax { wildcards, variables: true }).unwrap();
        for text in [near(&tokens, &context, &fillings), other] {
            let expected = model_matches(&tokens, &text, &context, wildcards);
            prop_assert_eq!(pattern.matches(Text::whole(&text), &context), expected, "{:?} {:?}", tokens.concat(), text);
            // A text in two parts is matched like a single text.
            let in_two = Text::of("a/", &text);
            let expected = model_matches(&tokens, &format!("a/{text}"), &context, wildcards);
            prop_assert_eq!(pattern.matches(in_two, &context), expected);
        }
        prop_assert_eq!(pattern.unresolved(&context).is_some(), symbols(&tokens, &context, wildcards).is_none());
    }

    #[test]
    fn decisions_equal_those_of_the_model(
        drafts in prop::collection::vec(prop::collection::vec(draft(), 1..4), 1..3), context in context(),
        fillings in prop::collection::vec("[ab/ä]{0,3}", 1..3), which: Index, action in 0..5_usize,
    ) {
        let all: Vec<&Draft> = drafts.iter().flatten().collect();
        let resources: Vec<_> = all.iter().flat_map(|draft| &draft.resources).collect();
        let name = near(&which.get(&resources).1, &context, &fillings);
        let request = request(action, &name);
        let document = |drafts: &Vec<Draft>| {
            let statements: Vec<Value> = drafts.iter().map(Draft::json).collect();
            Policy::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string()).unwrap()
        };
        let policies: Vec<Policy> = drafts.iter().map(document).collect();

        let about = |deny: bool| all.iter().any(|draft| draft.deny == deny && draft.is_about(&request, &context));
        let decision = decide(&policies, &request, &context);
        match decision {
            Decision::ExplicitDeny(_) => prop_assert!(about(true)),
            Decision::Allowed(_) => prop_assert!(about(false) && !about(true)),
            Decision::ImplicitDeny => prop_assert!(!about(false) && !about(true)),
        }
        if let Decision::ExplicitDeny(ground) | Decision::Allowed(ground) = decision {
            let named = &drafts[ground.policy][ground.statement];
            prop_assert!(named.is_about(&request, &context) && ground.resource < named.resources.len());
            let effect = policies[ground.policy].statements()[ground.statement].effect();
            prop_assert_eq!(effect == Effect::Deny, named.deny);
        }
    }
}

use serde_json::{Value, json};

use super::*;
use crate::policy::ThingContext;

fn policy(statements: &Value) -> Policy {
    Policy::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string()).unwrap()
}

fn statement(effect: &str, action: &str, resource: &str) -> Value {
    let resource = if resource == "*" { resource.to_owned() } else { format!("arn:aws:iot:us-east-1:123456789012:{resource}") };
    json!({"Effect": effect, "Action": action, "Resource": resource})
}

fn allowing(resource: &str) -> Policy {
    policy(&json!([statement("Allow", "iot:*", resource)]))
}

fn client(client_id: &str) -> Context {
    Context { client_id: client_id.into(), ..Context::default() }
}

fn allowed(policy: &Policy, request: Request<'_>, context: &Context) -> bool {
    decide([policy], &request, context).is_allowed()
}

#[test]
fn a_deny_overrides_an_allow_in_any_order() {
    let allow = policy(&json!([statement("Allow", "iot:Publish", "topic/*")]));
    let deny = policy(&json!([statement("Allow", "iot:Publish", "topic/a"), statement("Deny", "iot:*", "topic/secret")]));
    let ask = |topic, policies: [&Policy; 2]| decide(policies, &Request::Publish(topic), &client("c"));
    assert_eq!(ask("secret", [&allow, &deny]), Decision::ExplicitDeny(DecidingStatement { policy: 1, statement: 1, resource: 0 }));
    assert_eq!(ask("secret", [&deny, &allow]), Decision::ExplicitDeny(DecidingStatement { policy: 0, statement: 1, resource: 0 }));
    assert_eq!(ask("a", [&allow, &deny]), Decision::Allowed(DecidingStatement { policy: 0, statement: 0, resource: 0 }));
}

#[test]
fn a_request_without_an_applicable_statement_is_denied() {
    assert_eq!(decide([], &Request::Connect("c"), &client("c")), Decision::ImplicitDeny);
    let deny_other = policy(&json!([statement("Deny", "iot:Publish", "topic/b"), statement("Allow", "iot:Publish", "topic/c")]));
    assert_eq!(decide([&deny_other], &Request::Publish("a"), &client("c")), Decision::ImplicitDeny);
}

#[test]
fn actions_are_case_insensitive_and_may_have_wildcards() {
    let by = |action| policy(&json!([statement("Allow", action, "*")]));
    let actions = |policy: &Policy| {
        let all =
            [Request::Connect("a"), Request::Publish("a"), Request::RetainPublish("a"), Request::Subscribe("a"), Request::Receive("a")];
        all.iter().filter(|request| allowed(policy, **request, &client("a"))).map(Request::action).collect::<Vec<_>>()
    };
    assert_eq!(actions(&by("IOT:pubLISH")), ["iot:Publish"]);
    assert_eq!(actions(&by("iot:*Publish")), ["iot:Publish", "iot:RetainPublish"]);
    assert_eq!(actions(&by("iot:Re*")), ["iot:RetainPublish", "iot:Receive"]);
    assert_eq!(actions(&by("*")).len(), 5);
    assert_eq!(actions(&by("iot:*")).len(), 5);
    assert!(actions(&by("iotjobsdata:*")).is_empty() && actions(&by("iot:GetThingShadow")).is_empty());
}

#[test]
fn each_action_has_its_kind_of_resource() {
    let of = allowing("topic/a");
    assert!(allowed(&of, Request::Publish("a"), &client("c")) && allowed(&of, Request::Receive("a"), &client("c")));
    assert!(!allowed(&of, Request::Subscribe("a"), &client("c")) && !allowed(&of, Request::Connect("a"), &client("c")));
    // `*` also matches across the boundary between the kind and the name.
    assert!(allowed(&allowing("topic*"), Request::Subscribe("a"), &client("c")));
    assert!(allowed(&allowing("*/a"), Request::Connect("a"), &client("c")));
    assert!(allowed(&allowing("t????/?"), Request::Publish("a"), &client("c")));
}

#[test]
fn the_value_of_a_variable_is_text() {
    let own = allowing("topic/${iot:ClientId}/x");
    for (client_id, topic) in [("*", "anything/x"), ("?", "a/x"), ("**", "a/b/x"), ("${iot:CertificateId}", "cert/x"), ("${*}", "*/x")] {
        let context = Context { certificate_id: Some("cert".into()), ..client(client_id) };
        assert!(!allowed(&own, Request::Publish(topic), &context), "{client_id} is {topic}");
        assert!(allowed(&own, Request::Publish(&format!("{client_id}/x")), &context));
    }
}

#[test]
fn special_characters_are_written_as_variables() {
    let starred = allowing("topic/${*}${?}${$}{a}*");
    assert!(allowed(&starred, Request::Publish("*?${a}b"), &client("c")));
    assert!(!allowed(&starred, Request::Publish("ab${a}b"), &client("c")));
    // A `$` without `{` is an ordinary character, as in `$aws`.
    assert!(allowed(&allowing("topic/$aws/$"), Request::Publish("$aws/$"), &client("c")));
}

#[test]
fn a_variable_without_a_value_matches_nothing() {
    let by_thing = allowing("topic/${iot:Connection.Thing.ThingName}*");
    assert!(!allowed(&by_thing, Request::Publish("a"), &client("a")));
    assert!(!allowed(&by_thing, Request::Publish("${iot:Connection.Thing.ThingName}"), &client("a")));
    assert!(!allowed(&allowing("topic/*${iot:Thing.ThingName}"), Request::Publish("a"), &client("a")));
    let deny = policy(&json!([statement("Allow", "*", "*"), statement("Deny", "*", "topic/${iot:Connection.Thing.ThingName}")]));
    assert!(allowed(&deny, Request::Publish("a"), &client("a")));
    // The other resources of the statement still match.
    let mut two = statement("Allow", "iot:*", "*");
    two["Resource"] = json!(["arn:aws:iot:*:*:topic/${iot:Unknown}", "arn:aws:iot:*:*:topic/b"]);
    assert!(allowed(&policy(&two), Request::Publish("b"), &client("a")));
}

#[test]
fn each_variable_has_its_value() {
    let thing = ThingContext {
        name: "lamp".into(),
        thing_type: Some("Light".into()),
        attributes: [("room".to_owned(), "kitchen".to_owned())].into(),
    };
    let context = Context {
        certificate_id: Some("c0ffee".into()),
        subject: [("CommonName".to_owned(), vec!["cn".to_owned(), "w*ld".to_owned()])].into(),
        source_ip: Some("::ffff:192.0.2.1".parse().unwrap()),
        thing: Some(thing),
        ..client("c")
    };
    for (variable, value) in [
        ("iot:ClientId", "c"),
        ("iot:CertificateId", "c0ffee"),
        ("aws:SourceIp", "192.0.2.1"),
        ("iot:Connection.Thing.ThingName", "lamp"),
        ("iot:Connection.Thing.ThingTypeName", "Light"),
        ("iot:Connection.Thing.Attributes[room]", "kitchen"),
        ("iot:Connection.Thing.IsAttached", "true"),
        ("iot:Certificate.Subject.CommonName", "cn"),
    ] {
        assert!(allowed(&allowing(&format!("topic/${{{variable}}}")), Request::Publish(value), &context), "{variable}");
    }
    // A certificate attribute with a wildcard is not used as a value.
    assert!(!allowed(&allowing("topic/${iot:Certificate.Subject.CommonName.1}"), Request::Publish("w*ld"), &context));
}

#[test]
fn a_question_mark_matches_a_character_and_not_a_byte() {
    assert!(allowed(&allowing("topic/?/?"), Request::Publish("ä/😀"), &client("c")));
    assert!(!allowed(&allowing("topic/??"), Request::Publish("ä"), &client("c")));
}

#[test]
fn a_pattern_with_many_wildcards_is_matched_quickly() {
    let stars = allowing(&format!("topic/{}b", "a*".repeat(500)));
    assert!(!allowed(&stars, Request::Publish(&"a".repeat(65_000)), &client("c")));
}

#[test]
fn a_request_is_created_from_the_name_of_its_action() {
    assert_eq!(Request::of("publish", "a"), Some(Request::Publish("a")));
    assert_eq!(Request::of("iot:RetainPublish", "a"), Some(Request::RetainPublish("a")));
    assert_eq!(Request::of("SUBSCRIBE", "a").map(|request| request.resource()), Some("topicfilter/a".to_owned()));
    assert_eq!(Request::of("iot:", "a"), None);
    assert_eq!(Request::of("unsubscribe", "a"), None);
}

//! Tests with the examples of the AWS documentation. Each test names its page and expects the results that the page describes.
//!
//! The documents are reduced to the relevant parts. The account and the names are those of the pages.

use serde_json::{Value, json};

use super::{Context, Policy, Request, ThingContext, decide};

fn allows(policy: &str, request: Request<'_>, context: &Context) -> bool {
    decide([&Policy::parse(policy).unwrap()], &request, context).is_allowed()
}

fn document(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn statement(effect: &str, actions: &[&str], resources: &[&str]) -> Value {
    let arn = |resource: &&str| format!("arn:aws:iot:us-east-1:123456789012:{resource}");
    json!({"Effect": effect, "Action": actions, "Resource": resources.iter().map(arn).collect::<Vec<_>>()})
}

fn client(client_id: &str) -> Context {
    Context { client_id: client_id.into(), ..Context::default() }
}

fn thing(name: &str) -> Context {
    Context { thing: Some(ThingContext { name: name.into(), ..ThingContext::default() }), ..client(name) }
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/connect-policy.html>
#[test]
fn two_client_ids_are_denied_and_attached_things_connect_with_their_names() {
    let mut own = statement("Allow", &["iot:Connect"], &["client/${iot:Connection.Thing.ThingName}"]);
    own["Condition"] = json!({"Bool": {"iot:Connection.Thing.IsAttached": "true"}});
    let policy = document(&[statement("Deny", &["iot:Connect"], &["client/client1", "client/client2"]), own]);
    assert!(allows(&policy, Request::Connect("lamp"), &thing("lamp")));
    assert!(!allows(&policy, Request::Connect("client1"), &thing("client1")));
    assert!(!allows(&policy, Request::Connect("client2"), &thing("client2")));
    assert!(!allows(&policy, Request::Connect("lamp"), &client("lamp")));
    assert!(!allows(&policy, Request::Connect("other"), &Context { client_id: "other".into(), ..thing("lamp") }));
}

/// Whether a policy allows each of four CONNECTs: plain, persistent, with a will, and with both.
fn connects(statements: &[Value]) -> [bool; 4] {
    let policy = document(statements);
    [(false, None), (true, None), (false, Some("w")), (true, Some("w"))].map(|(persistent_connect, will)| {
        let context = Context { persistent_connect, last_will_topic: will.map(str::to_owned), ..client("c") };
        allows(&policy, Request::Connect("c"), &context)
    })
}

fn attributes(effect: &str, operator: &str, attributes: &[&str]) -> Value {
    let condition = json!({operator: {"iot:ConnectAttributes": attributes}});
    json!({"Effect": effect, "Action": ["iot:Connect"], "Resource": "*", "Condition": condition})
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/connect-policy.html#persistent-sessions-examples>
#[test]
fn connect_attributes_are_allowed_as_in_the_examples() {
    const PERSISTENT: &str = "PersistentConnect";
    const WILL: &str = "LastWill";
    let (all, all_not, any) = ("ForAllValues:StringEquals", "ForAllValues:StringNotEquals", "ForAnyValue:StringEquals");
    let everything = json!({"Effect": "Allow", "Action": ["iot:Connect"], "Resource": "*"});
    let cases = [
        ("allows connect with PersistentConnect", vec![attributes("Allow", all, &[PERSISTENT])], [true, true, false, false]),
        ("disallows PersistentConnect, others are allowed", vec![attributes("Allow", all_not, &[PERSISTENT])], [true, false, true, false]),
        ("the same with a Deny", vec![everything, attributes("Deny", any, &[PERSISTENT])], [true, false, true, false]),
        ("allows both", vec![attributes("Allow", all, &[PERSISTENT, WILL])], [true, true, true, true]),
        ("clean connect with or without LastWill", vec![attributes("Allow", all, &[WILL])], [true, false, true, false]),
        ("default features only", vec![attributes("Allow", all, &[])], [true, false, false, false]),
        ("only with PersistentConnect", vec![attributes("Allow", any, &[PERSISTENT])], [false, true, false, true]),
        (
            "must have both",
            vec![
                attributes("Allow", all, &[PERSISTENT, WILL]),
                attributes("Deny", all, &[PERSISTENT]),
                attributes("Deny", all, &[WILL]),
                attributes("Deny", all, &[]),
            ],
            [false, false, false, true],
        ),
        (
            "no PersistentConnect, LastWill if wanted",
            vec![attributes("Deny", any, &[PERSISTENT]), attributes("Allow", all, &[WILL])],
            [true, false, true, false],
        ),
    ];
    for (name, statements, expected) in cases {
        assert_eq!(connects(&statements), expected, "{name}");
    }
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/connect-policy.html#persistent-sessions-examples>
#[test]
fn a_connect_needs_the_will_topic_of_the_policy() {
    let arn = "arn:aws:iot:us-east-1:123456789012:topic/my/lastwill/topicName";
    let policy = document(&[json!({
        "Effect": "Allow", "Action": ["iot:Connect"], "Resource": "*", "Condition": {"ArnEquals": {"iot:LastWillTopic": arn}}
    })]);
    let with = |topic: Option<&str>| Context { last_will_topic: topic.map(str::to_owned), ..client("c") };
    assert!(allows(&policy, Request::Connect("c"), &with(Some("my/lastwill/topicName"))));
    assert!(!allows(&policy, Request::Connect("c"), &with(Some("my/lastwill"))));
    assert!(!allows(&policy, Request::Connect("c"), &with(None)));
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/pub-sub-policy.html#pub-sub-policy-cert>
#[test]
fn mqtt_wildcards_are_ordinary_characters_in_a_policy() {
    let literal = document(&[statement("Allow", &["iot:Subscribe"], &["topicfilter/some/+/topic"])]);
    assert!(allows(&literal, Request::Subscribe("some/+/topic"), &client("c")));
    assert!(!allows(&literal, Request::Subscribe("some/one/topic"), &client("c")));
    let star = document(&[statement("Allow", &["iot:Subscribe"], &["topicfilter/some/*/topic", "topicfilter/some/sensor*/topic"])]);
    for filter in ["some/+/topic", "some/one/topic", "some/one/two/topic", "some/sensor/a/topic"] {
        assert!(allows(&star, Request::Subscribe(filter), &client("c")), "{filter}");
    }
    assert!(!allows(&star, Request::Subscribe("some/#"), &client("c")));
    let marks = document(&[statement("Allow", &["iot:Publish"], &["topic/some/?????/topic"])]);
    assert!(allows(&marks, Request::Publish("some/three/topic"), &client("c")));
    assert!(!allows(&marks, Request::Publish("some/two/topic"), &client("c")));
    // `?` matches any character, including `/`.
    assert!(allows(&marks, Request::Publish("some/t/ree/topic"), &client("c")));
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/pub-sub-policy.html#pub-sub-policy-specific-topic-prefix>
#[test]
fn topics_are_allowed_by_the_thing_name_as_prefix() {
    let own = ["topicfilter/${iot:Connection.Thing.ThingName}/room*"];
    let policy = document(&[
        statement("Allow", &["iot:Subscribe"], &own),
        statement("Allow", &["iot:Receive"], &["topic/${iot:Connection.Thing.ThingName}/room*"]),
    ]);
    assert!(allows(&policy, Request::Subscribe("thing1/room1"), &thing("thing1")));
    assert!(allows(&policy, Request::Receive("thing1/room2"), &thing("thing1")));
    assert!(!allows(&policy, Request::Subscribe("thing2/room1"), &thing("thing1")));
    assert!(!allows(&policy, Request::Publish("thing1/room1"), &thing("thing1")));
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/pub-sub-policy.html#pub-sub-deny-publish>
#[test]
fn a_denied_subtopic_overrides_an_allowed_prefix() {
    let policy = document(&[
        statement("Allow", &["iot:Publish"], &["topic/${iot:ClientId}/*"]),
        statement("Deny", &["iot:Publish"], &["topic/${iot:ClientId}/bar"]),
    ]);
    assert!(allows(&policy, Request::Publish("client1/foo"), &client("client1")));
    assert!(!allows(&policy, Request::Publish("client1/bar"), &client("client1")));
    assert!(!allows(&policy, Request::Publish("client2/foo"), &client("client1")));
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/pub-sub-policy.html>: the page uses `iot:Thing.ThingName`, which is not
/// a variable.
#[test]
fn a_misspelt_variable_is_accepted_and_matches_nothing() {
    let policy = document(&[statement("Allow", &["iot:Publish"], &["topic/my/topic/${iot:Thing.ThingName}"])]);
    assert!(!allows(&policy, Request::Publish("my/topic/lamp"), &thing("lamp")));
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/basic-policy-variables.html>
#[test]
fn a_client_id_plus_allows_a_wildcard_filter_unless_connect_is_restricted() {
    let filter = statement("Allow", &["iot:Subscribe"], &["topicfilter/my/${iot:ClientId}/topic"]);
    let policy = document(&[statement("Allow", &["iot:Connect"], &["client/clientid1"]), filter]);
    assert!(allows(&policy, Request::Subscribe("my/+/topic"), &client("+")));
    assert!(!allows(&policy, Request::Connect("+"), &client("+")));
    assert!(allows(&policy, Request::Connect("clientid1"), &client("clientid1")));
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/basic-policy-variables.html>
#[test]
fn publishing_is_restricted_to_a_source_address() {
    let mut publish = statement("Allow", &["iot:Publish"], &["topic/my/topic/${iot:ClientId}"]);
    publish["Condition"] = json!({"IpAddress": {"aws:SourceIp": "123.45.167.89"}});
    let policy = document(&[publish]);
    let from = |address: &str| Context { source_ip: Some(address.parse().unwrap()), ..client("clientid1") };
    assert!(allows(&policy, Request::Publish("my/topic/clientid1"), &from("123.45.167.89")));
    assert!(!allows(&policy, Request::Publish("my/topic/clientid1"), &from("123.45.167.90")));
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/thing-policy-examples.html>
#[test]
fn conditions_on_thing_type_and_attributes_are_evaluated() {
    let lamp = ThingContext {
        name: "lamp".into(),
        thing_type: Some("Thing_Type_Name".into()),
        attributes: [("attributeName".to_owned(), "attributeValue".to_owned())].into(),
    };
    let attached = Context { thing: Some(lamp), ..client("lamp") };
    let mut stats = statement("Allow", &["iot:Publish"], &["topic/device/stats"]);
    stats["Condition"] = json!({
        "StringEquals": {
            "iot:Connection.Thing.Attributes[attributeName]": "attributeValue",
            "iot:Connection.Thing.ThingTypeName": "Thing_Type_Name",
        },
        "Bool": {"iot:Connection.Thing.IsAttached": "true"},
    });
    let by_attribute = statement("Allow", &["iot:Publish"], &["topic/${iot:Connection.Thing.Attributes[attributeName]}/*"]);
    let policy = document(&[stats, by_attribute]);
    for (topic, context, expected) in [
        ("device/stats", &attached, true),
        ("attributeValue/a", &attached, true),
        ("other/a", &attached, false),
        ("device/stats", &thing("lamp"), false),
        ("attributeValue/a", &client("lamp"), false),
    ] {
        assert_eq!(allows(&policy, Request::Publish(topic), context), expected, "{topic} {context:?}");
    }
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/cert-policy-variables.html>
#[test]
fn publishing_is_restricted_to_organizations_of_the_certificate() {
    let mut publish = statement("Allow", &["iot:Publish"], &["topic/my/topic/${iot:ClientId}"]);
    publish["Condition"] =
        json!({"ForAllValues:StringEquals": {"iot:Certificate.Subject.Organization.List": ["Example Corp", "AnyCompany"]}});
    let policy = document(&[publish]);
    let of = |organization: &str| Context { subject: [("Organization".into(), vec![organization.into()])].into(), ..client("client1") };
    assert!(allows(&policy, Request::Publish("my/topic/client1"), &of("AnyCompany")));
    assert!(!allows(&policy, Request::Publish("my/topic/client1"), &of("OtherCompany")));
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/retained-message-policy-examples.html>
#[test]
fn a_retained_message_needs_retain_publish() {
    let plain = document(&[statement("Allow", &["iot:Publish"], &["topic/a"])]);
    assert!(allows(&plain, Request::Publish("a"), &client("c")) && !allows(&plain, Request::RetainPublish("a"), &client("c")));
    let retained = document(&[statement("Allow", &["iot:Publish", "iot:RetainPublish"], &["topic/a"])]);
    assert!(allows(&retained, Request::RetainPublish("a"), &client("c")));
}

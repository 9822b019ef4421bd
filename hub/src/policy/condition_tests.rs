use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::policy::{Context, Policy, Request, ThingContext, decide};

/// Whether a statement with this effect and condition applies to the request.
fn applies(effect: &str, condition: &Value, request: Request<'_>, context: &Context) -> bool {
    let statement = json!({"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition});
    let policy = Policy::parse(&json!({"Version": "2012-10-17", "Statement": statement}).to_string()).unwrap();
    decide([&policy], &request, context) != crate::policy::Decision::ImplicitDeny
}

fn allows(condition: &Value, context: &Context) -> bool {
    applies("Allow", condition, Request::Connect("c"), context)
}

fn denies(condition: &Value, context: &Context) -> bool {
    applies("Deny", condition, Request::Connect("c"), context)
}

fn client(client_id: &str) -> Context {
    Context { client_id: client_id.into(), ..Context::default() }
}

fn lamp() -> Context {
    let attributes = BTreeMap::from([("room".to_owned(), "Kitchen".to_owned())]);
    let thing = ThingContext { name: "lamp".into(), thing_type: Some("Light".into()), attributes };
    Context { thing: Some(thing), ..client("c") }
}

#[test]
fn string_operators_compare_as_documented() {
    let cases = [
        ("StringEquals", "Kitchen", true),
        ("StringEquals", "kitchen", false),
        ("StringEquals", "Kit*", false),
        ("StringEqualsIgnoreCase", "kITCHEN", true),
        ("StringNotEqualsIgnoreCase", "kITCHEN", false),
        ("StringNotEquals", "Kitchen", false),
        ("StringNotEquals", "Cellar", true),
        ("StringLike", "Kit*", true),
        ("StringLike", "K?tchen", true),
        ("StringLike", "K?chen", false),
        ("StringNotLike", "Kit*", false),
        ("StringNotLike", "C*", true),
        ("StringEqualsIfExists", "Kitchen", true),
        ("StringEqualsIfExists", "Cellar", false),
        ("ArnEquals", "arn:aws:iot:*:*:Kitchen", false),
    ];
    for (operator, value, expected) in cases {
        let condition = json!({operator: {"iot:Connection.Thing.Attributes[room]": value}});
        assert_eq!(allows(&condition, &lamp()), expected, "{condition}");
    }
}

#[test]
fn one_value_must_match_and_none_with_not() {
    let key = "iot:Connection.Thing.ThingTypeName";
    assert!(allows(&json!({"StringEquals": {key: ["Lock", "Light"]}}), &lamp()));
    assert!(!allows(&json!({"StringNotEquals": {key: ["Lock", "Light"]}}), &lamp()));
}

#[test]
fn all_keys_of_all_operators_have_to_hold() {
    let both = |room: &str| {
        json!({"StringEquals": {"iot:Connection.Thing.Attributes[room]": room, "iot:Connection.Thing.ThingTypeName": "Light"},
            "Bool": {"iot:Connection.Thing.IsAttached": true}})
    };
    assert!(allows(&both("Kitchen"), &lamp()));
    assert!(!allows(&both("Cellar"), &lamp()));
}

#[test]
fn a_key_without_a_value_fails_an_operator_and_passes_its_negation_and_if_exists() {
    let key = "iot:Connection.Thing.Attributes[floor]";
    for (operator, expected) in [
        ("StringEquals", false),
        ("StringNotEquals", true),
        ("StringEqualsIfExists", true),
        ("ForAllValues:StringEquals", true),
        ("ForAnyValue:StringEquals", false),
        ("ForAnyValue:StringNotEquals", false),
    ] {
        let condition = json!({operator: {key: "1"}});
        assert_eq!(allows(&condition, &lamp()), expected, "{operator}");
        assert_eq!(denies(&condition, &lamp()), expected, "{operator}");
    }
    assert!(allows(&json!({"Null": {key: "true"}}), &lamp()));
    assert!(!allows(&json!({"Null": {key: "false"}}), &lamp()));
    assert!(allows(&json!({"Null": {"iot:Connection.Thing.ThingName": false}}), &lamp()));
}

#[test]
fn an_unknown_key_or_variable_never_allows() {
    let unknown = [
        json!({"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}),
        json!({"StringEqualsIfExists": {"iot:DomainName": "example.com"}}),
        json!({"ForAllValues:StringEquals": {"iot:ClientID2": "a"}}),
        json!({"Null": {"aws:TokenIssueTime": "true"}}),
        json!({"StringNotEquals": {"iot:ClientId": "${iot:Connection.Thing.ThingName}"}}),
    ];
    for condition in unknown {
        assert!(!allows(&condition, &client("c")), "{condition}");
        assert!(denies(&condition, &client("c")), "{condition}");
    }
    assert!(!denies(&json!({"StringEquals": {"iot:ClientId": "${iot:Connection.Thing.ThingName}"}}), &client("c")));
}

#[test]
fn the_value_of_a_variable_in_a_condition_is_text() {
    let own = json!({"StringLike": {"iot:ClientId": "${iot:Connection.Thing.ThingName}-?"}});
    let with = |client_id: &str, name: &str| {
        let thing = Some(ThingContext { name: name.into(), ..ThingContext::default() });
        Context { thing, ..client(client_id) }
    };
    assert!(allows(&own, &with("lamp-1", "lamp")));
    assert!(!allows(&own, &with("lamp-12", "lamp")));
    assert!(!allows(&own, &with("camp-1", "*")));
}

#[test]
fn keys_are_case_insensitive_but_attribute_names_are_not() {
    assert!(allows(&json!({"StringEquals": {"IOT:connection.thing.THINGNAME": "lamp"}}), &lamp()));
    assert!(allows(&json!({"StringEquals": {"iot:connection.thing.attributes[room]": "Kitchen"}}), &lamp()));
    assert!(!allows(&json!({"StringEquals": {"iot:Connection.Thing.Attributes[Room]": "Kitchen"}}), &lamp()));
}

#[test]
fn ip_address_operators_compare_ranges() {
    let from = |address: &str| Context { source_ip: Some(address.parse().unwrap()), ..client("c") };
    let within = |range: &str| json!({"IpAddress": {"aws:SourceIp": range}});
    for (range, address, expected) in [
        ("203.0.113.0/24", "203.0.113.255", true),
        ("203.0.113.0/24", "203.0.114.0", false),
        ("203.0.113.7", "203.0.113.7", true),
        ("203.0.113.7", "203.0.113.8", false),
        ("0.0.0.0/0", "198.51.100.1", true),
        ("0.0.0.0/0", "::ffff:198.51.100.1", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
    ] {
        assert_eq!(allows(&within(range), &from(address)), expected, "{address} in {range}");
        assert_eq!(denies(&json!({"NotIpAddress": {"aws:SourceIp": range}}), &from(address)), !expected, "{address} in {range}");
    }
    assert!(!allows(&within("0.0.0.0/0"), &client("c")));
    assert!(!allows(&json!({"IpAddress": {"iot:ClientId": "10.0.0.1"}}), &client("10.0.0.1")));
}

#[test]
fn certificate_attributes_are_selected_by_number_or_as_a_list() {
    let subject = BTreeMap::from([("Organization".to_owned(), vec!["Example Corp".to_owned(), "AnyCompany".to_owned()])]);
    let context = Context { subject, ..client("c") };
    let is = |key: &str, value: &str| allows(&json!({"StringEquals": {key: value}}), &context);
    assert!(is("iot:Certificate.Subject.Organization", "Example Corp"));
    assert!(is("iot:Certificate.Subject.Organization.1", "AnyCompany"));
    assert!(!is("iot:Certificate.Subject.Organization.2", "AnyCompany"));
    let list = "iot:Certificate.Subject.Organization.List";
    assert!(allows(&json!({"ForAllValues:StringEquals": {list: ["Example Corp", "AnyCompany"]}}), &context));
    assert!(!allows(&json!({"ForAllValues:StringEquals": {list: ["Example Corp"]}}), &context));
    assert!(allows(&json!({"ForAnyValue:StringEquals": {list: ["AnyCompany", "Other"]}}), &context));
    assert!(allows(&json!({"ForAnyValue:StringNotEquals": {list: ["AnyCompany"]}}), &context));
}

#[test]
fn the_keys_of_a_connect_have_values_only_for_connect() {
    let context = Context { persistent_connect: true, last_will_topic: Some("will".into()), ..client("c") };
    let persistent = json!({"ForAnyValue:StringEquals": {"iot:ConnectAttributes": "PersistentConnect"}});
    let will = json!({"ArnEquals": {"iot:LastWillTopic": "arn:aws:iot:*:*:topic/w*"}});
    for condition in [persistent, will] {
        assert!(applies("Allow", &condition, Request::Connect("c"), &context));
        assert!(!applies("Allow", &condition, Request::Publish("will"), &context));
    }
}

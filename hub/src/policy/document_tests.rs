use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::policy::DEVICE_DOCUMENT;

fn policy(statement: &Value) -> Result<Policy, PolicyError> {
    Policy::parse(&json!({"Version": "2012-10-17", "Statement": statement}).to_string())
}

/// A valid statement with one element replaced.
fn with(name: &str, element: Value) -> Value {
    let mut statement = json!({"Effect": "Allow", "Action": "iot:Publish", "Resource": "*"});
    statement[name] = element;
    json!([statement])
}

fn error_text(result: Result<Policy, PolicyError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn the_device_policy_is_parsed() {
    let policy = Policy::parse(DEVICE_DOCUMENT).unwrap();
    assert_eq!(policy.statements().len(), 4);
    let connect = &policy.statements()[0];
    assert_eq!((connect.effect(), connect.actions()), (Effect::Allow, &["iot:Connect".to_owned()][..]));
    assert_eq!(connect.resources().collect::<Vec<_>>(), ["client/${iot:Connection.Thing.ThingName}"]);
    let topics: Vec<String> = policy.statements()[1].resources().collect();
    assert_eq!(topics[1], "topic/$aws/things/${iot:Connection.Thing.ThingName}/shadow/update");
}

#[test]
fn a_single_value_equals_an_array_of_one() {
    let one = policy(&json!({"Sid": "x", "Effect": "Deny", "Action": "iot:*", "Resource": "arn:aws:iot:eu-west-1:1:topic/a"}));
    let many = policy(&json!([{"Effect": "Deny", "Action": ["iot:*"], "Resource": ["arn:aws-cn:iot:*:*:topic/a"]}]));
    assert_eq!(one.unwrap(), many.unwrap());
}

#[test]
fn a_fault_is_reported_with_its_path() {
    let arn = "is neither `*` nor an ARN, such as `arn:aws:iot:us-east-1:123456789012:topic/a`";
    let cases = [
        (json!([]), "Statement: is empty"),
        (json!(7), "Statement: is not an object"),
        (json!([{"Action": "iot:Publish", "Resource": "*"}]), "Statement[0]: has no Effect"),
        (with("Effect", json!("allow")), "Statement[0].Effect: is neither Allow nor Deny"),
        (with("Action", json!("publish")), "Statement[0].Action: is no action, such as iot:Publish"),
        (with("Action", json!(["iot:Publish", "iot:Pub lish"])), "Statement[0].Action[1]: is no action, such as iot:Publish"),
        (with("Action", json!([])), "Statement[0].Action: is empty"),
        (with("Resource", json!(["*", "topic/a"])), &format!("Statement[0].Resource[1]: {arn}")),
        (with("Resource", json!("arn:aws:iot:topic/a")), &format!("Statement[0].Resource: {arn}")),
        (with("Resource", json!("arn:aws:iot:::")), &format!("Statement[0].Resource: {arn}")),
        (with("Resource", json!("arn:aws:s3:::bucket")), "Statement[0].Resource: is an ARN of another service than iot"),
        (with("Resource", json!("arn:aws:iot:*:*:topic/${iot:ClientId")), "Statement[0].Resource: has `${` without `}`"),
        (with("Resource", json!("arn:aws:iot:*:*:topic/${}")), "Statement[0].Resource: has a variable without a name"),
        (with("Resource", json!({"Ref": "Topic"})), "Statement[0].Resource: is not a text"),
        (
            with("Resource", json!({"Fn::Join": ["", []]})),
            "Statement[0].Resource: is a function of CloudFormation other than Fn::Sub with one text",
        ),
        (
            with("Resource", json!([{"Fn::Sub": "arn:${Mine}"}])),
            "Statement[0].Resource[0]: refers to a parameter or resource of its template",
        ),
        (with("Resource", json!({"Fn::Sub": "arn:${AWS"})), "Statement[0].Resource: has `${` without `}`"),
        (with("NotAction", json!("iot:*")), "Statement[0].NotAction: is not supported in policies of AWS IoT"),
        (with("NotResource", json!("*")), "Statement[0].NotResource: is not supported in policies of AWS IoT"),
        (with("Principal", json!("*")), "Statement[0].Principal: is not supported in policies of AWS IoT"),
        (with("Conditions", json!({})), "Statement[0].Conditions: is not an element of the policy language"),
        (with("Condition", json!({"StringEqual": {}})), "Statement[0].Condition.StringEqual: is not a condition operator"),
        (with("Condition", json!({"NullIfExists": {}})), "Statement[0].Condition.NullIfExists: is not a condition operator"),
        (with("Condition", json!({"DateLessThan": {}})), "Statement[0].Condition.DateLessThan: is not a condition operator"),
        (with("Condition", json!({"Bool": "true"})), "Statement[0].Condition.Bool: is not an object"),
        (with("Condition", json!({"Bool": {"a": ["true", "yes"]}})), "Statement[0].Condition.Bool.a[1]: is neither `true` nor `false`"),
        (
            with("Condition", json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/33"}})),
            "Statement[0].Condition.IpAddress.aws:SourceIp: is neither an IP address nor a range such as 203.0.113.0/24",
        ),
        (with("Condition", json!({"StringLike": {"a": [null]}})), "Statement[0].Condition.StringLike.a[0]: is not a text"),
        (
            with("Condition", json!({"ArnLike": {"iot:LastWillTopic": "will"}})),
            &format!("Statement[0].Condition.ArnLike.iot:LastWillTopic: {arn}"),
        ),
    ];
    for (statement, expected) in cases {
        assert_eq!(error_text(policy(&statement)), *expected);
    }
}

#[test]
fn a_fault_of_the_whole_document_is_reported() {
    let parse = |text: &str| error_text(Policy::parse(text));
    assert_eq!(parse("[]"), "the document: is not an object");
    assert_eq!(parse("{\n  nothing"), "line 2, column 3: not JSON in which every name occurs once");
    assert_eq!(parse(r#"{"Statement":[]}"#), "the document: has no Version");
    assert_eq!(parse(r#"{"Version":"2012-10-18","Statement":[]}"#), "Version: is neither 2012-10-17 nor 2008-10-17");
    assert_eq!(parse(r#"{"Version":"2012-10-17"}"#), "the document: has no Statement");
    assert_eq!(parse(r#"{"Version":"2012-10-17","Statements":[]}"#), "Statements: is not an element of the policy language");
    let deep = "[".repeat(100_000);
    assert!(parse(&deep).contains("characters") && parse(&deep[..10_000]).contains("not JSON"));
}

#[test]
fn a_name_that_occurs_twice_is_refused() {
    let twice = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}}"#;
    assert!(error_text(Policy::parse(twice)).ends_with("every name occurs once"));
}

#[test]
fn a_document_has_at_most_2048_characters_without_white_space() {
    let of = |length: usize, blanks: &str| {
        let head = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Publish","Resource":"arn:aws:iot:*:*:topic/"#;
        let tail = r#""}]}"#;
        format!("{head}{}{tail}", "a".repeat(length - head.len() - tail.len())).replace(',', &format!(",{blanks}"))
    };
    assert!(Policy::parse(&of(2048, "")).is_ok());
    assert!(Policy::parse(&of(2048, "\n\t   ")).is_ok());
    assert_eq!(Policy::parse(&of(2049, "")), Err(PolicyError::TooLarge));
}

#[test]
fn the_size_of_a_template_is_that_of_the_deployed_document() {
    let template: Node = serde_json::from_str(DEVICE_DOCUMENT).unwrap();
    assert_eq!(resolved(template, "").unwrap().size(), 1596);
}

#[test]
fn a_document_of_version_2008_has_no_variables() {
    let text = json!({
        "Version": "2008-10-17",
        "Statement": {"Effect": "Allow", "Action": "iot:Connect", "Resource": "arn:aws:iot:*:*:client/${iot:ClientId}"},
    });
    let permissions = Policy::parse(&text.to_string()).unwrap().permissions(&Context { client_id: "a".into(), ..Context::default() });
    assert_eq!(permissions[0].resources, ["client/${iot:ClientId}"]);
}

proptest! {
    #[test]
    fn the_parser_does_not_panic_for_any_text(text in ".{0,200}") {
        let _ = Policy::parse(&text);
    }

    #[test]
    fn the_parser_does_not_panic_for_any_value_in_any_place(value in value(), place in 0..6_usize) {
        let document = match place {
            0 => value,
            1 => json!({"Version": "2012-10-17", "Statement": value}),
            2 => json!({"Version": "2012-10-17", "Statement": with("Action", value)}),
            3 => json!({"Version": "2012-10-17", "Statement": with("Resource", value)}),
            4 => json!({"Version": "2012-10-17", "Statement": with("Condition", value)}),
            _ => json!({"Version": "2012-10-17", "Statement": with("Condition", json!({"ForAnyValue:StringLike": value}))}),
        };
        let _ = Policy::parse(&document.to_string());
    }
}

fn value() -> impl Strategy<Value = Value> {
    let text =
        prop_oneof!["[a-z$:{}!*?/.]{0,12}", "arn:aws:iot:[*]:[*]:[a-z$:{}*?]{0,12}", Just("Fn::Sub".to_owned()), Just("Bool".to_owned())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let many = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from);
        let fields = prop::collection::btree_map(text.clone(), inner, 0..4).prop_map(|fields| fields.into_iter().collect());
        prop_oneof![many, fields]
    })
}

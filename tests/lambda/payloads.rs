//! Events that are no requests, or requests of other skills.

use serde_json::{Value, json};

use crate::SHADOW;
use crate::harness::alexa::Echo;
use crate::harness::aws::Aws;
use crate::harness::function::Function;
use crate::harness::runtime_api::Outcome;

const STRANGER: &str = "amzn1.ask.skill.99999999-2222-4333-8444-555555555555";

/// The type of the failure can be used in a metric, and the failure quotes no input.
fn check_failure(error: &Value) {
    let kind = error["errorType"].as_str().unwrap_or_default();
    // Text that is not JSON does not reach our code: the runtime uses the name of its own type.
    let kind = kind.strip_prefix("&lambda_runtime::deserializer::").unwrap_or(kind);
    assert!(!kind.is_empty() && kind.chars().all(|c| c.is_ascii_alphanumeric()), "{error}");
    let text = error.to_string();
    assert!(!text.contains("panicked") && !text.contains("Atza") && text.len() < 1_000, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_another_skill_is_refused_and_calls_no_service() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let user = function.welcomes("Ada");
    let mut echo = Echo::linked(&user.token);
    let ours = echo.launch();

    let mut strangers = Vec::new();
    let mut both = ours.clone();
    both["session"]["application"]["applicationId"] = json!(STRANGER);
    both["context"]["System"]["application"]["applicationId"] = json!(STRANGER);
    strangers.push(both);
    let mut session = ours.clone();
    session["session"]["application"]["applicationId"] = json!(STRANGER);
    strangers.push(session);
    let mut context = ours.clone();
    context["context"]["System"]["application"]["applicationId"] = json!(STRANGER);
    strangers.push(context);
    for missing in [
        vec!["context"],
        vec!["context", "System"],
        vec!["context", "System", "application"],
        vec!["context", "System", "application", "applicationId"],
    ] {
        let mut request = ours.clone();
        let (last, path) = missing.split_last().expect("a path");
        let parent = path.iter().fold(&mut request, |value, step| &mut value[*step]);
        parent.as_object_mut().expect("an object").remove(*last);
        strangers.push(request);
    }
    for id in [json!(""), json!(null), json!(7), json!([ours["session"]["application"]["applicationId"]])] {
        let mut request = ours.clone();
        request["context"]["System"]["application"]["applicationId"] = id;
        strangers.push(request);
    }

    for request in strangers {
        let error = function.lambda.expect_failure(function.lambda.invoke(&request).await);
        check_failure(&error);
    }
    assert!(function.login.calls().is_empty(), "{:?}", function.login.calls());
    assert!(function.aws.calls().is_empty(), "{:?}", function.aws.calls());

    // The next request of our skill is answered normally.
    let answer = function.lambda.answer_to(&ours).await;
    assert!(!answer.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_request_fails_with_what_is_expected() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let user = function.welcomes("Ada");
    let ours = Echo::linked(&user.token).launch();
    let text = ours.to_string();
    for (event, what) in [
        (json!({"version": "2.0", "requestContext": {"http": {"method": "POST"}}, "body": text}), "inside `body`"),
        (json!({"httpMethod": "POST", "path": "/", "requestContext": {"stage": "prod"}, "body": text}), "inside `body`"),
        (json!({"Records": [{"eventSource": "aws:sqs", "body": text}]}), "inside `Records[0].body`"),
        (json!({"user": "ana", "request": ours}), "inside `request`"),
        (json!(text), "inside `a JSON text`"),
        (ours["request"].clone(), "only what belongs into `request`"),
        (json!({"version": "2.0", "requestContext": {"http": {"method": "GET"}}}), "the event of an HTTP request"),
    ] {
        let error = function.lambda.expect_failure(function.lambda.invoke(&event).await);
        check_failure(&error);
        let message = error["errorMessage"].as_str().unwrap_or_default();
        assert!(message.contains("Alexa request is expected") && message.contains(what), "{event}: {error}");
    }
    assert!(function.login.calls().is_empty() && function.aws.calls().is_empty());
    assert!(!function.lambda.log().contains(&user.token));
    function.lambda.answer_to(&ours).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_skills_may_share_a_function() {
    let function = Function::deployed(Aws::with_shadow(SHADOW).await, |deployment| {
        deployment.set("SKILL_ID", &format!("{STRANGER} , amzn1.ask.skill.other"))
    })
    .await;
    let mut echo = Echo::unlinked();
    echo.skill_id = STRANGER.to_owned();
    function.lambda.answer_to(&echo.launch()).await.asks_to_link();
    echo.skill_id = "amzn1.ask.skill.other".to_owned();
    echo.start_over();
    function.lambda.answer_to(&echo.launch()).await.asks_to_link();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_event_fails_and_the_next_request_is_answered() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let megabyte = "x".repeat(1 << 20);
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for payload in [
        String::new(),
        " ".to_owned(),
        "hello".to_owned(),
        "{".to_owned(),
        "null".to_owned(),
        "42".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "\"request\"".to_owned(),
        "{\"request\":{}}".to_owned(),
        "\u{feff}{}".to_owned(),
        format!("\"{megabyte}\""),
        megabyte,
        deep,
    ] {
        let invocation = function.lambda.invoke_raw(payload).await;
        check_failure(&function.lambda.expect_failure(invocation));
    }
    let invocation = function.lambda.invoke_raw(vec![0xff, 0xfe, 0x00]).await;
    check_failure(&function.lambda.expect_failure(invocation));
    assert!(function.lambda.is_running());
    let answer = function.lambda.answer_to(&Echo::unlinked().launch()).await;
    answer.asks_to_link();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_content_gets_an_empty_response() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let whole = Echo::unlinked().launch();
    for request in [
        None,
        Some(json!({})),
        Some(json!({"type": ""})),
        Some(json!({"type": 7})),
        Some(json!("LaunchRequest")),
        Some(json!([])),
        Some(json!(null)),
        Some(json!({"requestId": "amzn1.echo-api.request.1"})),
    ] {
        let mut envelope = whole.clone();
        match &request {
            Some(request) => envelope["request"] = request.clone(),
            None => {
                envelope.as_object_mut().expect("an object").remove("request");
            }
        }
        let answer = function.lambda.answer_to(&envelope).await;
        assert!(answer.is_empty(), "{request:?}: {:#}", answer.json());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_megabyte_of_unknown_data_is_ignored() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let mut request = Echo::unlinked().launch();
    request["context"]["Novelty"] = json!({"blob": "x".repeat(1 << 20)});
    function.lambda.answer_to(&request).await.asks_to_link();
    let mut request = Echo::unlinked().intent("PrintIntent", &[]);
    request["request"]["intent"]["slots"]["model"] = json!({"name": "model", "value": "vase ".repeat(1 << 18)});
    function.lambda.answer_to(&request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_may_be_missing_null_or_of_another_type() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let user = function.welcomes("Ada");
    let mut echo = Echo::linked(&user.token).hearing_progress("http://127.0.0.1:9", "token");
    let slots = [crate::harness::alexa::Slot::matched("model", "a vase", "vase", "vase"), crate::harness::alexa::Slot::said("copies", "2")];
    let requests = [
        echo.launch(),
        echo.intent("PrintIntent", &slots),
        echo.intent("StatusIntent", &[]),
        echo.can_fulfill("PrintIntent", &slots),
        echo.session_ended("ERROR"),
        echo.session_resumed(),
        echo.exception_encountered(),
        echo.account_linked(),
        echo.skill_event("SkillDisabled", None),
    ];
    let mut tried = 0;
    for request in &requests {
        for path in paths(request, "") {
            for replacement in [None, Some(json!(null)), Some(json!(7)), Some(json!("")), Some(json!([{}]))] {
                let mut damaged = request.clone();
                change(&mut damaged, &path, replacement.clone());
                let invocation = function.lambda.invoke(&damaged).await;
                tried += 1;
                match invocation.outcome {
                    Outcome::Failed(error) => {
                        check_failure(&error);
                        // Only the fields that contain the skill id may cause a failure.
                        let id = "application/applicationId";
                        let places = [format!("/context/System/{id}"), format!("/session/{id}")];
                        assert!(places.iter().any(|place| place.starts_with(&path)), "{path} = {replacement:?}: {error}");
                    }
                    _ => {
                        function.lambda.expect_answer(invocation);
                    }
                }
            }
        }
    }
    println!("{tried} damaged requests");
    assert!(!function.lambda.log().contains("panicked"));
}

/// Every path in a document, as a JSON pointer.
fn paths(value: &Value, here: &str) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, child)| (name.replace('~', "~0").replace('/', "~1"), child)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, child)| (index.to_string(), child)).collect(),
        _ => Vec::new(),
    };
    children
        .into_iter()
        .flat_map(|(name, child)| {
            let path = format!("{here}/{name}");
            let mut found = paths(child, &path);
            found.insert(0, path);
            found
        })
        .collect()
}

fn change(document: &mut Value, path: &str, replacement: Option<Value>) {
    if let Some(replacement) = replacement {
        *document.pointer_mut(path).expect("an existing path") = replacement;
        return;
    }
    let (parent, name) = path.rsplit_once('/').expect("a JSON pointer");
    let name = name.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent).expect("a parent") {
        Value::Object(fields) => {
            fields.remove(&name);
        }
        Value::Array(items) => {
            items.remove(name.parse().expect("an index"));
        }
        _ => {}
    }
}

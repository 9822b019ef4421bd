//! The identification of the owner: only an invalid token leads to a LinkAccount card, every other error is an outage, and an
//! outage gets a response in time.

use serde_json::json;

use crate::SHADOW;
use crate::harness::alexa::Echo;
use crate::harness::aws::{Aws, Conduct as AwsConduct};
use crate::harness::function::Function;
use crate::harness::login::{CLIENT_ID, Conduct, User, token_for};

async fn function_that_knows_its_client() -> Function {
    Function::deployed(Aws::with_shadow(SHADOW).await, |deployment| deployment.set("LWA_CLIENT_ID", CLIENT_ID)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_token_gets_a_card_and_calls_no_service() {
    let function = Function::with(Aws::out_of_order().await).await;
    let mut echo = Echo::unlinked();
    for request in [echo.launch(), echo.intent("StatusIntent", &[]), echo.intent("PauseIntent", &[])] {
        function.lambda.answer_to(&request).await.asks_to_link();
    }
    assert!(function.login.calls().is_empty());
    assert!(function.aws.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_fault_asks_for_a_new_link() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    for (name, conduct) in [("expired", Conduct::InvalidToken), ("narrow", Conduct::InsufficientScope)] {
        let user = function.welcomes(name);
        function.login.treats(&user.token, conduct);
        let mut echo = Echo::linked(&user.token);
        function.lambda.answer_to(&echo.launch()).await.asks_to_link();
    }
    let mut echo = Echo::linked(&token_for("nobody"));
    function.lambda.answer_to(&echo.intent("StatusIntent", &[])).await.asks_to_link();
    assert!(function.aws.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_token_asks_for_a_new_link() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    for token in [
        String::new(),
        " ".to_owned(),
        "x".repeat(3_000),
        "Atza|line\r\nX-Injected: yes".to_owned(),
        "Atza|\u{0}".to_owned(),
        "Atza|für".to_owned(),
    ] {
        let mut echo = Echo::linked(&token);
        function.lambda.answer_to(&echo.launch()).await.asks_to_link();
    }
    assert!(function.aws.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_login_is_an_apology_in_time_and_no_card() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    for (name, conduct) in [
        ("throttled", Conduct::Fails(429, "too_many_requests")),
        ("stumbled", Conduct::Fails(500, "ServerError")),
        ("away", Conduct::Fails(503, "ServiceUnavailable")),
        ("misunderstood", Conduct::Fails(400, "invalid_request")),
        ("html", Conduct::Html(200)),
        ("html.error", Conduct::Html(502)),
        ("half", Conduct::HalfJson),
        ("empty", Conduct::Says(json!({}))),
        ("numbers", Conduct::Says(json!({"user_id": 7}))),
        ("silent", Conduct::Silent),
    ] {
        let user = function.welcomes(name);
        function.login.treats(&user.token, conduct.clone());
        let mut echo = Echo::linked(&user.token);
        function.lambda.answer_to(&echo.launch()).await.apologises();
    }
    assert!(function.aws.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_of_the_login_the_owner_is_served() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let user = function.welcomes("Ada");
    function.login.treats(&user.token, Conduct::Fails(500, "ServerError"));
    let mut echo = Echo::linked(&user.token);
    let request = echo.intent("StatusIntent", &[]);
    function.lambda.answer(&mut echo, &request).await.apologises();
    function.login.forgives(&user.token);
    let request = echo.intent("StatusIntent", &[]);
    function.lambda.answer(&mut echo, &request).await.says(&["printing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_client_is_refused_before_anything_is_done() {
    let function = function_that_knows_its_client().await;
    let mut thief = User::named("Mallory");
    thief.audience = "amzn1.application-oa2-client.other".to_owned();
    function.login.knows(&thief);
    let mut echo = Echo::linked(&thief.token);
    function.lambda.answer_to(&echo.launch()).await.asks_to_link();
    assert!(function.aws.calls().is_empty());

    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let answer = function.lambda.answer_to(&echo.intent("StatusIntent", &[])).await;
    answer.says(&["printing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn contradictory_answers_of_the_login_change_no_thing() {
    let function = function_that_knows_its_client().await;
    let mut user = User::named("Janus");
    user.token_is_of = "amzn1.account.SOMEONE.ELSE".to_owned();
    function.login.knows(&user);
    let mut echo = Echo::linked(&user.token);
    let answer = function.lambda.answer_to(&echo.launch()).await;
    assert!(!answer.speech().is_empty());
    assert!(function.aws.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_travels_in_a_header_to_the_profile() {
    let function = function_that_knows_its_client().await;
    let user = function.welcomes("Ada");
    let mut echo = Echo::linked(&user.token);
    function.lambda.answer_to(&echo.intent("StatusIntent", &[])).await;
    let calls = function.login.calls();
    let profile = calls.iter().find(|call| call.path == "/user/profile").expect("a call for the profile");
    assert_eq!(profile.bearer.as_ref(), Some(&user.token));
    assert!(profile.query.is_empty(), "{}", profile.query);
    assert_eq!(calls.len(), 2, "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_goodbye_need_no_account() {
    let function = Function::with(Aws::out_of_order().await).await;
    let mut echo = Echo::unlinked();
    let help = function.lambda.answer_to(&echo.intent("AMAZON.HelpIntent", &[])).await;
    assert!(help.keeps_session_open() && help.card() != Some("LinkAccount"));
    for name in ["AMAZON.StopIntent", "AMAZON.CancelIntent", "AMAZON.NavigateHomeIntent"] {
        let answer = function.lambda.answer_to(&echo.intent(name, &[])).await;
        assert!(answer.ends_session() && answer.card().is_none(), "{name}");
    }
    let fallback = function.lambda.answer_to(&echo.intent("AMAZON.FallbackIntent", &[])).await;
    assert!(fallback.card().is_none() && !fallback.speech().is_empty());
    assert!(function.login.calls().is_empty());
    assert!(function.aws.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_without_a_mail_address_is_told_and_nothing_is_made() {
    let aws = Aws::out_of_order().await;
    let missing = "No shadow exists with name";
    aws.makes("GetThingShadow", AwsConduct::Refuses(404, "ResourceNotFoundException", missing));
    let function = Function::with(aws).await;
    let mut user = User::named("Nomail");
    user.email = None;
    function.login.knows(&user);
    let mut echo = Echo::linked(&user.token);
    let answer = function.lambda.answer_to(&echo.launch()).await;
    answer.says(&["mail"]);
    let operations = function.aws.operations();
    assert!(operations.iter().all(|operation| operation.starts_with("Get")), "{operations:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_aws_is_an_apology_in_time() {
    for aws in [Aws::out_of_order().await, Aws::silent().await] {
        let function = Function::with(aws).await;
        let user = function.welcomes("Ada");
        for name in ["PauseIntent", "StatusIntent"] {
            let mut echo = Echo::linked(&user.token);
            let request = echo.intent(name, &[]);
            function.lambda.answer(&mut echo, &request).await.apologises();
        }
        let mut echo = Echo::linked(&user.token);
        function.lambda.answer_to(&echo.launch()).await.apologises();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_of_all_services_is_answered_in_time() {
    let function = Function::with(Aws::silent().await).await;
    let user = function.welcomes("Ada");
    function.login.treats(&user.token, Conduct::Slow(std::time::Duration::from_millis(2_000)));
    let mut echo = Echo::linked(&user.token);
    function.lambda.answer_to(&echo.launch()).await.apologises();
}

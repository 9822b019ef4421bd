//! Tests of signed requests to a complete hub over a socket. The hub trusts a test root.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::Request;
use onething::config::Environment;
use onething::https::Https;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::clock::iso8601;
use crate::hub::Hub;
use crate::settings::{Asked, SKILL_ID, Settings};
use crate::sign_in::UserName;
use crate::signature::Verifier;
use crate::signature::forge::{Amazon, Answer, NOW, Server, anchor, clock, pass, sign};
use crate::web;

pub(in crate::web) const CHAIN: &str = "https://s3.amazonaws.com/echo.api/echo-api-cert.pem";

/// A hub, the server with the certificates of Amazon, and their temporary folder.
pub(in crate::web) struct Stage {
    pub(in crate::web) hub: std::sync::Arc<Hub>,
    pub(in crate::web) address: String,
    https: Https,
    _amazon: Server,
    _place: tempfile::TempDir,
}

/// A request. It is valid unless a field is changed.
struct TestRequest {
    body: String,
    signed: String,
    headers: bool,
}

impl TestRequest {
    fn well(envelope: &Value) -> Self {
        let body = envelope.to_string();
        Self { signed: body.clone(), body, headers: true }
    }
}

impl Stage {
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// A hub with changed options.
    pub(in crate::web) async fn with(change: impl FnOnce(&mut Asked)) -> Self {
        let (amazon, server) = (Amazon::new(), Server::start());
        server.put("/echo.api/echo-api-cert.pem", Answer::ok(amazon.chain));
        let place = tempfile::tempdir().unwrap();
        let mut asked = Asked::over(place.path());
        change(&mut asked);
        let settings = Settings::read(asked, &Environment).unwrap();
        let verifier = Verifier::new(vec![anchor(&amazon.root)], server.source(), clock);
        let hub = Hub::open(settings, 8883, Box::new(verifier)).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/alexa", listener.local_addr().unwrap());
        tokio::spawn(web::serve(listener, None, web::router(std::sync::Arc::clone(&hub), None), hub.ending()));
        Self { hub, address, https: Https::default(), _amazon: server, _place: place }
    }

    async fn send(&self, sent: &TestRequest) -> (u16, Value) {
        let mut request = Request::post(&self.address);
        if sent.headers {
            let signature = BASE64_STANDARD.encode(sign(sent.signed.as_bytes()));
            request = request.header("SignatureCertChainUrl", CHAIN).header("Signature-256", signature);
        }
        let request = request.body(Bytes::from(sent.body.clone())).unwrap();
        let answer = self.https.exchange(request, 1 << 20).await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
    }

    /// Sends a request, and checks that it is refused and has no effect.
    async fn check_refused(&self, sent: &TestRequest) {
        let (status, problem) = self.send(sent).await;
        assert_eq!((status, &problem["status"]), (400, &json!(400)), "{problem}");
        assert_eq!(problem["title"], "Bad Request");
        assert!(self.hub.registry.things().await.unwrap().is_empty(), "a thing was created");
        assert!(self.hub.registry.registrations().await.unwrap().is_empty(), "a certificate was issued");
        assert!(self.hub.mail.sent().is_empty(), "a mail was sent");
    }

    /// The request of Ana's "open my printer".
    pub(in crate::web) async fn launch(&self, id: &str, made_at: u64) -> Value {
        let token = self.hub.users.link(&UserName::parse("ana").unwrap()).await.unwrap();
        let user = json!({"userId": "amzn1.ask.account.ANA", "accessToken": token.secret()});
        let application = json!({"applicationId": SKILL_ID});
        json!({
            "version": "1.0",
            "session": {"new": true, "sessionId": "amzn1.echo-api.session.1", "application": application, "user": user},
            "context": {"System": {"application": application, "user": user, "device": {"deviceId": "d", "supportedInterfaces": {}}}},
            "request": {"type": "LaunchRequest", "requestId": id, "timestamp": iso8601(made_at), "locale": "en-US"},
        })
    }
}

#[tokio::test]
async fn a_signed_request_gets_a_response_and_creates_a_thing() {
    let stage = Stage::new().await;
    let (status, answer) = stage.send(&TestRequest::well(&stage.launch("one", NOW).await)).await;
    assert_eq!(status, 200, "{answer}");
    let speech = answer.pointer("/response/outputSpeech").unwrap().to_string();
    assert!(speech.contains("3D printer"), "{speech}");
    assert_eq!(stage.hub.registry.things().await.unwrap().len(), 1);
    assert_eq!(stage.hub.mail.sent().len(), 1);
}

#[tokio::test]
async fn a_replay_is_refused_and_has_no_effect() {
    let stage = Stage::new().await;
    let request = TestRequest::well(&stage.launch("one", NOW).await);
    assert_eq!(stage.send(&request).await.0, 200);
    let (status, problem) = stage.send(&request).await;
    assert_eq!((status, &problem["type"]), (400, &json!("about:blank")));
    assert_eq!((stage.hub.registry.things().await.unwrap().len(), stage.hub.mail.sent().len()), (1, 1));
}

#[tokio::test]
async fn a_request_without_a_valid_signature_is_refused_and_has_no_effect() {
    let stage = Stage::new().await;
    let good = TestRequest::well(&stage.launch("one", NOW).await);
    stage.check_refused(&TestRequest { headers: false, ..TestRequest::well(&stage.launch("two", NOW).await) }).await;
    let body = good.body.replace("LaunchRequest", "IntentRequest");
    stage.check_refused(&TestRequest { body, signed: good.signed, headers: true }).await;
    let body = format!("{} ", good.body);
    stage.check_refused(&TestRequest { signed: good.body, body, headers: true }).await;
    stage.check_refused(&TestRequest { body: String::new(), signed: "other".into(), headers: true }).await;
}

#[tokio::test]
async fn a_signed_request_that_is_old_malformed_or_for_another_skill_is_refused() {
    let stage = Stage::new().await;
    let fresh = TestRequest::well(&stage.launch("one", NOW).await);
    pass(151);
    stage.check_refused(&fresh).await;
    let now = clock();
    stage.check_refused(&TestRequest::well(&stage.launch("ahead", now + 151).await)).await;
    for holder in ["/session/application/applicationId", "/context/System/application/applicationId"] {
        let mut other = stage.launch(holder, now).await;
        *other.pointer_mut(holder).unwrap() = json!("amzn1.ask.skill.another");
        stage.check_refused(&TestRequest::well(&other)).await;
    }
    for garbled in ["", "{", "[]", "null", "\"request\""] {
        stage.check_refused(&TestRequest { body: garbled.into(), signed: garbled.into(), headers: true }).await;
    }
    assert_eq!(stage.send(&TestRequest::well(&stage.launch("good", now).await)).await.0, 200, "a valid request still succeeds");
}

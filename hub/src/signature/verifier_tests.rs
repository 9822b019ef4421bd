//! Tests of complete requests, like those in the SDKs of Amazon and others, with certificates from a real HTTP server.

use http::{HeaderName, HeaderValue};

use super::forge::{Amazon, Answer, Elsewhere, NOW, Server, anchor, clock, pass, sign};
use super::*;
use crate::clock::iso8601;

const URL: &str = "https://s3.amazonaws.com/echo.api/echo-api-cert.pem";

struct TestVerifier {
    server: Server,
    verifier: Verifier<Elsewhere>,
}

impl TestVerifier {
    fn new() -> Self {
        let (amazon, server) = (Amazon::new(), Server::start());
        server.put("/echo.api/echo-api-cert.pem", Answer::ok(amazon.chain));
        let verifier = Verifier::new(vec![anchor(&amazon.root)], server.source(), clock);
        Self { server, verifier }
    }

    /// Checks the verdict on a request. `expected` is `ok` or the beginning of the fault.
    async fn check(&self, headers: &[(&str, &[u8])], body: &[u8], expected: &str) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap());
        }
        let verdict = self.verifier.verify(&map, body).await;
        let verdict = verdict.map_or_else(|fault| format!("{fault:?}"), |()| "ok".to_owned());
        assert!(verdict.starts_with(expected), "{verdict}, not {expected}");
    }

    /// Checks the verdict on a body with a valid signature.
    async fn check_body(&self, body: &str, expected: &str) {
        let signature = BASE64_STANDARD.encode(sign(body.as_bytes()));
        self.check(&[("SignatureCertChainUrl", URL.as_bytes()), ("Signature-256", signature.as_bytes())], body.as_bytes(), expected).await;
    }
}

fn body(kind: &str, id: &str, made_at: u64) -> String {
    format!(
        r#"{{"version":"1.0","request":{{"type":"{kind}","requestId":"{id}","timestamp":"{}","intent":{{"slots":{{"model":{{"value":"Pokémon"}}}}}}}}}}"#,
        iso8601(made_at)
    )
}

#[tokio::test]
async fn header_names_are_case_insensitive() {
    let stage = TestVerifier::new();
    for (n, [url, signature]) in [
        ["SignatureCertChainUrl", "Signature-256"],
        ["signaturecertchainurl", "signature-256"],
        ["SIGNATURECERTCHAINURL", "SIGNATURE-256"],
        ["signatureCertChainUrl", "signature-256"],
    ]
    .into_iter()
    .enumerate()
    {
        let body = body("IntentRequest", &n.to_string(), NOW);
        let signed = BASE64_STANDARD.encode(sign(body.as_bytes()));
        // The older signature with SHA-1 may also be present.
        let headers: [(&str, &[u8]); 3] = [(url, URL.as_bytes()), (signature, signed.as_bytes()), ("Signature", b"c2hhLTE=")];
        stage.check(&headers, body.as_bytes(), "ok").await;
    }
}

#[tokio::test]
async fn missing_repeated_and_malformed_headers_are_refused() {
    let stage = TestVerifier::new();
    let body = body("LaunchRequest", "a", NOW);
    let (body, signed) = (body.as_bytes(), BASE64_STANDARD.encode(sign(body.as_bytes())));
    let signed = signed.as_bytes();
    let url = ("SignatureCertChainUrl", URL.as_bytes());
    stage.check(&[], body, r#"HeaderMissing("signaturecertchainurl")"#).await;
    stage.check(&[("Signature-256", signed)], body, r#"HeaderMissing("signaturecertchainurl")"#).await;
    stage.check(&[url], body, r#"HeaderMissing("signature-256")"#).await;
    stage.check(&[url, ("Signature", signed)], body, r#"HeaderMissing("signature-256")"#).await;
    stage.check(&[url, url, ("Signature-256", signed)], body, r#"HeaderRepeated("signaturecertchainurl")"#).await;
    stage.check(&[url, ("Signature-256", signed), ("Signature-256", signed)], body, r#"HeaderRepeated("signature-256")"#).await;
    for garbled in ["no base64!", "YQ", "\u{e9}", " "] {
        stage.check(&[url, ("Signature-256", garbled.as_bytes())], body, "Encoding").await;
    }
    stage.check(&[url, ("Signature-256", b"")], body, "Signature(").await;
    let elsewhere: (&str, &[u8]) = ("SignatureCertChainUrl", b"https://s3.amazonaws.com@evil.example/echo.api/echo-api-cert.pem");
    stage.check(&[elsewhere, ("Signature-256", signed)], body, "Url(Character)").await;
    // The refused requests did not store the id of the valid request.
    stage.check(&[url, ("Signature-256", signed)], body, "ok").await;
}

#[tokio::test]
async fn equivalent_urls_share_one_cache_entry() {
    let stage = TestVerifier::new();
    for (n, url) in [
        URL,
        "https://s3.amazonaws.com:443/echo.api/echo-api-cert.pem",
        "https://s3.amazonaws.com/echo.api/../echo.api/echo-api-cert.pem",
        "HTTPS://S3.AMAZONAWS.COM/echo.api/echo-api-cert.pem",
    ]
    .into_iter()
    .enumerate()
    {
        let body = body("LaunchRequest", &n.to_string(), NOW);
        let signed = BASE64_STANDARD.encode(sign(body.as_bytes()));
        stage.check(&[("SignatureCertChainUrl", url.as_bytes()), ("Signature-256", signed.as_bytes())], body.as_bytes(), "ok").await;
    }
    assert_eq!(stage.server.asked(), 1);
}

#[tokio::test]
async fn a_body_with_a_wrong_signature_is_refused_before_it_is_parsed() {
    let stage = TestVerifier::new();
    let body = body("LaunchRequest", "a", NOW);
    let signed = BASE64_STANDARD.encode(sign(body.as_bytes()));
    let headers: [(&str, &[u8]); 2] = [("SignatureCertChainUrl", URL.as_bytes()), ("Signature-256", signed.as_bytes())];
    let ascii = body.replace('é', "e");
    for other in [ascii.as_str(), "", "{", &format!("{body}\n"), &body.replace(':', ": "), r#"{"certificationParam":true}"#] {
        stage.check(&headers, other.as_bytes(), "Signature(").await;
    }
    stage.check(&headers, b"\xff", "Signature(").await;
    stage.check(&headers, body.as_bytes(), "ok").await;
}

#[tokio::test]
async fn a_signed_request_with_a_wrong_timestamp_is_refused() {
    let stage = TestVerifier::new();
    stage.check_body(&body("LaunchRequest", "a", NOW - 150), "ok").await;
    stage.check_body(&body("LaunchRequest", "b", NOW - 151), "Stamp(Old(151))").await;
    stage.check_body(&body("LaunchRequest", "c", NOW + 151), "Stamp(Ahead(151))").await;
    stage.check_body(&body("AlexaSkillEvent.SkillDisabled", "d", NOW - 3_600), "ok").await;
    stage.check_body(&body("AlexaSkillEvent.SkillDisabled", "e", NOW - 3_601), "Stamp(Old(3601))").await;
    stage.check_body(r#"{"request":{"type":"LaunchRequest","requestId":"f"}}"#, "Stamp(NoTime)").await;
    stage.check_body(r#"{"request":null}"#, "Stamp(NoRequest)").await;
    stage.check_body("{}", "Stamp(NoRequest)").await;
    stage.check_body("garbage", "Stamp(NoRequest)").await;
}

#[tokio::test]
async fn a_repeated_request_is_a_replay_but_a_repeated_event_is_accepted() {
    let stage = TestVerifier::new();
    let request = body("LaunchRequest", "a", NOW);
    stage.check_body(&request, "ok").await;
    stage.check_body(&request, "Replayed").await;
    // The id alone identifies a request, so another timestamp makes no difference.
    stage.check_body(&body("LaunchRequest", "a", NOW + 1), "Replayed").await;
    stage.check_body(&body("LaunchRequest", "b", NOW), "ok").await;
    let event = body("AlexaSkillEvent.SkillAccountLinked", "c", NOW);
    stage.check_body(&event, "ok").await;
    stage.check_body(&event, "ok").await;
    pass(150);
    stage.check_body(&request, "Replayed").await;
    pass(1);
    stage.check_body(&request, "Stamp(Old(151))").await;
}

#[tokio::test]
async fn only_one_of_many_concurrent_requests_with_one_id_is_accepted() {
    let stage = TestVerifier::new();
    let body = body("LaunchRequest", "a", NOW);
    let mut headers = HeaderMap::new();
    headers.insert(CHAIN_URL, HeaderValue::from_static(URL));
    headers.insert(SIGNATURE, BASE64_STANDARD.encode(sign(body.as_bytes())).parse().unwrap());
    let verdicts = futures_util::future::join_all((0..20).map(|_| stage.verifier.verify(&headers, body.as_bytes()))).await;
    assert_eq!(verdicts.iter().filter(|verdict| verdict.is_ok()).count(), 1);
    assert_eq!(verdicts.iter().filter(|verdict| matches!(verdict, Err(Unverified::Replayed))).count(), 19);
}

#[tokio::test]
async fn a_fault_contains_nothing_from_the_request() {
    let stage = TestVerifier::new();
    for (url, signature) in [("https://secret.example/x", "c2VjcmV0"), (URL, "secret!"), (URL, "c2VjcmV0")] {
        let mut headers = HeaderMap::new();
        headers.insert(CHAIN_URL, url.parse().unwrap());
        headers.insert(SIGNATURE, signature.parse().unwrap());
        let fault = stage.verifier.verify(&headers, b"secret").await.unwrap_err();
        let shown = format!("{} {fault:?}", onething::fault::chain(&fault));
        assert!(!shown.contains("secret") && !shown.contains("c2VjcmV0"), "{shown}");
    }
}

/// HTTP servers spawn a task for each request, so the future must be `Send`.
#[tokio::test]
async fn a_verification_can_be_spawned() {
    let verifier = std::sync::Arc::new(Verifier::of_alexa(clock));
    let verdict = tokio::spawn(async move { verifier.verify(&HeaderMap::new(), b"").await }).await.unwrap();
    assert!(matches!(verdict, Err(Unverified::HeaderMissing(CHAIN_URL))));
}

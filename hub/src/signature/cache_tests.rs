//! Tests of fetches and of the cache, with a real HTTP server.

use futures_util::future::join_all;

use super::super::forge::{Amazon, Answer, Elsewhere, KEY, Server, anchor, clock, days, leaf, pass, sign};
use super::*;

const BODY: &[u8] = b"{}";
const FILE: &str = "/echo.api/echo-api-cert.pem";

fn url(file: &str) -> ChainUrl {
    ChainUrl::parse(format!("{ORIGIN}{file}").as_bytes()).unwrap()
}

struct TestCache {
    amazon: Amazon,
    server: Server,
    cache: ChainCache<Elsewhere>,
}

impl TestCache {
    fn new() -> Self {
        let (amazon, server) = (Amazon::new(), Server::start());
        server.put(FILE, Answer::ok(amazon.chain.clone()));
        let cache = ChainCache::new(vec![anchor(&amazon.root)], server.source(), clock);
        Self { amazon, server, cache }
    }

    async fn verify(&self, signature: &[u8]) -> Result<(), Unverified> {
        self.cache.verify(&url(FILE), BODY, signature).await
    }

    /// Checks a verdict, and the number of fetches so far.
    #[track_caller]
    fn check(&self, verdict: &Result<(), Unverified>, expected: &str, asked: usize) {
        let verdict = verdict.as_ref().map_or_else(|fault| format!("{fault:?}"), |()| "ok".to_owned());
        assert!(verdict.starts_with(expected), "{verdict}, not {expected}");
        assert_eq!(self.server.asked(), asked);
    }
}

#[tokio::test]
async fn a_chain_is_fetched_again_after_six_hours() {
    let stage = TestCache::new();
    let good = sign(BODY);
    stage.check(&stage.verify(&good).await, "ok", 1);
    stage.check(&stage.verify(&good).await, "ok", 1);
    pass(MAX_AGE - 1);
    stage.check(&stage.verify(&good).await, "ok", 1);
    pass(1);
    stage.check(&stage.verify(&good).await, "ok", 2);
    stage.check(&stage.verify(&good).await, "ok", 2);
}

#[tokio::test]
async fn concurrent_requests_share_one_fetch() {
    let stage = TestCache::new();
    let good = sign(BODY);
    for verdict in join_all((0..20).map(|_| stage.verify(&good))).await {
        verdict.unwrap();
    }
    assert_eq!(stage.server.asked(), 1);
}

#[tokio::test]
async fn an_expired_chain_is_fetched_again() {
    let stage = TestCache::new();
    let day = |from, to| leaf(&stage.amazon.between, &KEY, days(from, to)) + &stage.amazon.between.pem();
    let good = sign(BODY);
    // The leaf expires in an hour, long before the next regular fetch.
    pass(23 * 3_600);
    stage.server.put(FILE, Answer::ok(day(-1, 1)));
    stage.check(&stage.verify(&good).await, "ok", 1);
    pass(3_600);
    stage.check(&stage.verify(&good).await, "ok", 1);
    pass(1);
    stage.check(&stage.verify(&good).await, "Chain(Untrusted(CertExpired", 2);
    stage.check(&stage.verify(&good).await, "FetchedInVain", 2);
    stage.server.put(FILE, Answer::ok(day(1, 2)));
    pass(FAILURE_PAUSE);
    stage.check(&stage.verify(&good).await, "ok", 3);
}

#[tokio::test]
async fn a_wrong_signature_causes_at_most_one_fetch_in_a_minute() {
    let stage = TestCache::new();
    let good = sign(BODY);
    stage.check(&stage.verify(&good).await, "ok", 1);
    stage.check(&stage.verify(b"bad").await, "Signature", 1);
    pass(DOUBT_PAUSE);
    stage.check(&stage.verify(b"bad").await, "Signature", 2);
    stage.check(&stage.verify(b"bad").await, "Signature", 2);
    stage.check(&stage.verify(&good).await, "ok", 2);
    // A server that fails meanwhile does not remove the chain for valid requests.
    pass(DOUBT_PAUSE);
    stage.server.put(FILE, Answer::Status(503, Bytes::new()));
    stage.check(&stage.verify(b"bad").await, "Fetch(Status(503))", 3);
    stage.check(&stage.verify(b"bad").await, "FetchedInVain", 3);
    stage.check(&stage.verify(&good).await, "ok", 3);
}

#[tokio::test]
async fn a_new_key_at_the_same_url_is_fetched() {
    let stage = TestCache::new();
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    stage.server.put(FILE, Answer::ok(leaf(&stage.amazon.root, &other, |_| ())));
    let good = sign(BODY);
    stage.check(&stage.verify(&good).await, "Signature", 1);
    stage.server.put(FILE, Answer::ok(stage.amazon.chain.clone()));
    pass(DOUBT_PAUSE);
    stage.check(&stage.verify(&good).await, "ok", 2);
}

/// Checks the fault that a response of the server causes.
async fn check_answer(answer: Answer, expected: &str) {
    let stage = TestCache::new();
    stage.server.put(FILE, answer);
    let good = sign(BODY);
    stage.check(&stage.verify(&good).await, expected, 1);
    // The failure is cached, and the next fetch happens after the pause.
    stage.check(&stage.verify(&good).await, "FetchedInVain", 1);
    stage.server.put(FILE, Answer::ok(stage.amazon.chain.clone()));
    pass(FAILURE_PAUSE);
    stage.check(&stage.verify(&good).await, "ok", 2);
}

#[tokio::test]
async fn responses_without_a_valid_chain_are_not_cached() {
    check_answer(Answer::Status(500, Bytes::new()), "Fetch(Status(500))").await;
    check_answer(Answer::Status(403, "<Error><Code>AccessDenied</Code></Error>".into()), "Fetch(Status(403))").await;
    check_answer(Answer::Status(404, Amazon::new().chain.into()), "Fetch(Status(404))").await;
    check_answer(Answer::Status(204, Bytes::new()), "Fetch(Status(204))").await;
    check_answer(Answer::ok(""), "Chain(Unreadable").await;
    check_answer(Answer::ok("<html>It works!</html>"), "Chain(Unreadable").await;
    check_answer(Answer::ok("-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n"), "Chain(Unreadable").await;
    check_answer(Answer::ok(Amazon::new().chain), "Chain(Untrusted(").await;
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let stage = TestCache::new();
    stage.server.put(FILE, Answer::Redirect("/echo.api/other.pem"));
    stage.server.put("/echo.api/other.pem", Answer::ok(stage.amazon.chain.clone()));
    stage.check(&stage.verify(&sign(BODY)).await, "Fetch(Status(302))", 1);
}

#[tokio::test]
async fn a_large_response_is_not_read_completely() {
    let stage = TestCache::new();
    let large = stage.amazon.chain.clone() + &" ".repeat(64 * 1024);
    stage.server.put(FILE, Answer::ok(large));
    stage.check(&stage.verify(&sign(BODY)).await, "Fetch(NoAnswer(TooLarge", 1);
}

#[tokio::test]
async fn a_server_that_does_not_respond_exceeds_the_time_limit() {
    let stage = TestCache::new();
    stage.server.put(FILE, Answer::Silence);
    let good = sign(BODY);
    let (one, other) = tokio::join!(stage.verify(&good), stage.verify(&good));
    stage.check(&one, "Fetch(NoAnswer(Silent", 1);
    stage.check(&other, "FetchedInVain", 1);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_a_fault() {
    let stage = TestCache::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let source = Elsewhere { https: Https::default(), base: format!("http://{free}") };
    let cache = ChainCache::new(vec![anchor(&stage.amazon.root)], source, clock);
    let verdict = cache.verify(&url(FILE), BODY, &sign(BODY)).await;
    stage.check(&verdict, "Fetch(NoAnswer(Unreachable", 0);
}

#[tokio::test]
async fn invented_urls_do_not_displace_the_url_of_amazon() {
    let stage = TestCache::new();
    let good = sign(BODY);
    stage.check(&stage.verify(&good).await, "ok", 1);
    let strangers = 3 * MAX_CHAINS;
    for n in 0..strangers {
        assert!(stage.cache.verify(&url(&format!("/echo.api/{n}.pem")), BODY, &good).await.is_err());
    }
    assert_eq!(stage.cache.places.lock().unwrap().by_url.len(), MAX_CHAINS);
    stage.check(&stage.verify(&good).await, "ok", 1 + strangers);
}

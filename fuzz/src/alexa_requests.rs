//! An unverified request to `POST /alexa`: the URL of the certificate chain, the certificates, the signature and the body.
//!
//! The first line is the URL of the certificate chain. The rest is parsed as the certificates, as the signature and as the body.

use onething::alexa::request::{Kind, Request};
use onething_hub::signature::chain::Chain;
use onething_hub::signature::chain_url::ChainUrl;
use onething_hub::signature::freshness::{EVENT_WINDOW, Seen, Stamp};

use super::NOW;

/// Parses and checks all parts.
pub fn run(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (address, rest) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    if let Ok(url) = ChainUrl::parse(address) {
        assert!(url.as_str().starts_with("https://s3.amazonaws.com/echo.api/") && url.path().starts_with("/echo.api/"), "{}", url.as_str());
        assert!(!url.path().split('/').any(|part| part == ".."));
        assert!(ChainUrl::parse(url.as_str().as_bytes()).is_ok_and(|again| again.as_str() == url.as_str()));
    }
    if let Ok(chain) = Chain::parse(rest) {
        // A fuzzer has no certificate for Alexa that is issued below one of Mozilla's roots.
        assert!(chain.check(webpki_roots::TLS_SERVER_ROOTS, NOW).is_err());
        assert!(chain.signed(address, rest).is_err());
    }
    if let Ok(stamp) = Stamp::read(rest) {
        let seen = Seen::default();
        if stamp.check(NOW).is_ok() {
            assert!(seen.admit(&stamp, NOW) && !seen.admit(&stamp, NOW));
            assert!(stamp.check(NOW + 2 * EVENT_WINDOW + 1).is_err());
        }
    }
    if let Ok(envelope) = serde_json::from_slice(rest) {
        let request = Request::read(&envelope);
        if let Kind::Intent(intent) | Kind::CanFulfill(intent) = &request.kind {
            for name in intent.slot_names() {
                assert!(intent.slot(name).iter().all(|value| !value.input.is_empty()));
            }
        }
        assert!(!request.is_for(&[]));
    }
}

//! A progressive response: words that are spoken while the answer is still being worked on.
//!
//! `POST {apiEndpoint}/v1/directives` with a `VoicePlayer.Speak` directive, answered with 204
//! (<https://developer.amazon.com/docs/alexa/custom-skills/send-the-user-a-progressive-response.html>).
//! It is a courtesy: whatever becomes of it, the answer is the same.

use serde_json::json;

use super::request::{Kind, Request};
use super::response::Speech;
use crate::https::Https;

/// Says something now. Does nothing where the request does not allow it.
pub async fn speak(https: &Https, request: &Request, speech: &Speech) {
    // Alexa takes early words for these two only; a skill event has nobody listening.
    if !matches!(request.kind, Kind::Launch | Kind::Intent(_)) {
        return;
    }
    let (Some(early), Some(id)) = (&request.early_speech, &request.id) else { return };
    if !is_alexa(&early.endpoint) {
        tracing::debug!("the request names an API endpoint that is not Alexa's");
        return;
    }
    let directive = json!({
        "header": {"requestId": id},
        "directive": {"type": "VoicePlayer.Speak", "speech": speech.ssml()},
    });
    let address = format!("{}/v1/directives", early.endpoint.trim_end_matches('/'));
    let call = https.post(&address).bearer_auth(early.token.secret()).json(&directive);
    match https.send(call).await {
        Ok(reply) if reply.status == 204 || reply.status == 200 => {}
        Ok(reply) => tracing::debug!(status = reply.status, "a progressive response was refused"),
        Err(error) => tracing::debug!(%error, "a progressive response was not sent"),
    }
}

/// Alexa's regional hosts, by `https`. The token must not go anywhere else; plain `http` is for a test
/// on the same machine.
fn is_alexa(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") => host == "api.amazonalexa.com" || host.ends_with(".amazonalexa.com"),
        Some("http") => matches!(host, "127.0.0.1" | "localhost" | "[::1]"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_alexa;

    #[test]
    fn the_token_goes_to_alexa_only() {
        for good in ["https://api.amazonalexa.com", "https://api.eu.amazonalexa.com/", "http://127.0.0.1:4711"] {
            assert!(is_alexa(good), "{good}");
        }
        for bad in ["https://amazonalexa.com.evil.example", "http://api.amazonalexa.com", "https://evil.example", "ftp://x", ""] {
            assert!(!is_alexa(bad), "{bad}");
        }
    }
}

//! A progressive response: speech that Alexa plays while the skill still works on the response.
//!
//! The call is `POST {apiEndpoint}/v1/directives` with a `VoicePlayer.Speak` directive. Alexa responds with status 204
//! (<https://developer.amazon.com/docs/alexa/custom-skills/send-the-user-a-progressive-response.html>). The call is optional: a
//! failure does not change the response.

use serde_json::json;

use super::request::{Kind, Request};
use super::response::Speech;
use crate::https::Https;

/// Sends a progressive response. Does nothing if the request does not allow one. A failure is only logged.
pub async fn speak(https: &Https, request: &Request, speech: &Speech) {
    // Alexa accepts progressive responses to these two request types only.
    if !matches!(request.kind, Kind::Launch | Kind::Intent(_)) {
        return;
    }
    let (Some(early), Some(id)) = (&request.progressive_response, &request.id) else { return };
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

/// Whether the endpoint is a regional host of Alexa with `https`. The token must not be sent to any other host. Plain `http` is
/// accepted for loopback hosts, for tests.
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
    fn the_token_is_sent_to_alexa_only() {
        for good in ["https://api.amazonalexa.com", "https://api.eu.amazonalexa.com/", "http://127.0.0.1:4711"] {
            assert!(is_alexa(good), "{good}");
        }
        for bad in ["https://amazonalexa.com.evil.example", "http://api.amazonalexa.com", "https://evil.example", "ftp://x", ""] {
            assert!(!is_alexa(bad), "{bad}");
        }
    }
}

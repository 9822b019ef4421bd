//! `POST /alexa`: requests of the Alexa service.
//!
//! The signature is verified before the body is parsed. A request that is not from Alexa, or that is for another skill, is
//! answered with 400, as the certification of Amazon requires
//! (<https://developer.amazon.com/docs/custom-skills/host-a-custom-skill-as-a-web-service.html>).

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use http::HeaderMap;
use onething::lambda::invoke;
use serde_json::Value;

use super::ANSWER_WITHIN;
use super::problem::Problem;
use crate::hub::Hub;

pub(super) async fn alexa(State(hub): State<Arc<Hub>>, headers: HeaderMap, body: Bytes) -> Result<Json<Value>, Problem> {
    if let Err(unverified) = hub.verifier.verify(&headers, &body).await {
        tracing::warn!(step = "request", cause = "not_alexa", "{}", onething::fault::chain(&unverified));
        return Err(Problem::request("this is no request of Alexa's"));
    }
    let envelope = serde_json::from_slice(&body).map_err(|_| Problem::request("the body is no JSON"))?;
    match invoke(Arc::clone(&hub.skill), envelope, ANSWER_WITHIN).await {
        Ok(answer) => Ok(Json(answer)),
        Err(failure) => Err(Problem::request(failure.to_string())),
    }
}

#[cfg(test)]
#[path = "alexa_tests.rs"]
pub(super) mod tests;

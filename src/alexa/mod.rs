//! What Alexa says and hears: the request and response envelopes of the Alexa Skills Kit.
//!
//! Shapes follow the *Request and Response JSON Reference* of the Alexa Skills Kit documentation
//! (<https://developer.amazon.com/docs/alexa/custom-skills/request-and-response-json-reference.html>).
//! Amazon adds properties at any time, so nothing here fails on what it does not know.

pub mod built_in;
pub mod directive;
pub mod progress;
pub mod request;
pub mod response;
mod speech;

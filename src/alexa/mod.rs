//! The request and response envelopes of the Alexa Skills Kit.
//!
//! The formats follow the *Request and Response JSON Reference* of the Alexa Skills Kit documentation
//! (<https://developer.amazon.com/docs/alexa/custom-skills/request-and-response-json-reference.html>). Amazon may add properties
//! at any time, so unknown properties are ignored.

pub mod built_in;
pub mod directive;
pub mod progress;
pub mod request;
pub mod response;
mod speech;

//! Conversion of HTTP requests and responses from and to the payload format 2.0 of an HTTP API in Amazon API Gateway
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).

use std::borrow::Cow;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// An HTTP request with its metadata from API Gateway.
pub(super) struct Arrived {
    pub request: Request<Bytes>,
    /// The IP address of the client.
    pub source: String,
    /// The request id in the log of API Gateway.
    pub id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    raw_path: Cow<'a, str>,
    #[serde(borrow, default)]
    raw_query_string: Cow<'a, str>,
    #[serde(default)]
    headers: Map<String, Value>,
    request_context: Context,
    body: Option<Cow<'a, str>>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    http: Http,
    request_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    source_ip: String,
}

/// Whether the event is an HTTP request from API Gateway.
pub(super) fn is_one(event: &Value) -> bool {
    event.pointer("/requestContext/http").is_some_and(Value::is_object)
}

/// Parses an event. `None` if the event is not in payload format 2.0.
pub(super) fn read(event: &Value) -> Option<Arrived> {
    let event = Event::deserialize(event).ok()?;
    let body = match event.body {
        Some(body) if event.is_base64_encoded => BASE64_STANDARD.decode(body.as_bytes()).ok()?.into(),
        Some(body) => Bytes::from(body.into_owned()),
        None => Bytes::new(),
    };
    let uri = match event.raw_query_string.as_ref() {
        "" => event.raw_path.into_owned(),
        query => format!("{}?{query}", event.raw_path),
    };
    let mut request = Request::builder().method(event.request_context.http.method.as_str()).uri(uri).body(body).ok()?;
    *request.headers_mut() = headers(&event.headers);
    Some(Arrived { request, source: event.request_context.http.source_ip, id: event.request_context.request_id })
}

/// Converts the headers. An invalid header is omitted, so the request is refused because of the missing header.
fn headers(given: &Map<String, Value>) -> HeaderMap {
    let header = |(name, value): (&String, &Value)| {
        let mut value = HeaderValue::from_bytes(value.as_str()?.as_bytes()).ok()?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        value.set_sensitive(name == http::header::AUTHORIZATION);
        Some((name, value))
    };
    given.iter().filter_map(header).collect()
}

/// Converts a response to the payload format.
pub(super) fn answer(response: &Response<Bytes>) -> Value {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let headers: Map<String, Value> =
        response.headers().iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), json!(text(value)?)))).collect();
    json!({
        "statusCode": response.status().as_u16(),
        "headers": headers,
        "body": String::from_utf8_lossy(response.body()),
        "isBase64Encoded": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Value {
        json!({
            "version": "2.0",
            "routeKey": "POST /register",
            "rawPath": "/register",
            "rawQueryString": "",
            "headers": {"content-type": "application/json", "authorization": "Bearer abc", "x-bad": "a\nb"},
            "requestContext": {
                "http": {"method": "POST", "path": "/register", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "agent"},
                "requestId": "JKJaXmPLvHcESHA=",
                "stage": "$default",
            },
            "body": "{\"code\":\"K7QF-93PD\"}",
            "isBase64Encoded": false,
        })
    }

    #[test]
    fn a_request_is_converted_completely() {
        let arrived = read(&event()).unwrap();
        assert_eq!((arrived.source.as_str(), arrived.id.as_str()), ("192.0.2.1", "JKJaXmPLvHcESHA="));
        let request = arrived.request;
        assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/register"));
        assert_eq!(&request.body()[..], br#"{"code":"K7QF-93PD"}"#);
        assert_eq!(request.headers()["content-type"], "application/json");
        assert!(request.headers()["authorization"].is_sensitive() && !request.headers().contains_key("x-bad"));
    }

    #[test]
    fn a_binary_body_is_decoded() {
        let mut event = event();
        event["body"] = json!("/wCA");
        event["isBase64Encoded"] = json!(true);
        event["rawQueryString"] = json!("a=b");
        let request = read(&event).unwrap().request;
        assert_eq!((&request.body()[..], request.uri().query()), (&[255, 0, 128][..], Some("a=b")));
        event["body"] = json!("no base64");
        assert!(read(&event).is_none());
    }

    #[test]
    fn a_missing_body_is_empty() {
        let mut event = event();
        event.as_object_mut().unwrap().remove("body");
        assert!(read(&event).unwrap().request.body().is_empty());
    }

    #[test]
    fn only_events_of_api_gateway_are_accepted() {
        assert!(is_one(&event()));
        for other in [json!({}), json!({"requestContext": {}}), json!({"requestContext": {"http": {}}}), json!([]), json!({"Records": []})]
        {
            assert!(read(&other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_response_has_its_status_headers_and_body() {
        let response = Response::builder().status(429).header("Retry-After", "3").body(Bytes::from("{}")).unwrap();
        let expected = json!({"statusCode": 429, "headers": {"retry-after": "3"}, "body": "{}", "isBase64Encoded": false});
        assert_eq!(answer(&response), expected);
    }
}

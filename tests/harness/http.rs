//! The HTTP servers and the HTTP client of the harness. Servers listen on a free port of the loopback interface.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server that stops when this value is dropped.
pub struct Server {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn open(routes: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let routes = routes.layer(DefaultBodyLimit::disable());
        let task = tokio::spawn(async move {
            axum::serve(listener, routes).await.expect("serve");
        });
        Self { address, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub type Connections = Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>;

/// An HTTP client with its own connection pool.
pub fn connections() -> Connections {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Sends a request and reads the whole response.
pub async fn exchange(connections: &Connections, request: Request<Full<Bytes>>) -> Result<(axum::http::response::Parts, Bytes), String> {
    let answer = connections.request(request).await.map_err(|error| error.to_string())?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?;
    Ok((head, body.to_bytes()))
}

/// `GET url`; the error is that of the connection.
pub async fn fetch(url: &str) -> Result<(StatusCode, Bytes), String> {
    let request = Request::get(url).body(Full::default()).map_err(|error| error.to_string())?;
    let (head, body) = exchange(&connections(), request).await?;
    Ok((head.status, body))
}

/// The value of `name` in a query, percent-decoded.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| percent_decode(value))
    })
}

pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escape {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// A response with a JSON body.
pub fn json(status: u16, body: &Value) -> axum::http::Response<Body> {
    respond(status, "application/json", body.to_string())
}

pub fn respond(status: u16, content_type: &str, body: impl Into<Body>) -> axum::http::Response<Body> {
    axum::http::Response::builder().status(status).header("content-type", content_type).body(body.into()).expect("a well-formed response")
}

//! Tests of the server-sent events, which are read line by line from the socket.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::bundle::Bundle;
use crate::harness::{PATIENCE, Running, within};

/// An open stream of events.
pub struct Stream(BufReader<TcpStream>);

impl Stream {
    /// Opens the stream, and waits for its first line. No later event is missed.
    pub async fn open(hub: &Running) -> Self {
        let host = hub.http.strip_prefix("http://").unwrap();
        let mut socket = TcpStream::connect(host).await.unwrap();
        socket.write_all(format!("GET /api/events HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.unwrap();
        let mut stream = Self(BufReader::new(socket));
        while !stream.line().await.expect("the stream is closed").starts_with(": hello") {}
        stream
    }

    /// The next line; `None` at the end of the stream.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = within(PATIENCE, "a line of the stream", self.0.read_line(&mut line)).await;
        read.is_ok_and(|length| length > 0).then_some(line)
    }

    /// Reads until an event of this kind for this user arrives.
    async fn tells(&mut self, user: &str, what: &str) -> Value {
        loop {
            let line = self.line().await.expect("the stream is closed");
            let event: Option<Value> = line.strip_prefix("data: ").and_then(|data| serde_json::from_str(data).ok());
            if let Some(event) = event.filter(|event| event["user"] == user && event["what"] == what) {
                return event;
            }
        }
    }

    /// Reads until the end of the stream.
    pub async fn ends(&mut self) {
        while self.line().await.is_some() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_change_is_sent_as_an_event() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    let mut words = Stream::open(&hub).await;
    client.say("ben", "open my printer").await.unwrap();
    words.tells("ben", "echo").await;

    let (mut links, mut mails, mut shadows) = (Stream::open(&hub).await, Stream::open(&hub).await, Stream::open(&hub).await);
    client.link("ana").await.unwrap();
    links.tells("ana", "link").await;
    mails.tells("ana", "mail").await;
    shadows.tells("ana", "shadow").await;

    let mut shadows = Stream::open(&hub).await;
    client.say("ana", "ask my printer to print a vase").await.unwrap();
    shadows.tells("ana", "shadow").await;
    let mut connections = Stream::open(&hub).await;
    Bundle::open(&client.bundles("ana").await.unwrap()[0]).reads_its_shadow(hub.mqtt_port()).await;
    connections.tells("ana", "shadow").await;

    let mut devices = Stream::open(&hub).await;
    let mail = client.get("/api/mail?user=ana").await.unwrap().json()["mail"][0]["id"].take();
    client.post("/api/device", &json!({"user": "ana", "do": "start", "mail": mail})).await.unwrap();
    devices.tells("ana", "device").await;
    hub.stop().await;
    devices.ends().await;
}

//! Tests of the signals of Ctrl-C and of a service manager: the hub ends within a second, whatever is open.

use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, Incoming};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::bundle::Bundle;
use crate::harness::{PATIENCE, Running, within};
use crate::stream::Stream;

/// A second, with a margin for a busy machine.
const SOON: Duration = Duration::from_millis(1_500);

async fn check_end(signal: &str) {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();

    let mut stream = Stream::open(&hub).await;
    let bundle = Bundle::open(&client.bundles("ana").await.unwrap()[0]);
    let (_device, mut events) = AsyncClient::builder(bundle.options(hub.mqtt_port())).capacity(4).build();
    let connected = async { while !matches!(events.poll().await.unwrap(), Event::Incoming(Incoming::ConnAck(_))) {} };
    within(PATIENCE, "a connection", connected).await;
    // An incomplete request, and one that takes some seconds: a second certificate soon after the first one.
    let mut half = TcpStream::connect(hub.http.strip_prefix("http://").unwrap()).await.unwrap();
    half.write_all(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        .await
        .unwrap();
    client.say("ana", "ask my printer to send my certificate again").await.unwrap();
    let (talk, slow) = (client.clone(), Stream::open(&hub).await);
    let running = tokio::spawn(async move { talk.say("ana", "yes").await });
    drop(slow);

    let asked = Instant::now();
    hub.signal(signal);
    let (status, log) = hub.ended().await;
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(0), "{signal}: {log}");
    assert!(took < SOON, "{signal}: {took:?}");
    within(PATIENCE, "the end of the stream", stream.ends()).await;
    within(PATIENCE, "the end of the connection", async { while events.poll().await.is_ok() {} }).await;
    // The request may be answered or not, but it must end.
    drop(within(PATIENCE, "the end of the request", running).await.unwrap());

    let hub = Running::start(place.path());
    assert!(hub.client().thing("ana").await.unwrap().is_object(), "what was answered is there");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_everything_within_a_second() {
    check_end("INT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signal_of_a_service_manager_ends_everything_within_a_second() {
    check_end("TERM").await;
}

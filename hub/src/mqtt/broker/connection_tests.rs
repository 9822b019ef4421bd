//! Tests of one connection over an in-memory pipe with paused time, in particular of its timeouts.

use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::mqtt::broker::backend::{CertificateStatus, Change, Notice, StoreError, Stored};
use crate::mqtt::broker::router::Connection;
use crate::policy::Policy;

const CONNECT: &[u8] = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x1e\x00\x03abc";
const CONNACK: &[u8] = b"\x20\x02\x00\x00";

/// A backend that allows everything until `revoked` is set. Its shadow service never responds.
#[derive(Default)]
struct TestBackend {
    revoked: AtomicBool,
    /// The next response of the registry waits for the gate.
    slow: AtomicBool,
    /// The next write of the store waits for the gate.
    stuck: AtomicBool,
    gate: Notify,
}

impl Backend for TestBackend {
    async fn certificate_status(&self, _: &CertificateId) -> Result<Option<CertificateStatus>, StoreError> {
        let anything = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;
        let active = !self.revoked.load(Ordering::SeqCst);
        if self.slow.swap(false, Ordering::SeqCst) {
            self.gate.notified().await;
        }
        Ok(Some(CertificateStatus { active, policies: vec![Arc::new(Policy::parse(anything).unwrap())], attachments: Vec::new() }))
    }

    async fn request(&self, _: Request) -> Result<Vec<Message>, RequestError> {
        pending().await
    }

    async fn load(&self) -> Result<Stored, StoreError> {
        Ok(Stored::default())
    }

    async fn write(&self, _: &[Change]) -> Result<(), StoreError> {
        if self.stuck.swap(false, Ordering::SeqCst) {
            self.gate.notified().await;
        }
        Ok(())
    }

    fn noticed(&self, _: &Notice) {}

    fn refused(&self, _: &Refusal) {}
}

async fn broker() -> Broker<TestBackend> {
    Broker::open(Arc::new(TestBackend::default()), || 1_000).await.unwrap()
}

fn pipe(broker: &Broker<TestBackend>) -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = duplex(256);
    let peer = Peer { certificate: CertificateId::of(b"a certificate"), address: Ipv4Addr::LOCALHOST.into() };
    (theirs, tokio::spawn(serve(broker.clone(), ours, peer)))
}

async fn expect(pipe: &mut DuplexStream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    pipe.read_exact(&mut read).await.unwrap();
    assert_eq!(read, bytes);
}

fn ended(broker: &Broker<TestBackend>) -> Option<Reason> {
    match broker.connection("abc") {
        Connection::Disconnected { reason, .. } => Some(reason),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_disconnected_after_one_and_a_half_times_its_keep_alive() {
    let broker = broker().await;
    let (mut pipe, task) = pipe(&broker);
    pipe.write_all(CONNECT).await.unwrap();
    expect(&mut pipe, CONNACK).await;
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(44)).await;
    pipe.write_all(b"\xc0\x00").await.unwrap();
    expect(&mut pipe, b"\xd0\x00").await;
    // An incomplete packet does not count.
    tokio::time::sleep(Duration::from_secs(44)).await;
    pipe.write_all(b"\xc0").await.unwrap();
    assert_eq!(pipe.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(began.elapsed().as_secs(), 89);
    drop(pipe);
    task.await.unwrap();
    assert_eq!(ended(&broker), Some(Reason::KeepAliveTimeout));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_send_connect_is_disconnected() {
    let broker = broker().await;
    let (mut pipe, task) = pipe(&broker);
    pipe.write_all(&CONNECT[..9]).await.unwrap();
    let began = Instant::now();
    assert_eq!(pipe.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(began.elapsed().as_secs(), 10);
    drop(pipe);
    task.await.unwrap();
    assert_eq!(broker.counters().refused(Reason::NoConnect).read(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_disconnected_after_half_a_minute() {
    let broker = broker().await;
    let (mut pipe, task) = pipe(&broker);
    pipe.write_all(CONNECT).await.unwrap();
    expect(&mut pipe, CONNACK).await;
    pipe.write_all(b"\x82\x06\x00\x01\x00\x01t\x00").await.unwrap();
    expect(&mut pipe, b"\x90\x03\x00\x01\x00").await;
    broker.publish(&[Message::new("t", vec![0; 1_000])]).await.unwrap();
    let began = Instant::now();
    task.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 31);
    assert_eq!(ended(&broker), Some(Reason::NotReading));
    drop(pipe);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_can_be_disconnected_at_once() {
    let broker = broker().await;
    let (mut pipe, task) = pipe(&broker);
    pipe.write_all(CONNECT).await.unwrap();
    expect(&mut pipe, CONNACK).await;
    pipe.write_all(b"\x82\x06\x00\x01\x00\x01t\x00").await.unwrap();
    expect(&mut pipe, b"\x90\x03\x00\x01\x00").await;
    broker.publish(&[Message::new("t", vec![0; 1_000])]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    assert!(broker.disconnect("abc"));
    task.await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(1));
    assert_eq!(ended(&broker), Some(Reason::Administrative));
    drop(pipe);
}

#[tokio::test(start_paused = true)]
async fn a_slow_request_delays_only_its_own_client() {
    let broker = broker().await;
    let (mut busy, _task) = pipe(&broker);
    busy.write_all(CONNECT).await.unwrap();
    expect(&mut busy, CONNACK).await;
    // The shadow service does not respond. The packets that the client sends meanwhile fill the pipe.
    busy.write_all(b"\x30\x08\x00\x05$aws/x").await.unwrap();
    let flood = async {
        loop {
            busy.write_all(b"\x30\x04\x00\x01tx").await.unwrap();
        }
    };
    assert!(timeout(Duration::from_secs(5), flood).await.is_err());
    assert_eq!(broker.counters().published.read(), 0);
    let (mut other, _task) = pipe(&broker);
    other.write_all(b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x1e\x00\x03xyz").await.unwrap();
    expect(&mut other, CONNACK).await;
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_revoked_during_connect_is_refused() {
    let broker = broker().await;
    let backend = &broker.0.backend;
    backend.slow.store(true, Ordering::SeqCst);
    let (mut pipe, _task) = pipe(&broker);
    pipe.write_all(CONNECT).await.unwrap();
    while backend.slow.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    backend.revoked.store(true, Ordering::SeqCst);
    broker.certificate_changed(&CertificateId::of(b"a certificate")).await.unwrap();
    backend.gate.notify_one();
    assert_eq!(pipe.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(broker.connection("abc"), Connection::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_taken_over_during_connect_still_receives_connack() {
    let mut persistent_connect = CONNECT.to_vec();
    persistent_connect[9] = 0;
    let broker = broker().await;
    let backend = &broker.0.backend;
    backend.stuck.store(true, Ordering::SeqCst);
    let (mut first, _task) = pipe(&broker);
    first.write_all(&persistent_connect).await.unwrap();
    while backend.stuck.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    let (mut second, _task) = pipe(&broker);
    second.write_all(&persistent_connect).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    backend.gate.notify_one();
    // Without this CONNACK the client would assume that it was refused.
    expect(&mut first, CONNACK).await;
    assert_eq!(first.read(&mut [0]).await.unwrap(), 0);
    expect(&mut second, b"\x20\x02\x01\x00").await;
}

#[tokio::test(start_paused = true)]
async fn a_connect_is_refused_as_unavailable_if_the_registry_does_not_respond() {
    let broker = broker().await;
    broker.0.backend.slow.store(true, Ordering::SeqCst);
    let (mut pipe, _task) = pipe(&broker);
    pipe.write_all(CONNECT).await.unwrap();
    expect(&mut pipe, b"\x20\x02\x00\x03").await;
    assert_eq!(pipe.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(broker.connection("abc"), Connection::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_connect_is_refused_as_unavailable_if_the_store_does_not_respond() {
    let mut persistent_connect = CONNECT.to_vec();
    persistent_connect[9] = 0;
    let broker = broker().await;
    broker.0.backend.stuck.store(true, Ordering::SeqCst);
    let (mut pipe, _task) = pipe(&broker);
    pipe.write_all(&persistent_connect).await.unwrap();
    expect(&mut pipe, b"\x20\x02\x00\x03").await;
    assert_eq!(pipe.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(ended(&broker), Some(Reason::Unavailable));
}

#[tokio::test]
async fn the_task_of_a_connection_is_small() {
    let broker = broker().await;
    let (ours, _theirs) = duplex(16);
    let peer = Peer { certificate: CertificateId::of(b"a certificate"), address: Ipv4Addr::LOCALHOST.into() };
    let task = serve(broker, ours, peer);
    assert!(size_of_val(&task) < 2_048, "{}", size_of_val(&task));
}

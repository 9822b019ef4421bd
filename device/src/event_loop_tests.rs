//! Tests of the event loop with a scripted server, and with a body of real futures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use onething_hub::authority::Authority;
use onething_hub::clock;
use rmqtt_codec::v3::{ConnectAckReason, Packet};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::*;
use crate::agent::{Command, InTurn, Perform, Performed};
use crate::printer::Simulated;
use crate::scripted_server::{Server, Session, soon};

/// Actions that take as long as the test decides, and that are recorded.
#[derive(Clone)]
pub(super) struct Kettle {
    begun: Arc<Mutex<Vec<String>>>,
    pub(super) may_end: Arc<Semaphore>,
}

impl Kettle {
    pub(super) fn new() -> Self {
        Self { begun: Arc::default(), may_end: Arc::new(Semaphore::new(0)) }
    }

    pub(super) fn quick() -> Self {
        Self { may_end: Arc::new(Semaphore::new(1_000)), ..Self::new() }
    }

    pub(super) fn begun(&self) -> Vec<String> {
        self.begun.lock().unwrap().clone()
    }

    pub(super) fn body(&self) -> InTurn<Self> {
        InTurn::new(self.clone(), Map::new())
    }

    async fn act(&self, what: String) {
        self.begun.lock().unwrap().push(what);
        self.may_end.acquire().await.unwrap().forget();
    }
}

impl Perform for Kettle {
    async fn set(&mut self, name: &str, value: &Value) -> Performed {
        self.act(format!("{name}={value}")).await;
        match value {
            Value::String(_) => Performed::Failed("it is a matter of degrees".to_owned()),
            _ => Performed::Done { detail: String::new(), properties: Map::new() },
        }
    }

    async fn perform(&mut self, command: &Command) -> Performed {
        self.act(command.id.clone()).await;
        let properties = json!({"cups": command.args["cups"]}).as_object().unwrap().clone();
        Performed::Done { detail: "it boils".to_owned(), properties }
    }

    fn is_settable(&self, name: &str) -> bool {
        name == "cups"
    }

    fn interrupts(&self) -> BTreeMap<String, Vec<String>> {
        BTreeMap::from([("stop".to_owned(), vec!["boil".to_owned()])])
    }
}

pub(super) fn journal(folder: &TempDir) -> Journal {
    Journal::open(&folder.path().join("journal")).unwrap()
}

pub(super) fn event_loop<B: Body>(server: &Server, body: B) -> (EventLoop<B>, Control) {
    EventLoop::new(Bundle::open(&server.bundle).unwrap(), body, clock::now)
}

async fn becomes(control: &Control, wanted: impl Fn(&Connection) -> bool) -> Status {
    soon(control.watch().wait_for(|status| wanted(&status.connection))).await.unwrap().clone()
}

fn boil(id: &str) -> Value {
    json!({"id": id, "name": "boil", "args": {"cups": 2}, "expiresAt": clock::now() + 600})
}

pub(super) fn delta(version: u64, state: &Value) -> Value {
    json!({"version": version, "timestamp": clock::now(), "state": state})
}

/// A connection to an empty shadow.
pub(super) async fn connected(server: &Server) -> Session {
    let mut session = server.welcome().await;
    session.tells("get/rejected", &json!({"code": 404, "message": "No shadow exists with name"})).await;
    session
}

#[tokio::test]
async fn actions_run_one_after_the_other_while_the_connection_works() {
    let (server, kettle) = (Server::new().await, Kettle::new());
    let (event_loop, control) = event_loop(&server, kettle.body());
    let task = tokio::spawn(event_loop.run());
    let mut session = connected(&server).await;
    let wanted = |version, id| {
        let metadata = json!({"degrees": {"timestamp": 7}, "unit": {"timestamp": 7}});
        let state = json!({"command": boil(id), "degrees": 80, "unit": "hot"});
        json!({"version": version, "timestamp": clock::now(), "state": state, "metadata": metadata})
    };
    session.tells("update/delta", &wanted(1, "1")).await;
    assert!(session.report().await["certificateId"].is_string());
    session.tells("update/delta", &wanted(2, "2")).await;
    kettle.may_end.add_permits(2);
    let mut said = Map::new();
    while !said.contains_key("failures") {
        said.extend(session.report().await.as_object().unwrap().clone());
    }
    assert_eq!((said.get("degrees"), said.get("unit")), (Some(&json!(80)), None), "a property that could not be set is not reported");
    let failure = &said["failures"]["unit"];
    assert_eq!((&failure["value"], &failure["detail"]), (&json!("hot"), &json!("it is a matter of degrees")));
    let accepted = json!({"id": "1", "status": "accepted", "detail": "at work"});
    session.reports("/command", &accepted).await;
    assert_eq!(kettle.begun(), ["degrees=80", "unit=\"hot\"", "1"]);
    kettle.may_end.add_permits(1);
    let done = |id: &str| json!({"id": id, "status": "done", "detail": "it boils"});
    assert_eq!(session.report().await, json!({"command": done("1"), "cups": 2}));
    kettle.may_end.add_permits(1);
    session.reports("/command", &done("2")).await;
    assert_eq!(kettle.begun(), ["degrees=80", "unit=\"hot\"", "1", "2"]);
    assert_eq!(control.status().command.unwrap().id, "2");
    control.stop().await;
    soon(task).await.unwrap();
}

#[tokio::test]
async fn a_command_that_was_aborted_by_a_restart_is_not_performed_again() {
    let (server, folder) = (Server::new().await, TempDir::new().unwrap());
    let (kettle, wanted) = (Kettle::new(), boil("1"));
    let (first, _control) = event_loop(&server, kettle.body());
    let task = tokio::spawn(first.with_journal(journal(&folder)).run());
    let mut session = connected(&server).await;
    session.tells("update/delta", &delta(1, &json!({"command": wanted}))).await;
    session.reports("/command/status", &json!("accepted")).await;
    task.abort();
    while session.hear().await.is_some() {}

    // Whether or not the shadow has the first report.
    for reported in [json!({}), json!({"command": {"id": "1", "status": "accepted", "detail": "at work"}})] {
        let (again, control) = event_loop(&server, Kettle::quick().body());
        let task = tokio::spawn(again.with_journal(journal(&folder)).run());
        let mut session = server.welcome().await;
        let state = json!({"desired": {"command": wanted}, "reported": reported, "delta": {"command": wanted}});
        session.tells("get/accepted", &delta(2, &state)).await;
        let failed = json!({"id": "1", "status": "failed", "detail": "the device stopped while it was at work"});
        session.reports("/command", &failed).await;
        control.stop().await;
        soon(task).await.unwrap();
    }
    assert_eq!(kettle.begun(), ["1"]);
    let begun: Vec<_> = journal(&folder).begun().map(|(id, end)| (id, end.unwrap().status)).collect();
    assert_eq!(begun, [("1".to_owned(), CommandStatus::Failed)]);
}

#[tokio::test]
async fn a_command_that_cannot_be_written_to_the_journal_is_refused() {
    let (server, folder, kettle) = (Server::new().await, TempDir::new().unwrap(), Kettle::quick());
    let (event_loop, _control) = event_loop(&server, kettle.body());
    let event_loop = event_loop.with_journal(journal(&folder));
    drop(folder);
    tokio::spawn(event_loop.run());
    let mut session = connected(&server).await;
    session.tells("update/delta", &delta(1, &json!({"command": boil("1"), "degrees": 80}))).await;
    let refused = json!({"id": "1", "status": "refused", "detail": "the device cannot keep in mind what it does"});
    session.reports("/command", &refused).await;
    assert_eq!(kettle.begun(), ["degrees=80"]);
}

#[tokio::test]
async fn a_new_certificate_is_used_at_once_and_reported() {
    let authority = Authority::new(clock::now()).unwrap();
    let server = Server::with(&authority, &authority).await;
    let (event_loop, control) = event_loop(&server, Kettle::quick().body());
    tokio::spawn(event_loop.run());
    let mut session = connected(&server).await;
    let first = session.report().await["certificateId"].clone();
    let bundle = Bundle::open(&server.bundle_by(&authority)).unwrap();
    let second = bundle.connection.certificate_id.clone().unwrap();
    let id = bundle.certificate_id.clone();
    control.use_bundle(bundle).await;
    let mut status = control.watch();
    let known = tokio::spawn(async move { status.wait_for(|status| status.certificate == id).await.unwrap().connection.clone() });
    let mut last = None;
    while let Some(packet) = session.hear().await {
        last = Some(packet);
    }
    assert_eq!(last, Some(Packet::Disconnect));
    assert_eq!(soon(known).await.unwrap(), Connection::Connecting, "the old connection does not use the new certificate");
    let mut session = server.welcome().await;
    session.tells("get/accepted", &delta(2, &json!({"reported": {"certificateId": first, "commandQueue": true}}))).await;
    assert_eq!(session.report().await, json!({"certificateId": second}));
}

#[tokio::test]
async fn a_stopped_device_disconnects_and_ends() {
    let server = Server::new().await;
    let (event_loop, control) = event_loop(&server, Kettle::quick().body());
    let task = tokio::spawn(event_loop.run());
    let mut session = connected(&server).await;
    let since = becomes(&control, |connection| matches!(connection, Connection::Connected { .. })).await;
    assert!(matches!(since.connection, Connection::Connected { since } if since.abs_diff(clock::now()) < 60));
    session.report().await;
    control.stop().await;
    assert!(matches!(session.hear().await, Some(Packet::Disconnect)));
    soon(task).await.unwrap();
    assert_eq!(control.status().connection, Connection::Off);
    control.stop().await;

    // Dropping all handles also ends the device.
    let (event_loop, control) = self::event_loop(&server, Kettle::quick().body());
    drop(control);
    soon(event_loop.run()).await;
}

#[tokio::test]
async fn pending_values_are_reported_before_the_disconnection() {
    let server = Server::new().await;
    let (event_loop, control) = event_loop(&server, Kettle::quick().body());
    let task = tokio::spawn(event_loop.run());
    let mut session = connected(&server).await;
    session.report().await;
    session.tells("update/delta", &delta(1, &json!({"command": boil("1")}))).await;
    soon(control.watch().wait_for(|status| status.command.is_some())).await.unwrap();
    control.stop().await;
    assert_eq!(session.report().await["command"]["status"], "done");
    assert!(matches!(session.hear().await, Some(Packet::Disconnect)));
    soon(task).await.unwrap();
}

#[tokio::test]
async fn the_status_contains_the_reason_for_no_connection() {
    let server = Server::new().await;
    let (event_loop, control) = event_loop(&server, Kettle::quick().body());
    assert_eq!((control.status().connection, control.status().command), (Connection::Connecting, None));
    let task = tokio::spawn(event_loop.run());
    // The connection is closed before CONNACK.
    drop(soon(server.listener.accept()).await.unwrap());
    let lost = becomes(&control, |connection| matches!(connection, Connection::Lost { .. })).await;
    assert!(matches!(lost.connection, Connection::Lost { why } if why == CLOSED));
    let (mut session, _) = server.meet().await;
    session.acknowledge(ConnectAckReason::NotAuthorized).await;
    let refused = becomes(&control, |connection| matches!(connection, Connection::Refused { .. })).await;
    assert!(matches!(refused.connection, Connection::Refused { why } if why.contains("does not let")));
    let mut session = connected(&server).await;
    becomes(&control, |connection| matches!(connection, Connection::Connected { .. })).await;
    session.report().await;
    drop(session);
    becomes(&control, |connection| matches!(connection, Connection::Lost { .. })).await;
    connected(&server).await;
    becomes(&control, |connection| matches!(connection, Connection::Connected { .. })).await;
    control.stop().await;
    soon(task).await.unwrap();
}

#[tokio::test]
async fn an_unavailable_server_is_not_a_refusal_and_is_tried_again() {
    let server = Server::new().await;
    let (event_loop, control) = event_loop(&server, Kettle::quick().body());
    tokio::spawn(event_loop.run());
    for _attempt in 0..2 {
        let (mut session, _) = server.meet().await;
        session.acknowledge(ConnectAckReason::ServiceUnavailable).await;
        let told = becomes(&control, |connection| *connection != Connection::Connecting).await;
        assert_eq!(told.connection, lost("the server is not ready"));
    }
    let _session = connected(&server).await;
    becomes(&control, |connection| matches!(connection, Connection::Connected { .. })).await;
}

#[tokio::test]
async fn a_server_that_closes_one_connection_is_not_a_refusal() {
    let server = Server::new().await;
    let (event_loop, control) = event_loop(&server, Kettle::quick().body());
    tokio::spawn(event_loop.run());
    drop(server.meet().await);
    let told = becomes(&control, |connection| *connection != Connection::Connecting);
    let (_session, told) = tokio::join!(server.welcome(), told);
    assert!(matches!(told.connection, Connection::Connected { .. }), "{told:?}");
}

/// Establishes a connection and closes it. Returns the reason of the loss.
async fn close_after_connect(server: &Server, control: &Control) -> String {
    let session = connected(server).await;
    becomes(control, |connection| matches!(connection, Connection::Connected { .. })).await;
    drop(session);
    match becomes(control, |connection| matches!(connection, Connection::Lost { .. })).await.connection {
        Connection::Lost { why } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn repeated_early_closes_indicate_a_rival() {
    let server = Server::new().await;
    let (event_loop, control) = event_loop(&server, Kettle::quick().body());
    tokio::spawn(event_loop.run());
    for _ in 0..2 {
        assert_eq!(close_after_connect(&server, &control).await, CLOSED);
        // A failed attempt in between does not matter for the detection of a rival.
        drop(soon(server.listener.accept()).await.unwrap());
    }
    assert_eq!(close_after_connect(&server, &control).await, RIVAL);
    drop(soon(server.listener.accept()).await.unwrap());
    let lost = becomes(&control, |connection| matches!(connection, Connection::Lost { why } if why != RIVAL)).await;
    assert_eq!(lost.connection, Connection::Lost { why: CLOSED.to_owned() });
}

#[tokio::test]
async fn closes_of_stable_connections_do_not_indicate_a_rival() {
    let server = Server::new().await;
    let (event_loop, control) = event_loop(&server, Kettle::quick().body());
    tokio::spawn(event_loop.with_pace(Pace { probation: Duration::ZERO, ..Pace::default() }).run());
    for _ in 0..4 {
        assert_eq!(close_after_connect(&server, &control).await, CLOSED);
    }
}

#[tokio::test]
async fn a_dead_network_is_noticed_and_tried_again() {
    let server = Server::new().await;
    let (event_loop, control) = event_loop(&server, Kettle::quick().body());
    tokio::spawn(event_loop.with_pace(Pace { keep_alive: Duration::from_secs(1), ..Pace::default() }).run());
    let mut session = connected(&server).await;
    session.report().await;
    // The server neither answers nor closes the connection.
    becomes(&control, |connection| matches!(connection, Connection::Lost { .. })).await;
    assert!(matches!(session.hear().await, Some(Packet::PingRequest)));
    connected(&server).await;
    becomes(&control, |connection| matches!(connection, Connection::Connected { .. })).await;
}

/// The number of times that an idle device is woken. The device has a thread of its own, whose runtime counts how often it parks.
fn wake_ups_while_idle<B: Body + 'static>(body: impl FnOnce() -> B + Send + 'static) -> u64 {
    let outside = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    outside.block_on(async {
        let server = Server::new().await;
        let bundle = Bundle::open(&server.bundle).unwrap();
        let (tell, told) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (event_loop, control) = EventLoop::new(bundle, body(), clock::now);
                tell.send((control, runtime.metrics())).ok();
                event_loop.run().await;
            });
        });
        let mut session = connected(&server).await;
        session.report().await;
        let (control, metrics) = soon(told).await.unwrap();
        // The device is idle when the count has not changed for a while; then the measurement starts.
        let mut before = u64::MAX;
        while before != metrics.worker_park_count(0) {
            before = metrics.worker_park_count(0);
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let wake_ups = metrics.worker_park_count(0) - before;
        control.stop().await;
        while session.hear().await.is_some() {}
        thread.join().unwrap();
        wake_ups
    })
}

#[test]
fn an_idle_device_is_not_woken() {
    assert_eq!(wake_ups_while_idle(|| Kettle::quick().body()), 0);
    assert_eq!(wake_ups_while_idle(Simulated::default), 0);
}

#[test]
fn a_rejection_contains_its_code() {
    assert_eq!(code(br#"{"code":404,"message":"No shadow exists"}"#), Some(404));
    assert_eq!((code(b"{}"), code(b"no json")), (None, None));
}

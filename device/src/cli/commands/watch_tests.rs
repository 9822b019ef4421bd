use onething_hub::authority::Authority;

use super::*;
use crate::agent::{Answer, CommandStatus};
use crate::event_loop::control::{ControlRequest, pair};
use crate::scripted_server::{Server, soon};

fn answer(id: &str) -> Answer {
    Answer { id: id.to_owned(), status: CommandStatus::Done, detail: String::new() }
}

#[tokio::test]
async fn the_state_of_the_old_connection_is_not_taken_for_the_new_certificate() {
    let authority = Authority::new(clock::now()).unwrap();
    let server = Server::with(&authority, &authority).await;
    let [old, new] = [(); 2].map(|()| Bundle::open(&server.bundle_by(&authority)).unwrap());
    let (control, mut requests, tell) = pair(old.certificate_id.clone());
    tell.send_modify(|living| living.connection = Connection::Connected { since: 1 });
    let (expected, mut status) = (new.certificate_id.clone(), control.watch());
    let exchanged = tokio::spawn(async move {
        exchange(&new, &control, &mut status).await.unwrap();
        status.borrow().clone()
    });
    assert!(matches!(soon(requests.recv()).await, Some(ControlRequest::Use(_))));
    // A command ends before the old connection is closed.
    tell.send_modify(|living| living.command = Some(answer("1")));
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!exchanged.is_finished());
    tell.send_modify(|living| (living.certificate, living.connection) = (expected.clone(), Connection::Connecting));
    let living = soon(exchanged).await.unwrap();
    assert_eq!((living.certificate, living.connection), (expected, Connection::Connecting));
}

#[test]
fn the_failure_after_the_deadline_contains_the_last_reason() {
    let limit = Limit { wait: Duration::from_secs(7), end: Instant::now() };
    let said = |last| limit.passed("localhost:1", &last).to_string();
    assert_eq!(said(Connection::Connecting), "localhost:1 was not reached within 7 s: no answer");
    assert_eq!(
        said(Connection::Lost { why: "nobody listens there".into() }),
        "localhost:1 was not reached within 7 s: nobody listens there"
    );
    assert_eq!(said(Connection::Unverified { why: "who is it?".into() }), "what answers at localhost:1 was sent nothing: who is it?");
}

//! `GET /api/events`: changes as server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::{Stream, StreamExt, stream};
use tokio_stream::wrappers::BroadcastStream;

use crate::hub::Hub;

/// The time between two keep-alive messages. A page that receives none assumes that the hub has stopped.
const ALIVE: Duration = Duration::from_secs(10);
/// The time after which a page tries to connect again.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) async fn events(State(hub): State<Arc<Hub>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut ending = hub.ending();
    let told = BroadcastStream::new(hub.events.listen()).map(|told| {
        Ok(match told {
            Ok(event) => Event::default().event("change").data(event.to_string()),
            // After missed events the page reads the complete state again.
            Err(_) => Event::default().event("behind").data("{}"),
        })
    });
    // The first message opens the stream immediately, and sets the time for new connections after a restart.
    let hello = stream::once(async { Ok(Event::default().comment("hello").retry(AGAIN)) });
    let until_the_end = hello.chain(told).take_until(async move { drop(ending.wait_for(|ending| *ending).await) });
    Sse::new(until_the_end).keep_alive(KeepAlive::new().interval(ALIVE))
}

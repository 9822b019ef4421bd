//! `GET /api/events`: what happens, as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::{Stream, StreamExt, stream};
use tokio_stream::wrappers::BroadcastStream;

use crate::hub::Hub;

/// Between two signs of life: a page that hears none knows that the hub is gone.
const ALIVE: Duration = Duration::from_secs(10);
/// After which a page that has lost the hub looks for it again.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) async fn events(State(hub): State<Arc<Hub>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut ending = hub.ending();
    let told = BroadcastStream::new(hub.events.listen()).map(|told| {
        Ok(match told {
            Ok(event) => Event::default().event("change").data(event.to_string()),
            // Who was too slow reads everything again.
            Err(_) => Event::default().event("behind").data("{}"),
        })
    });
    // The first words open the stream at once, and say how soon to come again after a restart.
    let hello = stream::once(async { Ok(Event::default().comment("hello").retry(AGAIN)) });
    let until_the_end = hello.chain(told).take_until(async move { drop(ending.wait_for(|ending| *ending).await) });
    Sse::new(until_the_end).keep_alive(KeepAlive::new().interval(ALIVE))
}

//! Plain messages: clients in a ring, each of which publishes with QoS 1 to the next one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use crate::Outcome;
use crate::client::{Device, PATIENCE, Server};
use crate::figures::Times;
use crate::owners::Identity;

/// A payload of about the size of a delta.
const PAYLOAD: [u8; 400] = [b'x'; 400];

/// The topic on which a client receives the messages of the previous one.
fn topic(thing: &str) -> String {
    format!("ring/{thing}")
}

pub(crate) async fn connect(server: &Server, identities: &[Identity]) -> Outcome<Arc<Vec<Device>>> {
    Ok(Arc::new(server.fleet(identities, 16, |_, thing| topic(thing)).await?))
}

/// Every client publishes `each` messages per second, or without `each` as soon as its last message has arrived.
pub(crate) async fn run(ring: &Arc<Vec<Device>>, each: Option<f64>, time: Duration) -> Outcome<Times> {
    let (mut publishers, until) = (JoinSet::new(), Instant::now() + time);
    for place in 0..ring.len() {
        let ring = Arc::clone(ring);
        publishers.spawn(async move {
            let (one, next) = (&ring[place], &ring[(place + 1) % ring.len()]);
            let topic = topic(next.thing());
            let mut times = Vec::new();
            let mut turns = each.map(|each| {
                let period = Duration::from_secs_f64(1.0 / each);
                let first =
                    period.mul_f64(f64::from(u32::try_from(place).unwrap_or_default()) / f64::from(u32::try_from(ring.len()).unwrap_or(1)));
                let mut turns = interval_at(tokio::time::Instant::now() + first, period);
                turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
                turns
            });
            while Instant::now() < until {
                if let Some(turns) = &mut turns {
                    turns.tick().await;
                }
                let begun = Instant::now();
                let heard = next.expect()?;
                one.publish(&topic, Bytes::from_static(&PAYLOAD));
                let arrived = timeout(PATIENCE, heard).await.map_err(|_| "a message was lost")??;
                times.push(arrived.saturating_duration_since(begun));
            }
            Ok::<_, crate::Fault>(times)
        });
    }
    let mut all = Vec::new();
    while let Some(times) = publishers.join_next().await {
        all.extend(times??);
    }
    Ok(Times::of(all))
}

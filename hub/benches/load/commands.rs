//! Commands: an utterance is sent over HTTP, and the device receives a delta.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use crate::Outcome;
use crate::client::{Device, PATIENCE};
use crate::figures::Times;
use crate::owners::user;

/// The number of concurrent requests.
pub(crate) const SPEAKERS: usize = 64;

/// The owners, who speak in turn.
pub(crate) struct Owners {
    pub(crate) http: SocketAddr,
    pub(crate) devices: Vec<Device>,
    turn: AtomicUsize,
}

/// The time at which a command was due, and the duration until the device received it.
pub(crate) type Done = (Instant, Duration);

impl Owners {
    pub(crate) fn new(http: SocketAddr, devices: Vec<Device>) -> Arc<Self> {
        Arc::new(Self { http, devices, turn: AtomicUsize::new(0) })
    }

    /// Sends commands as fast as possible: each task sends the next command when the last one has reached its device. Ends after
    /// `most` commands or at `until`.
    pub(crate) async fn as_fast_as_possible(self: &Arc<Self>, most: usize, until: Instant) -> Outcome<Times> {
        let (mut speakers, left) = (JoinSet::new(), Arc::new(AtomicUsize::new(most)));
        for _ in 0..SPEAKERS {
            let (owners, left) = (Arc::clone(self), Arc::clone(&left));
            speakers.spawn(async move {
                let (mut line, mut times) = (owners.line().await?, Vec::new());
                while Instant::now() < until && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
                {
                    times.push(owners.command(&mut line, Instant::now()).await?);
                }
                Ok::<_, crate::Fault>(times)
            });
        }
        let mut all = Vec::new();
        while let Some(times) = speakers.join_next().await {
            all.extend(times??);
        }
        Ok(Times::of(all))
    }

    /// Sends commands at a fixed rate per second, whether earlier commands are complete or not. The duration of a command starts
    /// when it is due, so that a delay of the hub is measured in full.
    pub(crate) async fn at_rate(self: &Arc<Self>, rate: f64, time: Duration) -> Outcome<Vec<Done>> {
        let (due, dues) = mpsc::unbounded_channel::<Instant>();
        let dues = Arc::new(Mutex::new(dues));
        let mut speakers = JoinSet::new();
        for _ in 0..2 * SPEAKERS {
            let (owners, dues) = (Arc::clone(self), Arc::clone(&dues));
            speakers.spawn(async move {
                let (mut line, mut done) = (owners.line().await?, Vec::new());
                loop {
                    let next = dues.lock().await.recv().await;
                    let Some(due) = next else { return Ok::<_, crate::Fault>(done) };
                    done.push((due, owners.command(&mut line, due).await?));
                }
            });
        }
        let begin = tokio::time::Instant::now() + Duration::from_millis(100);
        for number in 0_u32.. {
            let at = Duration::from_secs_f64(f64::from(number) / rate);
            if at >= time {
                break;
            }
            sleep_until(begin + at).await;
            due.send((begin + at).into_std())?;
        }
        drop(due);
        let mut all = Vec::new();
        while let Some(done) = speakers.join_next().await {
            all.extend(done??);
        }
        Ok(all)
    }

    /// Opens a persistent HTTP connection.
    async fn line(&self) -> Outcome<SendRequest<Full<Bytes>>> {
        let socket = TcpStream::connect(self.http).await?;
        socket.set_nodelay(true)?;
        let (line, connection) = handshake(TokioIo::new(socket)).await?;
        tokio::spawn(connection);
        Ok(line)
    }

    /// Sends an utterance of the next owner; returns the duration from `due` until the device receives the delta.
    async fn command(&self, line: &mut SendRequest<Full<Bytes>>, due: Instant) -> Outcome<Duration> {
        let owner = self.turn.fetch_add(1, Ordering::Relaxed) % self.devices.len();
        let heard = self.devices[owner].expect()?;
        let body = json!({"user": user(owner), "say": "ask my printer to print a vase"}).to_string();
        let request = Request::post("/echo").header("host", "localhost").header("content-type", "application/json");
        line.ready().await?;
        let answer = line.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
        let status = answer.status();
        let answer = answer.into_body().collect().await?.to_bytes();
        let spoken = serde_json::from_slice::<serde_json::Value>(&answer)?["heard"]["speech"].as_str().unwrap_or_default().to_owned();
        if !status.is_success() || !spoken.contains("vase") {
            return Err(format!("a command was not taken: {status} {spoken}").into());
        }
        let heard = timeout(PATIENCE, heard).await.map_err(|_| "a command was lost")??;
        Ok(heard.saturating_duration_since(due))
    }
}

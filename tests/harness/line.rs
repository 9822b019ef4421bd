//! A TCP relay between a device and its server that a test can cut and mend. Cutting closes all connections. As long as the relay
//! is cut, it closes new connections at once.

use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub struct Line {
    pub port: u16,
    state: Arc<watch::Sender<State>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// The port of the server.
    leads_to: u16,
    is_cut: bool,
    /// The number of cuts. A connection that was opened before the last cut is closed.
    cuts: u32,
}

impl Line {
    /// A relay that is cut and has no server yet.
    pub async fn laid() -> Self {
        Self::laid_at("127.0.0.1").await
    }

    /// Like [`laid`](Self::laid), listening on `address`, for devices in another network namespace.
    pub async fn laid_at(address: &str) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("a bound listener").port();
        let state = Arc::new(watch::Sender::new(State { is_cut: true, ..State::default() }));
        let states = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(relay(near, states.subscribe()));
            }
        });
        Self { port, state, task }
    }

    /// Sets the port of the server and mends the relay.
    pub fn leads_to(&self, port: u16) {
        self.state.send_modify(|state| (state.leads_to, state.is_cut) = (port, false));
    }

    pub fn cut(&self) {
        self.state.send_modify(|state| (state.is_cut, state.cuts) = (true, state.cuts + 1));
    }

    pub fn mend(&self) {
        self.state.send_modify(|state| state.is_cut = false);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn relay(mut near: TcpStream, mut line: watch::Receiver<State>) {
    let State { leads_to, is_cut, cuts } = *line.borrow();
    if is_cut {
        return;
    }
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", leads_to)).await else { return };
    tokio::select! {
        // When one side closes its connection, the relay closes the other one.
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = line.wait_for(|line| line.cuts != cuts) => {}
    }
}

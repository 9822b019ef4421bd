//! The signals that end a program.

/// Completes on SIGINT (Ctrl-C) or on SIGTERM (from a service manager). The handlers are installed by the call and not by the first poll,
/// because another process may end the program as soon as it has printed that it is ready.
pub fn signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};

    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        match (interrupt, terminate) {
            (Ok(mut interrupt), Ok(mut terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            // If the handlers cannot be installed, the signal itself ends the process.
            _ => std::future::pending().await,
        }
    }
}

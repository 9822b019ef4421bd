//! Runs blocking system calls that may hang on a thread of their own, so that they do not block the agent.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// Runs `work` on a new thread and waits for its result for at most `limit`. A thread that hangs in the kernel is abandoned:
/// neither the agent nor its shutdown waits for that thread. The error is a reason for the owner.
pub(crate) async fn run_blocking<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (tell, done) = oneshot::channel();
    let thread = std::thread::Builder::new().name("action".to_owned()).spawn(move || {
        // The receiver is gone when the time limit has expired.
        let _ = tell.send(work());
    });
    thread.map_err(|_| "no thread could be started".to_owned())?;
    match timeout(limit, done).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err("it broke down".to_owned()),
        Err(_) => Err(took_longer(limit)),
    }
}

pub(super) fn took_longer(limit: Duration) -> String {
    match limit.as_secs() {
        1 => "it took longer than a second".to_owned(),
        seconds => format!("it took longer than {seconds} seconds"),
    }
}

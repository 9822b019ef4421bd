//! Calls of the system that may not come back, out of the agent's way.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// Does something on a thread of its own and waits no longer than this. A thread that hangs in the kernel is left behind, which
/// neither the agent nor its end waits for.
pub(crate) async fn aside<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (tell, done) = oneshot::channel();
    let thread = std::thread::Builder::new().name("action".to_owned()).spawn(move || {
        // Nobody is there to be told when the time was up.
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

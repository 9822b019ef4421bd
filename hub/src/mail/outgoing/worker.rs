//! The task that sends waiting mail when it is due.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use onething::fault::{ClassifiedError, Fault, chain};
use onething::lifecycle::{Attempted, Wanted, attempted, wanted};
use onething::mail::{Label, MailError, Mailer};
use onething::onboarding::lease::Lease;
use onething::registry::Bounce;
use rusqlite::Connection;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::state::State;
use super::table::{self, Due, Waiting};
use super::{Outgoing, Server, Way};
use crate::clock;
use crate::storage::store::StoreError;

/// The largest number of concurrent attempts.
const AT_ONCE: usize = 8;
/// The pause after an error of the database or of the registry.
const PAUSE: Duration = Duration::from_secs(5);

/// The result of an attempt.
enum Outcome {
    /// The mail no longer waits.
    Concluded(State, Option<MailError>),
    /// The mail waits for another attempt after a pause. Without an error there was no attempt.
    Postponed(Duration, Option<MailError>),
}

impl Outgoing {
    /// Sends waiting mail until `end` is ready. Attempts that are interrupted are repeated after the next start.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let Way::Server(server) = self.way.clone() else { return end.await };
        let mut end = pin!(end);
        // The operator may have fixed a fault before this start.
        self.hurry(false).await;
        // The recipient of each task.
        let (mut busy, mut running) = (HashMap::new(), JoinSet::new());
        loop {
            let next = match self.due(&server).await {
                Err(error) => {
                    tracing::error!(step = "store", fault = "maker", cause = "store_refused", "{}", chain(&error));
                    Some(PAUSE)
                }
                Ok((due, next)) => {
                    for Due { number, recipient } in due {
                        if running.len() < AT_ONCE && !busy.values().any(|other| *other == recipient) {
                            let (outgoing, server) = (self.clone(), server.clone());
                            let task = running.spawn(async move { outgoing.attempt(&server, number).await });
                            busy.insert(task.id(), recipient);
                        }
                    }
                    next
                }
            };
            tokio::select! {
                () = self.shared.wake.notified() => {}
                Some(done) = running.join_next_with_id() => {
                    busy.remove(&done.map_or_else(|panic| panic.id(), |(id, ())| id));
                }
                () = sleep(next.unwrap_or(server.pace.longest)) => {}
                () = &mut end => return,
            }
        }
    }

    async fn due(&self, server: &Server) -> Result<(Vec<Due>, Option<Duration>), StoreError> {
        let (now, longest) = (clock::micros() / 1_000, server.pace.longest.as_millis());
        let longest = u64::try_from(longest).unwrap_or(u64::MAX);
        let (due, next) = self.store.read(move |db| table::due(db, now, longest)).await?;
        Ok((due, next.map(|next| Duration::from_millis(next.saturating_sub(now)))))
    }

    async fn hurry(&self, only_the_operators: bool) {
        self.written(move |db| table::hurry(db, only_the_operators)).await;
    }

    /// Makes one attempt to send a waiting mail, and stores the result.
    async fn attempt(&self, server: &Server, number: i64) {
        let waiting = match self.store.read(move |db| table::waiting(db, number)).await {
            Ok(waiting) => waiting,
            Err(error) => {
                tracing::error!(step = "store", fault = "maker", cause = "store_refused", "{}", chain(&error));
                return sleep(PAUSE).await;
            }
        };
        let Some(waiting) = waiting else {
            // A mail that cannot be read is given up.
            return self.written(move |db| table::conclude(db, number, State::Failed, None, clock::now())).await;
        };
        let (label, attempts) = (waiting.letter.label.clone(), waiting.attempts);
        let outcome = self.tried(server, number, waiting).await;
        log(number, label.as_ref(), attempts, &outcome);
        let is_tried = !matches!(outcome, Outcome::Postponed(_, None));
        let state = match outcome {
            Outcome::Concluded(state, error) => {
                self.written(move |db| table::conclude(db, number, state, error.as_ref(), clock::now())).await;
                state
            }
            Outcome::Postponed(pause, error) => {
                let next = clock::micros() / 1_000 + u64::try_from(pause.as_millis()).unwrap_or(u64::MAX / 2);
                self.written(move |db| table::postpone(db, number, next, error.as_ref(), clock::now())).await;
                State::Waiting
            }
        };
        if state == State::Sent {
            // The server works, so mail that waits for the operator is tried now.
            self.hurry(true).await;
            if attempts > 0 {
                self.noted(server, label.as_ref(), Attempted::Sent).await;
            }
        }
        if state != State::Waiting
            && let Err(error) = self.store.empty_log().await
        {
            tracing::warn!(step = "store", cause = "store_refused", "{}", chain(&error));
        }
        if state == State::Waiting {
            self.noted(server, label.as_ref(), Attempted::Later).await;
        }
        if is_tried {
            self.tell(state);
        }
        let first = self.first().remove(&number);
        if let Some(first) = first {
            // A permanent error was sent before, and the sender was removed then.
            let _ = first.send(Ok(()));
        }
    }

    /// Changes the table, and repeats this until it succeeds, because otherwise the mail would be sent again.
    async fn written(&self, change: impl Fn(&Connection) -> Result<(), StoreError> + Clone + Send + 'static) {
        while let Err(error) = self.store.change(change.clone()).await {
            tracing::error!(step = "store", fault = "maker", cause = "store_refused", "{}", chain(&error));
            sleep(PAUSE).await;
        }
    }

    async fn tried(&self, server: &Server, number: i64, waiting: Waiting) -> Outcome {
        let Waiting { letter, at, attempts } = waiting;
        let (label, pace) = (letter.label.clone(), server.pace);
        let first = attempts == 0 && self.first().contains_key(&number);
        let age = Duration::from_secs(clock::now().saturating_sub(at));
        let is_over = age >= pace.give_up;
        let wanted = match &label {
            Some(label) => wanted(&server.registry, &server.shadows, label, first, clock::now()).await,
            None => Ok(Wanted::Now),
        };
        match wanted {
            Ok(Wanted::Now) => {}
            Ok(Wanted::Never) => return Outcome::Concluded(State::Dropped, None),
            Ok(Wanted::NotNow) if !is_over => return Outcome::Postponed(pace.first.max(age / 2).min(pace.longest), None),
            Ok(Wanted::NotNow) => {
                return self.given_up(server, label.as_ref(), MailError::Paused("the certificate is out of service".into())).await;
            }
            Err(error) => return Outcome::Postponed(PAUSE, Some(MailError::Unclear(chain(&error)))),
        }
        let Err(error) = server.smtp.send(letter).await else { return Outcome::Concluded(State::Sent, None) };
        if error.may_pass() && !is_over {
            let pause = pace.first.saturating_mul(2_u32.saturating_pow(attempts)).min(pace.longest);
            return Outcome::Postponed(pause, Some(error));
        }
        // A caller that still waits gets the error, and updates the record itself.
        let first = self.first().remove(&number);
        if let Some(first) = first {
            return match first.send(Err(error.clone())) {
                Ok(()) => Outcome::Concluded(State::Failed, Some(error)),
                Err(_) => self.given_up(server, label.as_ref(), error).await,
            };
        }
        self.given_up(server, label.as_ref(), error).await
    }

    /// Records on the thing that its mail was given up, because no caller waits for the result. The skill tells the owner at the
    /// next request.
    async fn given_up(&self, server: &Server, label: Option<&Label>, error: MailError) -> Outcome {
        let how = if matches!(error, MailError::AddressRefused(_)) { Bounce::Bounced } else { Bounce::Unsent };
        if self.noted(server, label, Attempted::GivenUp(how)).await {
            Outcome::Concluded(State::Failed, Some(error))
        } else {
            Outcome::Postponed(PAUSE, Some(error))
        }
    }

    /// Records the result of an attempt on the thing. Returns whether this succeeded.
    async fn noted(&self, server: &Server, label: Option<&Label>, what: Attempted) -> bool {
        let Some(label) = label else { return true };
        let lease = Lease::new(server.lease, clock::now);
        let noted = attempted(&server.registry, &server.shadows, &lease, label, what).await;
        noted
            .inspect_err(|error| tracing::warn!(thing = %label.thing, step = "lifecycle", cause = error.cause(), "{}", chain(error)))
            .is_ok()
    }
}

/// Logs an attempt, unless it was sent at once or postponed without an error.
fn log(number: i64, label: Option<&Label>, attempts: u32, outcome: &Outcome) {
    let thing = label.map(|label| label.thing.as_str());
    match outcome {
        Outcome::Concluded(State::Sent, _) if attempts > 0 => tracing::info!(number, thing, attempts, "a mail that waited has gone out"),
        Outcome::Concluded(State::Dropped, _) => tracing::info!(number, thing, "a mail that waited is not wanted any more"),
        Outcome::Concluded(_, None) | Outcome::Postponed(_, None) => {}
        Outcome::Concluded(_, Some(error)) | Outcome::Postponed(_, Some(error)) => {
            let what = if matches!(outcome, Outcome::Concluded(..)) { "a mail is given up" } else { "a mail waits" };
            let (step, fault, cause, detail) = ("deliver", error.fault(), error.cause(), chain(error));
            match fault {
                Fault::Maker => tracing::error!(step, %fault, cause, number, thing, attempts, "{what}: {detail}"),
                _ => tracing::warn!(step, %fault, cause, number, thing, attempts, "{what}: {detail}"),
            }
        }
    }
}

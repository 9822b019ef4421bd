//! The ports of the endpoint in memory; tests can read and set their state.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onething::identifiers::OwnerId;
use onething::login::{AccessToken, IdentifyError, Login, Profile, ProfileEmail, TokenInfo};
use onething::registration::claims::{Claim, Claims, ClaimsError};
use onething::registration::{Audit, Event, Hook, HookAddress, HookDecision, HookError, HookQuery};
use onething::secrets::Fingerprint;
use tokio::task::yield_now;

/// Claims and counters; a test can make them unreachable.
#[derive(Clone, Default)]
pub struct Book {
    pages: Arc<Mutex<Pages>>,
    pub unreachable: Arc<AtomicBool>,
}

#[derive(Default)]
struct Pages {
    claims: BTreeMap<String, Claim>,
    counts: BTreeMap<(String, u64, u64), u64>,
    calls: Vec<&'static str>,
}

impl Book {
    async fn page<T>(&self, call: &'static str, change: impl FnOnce(&mut Pages) -> T) -> Result<T, ClaimsError> {
        // Other tasks run in between.
        yield_now().await;
        if self.unreachable.load(Ordering::SeqCst) {
            return Err(ClaimsError::Unclear("out of reach".into()));
        }
        let mut pages = self.pages.lock().unwrap();
        pages.calls.push(call);
        Ok(change(&mut pages))
    }

    /// The calls since the last call of this function.
    pub fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.pages.lock().unwrap().calls)
    }
}

fn alive<'a>(pages: &'a mut Pages, name: &str, now: u64) -> Option<&'a mut Claim> {
    pages.claims.get_mut(name).filter(|claim| now < claim.until)
}

impl Claims for Book {
    async fn keep(&self, name: &str, claim: &Claim, now: u64) -> Result<bool, ClaimsError> {
        let keep = |pages: &mut Pages| {
            let free = alive(pages, name, now).is_none();
            if free {
                pages.claims.insert(name.to_owned(), claim.clone());
            }
            free
        };
        self.page("keep", keep).await
    }

    async fn attempt(&self, name: &str, now: u64) -> Result<Option<Claim>, ClaimsError> {
        let attempt = |pages: &mut Pages| {
            let claim = alive(pages, name, now)?;
            claim.tries += 1;
            Some(claim.clone())
        };
        self.page("attempt", attempt).await
    }

    async fn reset_attempts(&self, name: &str, now: u64) -> Result<(), ClaimsError> {
        let reset_attempts = |pages: &mut Pages| alive(pages, name, now).into_iter().for_each(|claim| claim.tries = 0);
        self.page("reset_attempts", reset_attempts).await
    }

    async fn redeem(&self, name: &str, device: &Fingerprint, now: u64) -> Result<bool, ClaimsError> {
        let redeem = |pages: &mut Pages| {
            let claim = alive(pages, name, now).filter(|claim| claim.used_by.is_none_or(|first| first == *device));
            claim.map(|claim| (claim.used_by, claim.tries) = (Some(*device), 0)).is_some()
        };
        self.page("redeem", redeem).await
    }

    async fn count(&self, kind: &str, seconds: u64, now: u64) -> Result<u64, ClaimsError> {
        let count = |pages: &mut Pages| {
            let count = pages.counts.entry((kind.to_owned(), seconds, now / seconds)).or_default();
            *count += 1;
            *count
        };
        self.page("count", count).await
    }
}

/// Login with Amazon, as far as the endpoint uses it: the token `Atza|A` is that of owner A for this client, and so on.
#[derive(Clone, Default)]
pub struct Amazon {
    pub down: Arc<AtomicBool>,
}

pub const CLIENT: &str = "amzn1.application-oa2-client.this";

impl Amazon {
    fn owner(&self, token: &AccessToken) -> Result<OwnerId, IdentifyError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(IdentifyError::Unavailable("it is down".into()));
        }
        let name = token.secret().strip_prefix("Atza|").ok_or(IdentifyError::TokenInvalid)?;
        Ok(OwnerId::parse(&format!("amzn1.account.{}", name.trim_end_matches("-of-another-client"))).unwrap())
    }
}

impl Login for Amazon {
    async fn profile(&self, token: &AccessToken) -> Result<Profile, IdentifyError> {
        Ok(Profile { owner: self.owner(token)?, name: None, email: ProfileEmail::Missing })
    }

    async fn token_info(&self, token: &AccessToken) -> Result<TokenInfo, IdentifyError> {
        let audience = if token.secret().ends_with("-of-another-client") { "another" } else { CLIENT };
        Ok(TokenInfo { audience: audience.to_owned(), owner: self.owner(token)?, seconds_left: 3_600 })
    }
}

/// The hook of the maker; with `None` it never responds.
#[derive(Clone, Default)]
pub struct Maker {
    pub says: Arc<Mutex<Option<HookDecision>>>,
    pub asked: Arc<Mutex<Vec<HookQuery>>>,
}

impl Hook for Maker {
    async fn ask(&self, _: &HookAddress, question: &HookQuery, _: Duration) -> Result<HookDecision, HookError> {
        self.asked.lock().unwrap().push(question.clone());
        let says = self.says.lock().unwrap().clone();
        match says {
            Some(verdict) => Ok(verdict),
            None => std::future::pending().await,
        }
    }
}

/// The audit events so far.
#[derive(Clone, Default)]
pub struct Ledger(pub Arc<Mutex<Vec<Event>>>);

impl Audit for Ledger {
    async fn note(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

//! Which credentials a device uses, the first of: those it is given, those it has stored, those a claim code gets it, those
//! that it registers itself for.
//!
//! What is stored and cannot be used is said to be so, and the next in this order takes its place where there is one; it stays
//! until the new credentials are stored. A clock that has not been set yet makes nothing useless: it is waited for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use onething::fault::chain;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::bundle::files::{Files, OWN_ROOT};
use crate::bundle::{Bundle, BundleError, Untimely};
use crate::failure::{Failure, GET_ONE};
use crate::registration::credential::Credential;
use crate::registration::{Endpoint, register};
use crate::state::{Held, State, StateError};

/// Between two looks at a clock that has not been set.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Asked<'a> {
    /// A bundle, as a zip or a folder.
    pub(crate) bundle: Option<PathBuf>,
    /// An endpoint.
    pub(crate) endpoint: Option<Endpoint>,
    /// A root by which the server may be known, too.
    pub(crate) ca: Option<&'a Path>,
    /// For how long the endpoint, or a clock that has not been set, is waited for; else for ever.
    pub(crate) wait: Option<Duration>,
}

/// Credentials that can be used now. What the endpoint gives is stored before it is used; a bundle that is named is not. What to
/// registration with is looked for only where it is needed: a device that has what it needs is not stopped by a token that is gone.
pub(crate) async fn obtain(
    asked: Asked<'_>,
    credential: impl FnOnce() -> Result<Option<Credential>, Failure>,
    held: &Held,
    now: fn() -> u64,
) -> Result<Bundle, Failure> {
    // What is stored is not looked at when something else is to be used, so that it cannot stand in the way.
    if let Some(path) = &asked.bundle {
        let bundle = Bundle::from_files(&with_root(given(path)?, asked.ca)?)?;
        return Ok(in_time(bundle, asked.wait, now).await?);
    }
    let unusable = match kept(&asked, held, now).await? {
        Kept::Usable(bundle) => return Ok(*bundle),
        Kept::Unusable(why) => Some(why),
        Kept::Nothing => None,
    };
    let next = credential().and_then(|credential| match (credential, asked.endpoint) {
        (Some(credential), Some(endpoint)) => Ok((credential, endpoint)),
        (Some(Credential::Code(_)), None) => {
            Err(Failure::Usage("a claim code needs an endpoint: name its URL by --register-url".to_owned()))
        }
        (Some(_), None) => Err(Failure::NoCredentials(format!("{}; or name the URL of an endpoint by --register-url", nothing(held)))),
        (None, _) => Err(nothing(held)),
    });
    let (credential, endpoint) = match (next, unusable) {
        (Ok(next), None) => next,
        (Ok(next), Some(why)) => {
            warn!("{why}; registering anew");
            next
        }
        (Err(failure), None) => return Err(failure),
        (Err(failure), Some(why)) => {
            if !matches!(failure, Failure::NoCredentials(_)) {
                warn!("{failure}");
            }
            return Err(why);
        }
    };
    let bundle = register(&credential, &endpoint, held, asked.wait, now).await?;
    Ok(in_time(bundle, asked.wait, now).await?)
}

/// What is stored.
enum Kept {
    Usable(Box<Bundle>),
    /// It will never be of use, and why.
    Unusable(Failure),
    Nothing,
}

async fn kept(asked: &Asked<'_>, held: &Held, now: fn() -> u64) -> Result<Kept, Failure> {
    let read = || {
        let Some(files) = held.credentials()? else { return Ok(None) };
        opened(held, &with_root(files, asked.ca)?).map(Some)
    };
    let bundle = match read() {
        Ok(Some(bundle)) => bundle,
        Ok(None) => return Ok(Kept::Nothing),
        Err(why @ Failure::NoCredentials(_)) => return Ok(Kept::Unusable(why)),
        Err(failure) => return Err(failure),
    };
    match in_time(bundle, asked.wait, now).await {
        Ok(bundle) => Ok(Kept::Usable(Box::new(bundle))),
        Err(expired @ Untimely::Expired(_)) => Ok(Kept::Unusable(expired.into())),
        // A clock that is wrong says nothing about them.
        Err(early) => Err(early.into()),
    }
}

/// Waits for the clock where it is behind the certificate: a device without a battery learns the time from the network.
async fn in_time(bundle: Bundle, wait: Option<Duration>, now: fn() -> u64) -> Result<Bundle, Untimely> {
    let (begun, mut is_said) = (Instant::now(), false);
    loop {
        match bundle.is_valid_at(now()) {
            Ok(()) => {
                if is_said {
                    info!("the clock is set");
                }
                return Ok(bundle);
            }
            Err(early @ (Untimely::Clock(_) | Untimely::NotYet { .. })) if wait.is_none_or(|wait| begun.elapsed() < wait) => {
                if !is_said {
                    warn!("{early}; waiting for the clock");
                    is_said = true;
                }
            }
            Err(untimely) => return Err(untimely),
        }
        sleep(wait.map_or(LOOK_AGAIN, |wait| LOOK_AGAIN.min(wait.saturating_sub(begun.elapsed())))).await;
    }
}

/// The stored bundle, which may have expired.
pub(crate) fn stored(state: &State) -> Result<Bundle, Failure> {
    let files = state.credentials()?.ok_or_else(|| nothing(state))?;
    opened(state, &files)
}

fn opened(state: &State, files: &Files) -> Result<Bundle, Failure> {
    Bundle::from_files(files).map_err(|error| StateError::Credentials(state.path().to_owned(), error).into())
}

pub(crate) fn nothing(state: &State) -> Failure {
    Failure::NoCredentials(format!("there are no credentials in {}: {GET_ONE}", state.path().display()))
}

/// The files of a bundle that was named: a zip, or a folder it was unpacked into.
pub(crate) fn given(path: &Path) -> Result<Files, Failure> {
    let unreadable = |error: std::io::Error| Failure::Usage(format!("{} cannot be read: {error}", path.display()));
    let of_it = |error: BundleError| Failure::NoCredentials(format!("{}: {}", path.display(), chain(&error)));
    if path.is_dir() {
        return Files::from_folder(path).map_err(of_it);
    }
    let zip = zeroize::Zeroizing::new(std::fs::read(path).map_err(unreadable)?);
    Files::from_zip(&zip).map_err(of_it)
}

/// The root certificate in a file, as it stands there.
pub(crate) fn root(ca: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(ca).map_err(|error| Failure::Usage(format!("--ca {} cannot be read: {error}", ca.display())))
}

/// Lets the server be known by the root certificate in a file as well.
pub(crate) fn with_root(mut files: Files, ca: Option<&Path>) -> Result<Files, Failure> {
    let Some(ca) = ca else { return Ok(files) };
    let pem = root(ca)?;
    let bad = |error: BundleError| Failure::Usage(format!("--ca {}: {}", ca.display(), chain(&error)));
    files.add_root(OWN_ROOT, &pem).map_err(bad)?;
    crate::bundle::certificates(&files, OWN_ROOT).map_err(bad)?;
    Ok(files)
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;

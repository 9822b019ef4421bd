//! The credentials that a device uses: those from the command line, else the stored ones, else those for a claim code, else those
//! from a registration.
//!
//! Stored credentials that cannot be used are reported, and the next source in this order replaces them; they stay stored until
//! the new credentials are stored. A clock that has not been set yet makes no credentials unusable: the device waits until the
//! clock is set.

use std::path::{Path, PathBuf};
use std::time::Duration;

use onething::fault::chain;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::bundle::files::{Files, OWN_ROOT};
use crate::bundle::{Bundle, BundleError, NotValidNow};
use crate::failure::{Failure, GET_ONE};
use crate::registration::credential::Credential;
use crate::registration::{Endpoint, register};
use crate::state::{Held, State, StateError};

/// The interval between two checks of a clock that has not been set.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// The relevant options.
#[derive(Debug, Default)]
pub(crate) struct Asked<'a> {
    /// The path of a bundle, a zip or a folder.
    pub(crate) bundle: Option<PathBuf>,
    /// The registration endpoint.
    pub(crate) endpoint: Option<Endpoint>,
    /// An additional root certificate that the server may be verified with.
    pub(crate) ca: Option<&'a Path>,
    /// How long the endpoint, or a clock that has not been set, is waited for; `None` means for ever.
    pub(crate) wait: Option<Duration>,
}

/// Returns credentials that can be used now. Credentials from the endpoint are stored before they are used; a bundle from the
/// command line is not stored. `credential` is called only when a registration is necessary, so that a missing token does not
/// stop a device that has usable credentials.
pub(crate) async fn obtain(
    asked: Asked<'_>,
    credential: impl FnOnce() -> Result<Option<Credential>, Failure>,
    held: &Held,
    now: fn() -> u64,
) -> Result<Bundle, Failure> {
    // The stored credentials are not read if a bundle is given, so that they cannot cause an error.
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
            Err(Failure::Usage("a claim code needs a registration endpoint: name its URL by --register-url".to_owned()))
        }
        (Some(_), None) => {
            Err(Failure::NoCredentials(format!("{}; or name the URL of a registration endpoint by --register-url", nothing(held))))
        }
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

/// The stored credentials.
enum Kept {
    Usable(Box<Bundle>),
    /// The credentials can never be used, for this reason.
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
        Err(expired @ NotValidNow::Expired(_)) => Ok(Kept::Unusable(expired.into())),
        // A wrong clock does not make the credentials unusable.
        Err(early) => Err(early.into()),
    }
}

/// Waits while the clock is behind the start of the certificate: a device without a battery gets the time from the network.
async fn in_time(bundle: Bundle, wait: Option<Duration>, now: fn() -> u64) -> Result<Bundle, NotValidNow> {
    let (begun, mut is_said) = (Instant::now(), false);
    loop {
        match bundle.is_valid_at(now()) {
            Ok(()) => {
                if is_said {
                    info!("the clock is set");
                }
                return Ok(bundle);
            }
            Err(early @ (NotValidNow::Clock(_) | NotValidNow::NotYet { .. })) if wait.is_none_or(|wait| begun.elapsed() < wait) => {
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

/// The files of a bundle from the command line: a zip, or the folder that it was unpacked into.
pub(crate) fn given(path: &Path) -> Result<Files, Failure> {
    let unreadable = |error: std::io::Error| Failure::Usage(format!("{} cannot be read: {error}", path.display()));
    let of_it = |error: BundleError| Failure::NoCredentials(format!("{}: {}", path.display(), chain(&error)));
    if path.is_dir() {
        return Files::from_folder(path).map_err(of_it);
    }
    let zip = zeroize::Zeroizing::new(std::fs::read(path).map_err(unreadable)?);
    Files::from_zip(&zip).map_err(of_it)
}

/// The content of a file with a root certificate.
pub(crate) fn root(ca: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(ca).map_err(|error| Failure::Usage(format!("--ca {} cannot be read: {error}", ca.display())))
}

/// Adds the root certificate in a file to those that the server may be verified with.
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

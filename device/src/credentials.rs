//! Which credentials a device uses, the first of: those it is given, those it has stored, those a claim code gets it, those
//! that it registers itself for.
//!
//! What is stored counts as stored whether it can be used or not: credentials that are broken are said to be, and nothing
//! else is taken in their place unless somebody asks for that.

use std::path::{Path, PathBuf};
use std::time::Duration;

use onething::fault::chain;

use crate::bundle::{Bundle, BundleError};
use crate::failure::{Failure, GET_ONE};
use crate::files::{Files, OWN_ROOT};
use crate::register::credential::Credential;
use crate::register::{Door, register};
use crate::state::{Held, State, StateError};

/// What was asked for.
#[derive(Debug, Default)]
pub struct Asked {
    /// A bundle, as a zip or a folder.
    pub bundle: Option<PathBuf>,
    /// A claim code, or whatever else to knock with.
    pub credential: Option<Credential>,
    /// A door.
    pub door: Option<Door>,
}

/// Where credentials come from.
#[derive(Debug)]
pub enum Source {
    /// A bundle that was named.
    Given(PathBuf),
    /// The state folder.
    Stored(Box<Files>),
    /// The door.
    Door(Credential, Box<Door>),
    /// Something to knock with, and no door to knock at.
    NoDoor,
    /// Nowhere.
    Nowhere,
}

/// The first of the sources that there is.
pub fn choose(asked: Asked, stored: Option<Files>) -> Source {
    match (asked, stored) {
        (Asked { bundle: Some(bundle), .. }, _) => Source::Given(bundle),
        (_, Some(stored)) => Source::Stored(Box::new(stored)),
        (Asked { credential: Some(credential), door: Some(door), .. }, None) => Source::Door(credential, Box::new(door)),
        (Asked { credential: Some(_), .. }, None) => Source::NoDoor,
        _ => Source::Nowhere,
    }
}

/// Credentials that can be used at `now`. What the door gives is stored before it is used; a bundle that is named is not.
pub async fn obtain(asked: Asked, held: &Held, ca: Option<&Path>, wait: Option<Duration>, now: fn() -> u64) -> Result<Bundle, Failure> {
    // What is stored is not looked at when something else is to be used, so that it cannot stand in the way.
    let stored = if asked.bundle.is_some() { None } else { held.credentials()? };
    let bundle = match choose(asked, stored) {
        Source::Given(path) => Bundle::from_files(&with_root(given(&path)?, ca)?)?,
        Source::Stored(files) => opened(held, &with_root(*files, ca)?)?,
        Source::Door(credential, door) => register(&credential, &door, held, wait, now).await?,
        Source::NoDoor => return Err(Failure::Usage("a claim code needs a door: name its URL by --door".to_owned())),
        Source::Nowhere => return Err(nothing(held)),
    };
    bundle.is_valid_at(now())?;
    Ok(bundle)
}

/// The stored bundle, which may have expired.
pub fn stored(state: &State) -> Result<Bundle, Failure> {
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
pub fn given(path: &Path) -> Result<Files, Failure> {
    let unreadable = |error: std::io::Error| Failure::Usage(format!("{} cannot be read: {error}", path.display()));
    let of_it = |error: BundleError| Failure::NoCredentials(format!("{}: {}", path.display(), chain(&error)));
    if path.is_dir() {
        return Files::from_folder(path).map_err(of_it);
    }
    let zip = zeroize::Zeroizing::new(std::fs::read(path).map_err(unreadable)?);
    Files::from_zip(&zip).map_err(of_it)
}

/// Lets the server be known by the root certificate in a file as well.
pub fn with_root(mut files: Files, ca: Option<&Path>) -> Result<Files, Failure> {
    let Some(ca) = ca else { return Ok(files) };
    let pem = std::fs::read(ca).map_err(|error| Failure::Usage(format!("--ca {} cannot be read: {error}", ca.display())))?;
    let bad = |error: BundleError| Failure::Usage(format!("--ca {}: {}", ca.display(), chain(&error)));
    files.add_root(OWN_ROOT, &pem).map_err(bad)?;
    crate::bundle::certificates(&files, OWN_ROOT).map_err(bad)?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Option<Door> {
        let address = crate::register::address::Address::parse("https://door.example").unwrap();
        Some(Door::new(address, crate::name::Name::parse("x", "--name").unwrap(), None).unwrap())
    }

    fn code() -> Option<Credential> {
        Some(Credential::Code("K7QF-93PD".to_owned().into()))
    }

    #[test]
    fn the_first_source_that_there_is_is_used() {
        let bundle = || Some(PathBuf::from("bundle.zip"));
        let all = || Asked { bundle: bundle(), credential: code(), door: door() };
        assert!(matches!(choose(all(), Some(Files::new())), Source::Given(_)));
        assert!(matches!(choose(Asked { bundle: None, ..all() }, Some(Files::new())), Source::Stored(_)));
        assert!(matches!(choose(Asked { bundle: None, ..all() }, None), Source::Door(Credential::Code(_), _)));
        assert!(matches!(choose(Asked { credential: code(), ..Asked::default() }, None), Source::NoDoor));
        assert!(matches!(choose(Asked { door: door(), ..Asked::default() }, None), Source::Nowhere));
        assert!(matches!(choose(Asked::default(), None), Source::Nowhere));
    }

    #[test]
    fn a_claim_code_does_not_show() {
        let shown = format!("{:?}", Asked { credential: code(), door: door(), bundle: None });
        assert!(shown.contains("redacted") && !shown.contains("K7QF"), "{shown}");
    }
}

//! `setup`: from the mail to a device that can connect.

use std::io::{self, Write, stdout};
use std::path::Path;

use crate::bundle::Bundle;
use crate::clock;
use crate::command_line::Common;
use crate::credentials::{given, stored, with_root};
use crate::failure::Failure;
use crate::reach::reach;
use crate::state::Held;

/// Nothing is stored that was not checked; what was stored before stays if the new bundle is not good.
pub(super) async fn setup(common: &Common, path: &Path, offline: bool, goes_on: bool) -> Result<(), Failure> {
    let files = with_root(given(path)?, common.ca.as_deref())?;
    let of_it = |error: Failure| match error {
        Failure::NoCredentials(why) => Failure::NoCredentials(format!("{}: {why}", path.display())),
        other => other,
    };
    let bundle = Bundle::from_files(&files).map_err(|error| of_it(error.into()))?;
    bundle.is_valid_at(clock::now()).map_err(|error| of_it(error.into()))?;
    let held = super::hold(common)?;
    super::name(common, &held)?;
    if !offline {
        reach(&bundle, common.wait().unwrap_or(super::WAIT)).await?;
    }
    let former = thing(&held);
    held.store(&files)?;
    Ok(done(&bundle, &held, former, " The bundle is not needed any more: delete it, and the mail.", goes_on)?)
}

/// What the device has been so far.
pub(super) fn thing(held: &Held) -> Option<String> {
    Some(stored(held).ok()?.connection.thing_name)
}

/// Says what there is now, what to do with where it came from, and what comes next.
pub(super) fn done(bundle: &Bundle, held: &Held, former: Option<String>, origin: &str, goes_on: bool) -> io::Result<()> {
    let mut out = stdout().lock();
    let connection = &bundle.connection;
    if let Some(former) = former.filter(|former| *former != connection.thing_name) {
        writeln!(out, "Until now this device was {former}; the credentials of that are deleted.")?;
    }
    writeln!(out, "This device is {} at {}:{}.", connection.thing_name, connection.endpoint, connection.port)?;
    writeln!(out, "Its credentials are in {}, for you only.{origin}", held.path().display())?;
    let folder = held.path().display();
    let next = if goes_on { "It runs now, until Ctrl-C. The next time" } else { "Next" };
    writeln!(
        out,
        "{next}: `onething-device run`, or `sudo onething-device service --write --state {folder}` to have it run from every start on."
    )
}

//! `setup`: installs the bundle from the mail.

use std::io::{self, Write, stdout};
use std::path::Path;

use onething::device_model::Model;

use crate::bundle::Bundle;
use crate::cli::command_line::Common;
use crate::clock;
use crate::connection::reach::reach;
use crate::credentials::{given, stored, with_root};
use crate::device_model;
use crate::failure::Failure;
use crate::state::Held;

/// Stores nothing before it was checked. The stored credentials are kept if the new bundle cannot be used.
pub(super) async fn setup(common: &Common, path: &Path, offline: bool, goes_on: bool) -> Result<(), Failure> {
    let named = common.device_model.as_deref().map(device_model::named).transpose()?;
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
    let model = model(&held, named, &bundle)?;
    if let Some(model) = model {
        describe(&model)?;
    }
    Ok(done(&bundle, &held, former, " The bundle is not needed any more: delete it, and the mail.", goes_on)?)
}

/// The device model that applies from now on. A model from the command line is stored. The stored model is deleted if the bundle
/// is for another type of device.
fn model(held: &Held, named: Option<Model>, bundle: &Bundle) -> Result<Option<Model>, Failure> {
    let bundled = device_model::bundled(bundle).unwrap_or_else(|why| {
        eprintln!("onething-device: {why}");
        None
    });
    if let Some(named) = named {
        if let Some(other) = bundled.filter(|other| other.thing_type != named.thing_type) {
            eprintln!("onething-device: --device-model is a {}'s, and the bundle a {}'s", named.name, other.name);
        }
        held.keep_device_model(&named.device_part)?;
        return Ok(Some(named));
    }
    let is_other = |kept: &Model| bundled.as_ref().is_some_and(|bundled| bundled.thing_type != kept.thing_type);
    match device_model::kept(held) {
        Ok(Some(kept)) if !is_other(&kept) => return Ok(Some(kept)),
        Ok(Some(kept)) => {
            eprintln!("onething-device: the device model of the {} that this device has been is forgotten", kept.name);
            held.drop_device_model()?;
        }
        Ok(None) => {}
        Err(why) => {
            eprintln!("onething-device: {why}; it is forgotten");
            held.drop_device_model()?;
        }
    }
    Ok(bundled.or_else(|| device_model::built_in(&bundle.connection.thing_name)))
}

/// Prints the name of the device model and the programs that it runs.
fn describe(model: &Model) -> io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "By its device model it is a {}.", model.name)?;
    let programs = device_model::programs(model);
    if !programs.is_empty() {
        writeln!(out, "It runs {}.", programs.join(", "))?;
    }
    Ok(())
}

/// The name of the thing of the stored bundle.
pub(super) fn thing(held: &Held) -> Option<String> {
    Some(stored(held).ok()?.connection.thing_name)
}

/// Prints the result, what to do with the original bundle (`origin`), and the next command.
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

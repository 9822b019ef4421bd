//! `forget`: deletes the stored credentials.

use std::io::{IsTerminal, Write, stderr, stdin, stdout};

use crate::cli::command_line::Common;
use crate::failure::Failure;

pub(super) fn forget(common: &Common, yes: bool) -> Result<(), Failure> {
    let state = super::state(common)?;
    if !state.path().exists() {
        return Ok(writeln!(stdout(), "There is nothing to forget.")?);
    }
    let held = super::hold(common)?;
    if !held.has_credentials()? {
        return Ok(writeln!(stdout(), "There is nothing to forget.")?);
    }
    if !yes && !agreed(&held.path().display().to_string())? {
        return Err(Failure::Other("nothing was deleted".to_owned()));
    }
    held.forget()?;
    let said = "The credentials are deleted. The certificate itself is good until it is replaced: open the skill and say \"forget me\".";
    Ok(writeln!(stdout(), "{said}")?)
}

/// Asks the user at the terminal for confirmation.
fn agreed(folder: &str) -> Result<bool, Failure> {
    if !stdin().is_terminal() {
        return Err(Failure::Usage("there is nobody to ask: say --yes to delete the credentials".to_owned()));
    }
    write!(stderr(), "Delete the credentials in {folder}? The device cannot connect without them. [y/N] ")?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

//! `check`: validates a device model and checks whether this machine has what the model refers to. Needs no credentials and no
//! network.

use std::io::{Write, stdout};

use onething::device_model::{Model, ModelError};

use crate::actions::unmet_requirements::{sensors, unmet_requirements};
use crate::cli::command_line::Common;
use crate::credentials::stored;
use crate::device_model::in_one_line;
use crate::failure::Failure;

/// Prints one sentence for each problem. A mistake in the model is a usage error (exit code 2); something that the machine lacks
/// is a failure (exit code 1).
pub(super) fn check(common: &Common) -> Result<(), Failure> {
    let mut out = stdout().lock();
    let (name, model) = match &common.device_model {
        Some(file) => {
            let unreadable = |error| Failure::Usage(format!("--device-model {}: {error}", file.display()));
            let toml = std::fs::read_to_string(file).map_err(unreadable)?;
            (file.display().to_string(), Model::parse(&toml))
        }
        None => known(common)?,
    };
    let model = match model {
        Ok(model) => model,
        Err(ModelError(faults)) => {
            for fault in &faults {
                writeln!(out, "{name}: {}", in_one_line(fault))?;
            }
            return Err(Failure::Usage(format!("the device model has {}", mistakes(faults.len()))));
        }
    };
    let lacks = [unmet_requirements(&model.actions), sensors(&model.reports)].concat();
    for lack in &lacks {
        writeln!(out, "{name}: {lack}")?;
    }
    if !lacks.is_empty() {
        return Err(Failure::Other(format!("this machine lacks {} of what the device model names", lacks.len())));
    }
    let need = match model.actions.properties.len() + model.actions.commands.len() + model.reports.len() {
        0 => "it has no actions and no sensors".to_owned(),
        1 => "what its action or sensor needs is there".to_owned(),
        actions => format!("what its {actions} actions and sensors need is there"),
    };
    Ok(writeln!(out, "{name}: the device model of a {} is good, and {need}.", model.name)?)
}

/// The device model in the state folder, or else the one in the stored bundle.
fn known(common: &Common) -> Result<(String, Result<Model, ModelError>), Failure> {
    let state = super::state(common)?;
    if let Some(toml) = state.device_model()? {
        return Ok((state.device_model_path().display().to_string(), Model::parse(&toml)));
    }
    let bundled = stored(&state).ok().and_then(|bundle| bundle.device_model);
    let toml = bundled.ok_or_else(|| Failure::Usage("which device model? Name it by --device-model FILE".to_owned()))?;
    Ok(("the device model in the bundle".to_owned(), Model::parse(&toml)))
}

fn mistakes(count: usize) -> String {
    if count == 1 { "a mistake".to_owned() } else { format!("{count} mistakes") }
}

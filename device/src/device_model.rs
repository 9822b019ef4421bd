//! The device model of a device: the one from the command line, else the one that was given to `setup` and is stored in the state
//! folder, else the one from its bundle. Without any model, a thing with the name prefix of a printer is the built-in printer,
//! and any other thing is an unknown device.

use std::path::Path;

use onething::device_model::{Means, Model, ReportSource};
use onething::fault::chain;
use onething::identifiers::ThingPrefix;

use crate::bundle::Bundle;
use crate::failure::Failure;
use crate::state::State;

/// Reads a device model from the command line.
pub(crate) fn named(file: &Path) -> Result<Model, Failure> {
    let bad = |why: &str| Failure::Usage(format!("--device-model {}: {}", file.display(), in_one_line(why)));
    let toml = std::fs::read_to_string(file).map_err(|error| bad(&error.to_string()))?;
    Model::parse(&toml).map_err(|error| bad(&chain(&error)))
}

/// Reads the device model that was given to `setup`.
pub(crate) fn kept(state: &State) -> Result<Option<Model>, Failure> {
    let Some(toml) = state.device_model()? else { return Ok(None) };
    let bad = |why: String| {
        let place = state.device_model_path();
        Failure::Usage(format!("the device model in {}: {}; name another one by --device-model FILE", place.display(), in_one_line(&why)))
    };
    Model::parse(&toml).map(Some).map_err(|error| bad(chain(&error)))
}

/// Reads the device model in a bundle. The error is a text for the user, not a failure: a newer maker of bundles may use features
/// that this program does not support.
pub(crate) fn bundled(bundle: &Bundle) -> Result<Option<Model>, String> {
    let Some(toml) = &bundle.device_model else { return Ok(None) };
    let bad = |why: String| format!("the device model in the bundle cannot be used by this program: {}", in_one_line(&why));
    Model::parse(toml).map(Some).map_err(|error| bad(chain(&error)))
}

/// The device model of a thing without a model: the built-in printer, if the name of the thing has its prefix.
pub(crate) fn built_in(thing: &str) -> Option<Model> {
    let model = Model::parse(Model::SAMPLE).ok()?;
    thing.starts_with(ThingPrefix::as_str(&model.thing_prefix)).then_some(model)
}

/// The programs that a model runs, each with the name of its property or command.
pub(crate) fn programs(model: &Model) -> Vec<String> {
    let actions = model.actions.properties.iter().chain(&model.actions.commands).filter_map(|(name, action)| match &action.means {
        Means::Program { path, .. } => Some((name, path)),
        _ => None,
    });
    let sensors = model.reports.iter().filter_map(|(name, report)| match &report.source {
        ReportSource::Program { path, .. } | ReportSource::Stream { path, .. } => Some((name, path)),
        _ => None,
    });
    actions.chain(sensors).map(|(name, path)| format!("`{path}` for {name}")).collect()
}

/// Joins the lines of a text, in which each fault has a line of its own.
pub(crate) fn in_one_line(why: &str) -> String {
    why.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_printer_has_a_built_in_model() {
        assert_eq!(built_in("3D_Printer-abc").map(|model| model.name).as_deref(), Some("3D printer"));
        for other in ["Lamp-abc", "SN-0001", "3D_Scanner-abc", ""] {
            assert!(built_in(other).is_none(), "{other}");
        }
    }
}

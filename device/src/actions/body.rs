//! Actions as what stands behind an agent, one at a time.

use serde_json::Value;

use super::{Actions, Outcome};
use crate::agent::{Command, Perform, Performed};

impl Perform for Actions {
    async fn set(&mut self, name: &str, value: &Value) -> Performed {
        Self::set(self, name, value).await.into()
    }

    async fn perform(&mut self, command: &Command) -> Performed {
        let args = command.args.as_object().cloned().unwrap_or_default();
        self.obey(&command.name, &command.id, &args, command.expires_at).await.into()
    }

    fn is_undone_by_restart(&self, name: &str) -> bool {
        Self::is_undone_by_restart(self, name)
    }
}

impl From<Outcome> for Performed {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done { detail, reported } => Self::Done { detail, properties: reported },
            Outcome::Refused { detail } => Self::Refused(detail),
            Outcome::Failed { detail } => Self::Failed(detail),
        }
    }
}

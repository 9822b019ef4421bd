//! The skill with the ports of this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use onething::answer::Skill;
use onething::bundle::Broker;
use onething::deliver::Sender;
use onething::https::Https;
use onething::memory::Memory;
use onething::metrics::unmeasured;
use onething::model::{Model, ModelError};
use onething::registry::A_DAY;
use thiserror::Error;

use crate::authority::{Authority, AuthorityError};
use crate::clock;
use crate::mailbox::MailFolder;
use crate::registry::LocalRegistry;
use crate::shadow::LocalShadows;
use crate::sign_in::{self, LocalLogin};
use crate::utterance::interaction::{InteractionError, InteractionModel};

/// The skill that this hub is.
pub type LocalSkill = Skill<LocalLogin, LocalRegistry, LocalShadows, MailFolder>;

/// The id under which the simulated Echo calls.
pub const SKILL_ID: &str = "amzn1.ask.skill.onething-hub";
/// The device policy's name, as the AWS stack has it.
pub const POLICY: &str = "OneUserOneThing";
/// What can be said to the skill in American English: the very file that Alexa gets.
const INTERACTION_MODEL: &str = include_str!("../../skill-package/interactionModels/custom/en-US.json");
const LEASE_SECONDS: u64 = 15;

/// Why the hub did not start.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No place for mail.
    #[error("the folder {} cannot be used", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    /// No certificate authority.
    #[error("the certificate authority could not be made")]
    Authority(#[from] AuthorityError),
    /// The built-in device model is broken.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The built-in interaction model is broken.
    #[error(transparent)]
    Interaction(#[from] InteractionError),
    /// The built-in sender is no mail address.
    #[error("the sender of mail is not an address")]
    Sender,
}

/// What can be said to the skill.
pub fn interaction_model() -> Result<InteractionModel, OpenError> {
    Ok(InteractionModel::parse(INTERACTION_MODEL)?)
}

/// Opens the skill over a data folder: mail goes to `mail` in it, the rest stays in memory.
pub fn open(data: &Path) -> Result<LocalSkill, OpenError> {
    let mail = data.join("mail");
    let mailer = MailFolder::open(&mail).map_err(|error| OpenError::Folder(mail, error))?;
    let model = Model::parse(Model::SAMPLE)?;
    let authority = Arc::new(Authority::new(clock::now())?);
    let roots = vec![("RootCA.pem".to_owned(), authority.root_pem())];
    let registry = LocalRegistry::new(authority, &model.thing_type, POLICY, clock::now);
    registry.create_thing_type(&model.thing_type);
    registry.create_policy(POLICY);
    Ok(Skill {
        skill_ids: vec![SKILL_ID.to_owned()],
        client_id: Some(sign_in::CLIENT_ID.to_owned()),
        lease: LEASE_SECONDS,
        retention: 30 * A_DAY,
        model,
        broker: Broker { host: "localhost".to_owned(), port: 8883, roots },
        sender: Sender { from: "onething hub <hub@localhost>".parse().map_err(|_| OpenError::Sender)?, reply_to: None },
        login: LocalLogin::default(),
        registry,
        shadows: LocalShadows::new(clock::now),
        mailer,
        https: Https::default(),
        now: clock::now,
        memory: Memory::default(),
        measure: unmeasured,
    })
}

//! The hub: the skill with the ports of this machine, the registration endpoint, the broker, and the simulator.

mod simulated;
mod users;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use onething::https::Https;
use onething::identifiers::{CertificateId, ThingName};
use onething::lambda::invoke;
use onething::lifecycle::{Sweep, in_use, sweep};
use onething::login::amazon::LoginWithAmazon;
use onething::registration::{HttpHook, Limits, OwnerThings, RegistrationPolicy};
use onething::registry::{A_DAY, Kind};
use onething::skill::Skill;
use onething::skill::cache::OwnerCache;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, Instant};

use crate::audit::{self, Event, Kind as EventKind};
use crate::authority::{Authority, AuthorityError};
use crate::clock;
use crate::events::{Events, Subject};
use crate::mail::mailbox::MailFolder;
use crate::mail::outgoing::{Outgoing, Pace, Server};
use crate::metrics;
use crate::mqtt::backend::HubBackend;
use crate::mqtt::broker::backend::Notice;
use crate::mqtt::broker::{self, Broker};
use crate::mqtt::presence::Presence;
use crate::mqtt::refusals::{self, Refusals};
use crate::policy::{self, DEVICE_POLICY};
use crate::ports::{LocalEndpoint, LocalSkill};
use crate::registration::{LocalAudit, LocalClaims};
use crate::registry::{LocalRegistry, Stack};
use crate::settings::{Mode, Settings};
use crate::shadow::LocalShadows;
use crate::sign_in::{LocalLogin, SignIn, UserError, UserName};
use crate::signature::Verify;
use crate::simulator::devices::Devices;
use crate::simulator::echo_sessions::{EchoError, EchoSessions, Words, dated, not_for_the_skill, shown, without_token};
use crate::simulator::turn::Turn;
use crate::storage::data_folder::{self, AUTHORITY};
use crate::storage::store::{self, Store, StoreError};
use crate::storage::{backup, disk, place};

/// The lifetime of a lease on a thing, in seconds. A request is answered within seven seconds, so an older lease belongs to a
/// request that crashed.
const LEASE_SECONDS: u64 = 8;
const RETENTION: u64 = 30 * A_DAY;
/// The time limit of a request of the simulated Echo: one second more than the limit of the skill itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// The largest number of requests that the Echo sends without an utterance in one turn. Alexa sends such a request only when a
/// delegated dialog is complete or when a response was not valid.
const FOLLOW_UPS: usize = 2;
/// The time limit to wait for the lease of another request on the same thing. A lease ends earlier.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(2 * LEASE_SECONDS);
/// The time limit of a sweep, which reads two short lists from the local database.
const SWEEP_LIMIT: Duration = Duration::from_secs(600);

/// Why the hub did not start.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The data folder or the mail folder cannot be created or used.
    #[error("the folder {} cannot be used", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    /// A part of the data folder is missing, and no option allows the hub to create it again.
    #[error(transparent)]
    Missing(#[from] data_folder::Missing),
    /// The certificate authority cannot be read or created.
    #[error("the certificate authority cannot be used")]
    Authority(#[from] AuthorityError),
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] store::OpenError),
    /// The thing types or the policies cannot be written, or the leases of the last run cannot be ended.
    #[error("the database cannot be prepared")]
    Store(#[from] StoreError),
    /// The broker could not read its stored state.
    #[error("the broker did not start")]
    Broker(#[from] broker::backend::StoreError),
    /// The first users could not be created.
    #[error("the local users cannot be prepared")]
    Users(#[from] UserError),
}

/// Why a copy of the database could not be made.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The file of the copy cannot be created in the data folder.
    #[error("the data folder does not take a copy of the database")]
    Folder(#[from] std::io::Error),
    /// The database could not be copied.
    #[error("the database could not be copied")]
    Store(#[from] StoreError),
}

/// A hub with all its parts. [`Hub::open`] starts no listener.
pub struct Hub {
    /// The skill, which answers requests of Alexa and of the simulated Echo.
    pub skill: Arc<LocalSkill>,
    /// The endpoint `POST /register`, at which devices register.
    pub endpoint: LocalEndpoint,
    /// The policy that decides which devices may register.
    pub policy: RegistrationPolicy,
    /// Whether HTTP requests arrive through a proxy on this machine.
    pub behind_proxy: bool,
    /// Verifies that a request comes from Alexa.
    pub verifier: Box<dyn Verify>,
    /// Things, certificates and policies.
    pub registry: LocalRegistry,
    /// The MQTT broker of the devices.
    pub broker: Broker<HubBackend>,
    /// The requests of devices that the broker refused.
    pub refusals: Refusals,
    /// The certificate authority, which issues the certificates of devices and of this hub.
    pub authority: Arc<Authority>,
    /// The mail folder.
    pub mail: MailFolder,
    /// The local users.
    pub users: LocalLogin,
    /// The simulated Echos of the local users.
    pub echo_sessions: EchoSessions,
    /// The simulated devices of the local users.
    pub devices: Devices,
    /// Publishes changes to the listeners, such as the page in a browser.
    pub events: Events,
    /// The data folder.
    pub data: PathBuf,
    presence: Presence,
    /// Connections and disconnections of clients. [`Hub::follow_connections`] takes the receiver.
    noticed: std::sync::Mutex<Option<mpsc::UnboundedReceiver<Notice>>>,
    store: Store,
    mode: Mode,
    ending: watch::Sender<bool>,
}

impl Hub {
    /// Opens all parts over the data folder. `mqtt_port` is the port at which devices connect, as bundles name it. `verifier`
    /// decides which requests come from Alexa.
    pub async fn open(settings: Settings, mqtt_port: u16, verifier: Box<dyn Verify>) -> Result<Arc<Self>, OpenError> {
        disk::make_folder(&settings.data).map_err(|error| OpenError::Folder(settings.data.clone(), error))?;
        backup::finish(&settings.data).map_err(|error| OpenError::Folder(settings.data.clone(), error))?;
        let folder = settings.data.join(AUTHORITY);
        match data_folder::missing(&settings.data) {
            Some(data_folder::Missing::Database(_)) if settings.new_database => {}
            Some(data_folder::Missing::Authority { .. }) if settings.new_authority => {
                data_folder::move_aside(&folder).map_err(|error| OpenError::Folder(folder.clone(), error))?;
            }
            Some(missing) => return Err(missing.into()),
            None => {}
        }
        let database = settings.data.join(store::FILE);
        let store = Store::open(&database)?;
        disk::remove_unfinished(&settings.data).map_err(|error| OpenError::Folder(settings.data.clone(), error))?;
        let authority = Authority::open(&folder, clock::now())?;
        let authority = Arc::new(match settings.certificate_days {
            Some(days) => authority.for_days(days),
            None => authority,
        });
        let mail = MailFolder::open(&settings.mail).map_err(|error| OpenError::Folder(settings.mail.clone(), error))?;
        let model = settings.model;
        let kind = Kind { thing_type: model.thing_type.clone(), policies: vec![DEVICE_POLICY.to_owned()] };
        let own = OwnerThings { kind: kind.clone(), prefix: model.thing_prefix.clone() };
        let stack = Stack { kind, thing_prefix: model.thing_prefix.clone() };
        let registry = LocalRegistry::new(store.clone(), Arc::clone(&authority), stack, clock::now);
        registry.create_thing_type(&model.thing_type).await?;
        registry.create_policy(DEVICE_POLICY, policy::DEVICE_DOCUMENT).await?;
        for (name, document) in &settings.register.policies {
            registry.create_policy(name, document).await?;
        }
        for thing_type in settings.register.policy.types.keys() {
            registry.create_thing_type(thing_type).await?;
        }
        registry.end_leases().await?;
        let shadows = LocalShadows::new(store.clone(), clock::now);
        let refusals = Refusals::new(clock::now);
        let (notices, noticed) = mpsc::unbounded_channel();
        let behind = Arc::new(HubBackend::new(registry.clone(), shadows.clone(), store.clone(), refusals.clone()).with_notices(notices));
        let broker = Broker::open(behind, clock::now).await?;
        shadows.connect(broker.clone());

        let users = LocalLogin::new(store.clone());
        let login = match &settings.mode {
            Mode::Trying => {
                if users.users().await?.is_empty() {
                    users::first_users(&users).await?;
                }
                SignIn::Local(users.clone())
            }
            Mode::Real { endpoint, .. } => SignIn::Amazon(LoginWithAmazon::new(Https::default(), endpoint)),
        };
        let roots = vec![("RootCA.pem".to_owned(), authority.roots_pem())];
        let broker_of_bundles =
            onething::mail::bundle::Broker { host: settings.host, port: mqtt_port, roots, register: settings.register_url };
        let claims = LocalClaims::new(store.clone());
        let endpoint = LocalEndpoint {
            login: login.clone(),
            client_id: Some(settings.mode.client_id().to_owned()),
            registry: registry.clone(),
            claims: claims.clone(),
            hook: HttpHook(Https::default()),
            audit: LocalAudit::new(store.clone()),
            own,
            broker: broker_of_bundles.clone(),
            limits: Limits::default(),
            lease: LEASE_SECONDS,
            now: clock::now,
            measure: metrics::count,
        };
        let events = Events::default();
        let mailer = match settings.smtp {
            None => Outgoing::into_folder(store.clone(), mail.clone()),
            Some(smtp) => {
                let (registry, shadows) = (registry.clone(), shadows.clone());
                Outgoing::to_server(store.clone(), Server { smtp, registry, shadows, lease: LEASE_SECONDS, pace: Pace::default() })
            }
        };
        let skill = Skill {
            skill_ids: settings.skill_ids,
            client_id: Some(settings.mode.client_id().to_owned()),
            lease: LEASE_SECONDS,
            retention: RETENTION,
            model,
            broker: broker_of_bundles,
            sender: settings.sender,
            login,
            registry: registry.clone(),
            shadows,
            mailer,
            claims: Some(claims),
            https: Https::default(),
            now: clock::now,
            owner_cache: OwnerCache::default(),
            measure: metrics::count,
        };
        Ok(Arc::new(Self {
            endpoint,
            policy: settings.register.policy,
            behind_proxy: settings.behind_proxy,
            verifier,
            echo_sessions: EchoSessions::new(store.clone(), skill.skill_ids.first().map_or("", String::as_str), Arc::new(settings.speech)),
            devices: Devices::new(store.clone(), mail.clone(), events.clone(), place::of(&database)),
            skill: Arc::new(skill),
            registry,
            broker,
            refusals,
            authority,
            mail,
            users,
            events,
            presence: Presence::default(),
            noticed: std::sync::Mutex::new(Some(noticed)),
            store,
            data: settings.data,
            mode: settings.mode,
            ending: watch::Sender::new(false),
        }))
    }

    /// Whether the hub is in trying mode, with local users and simulated Echos.
    pub fn trying(&self) -> bool {
        self.mode == Mode::Trying
    }

    /// A receiver whose value changes to `true` when the hub stops.
    pub fn ending(&self) -> watch::Receiver<bool> {
        self.ending.subscribe()
    }

    /// Asks all listeners and tasks of the hub to stop.
    pub fn end(&self) {
        self.ending.send_replace(true);
    }

    /// The faults of the database and of the mail folder, one phrase each, for an operator.
    pub async fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(error) =
            self.store.change::<_, StoreError>(|db| Ok(db.execute("UPDATE thing_type SET name = name", []).map(drop)?)).await
        {
            faults.push(format!("the database does not write: {}", onething::fault::chain(&error)));
        }
        let mail = self.mail.clone();
        let probed = tokio::task::spawn_blocking(move || mail.probe()).await.map_err(std::io::Error::other).flatten();
        if let Err(error) = probed {
            faults.push(format!("the mailbox does not take mail: {error}"));
        }
        faults
    }

    /// The limitations of a hub that otherwise works, one phrase each, for an operator. They concern outgoing mail.
    pub async fn limits(&self) -> Vec<String> {
        let mail = self.skill.mailer.faults().await;
        mail.unwrap_or_else(|error| vec![format!("the outgoing mail cannot be read: {}", onething::fault::chain(&error))])
    }

    /// A copy of the database in its current state. The file has no name, so the operating system deletes it when it is closed.
    #[cfg(unix)]
    pub async fn snapshot(&self) -> Result<std::fs::File, SnapshotError> {
        let path = self.data.join(format!("snapshot-{}.{}", clock::micros(), disk::UNFINISHED));
        let file = disk::private(std::fs::OpenOptions::new().create_new(true).read(true).write(true)).open(&path)?;
        let copied = self.store.copy_to(&path).await;
        std::fs::remove_file(&path)?;
        copied?;
        Ok(file)
    }

    /// Writes refusals of the broker to the database until the future is dropped.
    pub async fn keep_refusals(&self) -> Infallible {
        self.refusals.keep(&self.store).await
    }

    /// The last `count` stored events of one kind or of all kinds, the oldest first.
    pub async fn audit(&self, kind: Option<EventKind>, count: u32) -> Result<Vec<Event>, StoreError> {
        self.store.read(move |db| audit::last(db, kind, count)).await
    }

    /// The last refusal that concerns a thing.
    pub async fn last_refusal(&self, thing: &str) -> Result<Option<refusals::StoredRefusal>, StoreError> {
        let thing = thing.to_owned();
        self.store.read(move |db| refusals::last_of(db, &thing)).await
    }

    /// The name of a user's thing, whether the thing exists or not.
    pub fn thing_of(&self, user: &UserName) -> Option<ThingName> {
        Some(ThingName::of(&self.skill.model.thing_prefix, &user.owner()?))
    }

    /// Sends an utterance or a request of a user's Echo to the skill, and stores the turn.
    pub async fn say(&self, user: &UserName, words: Words) -> Result<Arc<Turn>, EchoError> {
        let token = self.users.user(user, None).await?.token();
        let mut echo_session = self.echo_sessions.of(user).await;
        echo_session.hold(token);
        let (say, request) = match words {
            Words::Said(text) => (Some(text.clone()), echo_session.echo.say(&text)),
            Words::Request(request) => (None, Ok(echo_session.echo.request(request))),
        };
        let mut turn = Turn { at: clock::now(), say, ..Turn::default() };
        let mut cards = Vec::new();
        match request {
            Err(for_alexa) => turn.output = not_for_the_skill(&for_alexa),
            Ok(request) => {
                let mut request = Some(request);
                // The Echo may continue a delegated dialog without an utterance. Within the limit of follow-up requests the
                // dialog ends.
                for _follow_up in 0..=FOLLOW_UPS {
                    let Some(next) = request.take() else { break };
                    let response = invoke(Arc::clone(&self.skill), next.clone(), ANSWER_WITHIN).await?;
                    let output = echo_session.echo.take_answer(&response);
                    cards.extend(output.card.as_ref().map(|card| dated(turn.at, card)));
                    turn.output = shown(&output);
                    (turn.request, turn.response) = (Some(without_token(next)), Some(response));
                    request = output.follow_up;
                }
            }
        }
        let turn = Arc::new(turn);
        self.echo_sessions.keep(user, &mut echo_session, &turn, cards).await;
        self.events.tell(user, Subject::Echo);
        Ok(turn)
    }

    /// Sample utterances, by intent.
    pub fn suggestions(&self) -> Value {
        self.echo_sessions.suggestions()
    }

    /// Revokes the certificates that `certificate` replaced, because the device has reported that it uses `certificate`. After an
    /// error the next sweep repeats the work.
    pub async fn certificate_in_use(&self, thing: &ThingName, certificate: &CertificateId) {
        let deadline = Instant::now() + WAIT_FOR_OTHERS;
        if let Err(error) = in_use(&self.skill.registry, &self.skill.shadows, &self.skill.lease(), thing, certificate, deadline).await {
            tracing::warn!(%thing, step = "lifecycle", cause = "in_use", "left to the sweep: {}", onething::fault::chain(&error));
        }
    }

    /// Runs one sweep, which finishes the work of requests that crashed. Also deletes expired claim codes and the records of
    /// shadows that were deleted long ago.
    pub async fn sweep(&self) {
        let means = Sweep {
            registry: &self.skill.registry,
            shadows: &self.skill.shadows,
            lease: self.skill.lease(),
            retention: self.skill.retention,
            deadline: Instant::now() + SWEEP_LIMIT,
            measure: self.skill.measure,
        };
        sweep(&means).await;
        let cleaned_up = (self.skill.shadows.clean_up().await, self.endpoint.claims.clean_up(clock::now()).await);
        for error in [cleaned_up.0.err(), cleaned_up.1.err()].into_iter().flatten() {
            tracing::warn!(step = "store", cause = "store_refused", "{}", onething::fault::chain(&error));
        }
    }
}

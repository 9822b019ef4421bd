//! A running hub: its listeners, its background tasks, and its shutdown.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use onething::identifiers::CertificateId;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::authority::server::{ServerIdentity, ServerTls};
use crate::cli::readiness;
use crate::cli::readiness::machine::newest_note;
use crate::cli::readiness::network::Peers;
use crate::clock;
use crate::events::Subject;
use crate::hub::{Hub, OpenError};
use crate::mqtt::broker;
use crate::settings::Settings;
use crate::sign_in::UserName;
use crate::signature::Verifier;
use crate::web;

/// The time between two sweeps, as on AWS.
const SWEEPS: Duration = Duration::from_secs(3_600);
/// The limit of open files where the system reports none. Every system allows a process at least this number.
const FILES_AT_LEAST: u64 = 1_024;
/// The open files that are reserved for the database, the mail folder and HTTP.
const FILES_OF_THE_HUB: u64 = 384;
/// The pause after a failed attempt to read a changed certificate.
const PAUSE: Duration = Duration::from_millis(200);
/// The time limit of the shutdown.
const END: Duration = Duration::from_millis(900);

/// Why the hub could not start, or why it stopped.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address is in use, or it is not an address of this machine.
    #[error("{what} cannot listen at {address}")]
    Listen {
        /// `HTTP` or `MQTT`.
        what: &'static str,
        /// The address of the listener.
        address: SocketAddr,
        /// The error of the operating system.
        #[source]
        cause: std::io::Error,
    },
    /// The certificate file or the key file of HTTPS cannot be used.
    #[error("the TLS certificate {} and its key cannot be used: {what}", path.display())]
    Tls {
        /// The path of the certificate file.
        path: PathBuf,
        /// The error in one of the two files.
        what: String,
    },
    /// A part of the hub cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A listener or a background task has stopped, so the hub stops.
    #[error("a part of the hub has stopped; its log says which")]
    Stopped,
    /// The addresses cannot be written to the standard output.
    #[error("the addresses cannot be printed")]
    Output(#[from] std::io::Error),
}

/// Runs the hub until `end` is ready, and then for at most one second more. Prints the addresses of the listeners as one line of
/// JSON.
pub async fn serve(settings: Settings, end: impl Future<Output = ()>) -> Result<(), ServeError> {
    let mut running = Running::start(settings).await?;
    let ready = json!({"ready": true, "http": running.http, "mqtt": running.mqtt.to_string()});
    let mut out = std::io::stdout().lock();
    writeln!(out, "{ready}").and_then(|()| out.flush())?;
    drop(out);
    let stopped = tokio::select! {
        () = end => false,
        _ = running.parts.join_next() => true,
    };
    running.end().await;
    if stopped { Err(ServeError::Stopped) } else { Ok(()) }
}

/// A hub with running listeners.
pub struct Running {
    /// The parts of the hub.
    pub hub: Arc<Hub>,
    /// The URL of the page.
    pub http: String,
    /// The address of the MQTT listener.
    pub mqtt: SocketAddr,
    parts: JoinSet<()>,
}

impl Running {
    /// Starts all listeners and background tasks. When this returns, the listeners accept connections.
    pub async fn start(mut settings: Settings) -> Result<Self, ServeError> {
        settings.mistakes.iter().for_each(|what| tracing::warn!(step = "request", fault = "maker", cause = "models", "{what}"));
        let peers = (!settings.trying()).then(|| {
            let mut findings = readiness::at_once(&settings);
            findings.push(readiness::clock::check(clock::now(), readiness::clock::built(), newest_note(&settings.data)));
            readiness::log(&findings);
            Peers::of(&settings)
        });
        let http = listen("HTTP", settings.http).await?;
        let mqtt = listen("MQTT", settings.mqtt).await?;
        let (http_at, mqtt_at) = (http.local_addr()?, mqtt.local_addr()?);
        let tls = settings.tls.as_ref().map(|(certificate, key)| acceptor(certificate, key)).transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (host, password, data) = (settings.host.clone(), settings.password.clone(), settings.data.clone());
        let verifier = Box::new(Verifier::of_alexa(clock::now));
        if settings.trying() && settings.register_url.is_none() {
            settings.register_url = endpoint_here(scheme, &host, http_at);
        }
        let hub = Hub::open(settings, mqtt_at.port(), verifier).await?;
        let identity = ServerIdentity::new(Arc::clone(&hub.authority), &[host], clock::now).map_err(OpenError::from)?;
        let server = ServerTls::new(Arc::new(identity)).map_err(OpenError::from)?;

        let (changed, changes) = unbounded_channel();
        hub.registry.watch(changed);
        let mut parts = JoinSet::new();
        parts.spawn(broker::listener::serve(hub.broker.clone(), mqtt, Arc::new(server), room_for_devices(), ended(hub.ending())));
        parts.spawn(web::serve(http, tls, web::router(Arc::clone(&hub), password), hub.ending()));
        #[cfg(unix)]
        match web::Socket::listen(&data) {
            Ok(socket) => drop(parts.spawn(web::serve_operator(socket, web::operators_router(Arc::clone(&hub)), hub.ending()))),
            Err(error) => tracing::warn!(
                step = "start",
                "there is no socket in {}, so `things`, `mail`, `events` and `backup` cannot ask this hub by its data folder: {error}",
                data.display()
            ),
        }
        parts.spawn(tell_the_broker(Arc::clone(&hub), changes));
        parts.spawn(tell_the_page(Arc::clone(&hub)));
        parts.spawn(follow_connections(Arc::clone(&hub)));
        parts.spawn(keep_refusals(Arc::clone(&hub)));
        parts.spawn(sweeps(Arc::clone(&hub)));
        parts.spawn(revoke_replaced_certificates(Arc::clone(&hub)));
        if let Some(peers) = peers {
            parts.spawn(ask(peers, ended(hub.ending())));
        }
        parts.spawn(hub.skill.mailer.clone().run(ended(hub.ending())));
        hub.devices.restore(hub.trying()).await.map_err(OpenError::from)?;
        Ok(Self { hub, http: format!("{scheme}://{http_at}"), mqtt: mqtt_at, parts })
    }

    /// Stops the hub. A task that has not stopped within a second ends with the process. Every change that was confirmed to a
    /// client is already on the disk.
    pub async fn end(mut self) {
        self.hub.end();
        let _ = timeout(END, async { while self.parts.join_next().await.is_some() {} }).await;
    }
}

/// The URL of the registration endpoint in trying mode, where no option names one. Without TLS there is a URL only for devices on
/// this machine.
fn endpoint_here(scheme: &str, host: &str, http: SocketAddr) -> Option<String> {
    if scheme == "https" {
        // The certificate is issued for the host name.
        return Some(format!("https://{host}:{}/register", http.port()));
    }
    let here = if http.ip().is_unspecified() { SocketAddr::from((Ipv4Addr::LOCALHOST, http.port())) } else { http };
    here.ip().is_loopback().then(|| format!("http://{here}/register"))
}

async fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|cause| ServeError::Listen { what, address, cause })
}

/// The largest number of connected devices. Each connection needs a file descriptor, so this raises the limit of open files as
/// far as allowed.
fn room_for_devices() -> usize {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(FILES_AT_LEAST);
    usize::try_from(files.saturating_sub(FILES_OF_THE_HUB).max(FILES_OF_THE_HUB)).unwrap_or(usize::MAX)
}

async fn ended(mut ending: watch::Receiver<bool>) {
    // A closed channel means that the hub has been dropped, which ends the wait too.
    let _ = ending.wait_for(|ending| *ending).await;
}

/// A TLS acceptor that uses the certificate file and the key file of the operator.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, ServeError> {
    let fault = |what: String| ServeError::Tls { path: certificate.to_owned(), what };
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| fault(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| fault(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
    Ok(TlsAcceptor::from(Arc::new(config.map_err(|error| fault(error.to_string()))?)))
}

/// Tells the broker about changed certificates. A changed certificate may permit less than when its device connected.
async fn tell_the_broker(hub: Arc<Hub>, mut changes: UnboundedReceiver<CertificateId>) {
    let mut ending = pin!(ended(hub.ending()));
    loop {
        let certificate = tokio::select! {
            certificate = changes.recv() => certificate,
            () = &mut ending => None,
        };
        let Some(certificate) = certificate else { return };
        while let Err(error) = hub.broker.certificate_changed(&certificate).await {
            tracing::error!(step = "store", fault = "maker", cause = "store_unclear", "{}", onething::fault::chain(&error));
            sleep(PAUSE).await;
        }
    }
}

/// Publishes events to the page when a shadow, a connection, a refusal or a mail changes.
async fn tell_the_page(hub: Arc<Hub>) {
    let (mut things, mut mails, mut ending) = (hub.skill.shadows.watch(), hub.mail.arrivals(), pin!(ended(hub.ending())));
    let mut outgoing = hub.skill.mailer.watch();
    let mut refusals = hub.refusals.watch();
    loop {
        tokio::select! {
            thing = things.recv() => match thing {
                Ok(thing) => tell_owner(&hub, &thing).await,
                // The names of the missed things are lost.
                Err(RecvError::Lagged(_)) => tell_everybody(&hub, Subject::Shadow).await,
                Err(RecvError::Closed) => return,
            },
            thing = refusals.recv() => match thing {
                Ok(Some(thing)) => tell_owner(&hub, &thing).await,
                // The thing is unknown, so the refusal may concern any user.
                Ok(None) | Err(RecvError::Lagged(_)) => tell_everybody(&hub, Subject::Shadow).await,
                Err(RecvError::Closed) => return,
            },
            arrived = mails.changed() => match arrived {
                Ok(()) => tell_everybody(&hub, Subject::Mail).await,
                Err(_) => return,
            },
            changed = outgoing.changed() => match changed {
                Ok(()) => tell_everybody(&hub, Subject::Mail).await,
                Err(_) => return,
            },
            () = &mut ending => return,
        }
    }
}

async fn follow_connections(hub: Arc<Hub>) {
    hub.follow_connections().await;
}

/// Publishes an event to the user who owns `thing`. Does nothing without listeners.
async fn tell_owner(hub: &Hub, thing: &str) {
    if hub.events.is_heard()
        && let Some(user) = whose(hub, thing).await
    {
        hub.events.tell(&user, Subject::Shadow);
    }
}

async fn tell_everybody(hub: &Hub, what: Subject) {
    if !hub.events.is_heard() {
        return;
    }
    match hub.users.users().await {
        Ok(users) => users.iter().for_each(|user| hub.events.tell(&user.user, what)),
        Err(error) => tracing::warn!(step = "store", cause = "store_refused", "{}", onething::fault::chain(&error)),
    }
}

async fn whose(hub: &Hub, thing: &str) -> Option<UserName> {
    let users = hub.users.users().await.ok()?;
    users.into_iter().map(|user| user.user).find(|user| hub.thing_of(user).is_some_and(|own| own.as_str() == thing))
}

/// Checks the services that the hub depends on, and logs findings. The checks may take some seconds, so the start does not wait
/// for them. Every task of the hub must run as long as the hub, so this one waits for `end` afterwards.
async fn ask(peers: Peers, end: impl Future<Output = ()>) {
    let mut end = pin!(end);
    tokio::select! {
        findings = peers.check() => readiness::log(&findings),
        () = &mut end => return,
    }
    end.await;
}

async fn keep_refusals(hub: Arc<Hub>) {
    tokio::select! {
        never = hub.keep_refusals() => match never {},
        () = ended(hub.ending()) => {}
    }
}

/// Revokes the certificates that are replaced as soon as a device reports that it uses its newest certificate.
async fn revoke_replaced_certificates(hub: Arc<Hub>) {
    let (mut ending, mut revocations) = (pin!(ended(hub.ending())), JoinSet::new());
    loop {
        tokio::select! {
            reported = hub.skill.shadows.certificates_in_use() => {
                for (thing, certificate) in reported {
                    let hub = Arc::clone(&hub);
                    // A separate task: a wait for the lease of one thing does not delay other things.
                    revocations.spawn(async move { hub.certificate_in_use(&thing, &certificate).await });
                }
            }
            Some(_) = revocations.join_next() => {}
            () = &mut ending => return,
        }
    }
}

async fn sweeps(hub: Arc<Hub>) {
    let (mut hours, mut ending) = (interval(SWEEPS), pin!(ended(hub.ending())));
    hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = hours.tick() => hub.sweep().await,
            () = &mut ending => return,
        }
    }
}

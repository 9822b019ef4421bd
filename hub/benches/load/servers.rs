//! The servers, each in a process of its own: the hub, mosquitto, and a server with TLS only.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use onething_hub::authority::Authority;
use onething_hub::authority::server::{ServerIdentity, server_config};
use onething_hub::clock;
use rcgen::{CertificateParams, KeyPair};
use rustls::RootCertStore;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::Outcome;
use crate::client::PATIENCE;
use crate::owners::Population;

/// The clock ticks per second in which Linux counts CPU time (`sysconf(_SC_CLK_TCK)`).
const TICKS: f64 = 100.0;

/// A running server. The process is killed when this value is dropped.
pub(crate) struct Running {
    process: Process,
    /// The address for MQTT.
    pub(crate) mqtt: SocketAddr,
    /// The address for HTTP.
    pub(crate) http: SocketAddr,
    /// The trusted root certificates.
    pub(crate) roots: Arc<RootCertStore>,
}

impl Running {
    /// The anonymous resident memory of the process, in bytes (`RssAnon` in `proc_pid_status(5)`).
    pub(crate) fn memory(&self) -> Outcome<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("no RssAnon")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1_024.0)
    }

    /// The CPU time that the process has used (`proc_pid_stat(5)`).
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.0.id()))?;
        let fields = stat.rsplit(')').next().ok_or("no fields")?.split_whitespace().skip(11).take(2);
        let ticks = fields.map(str::parse::<f64>).sum::<Result<f64, _>>()?;
        Ok(Duration::from_secs_f64(ticks / TICKS))
    }
}

/// A child process, which is killed when this value is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // An earlier end of the process has already caused an error.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the hub with a prepared data folder.
pub(crate) async fn hub(data: &Path, people: &Population) -> Outcome<Running> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onething-hub"));
    command.args(["serve", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--data"]).arg(data);
    let (process, ready) = started(command).await?;
    let ready: Value = serde_json::from_str(&ready)?;
    let address = |name: &str| ready[name].as_str().unwrap_or_default().trim_start_matches("http://").parse::<SocketAddr>();
    Ok(Running { process, mqtt: address("mqtt")?, http: address("http")?, roots: people.roots()? })
}

/// Starts a server, and reads the first line of its output.
async fn started(mut command: Command) -> Outcome<(Process, String)> {
    let mut process = Process(command.stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null()).spawn()?);
    let out = process.0.stdout.take().ok_or("no output")?;
    let first = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).map(|_| line)
    });
    let line = timeout(PATIENCE, first).await.map_err(|_| "the server does not start")???;
    Ok((process, line))
}

/// Starts mosquitto for the same clients, with mutual TLS and access to the topics of each thing's own shadow.
pub(crate) async fn mosquitto(folder: &Path, people: &Population) -> Outcome<Running> {
    let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    let file = |name: &str, content: &str| std::fs::write(folder.join(name), content).map(|()| folder.join(name).display().to_string());
    let (ca, cert) = (file("devices.pem", &people.root_pem)?, file("server.pem", &certificate.pem())?);
    let key = file("server.key", &key.serialize_pem())?;
    let acl = file("acl", "pattern readwrite $aws/things/%u/shadow/#\npattern readwrite ring/#\n")?;
    let config = format!(
        "listener {port} 127.0.0.1\ncafile {ca}\ncertfile {cert}\nkeyfile {key}\nrequire_certificate true\n\
         use_identity_as_username true\nacl_file {acl}\nallow_anonymous false\npersistence false\n\
         set_tcp_nodelay true\nlog_dest none\nuser root\n"
    );
    let config = file("mosquitto.conf", &config)?;
    let mut command = Command::new("/usr/sbin/mosquitto");
    command.args(["-c", &config]).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
    let process = command.spawn().map(Process).map_err(|error| format!("mosquitto is needed, Debian's package: {error}"))?;
    let mqtt = SocketAddr::from(([127, 0, 0, 1], port));
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(mqtt).await.is_err() {
        if Instant::now() > until {
            return Err("mosquitto does not start".into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone())?;
    Ok(Running { process, mqtt, http: mqtt, roots: Arc::new(roots) })
}

/// Starts this program again, as a server with the TLS settings of the hub that does nothing else.
pub(crate) async fn bare(data: &Path, people: &Population) -> Outcome<Running> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--bare").arg(data);
    let (process, address) = started(command).await?;
    let mqtt = address.trim().parse()?;
    Ok(Running { process, mqtt, http: mqtt, roots: people.roots()? })
}

/// Runs the server with TLS only, which accepts connections and echoes every byte.
pub(crate) async fn serve_bare(data: &Path) -> Outcome<()> {
    let authority = Arc::new(Authority::open(&data.join("authority"), clock::now())?);
    let identity = ServerIdentity::new(authority, &[], clock::now)?;
    let acceptor = TlsAcceptor::from(Arc::new(server_config(Arc::new(identity))?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(mut stream) = Box::pin(acceptor.accept(socket)).await else { return };
            let mut byte = [0];
            while stream.read_exact(&mut byte).await.is_ok() && stream.write_all(&byte).await.is_ok() && stream.flush().await.is_ok() {}
        });
    }
}

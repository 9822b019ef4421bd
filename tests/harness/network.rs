//! A machine for a device with two network links to the machine of the test: Linux network namespaces (`man 7
//! network_namespaces`), which only root can create.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Process, command};
use super::within;

/// The address of the servers of the test over either link. On the device, `localhost` resolves to it, as their certificates
/// demand.
const SERVERS: &str = "10.77.0.1";
const SOON: Duration = Duration::from_secs(20);
const TOOLS: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A network link between the two machines.
#[derive(Clone, Copy, Debug)]
pub enum Link {
    Wifi,
    Cable,
}

impl Link {
    const ALL: [Link; 2] = [Link::Wifi, Link::Cable];

    fn name(self) -> &'static str {
        match self {
            Link::Wifi => "wifi",
            Link::Cable => "cable",
        }
    }

    /// The first three bytes of the addresses of the link, in dotted notation.
    fn net(self) -> String {
        format!("10.77.{}", self as u8 + 1)
    }
}

/// The machine of the device. It is removed when this value is dropped.
pub struct Network {
    _device: Process,
    number: String,
    _home: TempDir,
}

impl Network {
    /// Creates both links, unplugged. The test itself must run in its own network namespace: [`in_a_network_of_its_own`].
    pub async fn laid() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let hosts = home.path().join("hosts");
        std::fs::write(&hosts, format!("{SERVERS} localhost\n")).expect("a file in the temporary folder");
        let mut own = command("/usr/bin/unshare", home.path());
        own.env("PATH", TOOLS).args(["--net", "--mount", "sh", "-c"]);
        own.arg(r#"mount --bind "$0" /etc/hosts && echo "number $$." && exec sleep 3600"#).arg(&hosts);
        let device = Process::start(own);
        let said = device.writes(SOON, "the machine of the device starts", |said| said.contains('.')).await;
        let number = said.trim_start_matches("number ").trim_end_matches(".\n").to_owned();
        let network = Self { _device: device, number, _home: home };
        run("ip", &format!("addr add {SERVERS}/32 dev lo")).await;
        network.on_the_device("link set lo up").await;
        for wire in Link::ALL {
            let (name, net) = (wire.name(), wire.net());
            run("ip", &format!("link add {name} type veth peer name {name} netns {}", network.number)).await;
            run("ip", &format!("link set {name} up")).await;
            run("ip", &format!("addr add {net}.1/24 dev {name}")).await;
            network.on_the_device(&format!("addr add {net}.2/24 dev {name}")).await;
        }
        network
    }

    pub async fn plug(&self, wire: Link) {
        self.on_the_device(&format!("link set {} up", wire.name())).await;
        self.on_the_device(&format!("route replace default via {}.1", wire.net())).await;
    }

    pub async fn unplug(&self, wire: Link) {
        self.on_the_device(&format!("link set {} down", wire.name())).await;
    }

    /// The command that runs another program on the machine of the device.
    pub fn inside(&self) -> Vec<OsString> {
        let namespace = |kind| format!("--{kind}=/proc/{}/ns/{}", self.number, if kind == "mount" { "mnt" } else { kind });
        ["/usr/bin/nsenter".to_owned(), namespace("net"), namespace("mount"), "--".to_owned()].map(OsString::from).into()
    }

    async fn on_the_device(&self, words: &str) {
        run("nsenter", &format!("--net=/proc/{}/ns/net -- ip {words}", self.number)).await;
    }
}

async fn run(program: &str, words: &str) {
    let mut command = command(program, Path::new("/"));
    command.env("PATH", TOOLS).args(words.split(' '));
    let mut process = Process::start(command);
    let status = within(SOON, program, process.ended()).await;
    assert!(status.success(), "{program} {words} (networks need root):\n{}", process.output());
}

const INSIDE: &str = "ONETHING_NETWORK_OF_ITS_OWN";

/// Whether the test of this name already runs in its own network namespace. If not, runs the test there, with all that it starts.
pub async fn in_a_network_of_its_own(test: &str, limit: Duration) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut own = tokio::process::Command::new("/usr/bin/unshare");
    own.env(INSIDE, "yes").args(["--net", "sh", "-c", r#"PATH="$PATH:/usr/sbin:/sbin" ip link set lo up && exec "$0" "$@""#]);
    own.arg(std::env::current_exe().expect("the path of the test binary")).args([test, "--exact", "--nocapture"]);
    let mut process = Process::start(own);
    let status = within(limit, "the test ends", process.ended()).await;
    assert!(status.success() && process.output().contains("1 passed"), "in a network of its own:\n{}", process.output());
    false
}

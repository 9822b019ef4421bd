//! A benchmark of the hub under load, compared with mosquitto where both have the same function.
//!
//! ```text
//! cargo bench --profile hub -p onething-hub --bench load
//! cargo test -p onething-hub --bench load          a small run that checks the correctness only
//! ```
//!
//! The hub runs as its real binary in a process of its own, and so does mosquitto (Debian's package). All clients run in the
//! process of the benchmark, on the same cores. A command is `POST /echo` with an utterance, and is complete when the device,
//! which is connected by mutual TLS, has received the delta. If one command or message does not arrive, the benchmark fails.
//!
//! The cost of TLS alone is measured with a server that has the TLS settings of the hub and does nothing else.

mod client;
mod commands;
mod figures;
mod owners;
mod ring;
mod servers;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use onething::fault::chain;
use tokio::time::sleep;

use crate::client::{Device, Server, delta};
use crate::commands::Owners;
use crate::figures::{Table, Times, grouped};
use crate::owners::{Identity, Population};
use crate::servers::Running;

pub(crate) type Fault = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Outcome<T> = Result<T, Fault>;

/// The number of clients that connect concurrently, except in the connection storm.
const AT_A_TIME: usize = 64;
/// The largest memory for a device beyond TLS in the small run, in bytes. The few devices of that run share the fixed memory of
/// the process.
const MEMORY_LIMIT: f64 = 64.0 * 1_024.0;
/// The time until the memory of the TLS handshakes is released.
const SETTLE: Duration = Duration::from_secs(2);

/// Measures the hub under load.
#[derive(Parser)]
struct Arguments {
    /// A small run, without mosquitto: it shows that nothing is lost, and no figures to be quoted.
    #[arg(long)]
    quick: bool,
    /// How many devices are connected.
    #[arg(long, default_value_t = 5_000)]
    devices: usize,
    /// How long each measurement takes, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Where the data folder is made; on /dev/shm, the disk costs nothing.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Leaves mosquitto out.
    #[arg(long)]
    alone: bool,
    /// Given by `cargo bench`, without which this is a test.
    #[arg(long, hide = true)]
    bench: bool,
    /// Serves bare TLS for this program.
    #[arg(long, hide = true)]
    bare: Option<PathBuf>,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().map_err(Fault::from);
    match runtime.and_then(|runtime| runtime.block_on(run(Arguments::parse()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("load: {}", chain(fault.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Outcome<()> {
    if let Some(data) = &arguments.bare {
        rlimit::increase_nofile_limit(u64::MAX)?;
        return servers::serve_bare(data).await;
    }
    let quick = arguments.quick || !arguments.bench;
    let scale = if quick {
        Scale { devices: 200, storm: 100, ring: 20, time: Duration::from_secs(2), quick }
    } else {
        Scale { devices: arguments.devices, storm: 1_000, ring: 100, time: Duration::from_secs(arguments.seconds), quick }
    };
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    if files < u64::try_from(scale.devices + 2 * scale.storm + 1_000)? {
        return Err(format!("{files} open files are too few for so many devices: see `ulimit -Hn`").into());
    }
    let folder = arguments.data.map_or_else(tempfile::tempdir, tempfile::tempdir_in)?;
    eprintln!("preparing {} devices in {}", scale.devices, folder.path().display());
    let people = owners::prepare(folder.path(), scale.devices, scale.storm, scale.ring).await?;
    let mut table = Table::default();
    let bare = bare(folder.path(), &people).await?;
    let theirs = if quick || arguments.alone { None } else { Some(mosquitto(folder.path(), &people, &scale).await?) };
    hub(folder.path(), &people, &scale, bare, theirs.as_ref(), &mut table).await?;
    table.print();
    Ok(())
}

/// The size of a run.
struct Scale {
    devices: usize,
    storm: usize,
    ring: usize,
    time: Duration,
    quick: bool,
}

/// The results that are measured for both brokers.
struct Broker {
    per_second: f64,
    memory: f64,
    idle: f64,
    messages: f64,
    latency: Times,
    cpu: Duration,
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

fn server(running: &Running, reports: &Arc<AtomicBool>) -> Server {
    Server { address: running.mqtt, roots: Arc::clone(&running.roots), reports: Arc::clone(reports) }
}

/// The memory of a TLS connection on a server that does nothing else, in bytes.
async fn bare(data: &Path, people: &Population) -> Outcome<f64> {
    let running = servers::bare(data, people).await?;
    let server = server(&running, &Arc::default());
    let before = running.memory()?;
    let connecting = people.devices.iter().map(|identity| server.tls(identity));
    let streams: Vec<_> =
        futures_util::TryStreamExt::try_collect(futures_util::StreamExt::buffered(futures_util::stream::iter(connecting), AT_A_TIME))
            .await?;
    sleep(SETTLE).await;
    let each = (running.memory()? - before) / count(streams.len());
    drop(streams);
    drop(running);
    Ok(each)
}

/// Connects all devices; returns the devices, the connections per second, the memory of each in bytes, and the CPU share while
/// they are idle.
async fn connect(running: &Running, server: &Server, identities: &[Identity], scale: &Scale) -> Outcome<(Vec<Device>, f64, f64, f64)> {
    let (memory, begun) = (running.memory()?, Instant::now());
    let devices = server.fleet(identities, AT_A_TIME, |_, thing| delta(thing)).await?;
    let per_second = count(identities.len()) / begun.elapsed().as_secs_f64();
    sleep(SETTLE).await;
    let memory = (running.memory()? - memory) / count(identities.len());
    let before = running.cpu()?;
    sleep(scale.time / 2).await;
    let idle = (running.cpu()? - before).as_secs_f64() / (scale.time / 2).as_secs_f64();
    Ok((devices, per_second, memory, idle))
}

/// Plain messages: the highest rate, the latency at 1,000 messages a second, and the CPU time of a message.
async fn messages(running: &Running, server: &Server, identities: &[Identity], scale: &Scale) -> Outcome<(f64, Times, Duration)> {
    let ring = ring::connect(server, identities).await?;
    let (begun, before) = (Instant::now(), running.cpu()?);
    let all = ring::run(&ring, None, scale.time).await?;
    let (rate, cpu) = (count(all.count()) / begun.elapsed().as_secs_f64(), (running.cpu()? - before) / u32::try_from(all.count())?);
    let latency = ring::run(&ring, Some(1_000.0 / count(scale.ring)), scale.time).await?;
    Ok((rate, latency, cpu))
}

async fn mosquitto(folder: &Path, people: &Population, scale: &Scale) -> Outcome<Broker> {
    eprintln!("mosquitto");
    let running = servers::mosquitto(folder, people).await?;
    let server = server(&running, &Arc::default());
    let (devices, per_second, memory, idle) = connect(&running, &server, &people.devices, scale).await?;
    let (messages, latency, cpu) = messages(&running, &server, &people.ring, scale).await?;
    drop(devices);
    drop(running);
    Ok(Broker { per_second, memory, idle, messages, latency, cpu })
}

async fn hub(data: &Path, people: &Population, scale: &Scale, bare: f64, theirs: Option<&Broker>, table: &mut Table) -> Outcome<()> {
    eprintln!("hub");
    let (running, reports) = (servers::hub(data, people).await?, Arc::new(AtomicBool::new(false)));
    let server = server(&running, &reports);
    let (devices, per_second, memory, idle) = connect(&running, &server, &people.devices, scale).await?;
    let (kib, share) = (|bytes: f64| format!("{:.1} KiB", bytes / 1_024.0), |part: f64| format!("{:.1} %", part * 100.0));
    let of_theirs = |shown: &dyn Fn(&Broker) -> String| theirs.map(shown);
    table.row("devices connected, over mutual TLS", grouped(count(devices.len())), theirs.map(|_| grouped(count(devices.len()))));
    table.row("connections made a second", grouped(per_second), of_theirs(&|its| grouped(its.per_second)));
    table.row("memory of a connected device", kib(memory), of_theirs(&|its| kib(its.memory)));
    table.row("of it, TLS itself (rustls, bare)", kib(bare), None);
    table.row("of it, beyond TLS", kib(memory - bare), None);
    table.row("CPU while all are idle, of one core", share(idle), of_theirs(&|its| share(its.idle)));
    if scale.quick && memory - bare > MEMORY_LIMIT {
        return Err(format!("a device takes {} beyond TLS", kib(memory - bare)).into());
    }

    let owners = Owners::new(running.http, devices);
    // One command for every owner before the measurements, so that the hub knows all of them.
    owners.as_fast_as_possible(scale.devices, Instant::now() + Duration::from_secs(600)).await?;
    let (begun, before) = (Instant::now(), running.cpu()?);
    let all = owners.as_fast_as_possible(usize::MAX, begun + scale.time).await?;
    let most = count(all.count()) / begun.elapsed().as_secs_f64();
    let cpu = (running.cpu()? - before) / u32::try_from(all.count())?;
    table.row("commands a second, utterance to delta", grouped(most), None);
    table.row("CPU of a command", format!("{:.0} µs", cpu.as_secs_f64() * 1e6), None);
    let calm = owners.at_rate(most / 2.0, scale.time).await?;
    let times = |done: &[commands::Done]| Times::of(done.iter().map(|(_, time)| *time).collect());
    table.row("a command at half of that rate, p50 / p99", times(&calm).shown(), None);

    let storming = async {
        sleep(scale.time / 4).await;
        let begun = Instant::now();
        let storm = server.fleet(&people.storm, scale.storm, |_, thing| delta(thing)).await?;
        Ok::<_, Fault>((begun, begun.elapsed(), storm.len()))
    };
    let (done, (from, took, guests)) = tokio::try_join!(owners.at_rate(most / 2.0, scale.time), storming)?;
    let meanwhile: Vec<_> = done.into_iter().filter(|(due, _)| (from..from + took).contains(due)).collect();
    let storm = format!("the same while {} more connect at once ({:.1} s)", grouped(count(guests)), took.as_secs_f64());
    table.row(&storm, times(&meanwhile).shown(), None);

    reports.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    let all = owners.as_fast_as_possible(usize::MAX, begun + scale.time).await?;
    let answered = count(all.count()) / begun.elapsed().as_secs_f64();
    reports.store(false, Ordering::Relaxed);
    table.row("commands a second when devices report each", grouped(answered), None);

    let (rate, latency, cpu) = messages(&running, &server, &people.ring, scale).await?;
    table.row("plain messages a second, QoS 1", grouped(rate), of_theirs(&|its| grouped(its.messages)));
    let micros = |cpu: Duration| format!("{:.0} µs", cpu.as_secs_f64() * 1e6);
    table.row("CPU of a plain message", micros(cpu), of_theirs(&|its| micros(its.cpu)));
    table.row("a plain message at 1,000 a second, p50 / p99", latency.shown(), of_theirs(&|its| its.latency.shown()));
    Ok(())
}

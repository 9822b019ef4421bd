//! Kills the processes that an action has left behind in another process group or session. They are found by a variable in their
//! environment, which a process inherits from its parent (`proc_pid_environ(5)`).
//!
//! A process is not found where there is no `/proc`, where the process belongs to another user, or where it has replaced its
//! environment.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// The number of passes: a process that is found may have started another one in the meantime.
const ROUNDS: u32 = 3;

/// Kills every process that has the environment variable `name` with this value.
pub(super) fn kill(name: &str, value: &str) {
    let entry = format!("{name}={value}");
    for _ in 0..ROUNDS {
        let found: Vec<_> = all().filter(|pid| has(*pid, entry.as_bytes())).collect();
        if found.is_empty() {
            return;
        }
        for pid in found {
            // The process may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn all() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
}

fn has(pid: Pid, entry: &[u8]) -> bool {
    // The environment of a zombie, and of a process of another user, cannot be read.
    fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()))
        .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|found| found == entry))
}

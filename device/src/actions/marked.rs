//! Processes that an action has left behind in a group or a session of their own: found by a variable in their environment, which
//! they have from whoever started them (`proc_pid_environ(5)`).
//!
//! Where there is no `/proc`, or a process has another user or another environment, it is not found.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// Who is found may have started another one meanwhile.
const ROUNDS: u32 = 3;

/// Kills every process that has this variable with this value.
pub(super) fn kill(name: &str, value: &str) {
    let entry = format!("{name}={value}");
    for _ in 0..ROUNDS {
        let found: Vec<_> = all().filter(|pid| has(*pid, entry.as_bytes())).collect();
        if found.is_empty() {
            return;
        }
        for pid in found {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn all() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
}

fn has(pid: Pid, entry: &[u8]) -> bool {
    // Of a process that has ended and is not buried yet, and of another user's, there is nothing to be read.
    fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()))
        .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|found| found == entry))
}

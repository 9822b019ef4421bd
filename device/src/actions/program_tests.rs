//! Tests with real programs: their environment, their output, and that no process of theirs remains.

use std::future::pending;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tempfile::TempDir;

use super::*;

/// Long enough for a busy machine.
const AMPLE: Duration = Duration::from_secs(60);
/// The time limit for programs that are to be aborted.
const SHORT: Duration = Duration::from_secs(1);

fn script(folder: &TempDir, text: &str) -> String {
    let path = folder.path().join("action");
    install(&path, &format!("#!/bin/sh\n{text}\n"));
    path.to_str().unwrap().to_owned()
}

/// Installs a program. A separate process writes the file: a file that this process has open for writing could be inherited by a
/// program that another test starts, and then cannot be executed.
pub(crate) fn install(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    assert!(std::process::Command::new("install").args(["-m", "700"]).arg(&draft).arg(path).status().unwrap().success());
    std::fs::remove_file(draft).unwrap();
}

/// Runs a text as a shell script, with the folder as its first argument.
async fn shell(folder: &TempDir, text: &str, input: &str, limit: Duration) -> Result<String, String> {
    let args = ["-c", text, "sh", folder.path().to_str().unwrap()].map(str::to_owned);
    let printed = run("/bin/sh", &args, input, "Lamp-1", limit, pending()).await.map_err(|failed| failed.why)?;
    Ok(String::from_utf8(printed).unwrap())
}

/// Waits until a file contains a process id.
pub(crate) async fn number_in(path: PathBuf) -> u32 {
    let reading = async {
        loop {
            if let Some(number) = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()) {
                return number;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(AMPLE, reading).await.unwrap()
}

/// Waits until a process has ended and was reaped.
pub(crate) async fn gone(number: u32) {
    let waiting = async {
        while Path::new(&format!("/proc/{number}")).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(AMPLE, waiting).await.unwrap_or_else(|_| panic!("process {number} is still there"));
}

/// Waits until a process has ended. It may still be a zombie, because its new parent may reap it later.
async fn dead(number: u32) {
    let runs = || {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    };
    let waiting = async {
        while runs() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(AMPLE, waiting).await.unwrap_or_else(|_| panic!("process {number} still runs"));
}

#[tokio::test]
async fn the_input_is_read_and_the_output_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let input = r#"{"value":"$(touch x); rm -rf / `id` \"' | & \\n"}"#;
    assert_eq!(shell(&folder, "cat", input, AMPLE).await.unwrap(), input);
}

/// The agent may be killed at any time, which closes its end of the pipe.
#[tokio::test]
async fn a_program_has_all_of_its_input_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (mut program, input) = Running::start(&script(&folder, "cat"), &[], "all of it", "Lamp-1").unwrap();
    drop(input);
    let mut read = String::new();
    program.output().unwrap().read_to_string(&mut read).await.unwrap();
    assert_eq!(read, "all of it");
}

#[tokio::test]
async fn arguments_are_passed_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(&folder, "for argument; do printf '%s\\n' \"$argument\"; done");
    let args = ["$(touch x)", "; rm -rf /", "a b", "", "*", "~", "'\""].map(str::to_owned);
    let printed = run(&path, &args, "{}", "Lamp-1", AMPLE, pending()).await.unwrap();
    assert_eq!(String::from_utf8(printed).unwrap(), args.map(|argument| format!("{argument}\n")).concat());
}

#[tokio::test]
async fn only_a_few_variables_of_the_environment_are_passed_on() {
    let printed = run("/usr/bin/env", &[], "{}", "Lamp-1", AMPLE, pending()).await.unwrap();
    let text = String::from_utf8(printed).unwrap();
    let names: Vec<_> = text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| KEPT.contains(name) || ["ONETHING_THING", MARK].contains(name)), "{names:?}");
    assert!(text.lines().any(|line| line == "ONETHING_THING=Lamp-1") && text.lines().any(|line| line.starts_with("PATH=/")), "{text}");
    let left_out = std::env::vars().any(|(name, _)| !KEPT.contains(&name.as_str()));
    assert!(left_out, "the environment contains no other variable");
}

#[tokio::test]
async fn the_last_line_of_standard_error_is_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let text = "echo printed; echo warming >&2; printf '\\033[31mno\\tfilament\\n\\n' >&2; exit 3";
    assert_eq!(shell(&folder, text, "{}", AMPLE).await.unwrap_err(), "[31mno filament");
    assert_eq!(shell(&folder, "exit 3", "{}", AMPLE).await.unwrap_err(), "it ended with exit status: 3");
    let killed = shell(&folder, "kill -9 $$", "{}", AMPLE).await.unwrap_err();
    assert!(killed.starts_with("it ended with signal: 9"), "{killed}");
}

#[tokio::test]
async fn a_long_standard_error_is_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let text = "head -c 1000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo jammed >&2; exit 1";
    assert_eq!(shell(&folder, text, "{}", AMPLE).await.unwrap_err(), "jammed");
}

#[tokio::test]
async fn a_program_that_does_not_read_its_input_still_ends() {
    let folder = tempfile::tempdir().unwrap();
    let large = "x".repeat(1_000_000);
    assert_eq!(shell(&folder, "echo done", &large, AMPLE).await.unwrap(), "done\n");
    assert_eq!(shell(&folder, "exec 0<&-; echo done", &large, AMPLE).await.unwrap(), "done\n");
}

#[tokio::test]
async fn output_up_to_the_limit_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let all = format!("head -c {ANSWER_LIMIT} /dev/zero | tr '\\0' x");
    assert_eq!(shell(&folder, &all, "{}", AMPLE).await.unwrap().len(), ANSWER_LIMIT);
    let more = format!("head -c {} /dev/zero", ANSWER_LIMIT + 1);
    assert_eq!(shell(&folder, &more, "{}", AMPLE).await.unwrap_err(), "it printed more than 65536 bytes");
}

#[tokio::test]
async fn too_much_output_ends_the_program_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let text = "echo $$ > $1/leader; trap '' PIPE; while :; do echo flood; done";
    assert_eq!(shell(&folder, text, "{}", AMPLE).await.unwrap_err(), "it printed more than 65536 bytes");
    gone(number_in(folder.path().join("leader")).await).await;
}

#[tokio::test]
async fn the_time_limit_ends_grandchildren_too() {
    let folder = tempfile::tempdir().unwrap();
    let text = "echo $$ > $1/leader; (trap '' TERM HUP; sleep 1000 & echo $! > $1/grandchild; wait) & wait";
    assert_eq!(shell(&folder, text, "{}", SHORT).await.unwrap_err(), "it took longer than a second");
    gone(number_in(folder.path().join("leader")).await).await;
    dead(number_in(folder.path().join("grandchild")).await).await;
}

#[tokio::test]
async fn a_dropped_program_ends_with_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let text = "echo $$ > $1/leader; sleep 1000 & echo $! > $1/grandchild; wait";
    let (leader, grandchild) = {
        let running = shell(&folder, text, "{}", AMPLE);
        tokio::pin!(running);
        let numbers = async {
            let leader = number_in(folder.path().join("leader")).await;
            (leader, number_in(folder.path().join("grandchild")).await)
        };
        tokio::select! {
            ended = &mut running => panic!("it ended: {ended:?}"),
            numbers = numbers => numbers,
        }
    };
    dead(grandchild).await;
    gone(leader).await;
}

#[test]
fn the_end_of_the_agent_ends_a_running_program() {
    let folder = tempfile::tempdir().unwrap();
    let (leader, grandchild) = (folder.path().join("leader"), folder.path().join("grandchild"));
    let agent = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    agent.block_on(async {
        let text = "echo $$ > $1/leader; sleep 1000 & echo $! > $1/grandchild; wait".to_owned();
        let args = ["-c".to_owned(), text, "sh".to_owned(), folder.path().to_str().unwrap().to_owned()];
        tokio::spawn(async move { run("/bin/sh", &args, "{}", "Lamp-1", AMPLE, pending()).await });
        number_in(leader.clone()).await;
        number_in(grandchild.clone()).await;
    });
    drop(agent);
    let after = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    after.block_on(async {
        dead(number_in(leader).await).await;
        dead(number_in(grandchild).await).await;
    });
}

#[tokio::test]
async fn processes_left_behind_are_killed_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    for (kind, leave) in [
        ("with the pipes open", "sleep 1000 & echo $! > $1/left"),
        ("with the pipes closed", "sleep 1000 >/dev/null 2>&1 <&1 & echo $! > $1/left"),
        ("deaf to signals", "nohup sh -c 'trap \"\" TERM HUP INT; sleep 1000' >/dev/null 2>&1 & echo $! > $1/left"),
        ("in a session of its own", "setsid sh -c 'echo $$ > $0/left; sleep 1000' $1 >/dev/null 2>&1 & until [ -s $1/left ]; do :; done"),
    ] {
        for (end, outcome) in [("echo playing", Ok("playing\n".to_owned())), ("echo broken >&2; exit 1", Err("broken".to_owned()))] {
            let _ = std::fs::remove_file(folder.path().join("left"));
            assert_eq!(shell(&folder, &format!("{leave}; {end}"), "{}", AMPLE).await, outcome, "{kind}");
            dead(number_in(folder.path().join("left")).await).await;
        }
    }
    assert!(begun.elapsed() < AMPLE / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_program_that_cannot_be_run_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(&folder, "echo never");
    let told = async |path: &str| run(path, &[], "{}", "Lamp-1", AMPLE, pending()).await.unwrap_err().why;
    assert_eq!(told("/nowhere/print").await, "`/nowhere/print` is not there, or what interprets it is not");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(told(&path).await, format!("`{path}` may not be run"));
    assert_eq!(told(folder.path().to_str().unwrap()).await, format!("`{}` may not be run", folder.path().display()));
    install(Path::new(&path), "no program\n");
    let strange = told(&path).await;
    assert!(strange.starts_with(&format!("`{path}` could not be started: ")), "{strange}");
}

//! Do processes end as containers do: whole, in time, with an honest code and a bounded log?

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use tempfile::TempDir;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::*;

const LONG: Duration = Duration::from_secs(20);

struct Ran {
    code: Result<i32, Error>,
    log: String,
    folder: TempDir,
}

#[tokio::test]
async fn output_of_both_streams_is_kept_in_order() {
    let ran = shell("echo one; echo two >&2; echo three; exit 3", 1000).await;

    assert_eq!(ran.code.unwrap(), 3);
    assert_eq!(ran.log, "one\ntwo\nthree\n");
}

#[tokio::test]
async fn nothing_is_inherited_from_this_process() {
    let ran = shell("export -p", 10_000).await;

    assert_eq!(ran.code.unwrap(), 0);
    assert!(ran.log.contains("ONLY"), "{}", ran.log);
    assert!(!ran.log.contains("CARGO"), "{}", ran.log);
}

#[tokio::test]
async fn a_log_is_cut_at_its_limit_and_the_process_goes_on() {
    let ran = shell("head -c 1000000 /dev/zero | tr '\\0' x; touch done", 100).await;

    assert_eq!(ran.code.unwrap(), 0);
    assert!(ran.log.starts_with(&"x".repeat(100)), "{}", ran.log);
    assert!(ran.log.len() < 200, "{} bytes", ran.log.len());
    assert!(ran.folder.path().join("done").exists());
}

#[tokio::test]
async fn a_killed_process_is_told_by_its_code() {
    let ran = shell("kill -9 $$", 100).await;

    assert_eq!(ran.code.unwrap(), 137);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error_that_names_it() {
    let folder = TempDir::new().unwrap();
    let launch = Launch { program: "no-such-program".to_owned(), ..launch("", folder.path()) };
    let log = Log::create(&folder.path().join("log"), 100).unwrap();

    let error = run(&launch, (&log, None), LONG, &CancellationToken::new()).await.unwrap_err();

    assert!(error.to_string().contains("no-such-program"), "{error}");
}

#[tokio::test]
async fn what_a_process_leaves_behind_dies_with_it() {
    let ran = shell("sleep 1000 & echo $! > child; exit 0", 100).await;

    assert_eq!(ran.code.unwrap(), 0);
    gone(&pid(&ran.folder.path().join("child")).await).await;
}

#[tokio::test]
async fn a_halted_process_may_tidy_up() {
    let script = "trap 'touch tidy; exit 0' TERM; touch ready; while :; do sleep 0.05; done";

    let (code, folder) = halted(script, LONG).await;

    assert_eq!(code, 0);
    assert!(folder.path().join("tidy").exists());
}

#[tokio::test]
async fn a_halted_process_that_does_not_listen_is_killed_with_its_children() {
    let script =
        "trap '' TERM; sleep 1000 & echo $! > child; touch ready; while :; do sleep 0.05; done";

    let (code, folder) = halted(script, Duration::from_millis(100)).await;

    assert_eq!(code, 137);
    gone(&pid(&folder.path().join("child")).await).await;
}

#[tokio::test]
async fn a_dropped_run_kills_its_group() {
    let folder = TempDir::new().unwrap();
    let launch = launch("sleep 1000 & echo $! > child; wait", folder.path());
    let log = Log::create(&folder.path().join("log"), 100).unwrap();
    let halt = CancellationToken::new();
    let file = folder.path().join("child");

    let child = tokio::select! {
        ended = run(&launch, (&log, None), LONG, &halt) => panic!("it ended: {ended:?}"),
        child = pid(&file) => child,
    };

    gone(&child).await;
}

fn launch(script: &str, folder: &Path) -> Launch {
    Launch {
        program: "/bin/sh".to_owned(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        env: BTreeMap::from([
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("ONLY".to_owned(), "this".to_owned()),
        ]),
        directory: folder.to_owned(),
    }
}

async fn shell(script: &str, limit: u64) -> Ran {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("log");
    let log = Log::create(&path, limit).unwrap();
    let launch = launch(script, folder.path());
    let code =
        timeout(LONG, run(&launch, (&log, None), LONG, &CancellationToken::new())).await.unwrap();
    Ran { code, log: fs::read_to_string(path).unwrap(), folder }
}

async fn halted(script: &str, grace: Duration) -> (i32, TempDir) {
    let folder = TempDir::new().unwrap();
    let log = Log::create(&folder.path().join("log"), 100).unwrap();
    let launch = launch(script, folder.path());
    let halt = CancellationToken::new();
    let ready = folder.path().join("ready");
    let stop = async {
        until(|| ready.exists()).await;
        halt.cancel();
    };
    let (code, ()) = tokio::join!(run(&launch, (&log, None), grace, &halt), stop);
    (code.unwrap(), folder)
}

async fn pid(file: &Path) -> String {
    let read = || fs::read_to_string(file).ok().filter(|it| it.ends_with('\n'));
    until(|| read().is_some()).await;
    read().unwrap().trim().to_owned()
}

/// Waits until no process of that id runs; one that nobody has reaped yet does not.
async fn gone(pid: &str) {
    let runs = || {
        let output = std::process::Command::new("ps").args(["-o", "stat=", "-p", pid]).output();
        let state = String::from_utf8(output.unwrap().stdout).unwrap();
        !state.trim().is_empty() && !state.trim().starts_with('Z')
    };
    until(|| !runs()).await;
}

async fn until(mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < limit, "it did not come true in time");
        sleep(Duration::from_millis(10)).await;
    }
}

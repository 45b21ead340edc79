//! What does a person at a command line get? A run that is asked for, followed to its end.

use std::process::Stdio;

use clap::Parser as _;
use e2e::fleet::HOME;
use e2e::objects::APPS;
use e2e::real::{Site, World};
use e2e::{Cluster, Fleet, Work, secs, story, trigger};
use ger_api::status::RunPhase;
use ger_core::names::MemberId;
use git_events_runner::clock::Clock;
use git_events_runner::commands::{shards as table, trigger as commands};
use git_events_runner::config::{Flags, Settings};
use git_events_runner::shards::{self, listing};
use serde_json::json;
use tokio::process::Command;

use crate::real::{OURS, PROGRAM, apply_all, next, put};

/// What is typed behind `git-events-runner trigger`.
#[derive(Debug, clap::Parser)]
struct Typed {
    #[command(subcommand)]
    command: commands::Command,
}

/// Does what is typed, and gives the exit code and what was printed.
async fn typed(
    (cluster, clock): (&Cluster, &Clock),
    line: &str,
) -> (Result<u8, commands::Error>, String) {
    let words = std::iter::once("trigger").chain(line.split_whitespace()).chain(["-n", APPS]);
    let mut out = Vec::new();
    let code = match Typed::try_parse_from(words).unwrap().command {
        commands::Command::Run(run) => commands::run(&cluster.admin(), clock, &run, &mut out).await,
        commands::Command::List(list) => {
            commands::list(&cluster.admin(), &list, &mut out).await.map(|()| 0)
        }
    };
    (code, String::from_utf8(out).unwrap())
}

/// A clock that goes on from one command to the next.
fn clock() -> Clock {
    static BEGUN: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);
    let start = "2026-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap();
    let second = BEGUN.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    Clock::virtual_from(start + jiff::SignedDuration::from_secs(second))
}

/// Asked for with `--force`, it runs although nothing changed; the exit code is the Job's.
#[test]
fn who_asks_for_a_run_sees_it_to_its_end() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").every("1h").watching(&repo)).await;
        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;

        let (unchanged, of_unchanged) = typed((&hub, &clock()), "run deploy --wait").await;
        let (forced, of_forced) = typed((&hub, &clock()), "run deploy --wait --force").await;
        hub.work(Work::Fails(secs(1)));
        let (failed, of_failed) = typed((&hub, &clock()), "run deploy --wait --force").await;

        assert_eq!(unchanged.unwrap(), 0);
        assert!(of_unchanged.contains("of source app: Unchanged"), "{of_unchanged}");
        assert_eq!(forced.unwrap(), 0);
        let said = format!("of source app: Succeeded, commit {commit}");
        assert!(of_forced.contains(&said), "{of_forced}");
        assert_eq!(failed.unwrap(), 1);
        assert!(of_failed.contains("of source app: Failed"), "{of_failed}");
        assert_eq!(hub.jobs_for(&commit).await.len(), 3);
    });
}

/// A trigger that remembers no run that failed does not make it a success.
#[test]
fn a_run_that_failed_and_is_forgotten_has_failed() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let commit = repo.push();
        let forgetful = trigger("deploy").every("1h").remembering(0, 0).watching(&repo);
        hub.apply(&forgetful).await;
        hub.done_for(&commit, secs(60)).await;

        let (succeeded, of_good) = typed((&hub, &clock()), "run deploy --wait --force").await;
        hub.work(Work::Fails(secs(1)));
        let (failed, of_bad) = typed((&hub, &clock()), "run deploy --wait --force").await;

        assert!(of_good.contains("remembers no more of it"), "{of_good}");
        assert_eq!(succeeded.unwrap(), 0);
        assert!(of_bad.contains("remembers no more of it"), "{of_bad}");
        assert_eq!(failed.unwrap(), 1);
    });
}

/// One source of many is asked for alone.
#[test]
fn a_run_may_be_asked_for_of_one_source() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, app, lib) = (fleet.hub(), fleet.repo("app"), fleet.repo("lib"));
        let commits = [app.push(), lib.push()];
        let deploy = hub.apply(&trigger("deploy").every("1h").watching(&app).watching(&lib)).await;
        for commit in &commits {
            hub.until_run(&deploy, commit, RunPhase::Succeeded).await;
        }

        let (code, said) = typed((&hub, &clock()), "run deploy --source lib --force --wait").await;

        assert_eq!(code.unwrap(), 0);
        assert!(said.contains("source lib") && !said.contains("source app"), "{said}");
        assert_eq!(hub.jobs_for(&commits[0]).await.len(), 1);
        assert_eq!(hub.jobs_for(&commits[1]).await.len(), 2);
    });
}

/// What `shards` prints when it is asked at the time of the last renewal.
async fn printed(hub: &Cluster) -> String {
    let prefix = Settings::from_flags(Flags::default()).unwrap().lease_prefix;
    let wanted = shards::Settings::new(HOME, prefix, MemberId::new("reader"));
    let at = |it| listing::list(hub.admin(), &wanted, it);
    let ever = at(jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    let last = ever.members.values().filter_map(|it| it.renewed).max().unwrap();
    table::table(&at(last).await.unwrap(), last)
}

/// The members, the shards of each, the ages of their Leases, and what moved in the last hour.
#[test]
fn who_asks_for_the_shards_sees_who_holds_them_since_when_and_what_moved() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).shards(8).start().await;
        let hub = fleet.hub();
        let moves = |text: &str| -> usize {
            let last = text.lines().last().unwrap();
            last.strip_prefix("Moves in the last hour: ").unwrap().parse().unwrap()
        };
        let row = |text: &str, name: &str| -> Vec<String> {
            let mut rows = text.lines().filter(|it| it.starts_with(name));
            rows.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        let (first, second) = ("git-events-runner-replica-1", "git-events-runner-replica-2");
        let before = printed(&hub).await;
        let of_second = row(&before, second)[4].parse::<usize>().unwrap();

        fleet.kill("replica-2").await;
        let alone = async || (fleet.holdings()[0].1 == 8).then_some(());
        fleet.until(secs(20), "the other holds all shards", alone).await;
        fleet.pass(secs(60)).await;
        let after = printed(&hub).await;

        assert_eq!(row(&before, first)[1], "alive", "{before}");
        assert_eq!(row(&before, second)[1], "alive", "{before}");
        assert!(of_second > 0, "{before}");
        let [_, state, _, renewed, held, moved, ..] = &row(&after, second)[..] else {
            panic!("{after}")
        };
        assert_eq!((state.as_str(), held.as_str(), moved.as_str()), ("stale", "0", "0"), "{after}");
        assert!(renewed.trim_end_matches('s').parse::<u64>().unwrap() > 60, "{after}");
        let alive = row(&after, first);
        assert_eq!((alive[1].as_str(), alive[4].as_str()), ("alive", "8"), "{after}");
        let line = format!("  {first}: 0-7; renewed ");
        assert!(after.lines().any(|it| it.starts_with(&line) && it.ends_with(" ago")), "{after}");
        assert_eq!(moves(&after), moves(&before) + of_second, "{before}{after}");
    });
}

/// The list says what is to be mended.
#[test]
fn the_list_says_how_triggers_are_doing() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
        let lost = hub.apply(&trigger("lost").named("nothing").alone()).await;
        hub.until_condition(&lost, ("Ready", "False", "SourceMissing")).await;

        let (code, said) = typed((&hub, &clock()), "list").await;

        assert_eq!(code.unwrap(), 0);
        let line = |name: &str| said.lines().find(|it| it.contains(name)).unwrap().to_owned();
        assert!(line("deploy").ends_with("True"), "{said}");
        assert!(line("lost").contains("SourceMissing: "), "{said}");
    });
}

/// Runs the program itself, and gives its exit code and what it printed.
async fn run(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let command = Command::new(PROGRAM)
        .args(arguments)
        .env("KUBECONFIG", &site.kubeconfig)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(secs(90), command).await.expect("it ends in time").unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&printed).into_owned())
}

/// Who waits sees what the worker prints, line by line, and ends with the worker's code.
#[test]
fn the_worker_s_log_is_printed_and_its_exit_code_is_the_command_s() {
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let hub = world.site("hub").await;
        world.git.create_repo("app.git", &[("message.txt", "one")]).await.unwrap();
        apply_all(&hub, &world.git.url("app.git")).await;
        let mut program = world.run(&hub).await;
        program.ready().await;
        next(&mut world).await;
        let follow = ["trigger", "run", "app", "-n", APPS, "--force", "--wait", "--logs"];

        let (good, of_good) = run(&hub, &follow).await;
        let script = "echo first; sleep 1; cat message.txt; echo; exit 7";
        let job = json!({ "command": ["sh", "-c"], "args": [script] });
        put(&hub, OURS, "Action", "print", json!({ "spec": { "actionJob": job } })).await;
        let (bad, of_bad) = run(&hub, &follow).await;

        assert_eq!(good, Some(0), "{of_good}");
        assert!(of_good.lines().any(|it| it == "one"), "{of_good}");
        assert!(of_good.contains("of source app: Succeeded"), "{of_good}");
        assert_eq!(bad, Some(7), "{of_bad}");
        let at = |line: &str| of_bad.lines().position(|it| it == line);
        assert!(at("first").is_some() && at("first") < at("one"), "{of_bad}");
        assert!(of_bad.contains("of source app: Failed"), "{of_bad}");
    });
}

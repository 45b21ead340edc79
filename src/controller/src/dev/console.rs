//! What can a person do with the running world? Lines typed into the terminal.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::signal::unix::{SignalKind, signal};

use super::samples;
use super::screen::say;
use super::world::World;

const HELP: &str = "\
commands:
  status            replicas and their shards, clusters and their Jobs
  start             start one more replica
  stop NAME         stop a replica as SIGTERM does: its shards move at once
  kill NAME         stop a replica as a power failure does: its shards move when its Leases run out
  cut CLUSTER       cut a spoke off;  mend CLUSTER brings it back
  remove CLUSTER    delete a spoke's Secret;  add CLUSTER registers it again
  quit
";

/// What to try next.
pub(super) fn welcome(world: &World, folder: Option<&Path>) -> String {
    let mut text = String::from("\nRunning: a hub, two spokes, and these replicas: ");
    text.push_str(&world.replicas.keys().cloned().collect::<Vec<_>>().join(", "));
    text.push_str("\n\nlook with kubectl:\n");
    for site in &world.sites {
        let path = site.kubeconfig.display();
        let name = site.name;
        put(
            &mut text,
            format_args!("  {name:<7} kubectl --kubeconfig {path} get st,jobs,pods -A\n"),
        );
    }
    if folder.is_none() {
        let url = world.git.url(samples::REPOSITORY);
        let namespace = samples::NAMESPACE;
        let (file, trigger) = (samples::FILE, samples::REPOSITORY);
        let edge = world.site("edge-1").kubeconfig.display();
        let (hook, token) = (samples::HOOK, samples::TOKEN);
        let address = world.replicas.values().next().map(|it| it.webhooks.to_string());
        let address = address.unwrap_or_default();
        put(
            &mut text,
            format_args!(
                "\npush a change, and a Job runs in each cluster:\n  \
             git clone {url} /tmp/sample && cd /tmp/sample\n  \
             echo again >> {file} && git commit -am again && git push\n\
             \nrun by hand, changed or not:\n  \
             kubectl --kubeconfig {edge} -n {namespace} annotate st {trigger} --overwrite \\\n    \
             git-events-runner.rs/run-at=\"$(date +%s)\" git-events-runner.rs/force=true\n\
             \nrun by a webhook, on the hub and on a spoke:\n  \
             curl -X POST -H 'x-trigger-auth: {token}' http://{address}/{namespace}/{hook}/{trigger}\n  \
             curl -X POST -H 'x-trigger-auth: {token}' http://{address}/clusters/edge-2/{namespace}/{hook}/{trigger}\n"
            ),
        );
    } else {
        let (url, folder) = (world.git.url(""), world.repositories());
        put(
            &mut text,
            format_args!(
                "\nrepositories of your own: git init --bare below {} and watch {url}NAME\n",
                folder.display()
            ),
        );
    }
    text.push('\n');
    text.push_str(HELP);
    text
}

/// Adds to a text; a `String` takes everything.
fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    let _: std::fmt::Result = text.write_fmt(more);
}

/// Does what is typed, until `quit`, Ctrl-C or SIGTERM.
pub(super) async fn run(world: &mut World) -> anyhow::Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut is_open = true;
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    loop {
        tokio::select! {
            line = lines.next_line(), if is_open => match line.context("cannot read commands")? {
                Some(line) if line.trim() == "quit" => return Ok(()),
                Some(line) => say(&command(world, &line).await),
                // Nobody types: it goes on until it is told to end otherwise.
                None => is_open = false,
            },
            report = world.finished.recv() => {
                let Some(report) = report else { return Ok(()) };
                say(&finished(&report));
            }
            _ = terminated.recv() => return Ok(()),
            signal = tokio::signal::ctrl_c() => return signal.context("cannot listen for Ctrl-C"),
        }
    }
}

async fn command(world: &mut World, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_spoke = |it: &str| world.sites.iter().any(|site| site.name == it && it != "hub");
    match words.as_slice() {
        [] => String::new(),
        ["status"] => status(world),
        ["start"] => match world.start_replica() {
            Ok(name) => format!("{name} started\n"),
            Err(error) => format!("{error}\n"),
        },
        ["stop" | "kill", name] => match world.replicas.remove(*name) {
            Some(replica) if words[0] == "kill" => {
                replica.kill().await;
                format!("{name} killed\n")
            }
            Some(replica) => {
                replica.stop().await;
                format!("{name} stopped\n")
            }
            None => format!("there is no replica {name}\n"),
        },
        [verb @ ("cut" | "mend" | "remove" | "add"), name] if is_spoke(name) => {
            spoke(world, verb, name).await
        }
        _ => HELP.to_owned(),
    }
}

async fn spoke(world: &World, verb: &str, name: &str) -> String {
    let done = match verb {
        "cut" => {
            world.cut_off(name);
            Ok(())
        }
        "mend" => {
            world.mend(name);
            Ok(())
        }
        "remove" => world.unregister(name).await,
        _ => world.register(name).await,
    };
    match done {
        Ok(()) => format!("{verb} {name}: done\n"),
        Err(error) => format!("{verb} {name}: {error}\n"),
    }
}

fn status(world: &World) -> String {
    let mut text = String::new();
    for (name, replica) in &world.replicas {
        let (shards, webhooks) = (replica.shards(), replica.webhooks);
        put(
            &mut text,
            format_args!("{name:<12} {shards:>3} shards, webhooks: http://{webhooks}\n"),
        );
    }
    for site in &world.sites {
        let jobs = site.job_creations().len();
        put(&mut text, format_args!("{:<12} {jobs:>3} Jobs created\n", site.name));
    }
    text
}

fn finished(report: &super::executor::Finished) -> String {
    let (cluster, namespace, job) = (&report.cluster, &report.namespace, &report.job);
    let log = report.log.display();
    format!("{cluster}: Job {namespace}/{job} ended with {}; its log: {log}\n", report.exit_code)
}

//! What was typed, and what is printed? Flags and subcommands; the only place that prints.

mod logs;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use ger_core::names::MemberId;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::commands::{self, trigger};
use crate::config::{Flags, Runtime, Settings};
use crate::{clusters, replica, shards};

/// Everything that must be said was said before.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Turns Git changes into Kubernetes Jobs, in many clusters from one hub.
#[derive(Debug, Parser)]
#[command(name = "git-events-runner", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a replica of the controller against the hub of the kubeconfig, or of the Pod it runs in.
    Run(Box<Run>),
    /// Print the members of the fleet, their shards, the ages of their Leases and what moved lately.
    Shards(Box<Run>),
    /// Print the CustomResourceDefinitions, or write them as files.
    Crds {
        /// Write one file a kind into this folder instead.
        #[arg(long)]
        output: Option<PathBuf>,
    },
    /// Print the dynamic configuration's defaults: what a ConfigMap has under `runtimeConfig`.
    Config {
        /// With Helm's expressions where a chart's release knows better.
        #[arg(short = 't', long)]
        helm_template: bool,
    },
    /// Run a trigger now, or list how triggers are doing.
    Trigger {
        #[command(subcommand)]
        command: trigger::Command,
    },
    /// Add clusters to a hub, list them, rotate their tokens, and remove them.
    Cluster {
        #[command(subcommand)]
        command: commands::cluster::Command,
    },
    /// Print what a shell needs to complete this program's commands: `source <(git-events-runner completions bash)`.
    Completions { shell: clap_complete::Shell },
    /// Try it on a laptop: a hub, two spokes, three replicas, a Git server and an executor, in one process.
    #[cfg(feature = "dev")]
    Dev(crate::dev::Args),
    /// The cloner, for the executor of `dev`.
    #[cfg(feature = "dev")]
    #[command(hide = true, disable_help_flag = true)]
    Cloner {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Run {
    /// A YAML file with the flags' names as keys (underscores for dashes), and `action`.
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // A second installation is refused, and the first one is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// What `run` would be set to by these arguments, the environment and its file; or what is wrong with them.
pub fn settings(arguments: &[String]) -> anyhow::Result<Settings> {
    let name = std::iter::once("git-events-runner");
    let cli = Cli::try_parse_from(name.chain(arguments.iter().map(String::as_str)))?;
    match cli.command {
        Command::Run(run) => Ok(Settings::load(run.config.as_deref(), &run.flags)?),
        _ => anyhow::bail!("these are no arguments of `run`"),
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Run(arguments) => {
            let settings = Settings::load(arguments.config.as_deref(), &arguments.flags)?;
            logs::start(settings.json_logs);
            drive(Box::pin(run(settings)))??;
            Ok(ExitCode::SUCCESS)
        }
        Command::Config { helm_template } => {
            let text =
                if helm_template { Runtime::helm_template() } else { Runtime::default().to_yaml() };
            io::stdout().write_all(text.as_bytes()).context("cannot print")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Shards(arguments) => {
            let settings = Settings::load(arguments.config.as_deref(), &arguments.flags)?;
            let table = drive(Box::pin(shards(settings)))??;
            io::stdout().write_all(table.as_bytes()).context("cannot print")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Crds { output: None } => {
            let mut all = String::new();
            for (_, text) in ger_api::crd::files() {
                all.push_str("---\n");
                all.push_str(&text);
            }
            io::stdout().write_all(all.as_bytes()).context("cannot print")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Crds { output: Some(folder) } => {
            write_crds(&folder)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            io::stdout().write_all(&completions(shell)).context("cannot print")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Trigger { command } => drive(Box::pin(of_trigger(command)))?,
        Command::Cluster { command } => {
            drive(Box::pin(commands::cluster::run(&command, &print)))??;
            Ok(ExitCode::SUCCESS)
        }
        #[cfg(feature = "dev")]
        Command::Dev(arguments) => {
            if arguments.logs {
                logs::start(crate::config::LogFormat::Text);
            }
            drive(Box::pin(crate::dev::run(arguments)))?
        }
        #[cfg(feature = "dev")]
        Command::Cloner { arguments } => Ok(ExitCode::from(crate::dev::clone(arguments))),
    }
}

/// What is asked of triggers, said line by line.
async fn of_trigger(command: trigger::Command) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout();
    match command {
        trigger::Command::Run(run) => {
            let client = clusters::user_client(run.context.as_deref()).await?;
            let code = trigger::run(&client, &Clock::system(), &run, &mut out).await?;
            Ok(ExitCode::from(code))
        }
        trigger::Command::List(list) => {
            let client = clusters::user_client(list.context.as_deref()).await?;
            trigger::list(&client, &list, &mut out).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let (mut script, mut command) = (Vec::new(), Cli::command());
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}

/// A line for the person who waits; nobody is left to tell when stdout is closed.
fn print(line: &str) {
    drop(writeln!(io::stdout().lock(), "{line}"));
}

fn write_crds(folder: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot write into {}", folder.display());
    std::fs::create_dir_all(folder).with_context(cannot)?;
    for (name, text) in ger_api::crd::files() {
        std::fs::write(folder.join(name), text).with_context(cannot)?;
    }
    Ok(())
}

/// The production path: one replica, until a signal ends it.
async fn run(settings: Settings) -> anyhow::Result<()> {
    for flag in &settings.ignored {
        tracing::warn!(flag, "this flag does nothing here");
    }
    crate::webhooks::raise_file_limit();
    let namespace = settings.namespace.clone().unwrap_or_else(own_namespace);
    let clusters = replica::cluster_settings(&settings, &namespace);
    let hub = clusters::hub_clients(&clusters).await.context("cannot reach the hub")?;
    let utility = crate::utility::listen(settings.utility).await?;
    let webhooks = crate::webhooks::listen(settings.webhooks.listen).await?;
    let clock = Clock::system();
    let addresses = (webhooks.local_addr()?, utility.local_addr()?);
    tracing::info!(webhooks = %addresses.0, utility = %addresses.1, "listening");
    let parts = replica::Parts {
        member: MemberId::new(replica::member_name(&clock)),
        namespace,
        hub,
        connect: Arc::new(clusters::TlsConnect::new(&clusters)),
        remotes: Arc::new(ger_git::Client::new().context("cannot make an HTTP client")?),
        clock,
        utility: Some(utility),
        webhooks: Some(webhooks),
        pace: replica::Pace::default(),
        takeover: ger_core::claim::Takeover::Enabled,
        pod: replica::own_pod(),
        settings,
    };
    let stop = CancellationToken::new();
    let (_, running) = replica::start(parts, stop.clone())?;
    let mut running = std::pin::pin!(running);
    tokio::select! {
        ended = &mut running => return Ok(ended?),
        signal = terminated() => tracing::info!(signal = signal?, "stopping"),
    }
    stop.cancel();
    Ok(running.await?)
}

/// What the Leases of the hub say.
async fn shards(settings: Settings) -> anyhow::Result<String> {
    let namespace = settings.namespace.clone().unwrap_or_else(own_namespace);
    let clusters = replica::cluster_settings(&settings, &namespace);
    let hub = clusters::hub_clients(&clusters).await.context("cannot reach the hub")?;
    let now = Clock::system().now();
    let reader = MemberId::new("reader");
    let wanted = shards::Settings::new(namespace, settings.lease_prefix, reader);
    let listing = shards::listing::list(hub.requests, &wanted, now).await?;
    Ok(commands::shards::table(&listing, now))
}

/// The namespace of the Pod that this runs in; outside of one the kubeconfig's, else `default`.
fn own_namespace() -> String {
    let mounted = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    std::env::var("POD_NAMESPACE")
        .or_else(|_| std::fs::read_to_string(mounted))
        .ok()
        .map(|it| it.trim().to_owned())
        .filter(|it| !it.is_empty())
        .or_else(clusters::kubeconfig_namespace)
        .unwrap_or_else(|| "default".to_owned())
}

/// The name of the signal that asks us to stop, once it came.
async fn terminated() -> anyhow::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    // A terminal that is closed, and what some supervisors send.
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let mut quit = signal(SignalKind::quit()).context("cannot listen for signals")?;
    Ok(tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
        _ = hangup.recv() => "SIGHUP",
        _ = quit.recv() => "SIGQUIT",
    })
}

/// Does the work, and waits for no thread that is blocked when it is done: a tree that is being fetched
/// takes minutes, and what it leaves behind is removed by the next process.
fn drive<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start threads")?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_WAIT);
    Ok(done)
}

/// The error and what caused it, in one line each.
fn complain(error: &anyhow::Error) {
    let mut err = io::stderr().lock();
    // Nobody is left to tell when stderr is closed.
    drop(writeln!(err, "error: {error}"));
    for cause in error.chain().skip(1) {
        drop(writeln!(err, "  because: {cause}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two processes of one Pod are two members: both would hold what one was given.
    #[test]
    fn two_processes_of_one_pod_have_names_of_their_own() {
        let clock = Clock::system();
        let first = replica::member_name(&clock);
        std::thread::sleep(Duration::from_millis(2));

        assert_ne!(first, replica::member_name(&clock));
    }

    #[test]
    fn every_shell_can_complete_the_commands() {
        use clap::ValueEnum as _;
        for shell in clap_complete::Shell::value_variants() {
            let script = String::from_utf8(completions(*shell)).unwrap();
            for word in ["git-events-runner", "rotate", "webhooks-port"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }

    #[test]
    fn a_blocked_thread_does_not_hold_up_the_end() {
        let (_held, blocked) = std::sync::mpsc::channel::<()>();
        let begun = tokio::time::Instant::now();

        let done = drive(async {
            let (begins, begun) = tokio::sync::oneshot::channel();
            drop(tokio::task::spawn_blocking(move || {
                let _ = begins.send(());
                blocked.recv_timeout(Duration::from_secs(20))
            }));
            begun.await
        });

        assert!(matches!(done, Ok(Ok(()))));
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

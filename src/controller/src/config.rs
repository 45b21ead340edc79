//! What was configured? Defaults, then the file, then the environment, then the flags: later ones win.

mod action;
mod clusters;
mod collector;
mod pattern;
mod runtime;
mod webhooks;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use figment::Figment;
use figment::providers::{Env, Serialized};
use ger_core::names::ShardCount;
use serde::{Deserialize, Serialize};

use crate::metrics::Labelled;
use crate::traces;

pub use self::action::Action;
pub use self::clusters::{Clusters, Each, Form, Hub, Limits};
pub use self::pattern::Pattern;
pub use self::runtime::{InForce, Invalid, KEY as RUNTIME_KEY, Live, Runtime};
pub use self::webhooks::{Certificate, WebhookLimits, Webhooks};

/// Environment variables are the flags' names in capitals, dashes to underscores, behind this.
const ENVIRONMENT: &str = "GIT_EVENTS_RUNNER_";

/// What keeps the configuration from being used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the configuration file {path}")]
    Read { path: PathBuf, source: std::io::Error },

    #[error("the configuration file {path} is not valid YAML")]
    Parse { path: PathBuf, source: Box<serde_saphyr::Error> },

    #[error("the configuration does not fit together: {message}")]
    Merge { message: String },

    #[error("--shards is refused")]
    Shards { source: ger_core::names::Invalid },

    #[error("{flag} is refused")]
    Rate { flag: &'static str, source: ger_core::webhook::InvalidRate },

    #[error("--otlp-endpoint is refused")]
    Traces { source: traces::Invalid },

    #[error("{flag} is refused: {why}")]
    Webhooks { flag: &'static str, why: String },

    #[error(
        "--lease-renew {renew} s must be under half of --lease-duration {duration} s, so that one lost renewal is survived"
    )]
    Lease { renew: u64, duration: u64 },
}

/// What was typed, wherever: each field is a flag, a variable and a key of the file.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flags {
    /// The namespace of the controller on the hub: its Leases and the spokes' Secrets are there.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,

    /// Port of the webhook server.
    #[arg(short = 'w', long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks_port: Option<u16>,

    /// The address on which webhooks are served.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks_address: Option<IpAddr>,

    /// Port of probes and metrics.
    #[arg(short, long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utility_port: Option<u16>,

    /// The address on which probes and metrics are served.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utility_address: Option<IpAddr>,

    /// Webhook calls that are recorded at once in one cluster.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks_parallelism: Option<u8>,

    /// Checks of one cluster at once; all clusters together have four times as many.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_parallelism: Option<u8>,

    /// How long a Secret is kept, in seconds.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets_cache_time: Option<u64>,

    /// The ConfigMap of the controller's namespace with the dynamic configuration, under `runtimeConfig`.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_name: Option<String>,

    /// What the name of every metric begins with.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_prefix: Option<String>,

    /// Whether metrics are labelled by trigger: `false` for fleets of a hundred thousand.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_per_trigger: Option<bool>,

    /// What the name of every Lease begins with.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_prefix: Option<String>,

    /// How long a Lease lasts without renewal, in seconds.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_duration: Option<u64>,

    /// How often a Lease is renewed, in seconds.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_renew: Option<u64>,

    /// How many shards the ring has: 64 up to 4 replicas, 256 from 8.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<u16>,

    /// Logs as JSON, one object a line.
    #[arg(short, long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_logs: Option<bool>,

    /// The collector of traces, such as `http://collector:4317`: without one there are no traces.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,

    /// How the collector is spoken to, `grpc` or `http/protobuf`: if not said, the latter on port 4318.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_protocol: Option<String>,

    /// Accept spokes on loopback and link-local addresses: for development and tests.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_loopback_clusters: Option<bool>,

    /// Accept spokes whose kubeconfig turns certificate verification off.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure_kubeconfig_tls: Option<bool>,

    /// Limit of all webhook calls of a replica, `burst/seconds`.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks_rrl_global: Option<String>,

    /// Limit of one trigger's webhook calls, of those that it lets in.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks_rrl_trigger: Option<String>,

    /// Limit of one source's webhook calls, of those that its trigger lets in.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks_rrl_source: Option<String>,

    /// Limit of one caller's webhook calls, by its address.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks_rrl_caller: Option<String>,

    /// A file with the webhook server's certificate, and those that vouch for it.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert_path: Option<PathBuf>,

    /// A file with the webhook server's key.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key_path: Option<PathBuf>,

    /// The Secret with the webhook server's certificate and key.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_secret_name: Option<String>,

    /// The namespace of that Secret; the controller's when absent.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_secret_namespace: Option<String>,

    /// Whose `X-Forwarded-For` is believed: addresses and networks, with commas between them.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks_trusted_proxies: Option<String>,

    /// The longest body of a webhook, in bytes.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks_max_body: Option<u32>,

    /// Connections to the webhook server; for one more, the one that keeps us waiting for longest is closed.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks_max_connections: Option<u32>,

    /// How long the headers of a webhook may take, in seconds.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks_header_timeout: Option<u64>,

    /// How long the body of a webhook may take, in seconds.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks_body_timeout: Option<u64>,

    /// Of the original: there is no leader any more. Ignored.
    #[arg(long, hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader_lease_name: Option<String>,

    /// Of the original: there is no leader any more. Ignored.
    #[arg(long, hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader_lease_duration: Option<u64>,

    /// Of the original: there is no leader any more. Ignored.
    #[arg(long, hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader_lease_grace: Option<u64>,

    /// Of the original: checks clone nothing any more. Ignored.
    #[arg(long, hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_clone_folder: Option<String>,

    /// How Jobs look and how many run, where the ConfigMap does not say: only in the file.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,

    /// Which clusters are served, how much of each, and at what pace: only in the file.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<Clusters>,

    /// What holds for the hub alone: only in the file.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<Hub>,
}

/// What is meant: everything has a value, and the values fit together.
#[derive(Clone, Debug)]
pub struct Settings {
    pub namespace: Option<String>,
    pub utility: SocketAddr,
    pub schedule_parallelism: u8,
    pub secrets_cache_time: Duration,
    pub metrics_prefix: String,
    pub metrics_labelled: Labelled,
    pub lease_prefix: String,
    pub lease_duration: Duration,
    pub lease_renew: Duration,
    pub shards: ShardCount,
    pub json_logs: LogFormat,
    /// Where traces are told; off without.
    pub traces: Option<traces::Target>,
    pub loopback_clusters: Policy,
    pub insecure_kubeconfig_tls: Policy,
    /// The ConfigMap with the dynamic configuration.
    pub config_map: String,
    /// The dynamic configuration where the ConfigMap does not say.
    pub action: Action,
    pub webhooks: Webhooks,
    pub clusters: Clusters,
    pub hub: Hub,
    /// What was set and does nothing here, to be said once.
    pub ignored: Vec<&'static str>,
}

/// Whether something doubtful is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Allow,
    Refuse,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Settings {
    /// Merges the defaults, `file`, the environment and `flags`.
    pub fn load(file: Option<&Path>, flags: &Flags) -> Result<Self, Error> {
        let mut figment = Figment::from(Serialized::defaults(Flags::default()));
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| Error::Read { path: path.to_owned(), source })?;
            let read: figment::value::Dict = serde_saphyr::from_str(&text).map_err(|source| {
                Error::Parse { path: path.to_owned(), source: Box::new(source) }
            })?;
            figment = figment.merge(Serialized::defaults(read));
        }
        let mut merged: Flags = figment
            .merge(Env::prefixed(ENVIRONMENT).filter(|it| {
                let value = std::env::var(format!("{ENVIRONMENT}{}", it.as_str()).to_uppercase());
                is_flag(it.as_str()) && !is_link(it.as_str(), &value.unwrap_or_default())
            }))
            .merge(Serialized::defaults(flags))
            .extract()
            .map_err(|source| Error::Merge { message: source.to_string() })?;
        collector::as_others_say_it(&mut merged, |name| std::env::var(name).ok());
        Self::from_flags(merged)
    }

    /// What these flags mean, with nothing from file or environment.
    pub fn from_flags(flags: Flags) -> Result<Self, Error> {
        let shards = ShardCount::new(flags.shards.unwrap_or(64))
            .map_err(|source| Error::Shards { source })?;
        let duration = flags.lease_duration.unwrap_or(15).max(1);
        let renew = flags.lease_renew.unwrap_or(5).max(1);
        if renew * 2 >= duration {
            return Err(Error::Lease { renew, duration });
        }
        Ok(Self {
            ignored: ignored(&flags),
            webhooks: Webhooks::of(&flags)?,
            traces: collector::of(&flags)?,
            namespace: flags.namespace,
            utility: SocketAddr::new(
                flags.utility_address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                flags.utility_port.unwrap_or(3000),
            ),
            schedule_parallelism: flags.schedule_parallelism.unwrap_or(16).max(1),
            secrets_cache_time: Duration::from_secs(flags.secrets_cache_time.unwrap_or(60).max(1)),
            metrics_prefix: flags.metrics_prefix.unwrap_or_else(|| "git_events_runner".to_owned()),
            metrics_labelled: if flags.metrics_per_trigger == Some(false) {
                Labelled::Not
            } else {
                Labelled::ByTrigger
            },
            lease_prefix: flags.lease_prefix.unwrap_or_else(|| "git-events-runner".to_owned()),
            lease_duration: Duration::from_secs(duration),
            lease_renew: Duration::from_secs(renew),
            shards,
            json_logs: if flags.json_logs == Some(true) {
                LogFormat::Json
            } else {
                LogFormat::Text
            },
            loopback_clusters: policy(flags.allow_loopback_clusters),
            insecure_kubeconfig_tls: policy(flags.insecure_kubeconfig_tls),
            config_map: flags
                .config_map_name
                .unwrap_or_else(|| "git-events-runner-config".to_owned()),
            action: flags.action.unwrap_or_default(),
            clusters: flags.clusters.unwrap_or_default(),
            hub: flags.hub.unwrap_or_default(),
        })
    }
}

/// Kubernetes puts `GIT_EVENTS_RUNNER_SERVICE_HOST` and the like beside a Service of our name: what is
/// no flag of ours is somebody else's.
fn is_flag(name: &str) -> bool {
    let all = Flags::augment_args(clap::Command::new("flags"));
    all.get_arguments().any(|it| it.get_id().as_str().eq_ignore_ascii_case(name))
}

/// A Service whose name ends in one of our ports' is such a neighbour too: `GIT_EVENTS_RUNNER_UTILITY_PORT` is
/// then an address.
fn is_link(name: &str, value: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|it| value.starts_with(it));
    is_address && name.to_ascii_lowercase().ends_with("_port")
}

fn policy(allowed: Option<bool>) -> Policy {
    if allowed == Some(true) { Policy::Allow } else { Policy::Refuse }
}

fn ignored(flags: &Flags) -> Vec<&'static str> {
    let set = [
        ("--leader-lease-name", flags.leader_lease_name.is_some()),
        ("--leader-lease-duration", flags.leader_lease_duration.is_some()),
        ("--leader-lease-grace", flags.leader_lease_grace.is_some()),
        ("--source-clone-folder", flags.source_clone_folder.is_some()),
    ];
    set.into_iter().filter(|it| it.1).map(|it| it.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ones_win_and_the_rest_keeps_its_default() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        let text = "shards: 8\nutility_port: 3100\naction:\n  maxRunningJobs: 2\n";
        std::fs::write(&file, text).unwrap();

        let flags = Flags { utility_port: Some(3200), ..Flags::default() };
        let settings = Settings::load(Some(&file), &flags).unwrap();

        assert_eq!(settings.shards.get(), 8, "from the file");
        assert_eq!(settings.utility.port(), 3200, "the flag wins over the file");
        assert_eq!(settings.lease_duration, Duration::from_secs(15), "the default");
        assert_eq!(settings.action.max_running_jobs, 2);
        assert_eq!(settings.action.ttl_seconds_after_finished, 7200);
    }

    #[test]
    fn a_key_that_means_nothing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, "shard: 8\n").unwrap();

        let error = Settings::load(Some(&file), &Flags::default()).unwrap_err();

        assert!(error.to_string().contains("shard"), "{error}");
    }

    #[test]
    fn flags_of_the_original_are_accepted_and_said_to_do_nothing() {
        let flags = Flags { leader_lease_duration: Some(30), ..Flags::default() };
        let settings = Settings::load(None, &flags).unwrap();
        assert_eq!(settings.ignored, ["--leader-lease-duration"]);
    }

    #[test]
    fn what_kubernetes_says_of_a_service_of_our_name_is_not_for_us() {
        assert!(is_flag("shards") && is_flag("LEASE_RENEW"));
        assert!(!is_flag("service_host") && !is_flag("port_8080_tcp_addr"));
        assert!(is_link("utility_port", "tcp://10.96.0.7:3000"));
        assert!(is_link("WEBHOOKS_PORT", "udp://10.96.0.7:8080"));
        assert!(!is_link("utility_port", "3000"));
        assert!(!is_link("otlp_endpoint", "tcp://10.96.0.7:3000"));
    }

    #[test]
    fn a_renewal_that_may_not_be_lost_is_refused() {
        let flags = Flags { lease_renew: Some(8), ..Flags::default() };
        assert!(matches!(
            Settings::load(None, &flags),
            Err(Error::Lease { renew: 8, duration: 15 })
        ));
    }
}

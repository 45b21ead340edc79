//! How do replicas come and go in the embedded default? As tasks, each on clients of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ger_core::claim::Takeover;
use ger_core::names::MemberId;
use kube::Client;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Error, NAMESPACE, World, account};
use crate::clock::Clock;
use crate::clusters::{Clients, TlsConnect};
use crate::config::{Flags, Settings};
use crate::dev::breaks::{Breaking, Law, broken};
use crate::replica::{self, Pace, Parts};

/// A replica sees its clusters within this, on one machine.
const ANNOUNCE_AFTER: Duration = Duration::from_millis(500);
/// Shorter than in production, in seconds: nobody at a terminal wants to wait a quarter of a minute.
const LEASE: (u64, u64) = (6, 1);

/// A replica that runs.
#[derive(Debug)]
pub struct Running {
    pub handle: replica::Handle,
    pub member: MemberId,
    /// Where it answers webhooks.
    pub webhooks: SocketAddr,
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl Running {
    /// Stops it as SIGTERM does: it hands its shards over, and ends.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.task.join_next().await.is_some() {}
    }

    /// Stops it as a power failure does: nothing is released.
    pub async fn kill(mut self) {
        self.task.shutdown().await;
    }

    /// How many shards it holds.
    pub fn shards(&self) -> usize {
        self.handle.shards().snapshot().mine.len()
    }
}

impl World {
    /// Starts one more replica, and gives its name.
    pub fn start_replica(&mut self) -> Result<String, Error> {
        self.started += 1;
        let name = format!("replica-{}", self.started);
        let parts = self.parts(&name)?;
        let (member, stop) = (parts.member.clone(), CancellationToken::new());
        let webhooks = parts.webhooks.as_ref().and_then(|it| it.local_addr().ok());
        let webhooks = webhooks.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let (handle, running) =
            replica::start(parts, stop.clone()).map_err(|source| Error::Replica { source })?;
        let mut task = JoinSet::new();
        let name_of_task = name.clone();
        task.spawn(async move {
            if let Err(error) = running.await {
                let error = anyhow::Error::new(error);
                tracing::error!(replica = name_of_task, "the replica ended: {error:#}");
            }
        });
        self.replicas.insert(name.clone(), Running { handle, member, webhooks, stop, task });
        Ok(name)
    }

    fn parts(&self, name: &str) -> Result<Parts, Error> {
        let flags = Flags {
            allow_loopback_clusters: Some(true),
            lease_duration: Some(LEASE.0),
            lease_renew: Some(LEASE.1),
            ..Flags::default()
        };
        let settings = Settings::from_flags(flags).map_err(|source| Error::Settings { source })?;
        let hub = self.site("hub");
        let router = hub.sandbox.client_router_as(name, &account("hub").user(), &[]);
        let client = Client::new(router, NAMESPACE);
        let law = self.options.broken;
        let hub = Clients { requests: broken(client.clone(), law), watches: client };
        let tls = TlsConnect::new(&replica::cluster_settings(&settings, NAMESPACE));
        let remotes = ger_git::Client::new().map_err(|source| Error::Remotes { source })?;
        let takeover =
            if law == Some(Law::Takeover) { Takeover::Disabled } else { Takeover::Enabled };
        let clock = Clock::system();
        Ok(Parts {
            namespace: NAMESPACE.to_owned(),
            member: MemberId::new(format!("{name}-{}", replica::nonce(&clock))),
            hub,
            connect: Arc::new(Breaking::new(tls, law)),
            remotes: Arc::new(remotes),
            clock,
            utility: None,
            webhooks: Some(listen()?),
            pace: Pace { announce_after: ANNOUNCE_AFTER },
            takeover,
            pod: None,
            settings,
        })
    }
}

/// A port of this machine's own, for webhooks.
fn listen() -> Result<TcpListener, Error> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listener = listener.and_then(|it| {
        it.set_nonblocking(true)?;
        TcpListener::from_std(it)
    });
    listener.map_err(|source| Error::Listen { source })
}

//! How does a replica reach clusters that are in the same process? By the host of a server's URL.

use std::fmt;
use std::io;

use futures::future::{BoxFuture, ready};
use ger_core::names::ClusterName;
use git_events_runner::clusters::{Clients, Connect, Error, Target};
use kube::Client;

/// Leads to clusters by their names, with a client that a replica may call its own.
pub(crate) struct Routes<F> {
    find: F,
}

impl<F> fmt::Debug for Routes<F> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Routes").finish_non_exhaustive()
    }
}

impl<F: Fn(&str) -> Option<Client> + Send + Sync> Routes<F> {
    /// `find` gives a client of the cluster of a name, if there is one.
    pub(crate) fn new(find: F) -> Self {
        Self { find }
    }

    /// What a replica is given of a cluster.
    pub(crate) fn clients(&self, cluster: &str) -> Option<Clients> {
        let client = (self.find)(cluster)?;
        Some(Clients { requests: client.clone(), watches: client })
    }
}

impl<F: Fn(&str) -> Option<Client> + Send + Sync> Connect for Routes<F> {
    fn connect<'a>(
        &'a self,
        _: &'a ClusterName,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Clients, Error>> {
        let host = target.server().trim_start_matches("https://").trim_end_matches('/');
        let clients = self.clients(host).ok_or_else(|| Error::Resolve {
            source: io::Error::other("there is no cluster of that name"),
        });
        Box::pin(ready(clients))
    }
}

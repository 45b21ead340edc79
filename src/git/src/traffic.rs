//! How much is said to whom? Counters by host, for metrics to read.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Hosts are named by tenants: past this many, the rest are counted together.
const MOST_HOSTS: usize = 1024;
const THE_REST: &str = "other";

/// What was exchanged with one host since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exchanged {
    /// Requests sent.
    pub requests: u64,
    /// Connections opened, all handshakes done.
    pub connections: u64,
    /// Bytes of requests' bodies, and all that went out over streams.
    pub sent: u64,
    /// Bytes of answers, as far as they were read.
    pub received: u64,
}

/// The counters, shared by all clones.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    hosts: Arc<Mutex<BTreeMap<String, Exchanged>>>,
}

impl Traffic {
    /// The counters now.
    pub fn by_host(&self) -> BTreeMap<String, Exchanged> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn asked(&self, host: &str, bytes: usize) {
        self.count(host, |it| {
            it.requests = it.requests.saturating_add(1);
            it.sent = it.sent.saturating_add(bytes as u64);
        });
    }

    pub(crate) fn connected(&self, host: &str) {
        self.count(host, |it| it.connections = it.connections.saturating_add(1));
    }

    pub(crate) fn sent(&self, host: &str, bytes: usize) {
        self.count(host, |it| it.sent = it.sent.saturating_add(bytes as u64));
    }

    pub(crate) fn received(&self, host: &str, bytes: usize) {
        self.count(host, |it| it.received = it.received.saturating_add(bytes as u64));
    }

    fn count(&self, host: &str, add: impl FnOnce(&mut Exchanged)) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = hosts.get_mut(host) {
            return add(counters);
        }
        let name = if hosts.len() < MOST_HOSTS { host } else { THE_REST };
        add(hosts.entry(name.to_owned()).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_without_number_take_bounded_memory() {
        let traffic = Traffic::default();

        for n in 0..3000 {
            traffic.asked(&format!("host-{n}"), 10);
        }
        traffic.received("host-0", 7);
        traffic.connected("host-0");
        traffic.sent("host-0", 3);

        let by_host = traffic.by_host();
        assert_eq!(by_host.len(), MOST_HOSTS + 1);
        assert_eq!(
            by_host["host-0"],
            Exchanged { requests: 1, connections: 1, sent: 13, received: 7 }
        );
        assert_eq!(by_host[THE_REST].requests, 3000 - MOST_HOSTS as u64);
    }
}

//! Which host is counted under its own name? The first thousand: hosts are named by tenants.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// As many as have counters of their own in `ger_git::Traffic`.
const MOST: usize = 1024;
const THE_REST: &str = "other";

/// The hosts with series of their own.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    known: Mutex<BTreeSet<String>>,
}

impl Hosts {
    /// The value of a metric's label.
    pub(super) fn label<'a>(&self, host: &'a str) -> &'a str {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(host) {
            return host;
        }
        if known.len() >= MOST {
            return THE_REST;
        }
        known.insert(host.to_owned());
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_without_number_make_bounded_series() {
        let hosts = Hosts::default();
        let labels: BTreeSet<String> =
            (0..5000).map(|n| hosts.label(&format!("host-{n}")).to_owned()).collect();

        assert_eq!(labels.len(), MOST + 1);
        assert_eq!((hosts.label("host-7"), hosts.label("host-4999")), ("host-7", THE_REST));
    }
}

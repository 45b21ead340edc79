//! Who may stay connected when all places are taken? Not who has kept us waiting for longest, with its next
//! request or with the body of this one: those who hold connections without using them keep nobody else out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

use super::pulse::Pulse;
use super::seldom::Seldom;
use crate::metrics::Metrics;

/// Who goes at once when no file can be opened any more: others need some too.
const TOGETHER: usize = 16;

/// The connections that are open.
#[derive(Debug)]
pub(super) struct Open {
    all: Mutex<HashMap<u64, (AbortHandle, Arc<Pulse>)>>,
    metrics: Metrics,
    said: Seldom<Why>,
}

/// Why a connection was ended, or not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Why {
    /// Another needed its place.
    GaveWay,
    /// Nobody could give way: all are being answered.
    AllBusy,
    /// No file could be opened.
    NoFiles,
}

impl Why {
    fn label(self) -> &'static str {
        match self {
            Self::GaveWay => "gave_way",
            Self::AllBusy => "all_busy",
            Self::NoFiles => "no_files",
        }
    }
}

impl Open {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { all: Mutex::default(), metrics, said: Seldom::default() }
    }

    /// Makes room for one more, if anybody can give way.
    pub(super) fn make_room(&self, most: usize) -> bool {
        let ended = {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() < most {
                return true;
            }
            end_one(&mut all)
        };
        self.dropped(if ended { Why::GaveWay } else { Why::AllBusy }, 1);
        ended
    }

    /// A connection could not be accepted, since too many files are open.
    pub(super) fn spare_files(&self) {
        let ended = {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            (0..TOGETHER).take_while(|_| end_one(&mut all)).count()
        };
        self.dropped(Why::NoFiles, ended);
    }

    fn dropped(&self, why: Why, count: usize) {
        let counter = self.metrics.webhooks.dropped.with_label_values(&[why.label()]);
        counter.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        let Some(times) = self.said.happened(why) else { return };
        match why {
            Why::GaveWay => {
                tracing::info!(times, "webhook connections that were not used gave way to others");
            }
            Why::AllBusy => {
                tracing::warn!(times, "webhook connections are closed: all places are taken");
            }
            Why::NoFiles => {
                tracing::warn!(times, "webhook connections give way: too many files are open");
            }
        }
    }

    pub(super) fn add(&self, id: u64, task: AbortHandle, pulse: Arc<Pulse>) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id, (task, pulse));
        self.metrics.webhooks.connections.set(gauge(all.len()));
    }

    pub(super) fn remove(&self, id: u64) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&id);
        self.metrics.webhooks.connections.set(gauge(all.len()));
    }
}

/// Ends who has kept us waiting for longest; false if nobody does.
fn end_one(all: &mut HashMap<u64, (AbortHandle, Arc<Pulse>)>) -> bool {
    let waiting = all.iter().filter_map(|(id, (_, pulse))| Some((pulse.waits_since()?, *id)));
    let Some((_, id)) = waiting.min() else { return false };
    if let Some((task, _)) = all.remove(&id) {
        task.abort();
    }
    true
}

fn gauge(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

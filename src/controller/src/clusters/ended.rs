//! How did a Job that is gone end? A TTL of seconds may take it away before its trigger has looked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use ger_core::ledger::JobSighting;

/// Far more than a cluster finishes between the moment its Jobs go and the next turn of a trigger.
const MOST: usize = 4096;

/// The last that was seen of Jobs which had finished. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    by_uid: BTreeMap<String, JobSighting>,
    oldest_first: VecDeque<String>,
}

impl Ended {
    /// How the Job of this uid ended, if it was seen to end and then to go.
    pub fn find(&self, uid: &str) -> Option<JobSighting> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).by_uid.get(uid).cloned()
    }

    /// Keeps how a Job ended, or that it was removed before; of any other nothing is known.
    pub(super) fn note(&self, uid: &str, sighting: &JobSighting) {
        match sighting {
            JobSighting::Succeeded { .. } | JobSighting::Failed { .. } | JobSighting::Removed => {}
            JobSighting::Suspended | JobSighting::Running { .. } | JobSighting::Gone => return,
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.by_uid.insert(uid.to_owned(), sighting.clone()).is_some() {
            return;
        }
        seen.oldest_first.push_back(uid.to_owned());
        if seen.oldest_first.len() > MOST
            && let Some(oldest) = seen.oldest_first.pop_front()
        {
            seen.by_uid.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: JobSighting = JobSighting::Succeeded { at: None };

    #[test]
    fn only_what_ended_is_kept() {
        let ended = Ended::default();

        ended.note("done", &DONE);
        ended.note("removed", &JobSighting::Removed);
        ended.note("running", &JobSighting::Running { started: None });

        assert_eq!(ended.find("done"), Some(DONE));
        assert_eq!(ended.find("removed"), Some(JobSighting::Removed));
        assert_eq!(ended.find("running"), None);
    }

    #[test]
    fn jobs_without_number_take_bounded_memory() {
        let ended = Ended::default();

        for n in 0..MOST + 10 {
            ended.note(&n.to_string(), &DONE);
        }

        assert_eq!(ended.find("9"), None);
        assert_eq!(ended.find("10"), Some(DONE));
        assert_eq!(ended.seen.lock().unwrap().by_uid.len(), MOST);
    }
}

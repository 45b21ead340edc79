//! Which trace is a run's? Told from its id alone, so that whichever replica goes on with the run goes on
//! with its trace, and what two replicas tell of the same step is told once.

use std::fmt;

use crate::ledger::id;

/// The annotation on a Job that leads to its run's trace.
pub const TRACE_ID: &str = "git-events-runner.rs/trace-id";

/// What all steps of one run share, as W3C writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(pub [u8; 16]);

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(pub [u8; 8]);

/// The steps of a run. The first is what all others came of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A timer, a call or an annotation became a run.
    Firing,
    /// The remote was asked.
    Check,
    /// The run, with its commit, came into the ledger.
    Record,
    /// Its Job was made.
    Create,
    /// The Job waited for a place, and was started.
    Admission,
    /// The Job worked, to its end.
    Job,
    /// The run ended without one that worked.
    End,
}

impl Step {
    /// What the span is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Check => "check",
            Self::Record => "record",
            Self::Create => "create job",
            Self::Admission => "admission",
            Self::Job => "job",
            Self::End => "end",
        }
    }
}

/// The trace of a run.
pub fn of_run(run_id: &str) -> Id {
    Id(head(&id::digest(&["trace", run_id])))
}

/// A step in it.
pub fn span_of(run_id: &str, step: Step) -> SpanId {
    SpanId(head(&id::digest(&["span", run_id, step.as_str()])))
}

/// The first bytes, of which not all are zero: that would be no id.
fn head<const N: usize>(digest: &[u8; 32]) -> [u8; N] {
    let mut id = [0; N];
    id.copy_from_slice(&digest[..N]);
    if id.iter().all(|it| *it == 0) {
        id[N - 1] = 1;
    }
    id
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|it| write!(f, "{it:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replicas of two releases go on with each other's runs.
    #[test]
    fn a_run_keeps_its_trace_in_every_release() {
        let run = "ffa74afq7run26ev";

        assert_eq!(of_run(run).to_string(), "bba2171ee39042c87d3b783504c7f01f");
        assert_eq!(of_run(run), of_run(run));
        assert_ne!(of_run(run), of_run("wmnxmivmougwcxze"));
    }

    #[test]
    fn each_step_has_an_id_of_its_own() {
        let steps = [
            Step::Firing,
            Step::Check,
            Step::Record,
            Step::Create,
            Step::Admission,
            Step::Job,
            Step::End,
        ];

        for (at, step) in steps.iter().enumerate() {
            for other in &steps[at + 1..] {
                assert_ne!(span_of("run", *step), span_of("run", *other));
            }
        }
    }

    #[test]
    fn no_id_is_all_zero() {
        assert_eq!(head::<8>(&[0; 32]), [0, 0, 0, 0, 0, 0, 0, 1]);
    }
}

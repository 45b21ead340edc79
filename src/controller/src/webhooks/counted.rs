//! What is counted of a call? By the trigger's name only where there is such a trigger: paths are
//! strangers' texts, and there are more of them than memory.

use std::time::Duration;

use ger_core::webhook::Target;

use crate::metrics::Metrics;

/// What a call was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Trigger,
    Nothing,
}

/// Counts an answer.
pub(super) fn count(metrics: &Metrics, target: &Target, of: Of, answered: (u16, Duration)) {
    let key = match of {
        Of::Trigger => Some(&target.trigger),
        Of::Nothing => None,
    };
    metrics.webhooks.answered(key, answered);
}

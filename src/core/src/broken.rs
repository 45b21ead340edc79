//! What if a law did not hold? Switches for the simulation, which must notice that one is off. Without the
//! feature `mutants`, as it is in what is shipped, every law holds when this is compiled.

/// A law of the decisions that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// A run's id follows from its place in the sequence.
    Sequence,
    /// A run that is found `Pending` gets its Job, whoever recorded it.
    Recovery,
    /// Nothing starts but the Job whose uid the ledger holds as `Queued`.
    Gate,
    /// An answer counts only against the record that was known when it was asked for.
    Basis,
    /// A Lease ages only while the watch is live.
    LiveWatch,
    /// The keys of a cluster that the holder of their shard cannot reach are worked by another.
    Reach,
}

#[cfg(feature = "mutants")]
mod switch {
    use std::cell::Cell;

    use super::Law;

    thread_local! {
        static OFF: Cell<Option<Law>> = const { Cell::new(None) };
    }

    /// Switches one law off on this thread, or puts them all in force.
    pub fn switch_off(law: Option<Law>) {
        OFF.set(law);
    }

    /// Whether the law is off on this thread.
    pub fn is_off(law: Law) -> bool {
        OFF.get() == Some(law)
    }
}

#[cfg(feature = "mutants")]
pub use switch::{is_off, switch_off};

/// Whether the law is off: never.
#[cfg(not(feature = "mutants"))]
pub const fn is_off(_: Law) -> bool {
    false
}

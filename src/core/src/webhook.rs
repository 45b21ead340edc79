//! What does a call of a trigger's URL say, who makes it, and does it concern the trigger?
//!
//! ```text
//! path → Target      headers → Presented → Verifier ◀─ the body's bytes, before anybody parses them
//!                    headers + body → Delivery → concerns (events, reference) → a run, or not
//! ```
//!
//! Everything here reads what strangers send. Nothing of it is believed but "look now".

#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects)
)]

mod concern;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod headers;
mod limit;
mod path;
mod payload;
mod signature;

pub use concern::{Concern, concerns};
pub use headers::{Headers, One};
pub use limit::{InvalidRate, Rate};
pub use path::Target;
pub use payload::{Delivery, Forge, Malformed, RefChange, RefName, read};
pub use signature::{Presented, Refused, Verifier, candidates};

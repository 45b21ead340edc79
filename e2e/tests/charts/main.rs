//! Are the charts what they say? Rendered, installed, changed and removed by real helm.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod alerts;
mod cases;
mod cluster;
mod documented;
#[cfg(feature = "product")]
mod product;
mod programs;
mod releases;
mod rendered;

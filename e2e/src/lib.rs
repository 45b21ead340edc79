//! The harness of the stories: whole fleets in one process, and what goes wrong for them.
//!
//! ```text
//! story! (ground) ▶ Fleet: replicas ─ gate ─▶ sandboxes ◀─ kubelets, Cluster (what is seen)
//!                          └─────────▶ remotes in memory ◀─ Repo (pushes, failures)
//! ```

#![expect(clippy::panic, reason = "what a story expected and did not see ends it")]

#[cfg(feature = "product")]
pub mod calls;
#[cfg(feature = "product")]
pub mod cluster;
pub mod control_plane;
#[cfg(feature = "product")]
pub mod fleet;
#[cfg(feature = "product")]
pub mod gate;
#[cfg(feature = "product")]
pub mod ground;
#[cfg(feature = "product")]
pub mod installed;
#[cfg(feature = "product")]
pub mod kubelet;
pub mod measure;
#[cfg(feature = "product")]
pub mod objects;
#[cfg(feature = "product")]
mod reach;
#[cfg(feature = "product")]
pub mod real;
#[cfg(feature = "product")]
pub mod remotes;
#[cfg(feature = "product")]
pub mod rights;
#[cfg(feature = "product")]
pub mod scale;
#[cfg(feature = "product")]
pub mod scene;
#[cfg(feature = "product")]
pub mod simulation;
pub mod wait;

#[cfg(feature = "product")]
pub use calls::{Call, Told, post};
#[cfg(feature = "product")]
pub use cluster::Cluster;
#[cfg(feature = "product")]
pub use fleet::Fleet;
#[cfg(feature = "product")]
pub use gate::Step;
#[cfg(feature = "product")]
pub use kubelet::Work;
#[cfg(feature = "product")]
pub use objects::{action, git_repo, hook, trigger};
#[cfg(feature = "product")]
pub use remotes::{Failure, HostKeyOf, Repo};
pub use wait::{hours, mins, secs};

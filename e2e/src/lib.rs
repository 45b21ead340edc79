//! The harness of the stories: whole fleets in one process, and what goes wrong for them.
//!
//! ```text
//! story! (ground) ▶ Fleet: replicas ─ gate ─▶ sandboxes ◀─ kubelets, Cluster (what is seen)
//!                          └─────────▶ remotes in memory ◀─ Repo (pushes, failures)
//! ```

#![expect(clippy::panic, reason = "what a story expected and did not see ends it")]

pub mod cluster;
pub mod control_plane;
pub mod fleet;
pub mod gate;
pub mod ground;
pub mod kubelet;
pub mod objects;
pub mod real;
pub mod remotes;
pub mod scene;
pub mod wait;

pub use cluster::Cluster;
pub use fleet::Fleet;
pub use gate::Step;
pub use kubelet::Work;
pub use objects::{action, git_repo, trigger};
pub use remotes::{Failure, HostKeyOf, Repo};
pub use wait::{hours, mins, secs};

//! Is what is shipped what it says? Images from packages, scripts, configurations of kind, workflows, pages.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod docs;
mod images;
mod kind;
mod reference;
mod releases;
mod rootfs;
mod scripts;
mod tools;
mod tried;
mod workflows;

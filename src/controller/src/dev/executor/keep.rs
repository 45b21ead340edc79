//! Is it on the disk that a container starts? Before its process does, where the cluster is kept: then
//! none runs twice, whenever the power fails.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use kube_sandbox::Sandbox;
use tokio::sync::Mutex;

use super::write;

/// A cluster, and the folder in which it outlives its process. Clones are the same.
#[derive(Clone)]
pub struct Keep {
    shared: Arc<Shared>,
}

struct Shared {
    sandbox: Sandbox,
    folder: PathBuf,
    /// How many have asked for it to be saved.
    asked: AtomicU64,
    /// How many of those are served.
    served: Mutex<u64>,
}

impl fmt::Debug for Keep {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Keep").field("folder", &self.shared.folder).finish_non_exhaustive()
    }
}

impl Keep {
    /// Keeps the cluster in the folder, when it is asked to.
    pub fn new(sandbox: Sandbox, folder: impl Into<PathBuf>) -> Self {
        let (asked, served) = (AtomicU64::new(0), Mutex::new(0));
        Self { shared: Arc::new(Shared { sandbox, folder: folder.into(), asked, served }) }
    }

    /// Returns when what the cluster holds now is on the disk. One save serves all who asked before it
    /// began.
    pub async fn save(&self) -> Result<(), kube_sandbox::Error> {
        let shared = &self.shared;
        let ticket = shared.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut served = shared.served.lock().await;
        if *served >= ticket {
            return Ok(());
        }
        let serves = shared.asked.load(Ordering::SeqCst);
        let (sandbox, folder) = (shared.sandbox.clone(), shared.folder.clone());
        let saving = tokio::task::spawn_blocking(move || sandbox.save(folder));
        if let Ok(saved) = saving.await {
            saved?;
            *served = serves;
        }
        Ok(())
    }

    /// The same for a container that is about to start: why it must not.
    pub(super) async fn secure(&self) -> Result<(), String> {
        let saved = self.save().await;
        saved.map_err(|error| {
            format!("it cannot be recorded that it starts: {}", write::chain(&error))
        })
    }
}

//! Which processes has an executor left that was killed? Those whose home is in one of its Pods' folders.

use std::{fs, os::unix::ffi::OsStrExt as _, path::Path};

use rustix::process::{Pid, Signal, kill_process};

/// Kills what still runs in the folders of Pods below this one. Where the system does not show the
/// environment of processes, nothing is found.
pub(super) fn kill(pods: &Path) {
    let mut home = b"HOME=".to_vec();
    home.extend_from_slice(pods.as_os_str().as_bytes());
    home.push(b'/');
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|it| it.parse().ok()).and_then(Pid::from_raw);
        // Of others nothing can be read; a process that ends meanwhile needs nothing.
        let (Some(pid), Ok(environment)) = (pid, fs::read(entry.path().join("environ"))) else {
            continue;
        };
        if environment.split(|it| *it == 0).any(|it| it.starts_with(&home)) {
            tracing::warn!(?pid, "a process of an earlier executor still ran; it is killed");
            if let Err(error) = kill_process(pid, Signal::KILL) {
                tracing::debug!(?pid, %error, "cannot kill it");
            }
        }
    }
}

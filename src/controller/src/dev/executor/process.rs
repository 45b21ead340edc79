//! How does a local process run in a container's place? In a group of its own, which dies whole, with
//! its output in a file that cannot fill the disk.

use std::{
    collections::BTreeMap,
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{fs::OpenOptionsExt as _, process::ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use bytes::BytesMut;
use kube_sandbox::Output;
use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe,
    process::{Child, Command},
    sync::Mutex,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// A descendant that left the group may hold the pipe for ever; its words are not waited for.
const DRAIN: Duration = Duration::from_secs(1);

/// What keeps a process from running. Holds no argument and no variable.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot catch the output of {program}")]
    Pipe { program: String, source: io::Error },

    #[error("cannot start {program} in {}; is it installed?", directory.display())]
    Start { program: String, directory: PathBuf, source: io::Error },

    #[error("cannot wait for {program}")]
    Wait { program: String, source: io::Error },
}

/// A process to be.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    /// All of its environment: nothing is inherited.
    pub(super) env: BTreeMap<String, String>,
    pub(super) directory: PathBuf,
}

/// Runs the process to its end and returns its exit code, 128 and the signal's number if killed.
///
/// On `halt` the whole group is asked to end, and killed after `grace`. When the process itself
/// ends, so does what it left behind, as in a container. Dropped, it kills at once.
///
/// What it writes goes to the log, and to where `kubectl logs` looks.
pub(super) async fn run(
    launch: &Launch,
    (log, shown): (&Log, Option<&Output>),
    grace: Duration,
    halt: &CancellationToken,
) -> Result<i32, Error> {
    let (mut group, output) = start(launch)?;
    let over = CancellationToken::new();
    let living = async {
        let status = group.live(grace, halt).await;
        over.cancel();
        status
    };
    let writing = async {
        tokio::select! {
            () = log.copy(shown, output) => {}
            () = async { over.cancelled().await; sleep(DRAIN).await } => {}
        }
    };
    let (status, ()) = tokio::join!(living, writing);
    let status =
        status.map_err(|source| Error::Wait { program: launch.program.clone(), source })?;
    Ok(exit_code(status))
}

fn start(launch: &Launch) -> Result<(Group, pipe::Receiver), Error> {
    let pipe_broke = |source| Error::Pipe { program: launch.program.clone(), source };
    // One pipe for both streams keeps what is written in order.
    let (output, stdout) = io::pipe().map_err(pipe_broke)?;
    let stderr = stdout.try_clone().map_err(pipe_broke)?;
    let output = pipe::Receiver::from_owned_fd(OwnedFd::from(output)).map_err(pipe_broke)?;

    let child = Command::new(&launch.program)
        .args(&launch.arguments)
        .env_clear()
        .envs(&launch.env)
        .current_dir(&launch.directory)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let group = child.and_then(Group::lead_by).map_err(|source| Error::Start {
        program: launch.program.clone(),
        directory: launch.directory.clone(),
        source,
    })?;
    Ok((group, output))
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// A process and all that it starts.
struct Group {
    child: Child,
    /// `None` once the leader is reaped: from then on the number may mean another group.
    id: Option<Pid>,
}

impl Group {
    fn lead_by(child: Child) -> io::Result<Self> {
        let id = child.id().and_then(|it| i32::try_from(it).ok()).and_then(Pid::from_raw);
        match id {
            Some(_) => Ok(Self { child, id }),
            None => Err(io::Error::other("the process has no id")),
        }
    }

    async fn live(&mut self, grace: Duration, halt: &CancellationToken) -> io::Result<ExitStatus> {
        tokio::select! {
            ended = self.leader_ended() => ended?,
            () = halt.cancelled() => {
                self.signal(Signal::TERM);
                // Whether it ended in time or not, what is left of the group is killed.
                let _in_time = timeout(grace, self.leader_ended()).await;
            }
        }
        self.signal(Signal::KILL);
        let status = self.child.wait().await;
        self.id = None;
        status
    }

    /// Returns when the leader has ended, and leaves it a zombie, so that the group's number cannot
    /// be given to another one before the rest of the group is killed.
    async fn leader_ended(&self) -> io::Result<()> {
        let Some(id) = self.id else { return Ok(()) };
        let wait = move || loop {
            match waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Err(Errno::INTR) => {}
                other => return other.map(drop),
            }
        };
        tokio::task::spawn_blocking(wait).await.map_err(io::Error::other)?.map_err(Into::into)
    }

    fn signal(&self, signal: Signal) {
        let Some(id) = self.id else { return };
        if let Err(error) = kill_process_group(id, signal) {
            tracing::debug!(%error, "cannot signal a process group");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// What the containers of a pod write, up to a limit.
#[derive(Debug)]
pub(super) struct Log(Mutex<Limited>);

#[derive(Debug)]
struct Limited {
    file: tokio::fs::File,
    left: u64,
}

impl Log {
    pub(super) fn create(path: &Path, limit: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            super::private_folder(folder)?;
        }
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Self(Mutex::new(Limited { file: file.into(), left: limit })))
    }

    /// Reads to the end even past the limit: a process that cannot write would hang.
    async fn copy(&self, shown: Option<&Output>, mut output: pipe::Receiver) {
        let mut buffer = BytesMut::with_capacity(8 << 10);
        while let Ok(1..) = output.read_buf(&mut buffer).await {
            // The rest of a character may still be on its way.
            let whole = match std::str::from_utf8(&buffer) {
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                _ => buffer.len(),
            };
            self.write(shown, &buffer.split_to(whole)).await;
        }
        self.write(shown, &buffer).await;
    }

    /// Adds a line of the executor's own.
    pub(super) async fn say(&self, shown: Option<&Output>, line: &str) {
        self.write(shown, format!("{line}\n").as_bytes()).await;
    }

    async fn write(&self, shown: Option<&Output>, bytes: &[u8]) {
        let mut log = self.0.lock().await;
        if log.left == 0 || bytes.is_empty() {
            return;
        }
        let taken = usize::try_from(log.left).unwrap_or(usize::MAX).min(bytes.len());
        log.left -= taken as u64;
        let mut bytes = bytes[..taken].to_vec();
        if log.left == 0 {
            bytes.extend(b"\n[the log is cut here: it has reached its limit]\n");
        }
        if let Some(shown) = shown {
            shown.write(&String::from_utf8_lossy(&bytes));
        }
        let written = log.file.write_all(&bytes).await;
        if let Err(error) = written.and(log.file.flush().await) {
            log.left = 0;
            tracing::warn!(%error, "cannot write a pod's log; it ends here");
        }
    }
}

#[cfg(test)]
mod tests;

//! Who answers over git:// and ssh? git's own daemon and OpenSSH, one process a connection.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use ger_git::backend::quiet_git;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;

/// Where Debian and most others have it. It wants to be called by its whole name.
const SSHD: &str = "/usr/sbin/sshd";

/// `git daemon` for what is below `root`.
pub(crate) fn daemon(root: &Path) -> Command {
    let mut base = OsString::from("--base-path=");
    base.push(root);
    let mut command = Command::new("git");
    command.args(["daemon", "--inetd", "--export-all"]).arg(base).envs(quiet_git());
    command
}

/// OpenSSH with keys of its own, for the user who runs this.
#[derive(Clone)]
pub(crate) struct Ssh {
    folder: PathBuf,
}

impl Ssh {
    pub(crate) async fn new(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        // Without it sshd does not start for root; others need none, and cannot make it.
        let _ = std::fs::create_dir_all("/run/sshd");
        for key in ["host", "client"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(key));
            let status = command.status().await.context("cannot run ssh-keygen")?;
            anyhow::ensure!(status.success(), "ssh-keygen made no key");
        }
        let config = format!(
            "HostKey {0}/host\nAuthorizedKeysFile {0}/client.pub\nAcceptEnv GIT_PROTOCOL\n\
             SetEnv GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null\nPidFile none\n\
             PermitRootLogin prohibit-password\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nStrictModes no\nLogLevel ERROR\n",
            folder.display(),
        );
        std::fs::write(folder.join("config"), config)?;
        Ok(Self { folder: folder.to_owned() })
    }

    pub(crate) fn server(&self) -> Command {
        let mut command = Command::new(SSHD);
        command.args(["-i", "-f"]).arg(self.folder.join("config"));
        command
    }

    /// The client's private key.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("client")
    }

    /// Writes a `known_hosts` with the server behind these ports.
    pub(crate) fn known_hosts(&self, ports: &[u16]) -> anyhow::Result<PathBuf> {
        let key = std::fs::read_to_string(self.folder.join("host.pub"))?;
        let line = |port| format!("[127.0.0.1]:{port} {key}");
        let path = self.folder.join("known_hosts");
        std::fs::write(&path, ports.iter().map(line).collect::<String>())?;
        Ok(path)
    }
}

/// Who runs this: the one user whom sshd lets in.
pub(crate) async fn user() -> anyhow::Result<String> {
    let output = Command::new("id").arg("-un").output().await?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Starts `command` for each connection, with the connection as its input and output.
pub(crate) async fn serve(
    listener: TcpListener,
    command: impl Fn() -> Command,
) -> std::io::Result<()> {
    let mut running = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let [input, output] = halves(stream)?;
        let mut child = command();
        child.stdin(input).stdout(output).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = child.spawn()?;
        running.spawn(async move { child.wait().await });
        while running.try_join_next().is_some() {}
    }
}

fn halves(stream: TcpStream) -> std::io::Result<[OwnedFd; 2]> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    Ok([stream.try_clone()?.into(), stream.into()])
}

/// A port of this machine, and who accepts there.
pub(crate) async fn listen() -> anyhow::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

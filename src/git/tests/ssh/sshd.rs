//! OpenSSH's server with a repository to ask, on 127.0.0.1, in a directory that goes away.

use std::{
    fs,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use ger_git::{
    Auth, Commit, Error, HostKeys, Reference, Remote, RepoUri, Resolved, Secret, SshKey,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStderr},
    task::JoinSet,
};

const PROGRAM: &str = "/usr/sbin/sshd";
pub(crate) const HOST_KEYS: [&str; 3] = ["ed25519", "ecdsa", "rsa"];

/// A server. Dropped, it ends.
pub(crate) struct Sshd {
    pub(crate) root: TempDir,
    pub(crate) port: u16,
    pub(crate) commit: Commit,
    options: String,
    log: Arc<Mutex<String>>,
    child: Option<Child>,
    readers: JoinSet<()>,
}

impl Sshd {
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts with more lines in its configuration.
    pub(crate) async fn start_with(options: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        for kind in HOST_KEYS {
            keygen(&root.path().join(format!("host_{kind}")), &["-t", kind]);
        }
        let commit = create_repository(&root.path().join("app.git"));
        fs::write(root.path().join("authorized_keys"), "").unwrap();
        let log = Arc::default();
        let options = options.to_owned();
        let readers = JoinSet::new();
        let mut sshd = Self { root, port: 0, commit, options, log, child: None, readers };
        sshd.begin().await;
        sshd
    }

    /// Begins to listen, on the same port as before if there was one.
    pub(crate) async fn begin(&mut self) {
        if self.port == 0 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            self.port = free.local_addr().unwrap().port();
        }
        let config = self.root.path().join("sshd_config");
        fs::write(&config, self.config()).unwrap();
        // Where a privileged server leaves its privileges; an unprivileged one needs none.
        let _ = fs::create_dir_all("/run/sshd");
        let mut child = tokio::process::Command::new(PROGRAM)
            .arg("-f")
            .arg(&config)
            .args(["-D", "-e"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|it| panic!("{PROGRAM}: {it}: run hack/tools, which installs it"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            note(&self.log, &line);
            if line.contains("Server listening on") {
                self.child = Some(child);
                self.readers.spawn(listen(lines, Arc::clone(&self.log)));
                return;
            }
        }
        panic!("sshd does not listen: {}", self.log());
    }

    /// Ends the server and all that it serves.
    pub(crate) async fn end(&mut self) {
        // A session goes on in a process of its own, which ends with its connection.
        if let Some(mut child) = self.child.take() {
            let parent = child.id().unwrap().to_string();
            let _ = Command::new("pkill").args(["-KILL", "-P", &parent]).status();
            child.kill().await.unwrap();
        }
    }

    fn config(&self) -> String {
        let root = self.root.path().display();
        let host_keys = HOST_KEYS.map(|it| format!("HostKey {root}/host_{it}\n")).concat();
        let path = std::env::var("PATH").unwrap();
        format!(
            "ListenAddress 127.0.0.1:{}\n{}PidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             AuthorizedKeysFile {root}/authorized_keys\nLogLevel VERBOSE\nPrintMotd no\n\
             SetEnv PATH={path}\nMaxStartups 100\n{}\n",
            self.port,
            // The first of several values counts: a test's options come before ours.
            if self.options.contains("HostKey ") { String::new() } else { host_keys },
            self.options.replace("{root}", &root.to_string()),
        )
    }

    /// A new key, and the server lets it in.
    pub(crate) fn admit(&self, arguments: &[&str]) -> Key {
        let key = Key::generate(self.root.path(), arguments);
        self.authorize(&key.public, "");
        key
    }

    pub(crate) fn authorize(&self, public: &str, options: &str) {
        let file = self.root.path().join("authorized_keys");
        let mut text = fs::read_to_string(&file).unwrap();
        text.extend([options, public.trim(), "\n"]);
        fs::write(file, text).unwrap();
    }

    /// The line that names one of the server's keys.
    pub(crate) fn known_hosts(&self, kind: &str) -> String {
        let public = self.root.path().join(format!("host_{kind}.pub"));
        format!("[127.0.0.1]:{} {}", self.port, fs::read_to_string(public).unwrap())
    }

    pub(crate) fn fingerprint(&self, kind: &str) -> String {
        let public = self.root.path().join(format!("host_{kind}.pub"));
        fingerprint(&public)
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("ssh://{}@127.0.0.1:{}{path}", user(), self.port)
    }

    pub(crate) fn remote(&self, key: &Key) -> Remote {
        self.remote_by(key.with(HostKeys::Known(self.known_hosts("ed25519").into())))
    }

    pub(crate) fn remote_by(&self, key: SshKey) -> Remote {
        let path = self.root.path().join("app.git");
        let uri = RepoUri::parse(&self.uri(path.to_str().unwrap())).unwrap();
        Remote { auth: Auth::Ssh(key), ..Remote::new(uri) }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// That the answer is the repository's commit.
    #[track_caller]
    pub(crate) fn assert_answered(&self, outcome: &Result<Resolved, Error>, about: &str) {
        match outcome {
            Ok(resolved) => assert_eq!(resolved.commit, self.commit, "{about}"),
            Err(error) => panic!("{about}: {error:?}\n{}", self.log()),
        }
    }
}

async fn listen(mut lines: Lines<BufReader<ChildStderr>>, log: Arc<Mutex<String>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        note(&log, &line);
    }
}

fn note(log: &Mutex<String>, line: &str) {
    log.lock().unwrap().extend([line, "\n"]);
}

/// A pair of keys.
pub(crate) struct Key {
    pub(crate) private: Secret,
    pub(crate) public: String,
    pub(crate) passphrase: Option<Secret>,
    pub(crate) file: PathBuf,
}

impl Key {
    /// `ssh-keygen` with these arguments; what follows `-N` is the passphrase.
    pub(crate) fn generate(root: &Path, arguments: &[&str]) -> Self {
        let file = tempfile::Builder::new().prefix("key").tempdir_in(root).unwrap().keep();
        let file = file.join("id");
        keygen(&file, arguments);
        let passphrase = arguments.iter().position(|it| *it == "-N").map(|it| arguments[it + 1]);
        Self {
            private: fs::read(&file).unwrap().into(),
            public: fs::read_to_string(file.with_extension("pub")).unwrap(),
            passphrase: passphrase.filter(|it| !it.is_empty()).map(Secret::from),
            file,
        }
    }

    pub(crate) fn with(&self, host_keys: HostKeys) -> SshKey {
        let (private_key, passphrase) = (self.private.clone(), self.passphrase.clone());
        SshKey { private_key, passphrase, host_keys }
    }

    pub(crate) fn fingerprint(&self) -> String {
        fingerprint(&self.file.with_extension("pub"))
    }
}

pub(crate) fn main() -> Reference {
    Reference::branch("main").unwrap()
}

fn user() -> String {
    run(Command::new("id").arg("-un"))
}

fn fingerprint(public: &Path) -> String {
    let line = run(Command::new("ssh-keygen").arg("-lf").arg(public));
    line.split(' ').nth(1).unwrap().to_owned()
}

fn keygen(file: &Path, arguments: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-C", "test", "-f"]).arg(file).args(arguments);
    if !arguments.contains(&"-N") {
        command.args(["-N", ""]);
    }
    if arguments.contains(&"rsa") && !arguments.contains(&"-b") {
        command.args(["-b", "2048"]);
    }
    run(&mut command);
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A bare repository with one commit on `main`.
pub(crate) fn create_repository(path: &Path) -> Commit {
    run(Command::new("git").args(["init", "-q", "--bare", "-b", "main"]).arg(path));
    let git = || {
        let mut git = Command::new("git");
        git.current_dir(path).envs(
            ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"]
                .map(|it| (it, "test")),
        );
        git
    };
    let tree = run(git().args(["hash-object", "-t", "tree", "-w", "/dev/null"]));
    let commit = run(git().args(["commit-tree", "-m", "one", &tree]));
    run(git().args(["update-ref", "refs/heads/main", &commit]));
    Commit::parse(&commit).unwrap()
}

/// Its output, without the line's end.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|it| panic!("{command:?}: {it}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

//! Servers of other makes on 127.0.0.1: OpenSSH's, https with an authority of its own, and the part of
//! GitHub's API that gives tokens. Each ends when it is dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use axum::serve::Listener;
use ger_git::backend::Backend;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Runs a program to its end, and gives what it prints.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().await.unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Git over https, with an authority that nobody else knows.
pub(crate) struct Https {
    pub(crate) address: SocketAddr,
    pub(crate) ca: String,
    _serving: JoinSet<()>,
}

impl Https {
    pub(crate) async fn start(repositories: &Path) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(authority, key).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &authority).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = tcp.local_addr().unwrap();
        let listener = Tls { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) };
        let router = Backend::new(repositories).router();
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, ca: authority.pem(), _serving: serving }
    }
}

struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            // Who does not believe us goes away.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// OpenSSH's server, and a key that it lets in.
pub(crate) struct Sshd {
    pub(crate) port: u16,
    pub(crate) user: String,
    folder: PathBuf,
    _child: Child,
}

impl Sshd {
    pub(crate) async fn start(folder: &Path) -> Self {
        for name in ["host", "other", "login"] {
            let file = folder.join(name);
            let file = file.to_str().unwrap();
            let passphrase = if name == "login" { "open-5cbd" } else { "" };
            run("ssh-keygen", &["-q", "-t", "ed25519", "-N", passphrase, "-f", file]).await;
        }
        // Bound for a moment: the server binds it right after.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let (config, at) = (folder.join("sshd_config"), folder.display());
        let path = std::env::var("PATH").unwrap();
        let text = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {at}/host\nPidFile none\nUsePAM no\n\
             StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin yes\nAuthorizedKeysFile {at}/login.pub\nSetEnv PATH={path}\n"
        );
        std::fs::write(&config, text).unwrap();
        // Where a privileged server leaves its privileges; an unprivileged one needs none.
        drop(std::fs::create_dir_all("/run/sshd"));
        let mut child = Command::new("/usr/sbin/sshd")
            .arg("-f")
            .arg(&config)
            .args(["-D", "-e"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("sshd is installed by hack/tools");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        loop {
            let line = lines.next_line().await.unwrap();
            if line.expect("sshd listens").contains("Server listening") {
                break;
            }
        }
        let user = run("id", &["-un"]).await.trim().to_owned();
        Self { port, user, folder: folder.to_owned(), _child: child }
    }

    pub(crate) fn uri(&self, repository: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, repository.display())
    }

    pub(crate) fn private_key(&self) -> String {
        std::fs::read_to_string(self.folder.join("login")).unwrap()
    }

    /// What `known_hosts` says of a server with this key.
    pub(crate) fn known_hosts(&self, key: &str) -> String {
        let public = std::fs::read_to_string(self.folder.join(format!("{key}.pub"))).unwrap();
        format!("[127.0.0.1]:{} {public}", self.port)
    }

    pub(crate) async fn fingerprint(&self, key: &str) -> String {
        let file = self.folder.join(format!("{key}.pub"));
        let shown = run("ssh-keygen", &["-l", "-f", file.to_str().unwrap()]).await;
        shown.split(' ').nth(1).unwrap().to_owned()
    }
}

/// The API: it gives tokens to whoever shows a JWT.
pub(crate) struct Github {
    pub(crate) url: String,
    given: Arc<AtomicU64>,
    _serving: JoinSet<()>,
}

impl Github {
    pub(crate) async fn start() -> Self {
        let given = Arc::default();
        let router = Router::new()
            .route("/app/installations/{id}/access_tokens", post(give))
            .with_state(Arc::clone(&given));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, given, _serving: serving }
    }

    /// How many tokens it gave: `ghs_1-5cbd` and so on.
    pub(crate) fn given(&self) -> u64 {
        self.given.load(Ordering::SeqCst)
    }
}

async fn give(State(given): State<Arc<AtomicU64>>, headers: HeaderMap) -> (StatusCode, String) {
    let shown = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    let jwt = shown.and_then(|it| it.strip_prefix("Bearer "));
    if jwt.is_none_or(|it| it.split('.').count() != 3) {
        return (StatusCode::UNAUTHORIZED, String::new());
    }
    let token = format!("ghs_{}-5cbd", given.fetch_add(1, Ordering::SeqCst) + 1);
    let answer = json!({ "token": token, "expires_at": "2099-01-01T00:00:00Z" });
    (StatusCode::CREATED, answer.to_string())
}

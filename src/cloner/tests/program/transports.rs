//! The cloner over every transport that a source may name, with its secrets in files.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Command, Output, Stdio},
    sync::Arc,
};

use ger_git::{
    Commit, Reference, RepoUri,
    backend::{Daemon, Server, Versions},
    contract::{self, AuthKind, CloneSpec, CloneTls},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring::default_provider, pki_types::PrivateKeyDer},
};

struct Place {
    root: TempDir,
    server: Server,
    commit: Commit,
}

impl Place {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("repositories")).unwrap();
        fs::create_dir(root.path().join("credentials")).unwrap();
        let server = Server::start(&root.path().join("repositories")).await.unwrap();
        let commit = server.create_repo("app", &[("run.sh", "1\n")]).await.unwrap();
        Self { root, server, commit }
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.root.path().join("credentials").join(name), content).unwrap();
    }

    fn spec(&self, uri: &str, auth: AuthKind, tls: CloneTls) -> CloneSpec {
        CloneSpec {
            uri: RepoUri::parse(uri).unwrap(),
            reference: Some(Reference::branch("main").unwrap()),
            commit: Some(self.commit.clone()),
            auth,
            credentials: Some(self.root.path().join("credentials")),
            tls,
            timeout: std::time::Duration::from_secs(30),
        }
    }

    async fn clone(&self, spec: &CloneSpec) -> Output {
        let out = self.root.path().join("out");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gitrepo-cloner"));
        command.args(["-k", "GitRepo", "-s", "app", "-b", "main", "-d"]).arg(&out);
        command.env_clear().envs(contract::to_env(spec));
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let is_there = out.join("run.sh").exists();
        assert_eq!(is_there, output.status.success(), "{output:?}");
        let _ = fs::remove_dir_all(out);
        output
    }
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn git_itself_is_spoken() {
    let place = Place::new().await;
    let root = place.root.path().join("repositories");
    for versions in [Versions::All, Versions::Oldest] {
        let daemon = Daemon::start(&root, versions).await.unwrap();
        let spec = place.spec(&daemon.url("app"), AuthKind::None, CloneTls::Verify);

        let output = place.clone(&spec).await;

        assert!(output.status.success(), "{}", told(&output));
    }
}

async fn pass_on(acceptor: TlsAcceptor, stream: TcpStream, behind: SocketAddr) {
    // Who does not trust us hangs up.
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut plain = TcpStream::connect(behind).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut plain).await;
}

/// Speaks TLS before a server that does not, and gives the certificate of who vouches for it.
async fn secure(server: &Server) -> (u16, String, JoinSet<()>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = server.address();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            open.spawn(pass_on(acceptor, stream, behind));
        }
    });
    (port, authority.pem(), serving)
}

#[tokio::test]
async fn a_certificate_is_believed_by_the_authority_in_the_file() {
    let place = Place::new().await;
    let (port, authority, _serving) = secure(&place.server).await;
    let uri = format!("https://127.0.0.1:{port}/app");
    let with = |tls| place.spec(&uri, AuthKind::None, tls);

    let missing = place.clone(&with(CloneTls::VerifyWith)).await;
    assert!(told(&missing).contains("ca.crt"), "{}", told(&missing));
    place.write("ca.crt", "nonsense");
    let nonsense = place.clone(&with(CloneTls::VerifyWith)).await;
    assert!(told(&nonsense).contains("ca.crt"), "{}", told(&nonsense));
    place.write("ca.crt", &authority);
    let believed = place.clone(&with(CloneTls::VerifyWith)).await;
    assert!(believed.status.success(), "{}", told(&believed));
    let unknown = place.clone(&with(CloneTls::Verify)).await;
    assert_eq!(unknown.status.code(), Some(1), "{}", told(&unknown));
    let unasked = place.clone(&with(CloneTls::SkipVerify)).await;
    assert!(unasked.status.success(), "{}", told(&unasked));
}

fn keygen(file: &Path, passphrase: &str) -> String {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-C", "test", "-N", passphrase, "-f"]).arg(file);
    assert!(command.status().unwrap().success());
    fs::read_to_string(file.with_extension("pub")).unwrap()
}

/// OpenSSH's server, one process a connection.
struct Sshd {
    port: u16,
    host_key: String,
    _serving: JoinSet<()>,
}

impl Sshd {
    async fn start(root: &Path, admitted: &str) -> Self {
        let host_key = keygen(&root.join("host"), "");
        fs::write(root.join("authorized_keys"), admitted).unwrap();
        let config = root.join("sshd_config");
        let (shown, path) = (root.display(), std::env::var("PATH").unwrap());
        let text = format!(
            "HostKey {shown}/host\nAuthorizedKeysFile {shown}/authorized_keys\nUsePAM no\n\
             StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin yes\nAcceptEnv GIT_PROTOCOL\nSetEnv PATH={path}\nPidFile none\n"
        );
        fs::write(&config, text).unwrap();
        let _ = fs::create_dir_all("/run/sshd");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                let stream = stream.into_std().unwrap();
                stream.set_nonblocking(false).unwrap();
                let heard = std::os::fd::OwnedFd::from(stream);
                let said = heard.try_clone().unwrap();
                let mut command = tokio::process::Command::new("/usr/sbin/sshd");
                command.arg("-f").arg(&config).args(["-i", "-e"]).kill_on_drop(true);
                command.stdin(Stdio::from(heard)).stdout(Stdio::from(said));
                open.push(command.stderr(Stdio::null()).spawn().unwrap());
            }
        });
        Self { port, host_key, _serving: serving }
    }
}

#[tokio::test]
async fn a_key_in_a_file_lets_in_where_the_host_is_known() {
    let place = Place::new().await;
    let root = place.root.path();
    let user = keygen(&root.join("user"), "hunter2");
    let sshd = Sshd::start(root, &user).await;
    let login = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let repository = root.join("repositories/app");
    let uri = format!("ssh://{}@127.0.0.1:{}{}", login.trim(), sshd.port, repository.display());
    let spec = place.spec(&uri, AuthKind::Ssh, CloneTls::Verify);
    place.write("ssh-privatekey", &fs::read_to_string(root.join("user")).unwrap());
    place.write("passphrase", "hunter2");
    let refused = async || {
        let output = place.clone(&spec).await;
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        assert!(!told(&output).contains("hunter2"), "{}", told(&output));
    };

    // Nobody vouches for it, then for another.
    refused().await;
    let other = keygen(&root.join("other"), "");
    place.write("known_hosts", &format!("[127.0.0.1]:{} {other}", sshd.port));
    refused().await;
    place.write("known_hosts", &format!("[127.0.0.1]:{} {}", sshd.port, sshd.host_key));
    let output = place.clone(&spec).await;

    assert!(output.status.success(), "{}", told(&output));
    assert!(told(&output).contains(place.commit.as_str()), "{}", told(&output));
    place.write("passphrase", "wrong");
    refused().await;
}

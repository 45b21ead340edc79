//! A spoke over TCP that comes and goes: every connection is closed when it is gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ger_api::crd;
use ger_core::names::ClusterName;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use kube_sandbox::Sandbox;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::clusters::{
    self, Clients, Events, Handle, Notice, Parts, Policy, Settings, State, TlsConnect,
};
use crate::metrics::Metrics;

pub(super) const HOME: &str = "ger";
const ROUNDS: usize = 25;
/// Ten times what a machine under load takes.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// A way to a server that knows how many connections are open on it.
struct Door {
    address: SocketAddr,
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Door {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut tasks = JoinSet::new();
        let (counted, peak) = (Arc::clone(&open), Arc::clone(&most));
        tasks.spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let now = counted.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(now, Ordering::SeqCst);
                passing.spawn(pass(client, server, Arc::clone(&counted)));
            }
        });
        Self { address, open, most, _tasks: tasks }
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr, counted: Arc<AtomicUsize>) {
    if let Ok(mut server) = TcpStream::connect(server).await {
        drop(copy_bidirectional(&mut client, &mut server).await);
    }
    counted.fetch_sub(1, Ordering::SeqCst);
}

pub(super) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waited = timeout(LIMIT, async {
        while !is_so() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

pub(super) async fn prepared(sandbox: &Sandbox) -> Client {
    let admin = Client::new(sandbox.router(), "default");
    for crd in crd::all() {
        let crds = Api::<CustomResourceDefinition>::all(admin.clone());
        crds.create(&PostParams::default(), &crd).await.unwrap();
    }
    let namespace: Namespace =
        serde_json::from_value(json!({ "metadata": { "name": HOME } })).unwrap();
    Api::all(admin.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    admin
}

/// The part of a controller that follows clusters, and what must live as long.
pub(super) struct Following {
    pub(super) handle: Handle,
    pub(super) events: Events,
    pub(super) notices: mpsc::Receiver<Notice>,
    _tasks: JoinSet<()>,
}

pub(super) fn follow(hub: &Sandbox, clock: Clock) -> Following {
    let settings = Settings { allow_loopback: Policy::Allow, ..Settings::new(HOME) };
    let (events, (notices, heard)) = (Events::default(), mpsc::channel(1024));
    let client = || Client::new(hub.client_router("controller"), "default");
    let parts = Parts {
        hub: Clients { requests: client(), watches: client() },
        connect: Arc::new(TlsConnect::new(&settings)),
        settings,
        clock,
        metrics: Metrics::new("test").unwrap(),
        events: events.clone(),
        notices,
    };
    let (handle, running) = clusters::start(parts, CancellationToken::new());
    let mut tasks = JoinSet::new();
    tasks.spawn(running);
    Following { handle, events, notices: heard, _tasks: tasks }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoke_that_comes_and_goes_over_tcp_leaves_no_connection_open() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let (hub, spoke) = (Sandbox::new("hub"), Sandbox::new("east"));
    let admin = prepared(&hub).await;
    prepared(&spoke).await;
    let server = spoke.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = server.url();
    let address: SocketAddr =
        url.trim_start_matches("https://").trim_end_matches('/').parse().unwrap();
    let door = Door::to(address).await;
    let kubeconfig = server.kubeconfig().replace(&address.to_string(), &door.address.to_string());
    let following = follow(&hub, Clock::system());
    let secrets: Api<Secret> = Api::namespaced(admin, HOME);
    let label = "sigs.k8s.io/multicluster-runtime-kubeconfig";
    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": "edge", "labels": { label: "true" } },
        "stringData": { "kubeconfig": kubeconfig },
    }))
    .unwrap();
    let edge = ClusterName::parse_spoke("edge").unwrap();
    let state = || following.handle.cluster(&edge).map(|it| it.state());

    for _ in 0..ROUNDS {
        secrets.create(&PostParams::default(), &secret).await.unwrap();
        until("the spoke is ready", || state() == Some(State::Ready)).await;
        secrets.delete("edge", &DeleteParams::default()).await.unwrap();
        until("the spoke is gone", || state().is_none()).await;
    }

    until("no connection is open", || door.open.load(Ordering::SeqCst) == 0).await;
    // Seven watches, and requests that were made at the same time.
    let most = door.most.load(Ordering::SeqCst);
    assert!((7..40).contains(&most), "{most} connections at once");
}

//! A spoke over TLS whose authority is replaced, or that is to know us by a certificate: what is wrong is told,
//! and no change is missed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ger_api::ScheduleTrigger;
use ger_core::names::{ClusterName, TriggerKey, TriggerKind};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use kube_sandbox::{Fault, FaultKind, Sandbox, Server};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connections::{Following, HOME, LIMIT, follow, prepared, until};
use crate::clock::Clock;
use crate::clusters::{Event, Notice, State};

fn name(cluster: &str) -> ClusterName {
    ClusterName::parse_spoke(cluster).unwrap()
}

fn key(cluster: &str, trigger: &str) -> TriggerKey {
    let (namespace, name) = (HOME.to_owned(), trigger.to_owned());
    TriggerKey { cluster: self::name(cluster), kind: TriggerKind::Schedule, namespace, name }
}

/// A hub, and the part of a controller that follows its spokes.
struct Hub {
    following: Following,
    secrets: Api<Secret>,
}

impl Hub {
    async fn start(clock: Clock) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let hub = Sandbox::new("hub");
        let admin = prepared(&hub).await;
        Self { following: follow(&hub, clock), secrets: Api::namespaced(admin, HOME) }
    }

    /// Registers a spoke, or changes its Secret.
    async fn register(&self, spoke: &str, kubeconfig: &str) {
        let label = "sigs.k8s.io/multicluster-runtime-kubeconfig";
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": spoke, "labels": { label: "true" } },
            "stringData": { "kubeconfig": kubeconfig },
        });
        let params = PatchParams::apply("test").force();
        self.secrets.patch(spoke, &params, &Patch::Apply(secret)).await.unwrap();
    }

    fn state(&self, spoke: &str) -> Option<State> {
        self.following.handle.cluster(&name(spoke)).map(|it| it.state())
    }

    /// Waits until a spoke is in a state, and gives what is said of it.
    async fn in_state(&self, spoke: &str, word: &str) -> String {
        until(&format!("{spoke} is {word}"), || {
            self.state(spoke).is_some_and(|it| it.word() == word)
        })
        .await;
        self.state(spoke).and_then(|it| it.why().map(str::to_owned)).unwrap_or_default()
    }

    /// Waits for events, and gives all that came until then.
    async fn hears(&self, wanted: &[Event]) -> Vec<Event> {
        let mut seen = Vec::new();
        while !wanted.iter().all(|it| seen.contains(it)) {
            let next = timeout(LIMIT, self.following.events.next()).await;
            seen.extend(next.unwrap_or_else(|_| panic!("{wanted:?} not in {seen:?}")));
        }
        seen
    }

    /// Waits until something is said of a Secret that has these words in it.
    async fn notice(&mut self, secret: &str, words: &str) -> Notice {
        loop {
            let next = timeout(LIMIT, self.following.notices.recv()).await;
            let notice = next.unwrap_or_else(|_| panic!("{words:?} is not said")).unwrap();
            if notice.about.name.as_deref() == Some(secret) && notice.message.contains(words) {
                return notice;
            }
        }
    }
}

/// A cluster that is served over TLS, behind an address that stays.
struct Spoke {
    sandbox: Sandbox,
    admin: Client,
    server: Option<Server>,
    address: SocketAddr,
    behind: Arc<Mutex<SocketAddr>>,
    _passing: JoinSet<()>,
}

impl Spoke {
    async fn start(name: &str) -> Self {
        let sandbox = Sandbox::new(name);
        let admin = prepared(&sandbox).await;
        let server = serve(&sandbox).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let behind = Arc::new(Mutex::new(server.addr()));
        let (to, mut passing) = (Arc::clone(&behind), JoinSet::new());
        passing.spawn(async move {
            let mut each = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = *to.lock().unwrap();
                each.spawn(pass(client, server));
            }
        });
        Self { sandbox, admin, server: Some(server), address, behind, _passing: passing }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// The kubeconfig of a server, to be used from outside.
    fn outside(&self, kubeconfig: &str) -> String {
        kubeconfig.replace(&self.server().addr().to_string(), &self.address.to_string())
    }

    fn by_token(&self) -> String {
        self.outside(&self.server().kubeconfig())
    }

    fn by_certificate(&self, ends: Timestamp) -> String {
        let groups = &["system:masters"];
        let server = self.server();
        self.outside(&server.kubeconfig_with_certificate_until("hub", groups, ends).unwrap())
    }

    /// Another authority, and a server that proves itself by it. Every connection ends.
    async fn replace_authority(&mut self) {
        self.server.take().unwrap().stop().await;
        self.sandbox.replace_authority();
        let server = serve(&self.sandbox).await;
        *self.behind.lock().unwrap() = server.addr();
        self.server = Some(server);
    }

    fn drop_watches(&self) {
        self.sandbox.set_fault(Fault { client: None, kind: FaultKind::DropWatches });
    }

    fn triggers(&self) -> Api<ScheduleTrigger> {
        Api::namespaced(self.admin.clone(), HOME)
    }

    async fn add(&self, trigger: &str) {
        let object = json!({
            "metadata": { "name": trigger },
            "spec": {
                "sources": { "kind": "GitRepo", "names": ["app"] },
                "schedule": { "interval": "1m" },
                "action": { "kind": "Action", "name": "act" },
            },
        });
        let object = serde_json::from_value(object).unwrap();
        self.triggers().create(&PostParams::default(), &object).await.unwrap();
    }

    async fn remove(&self, trigger: &str) {
        self.triggers().delete(trigger, &DeleteParams::default()).await.unwrap();
    }
}

async fn serve(sandbox: &Sandbox) -> Server {
    sandbox.serve("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

async fn pass(mut client: TcpStream, server: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(server).await {
        drop(copy_bidirectional(&mut client, &mut server).await);
    }
}

/// Before the Secret follows, it says what is wrong; its neighbours go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_a_spoke_whose_authority_is_replaced_says_so_and_misses_no_change() {
    let mut hub = Hub::start(Clock::system()).await;
    let (mut east, west) = (Spoke::start("east").await, Spoke::start("west").await);
    for trigger in ["stays", "goes"] {
        east.add(trigger).await;
    }
    hub.register("east", &east.by_token()).await;
    hub.register("west", &west.by_token()).await;
    hub.in_state("east", "Ready").await;
    hub.in_state("west", "Ready").await;
    hub.hears(&["stays", "goes"].map(|it| Event::TriggerChanged(key("east", it)))).await;

    east.replace_authority().await;
    east.remove("goes").await;
    east.add("missed").await;
    let why = hub.in_state("east", "Unreachable").await;
    west.add("deploy").await;
    hub.hears(&[Event::TriggerChanged(key("west", "deploy"))]).await;
    assert!(why.contains("is of another authority than the kubeconfig's"), "{why}");
    assert_eq!(hub.notice("east", "another authority").await.reason, "Unreachable");
    assert_eq!(hub.state("west"), Some(State::Ready));

    hub.register("east", &east.by_token()).await;
    let wanted =
        [Event::TriggerChanged(key("east", "missed")), Event::TriggerGone(key("east", "goes"))];
    let events = hub.hears(&wanted).await;
    hub.in_state("east", "Ready").await;
    assert!(!events.contains(&Event::TriggerGone(key("east", "stays"))), "{events:?}");
}

/// A certificate is rotated as a token is, and one that has ended is told of as such.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_a_client_certificate_is_rotated_and_one_that_has_ended_is_told_of() {
    let clock = Clock::virtual_from(Clock::system().now());
    let (mut hub, east) = (Hub::start(clock.clone()).await, Spoke::start("east").await);
    let in_hours = |count| clock.now() + SignedDuration::from_hours(count);
    let pass = |hours| {
        clock.jump(SignedDuration::from_hours(hours));
        east.sandbox.jump_clock(SignedDuration::from_hours(hours));
        east.drop_watches();
    };
    hub.register("east", &east.by_certificate(in_hours(1))).await;
    hub.in_state("east", "Ready").await;

    hub.register("east", &east.by_certificate(in_hours(10))).await;
    hub.notice("east", "connected with the new credentials").await;
    pass(2);
    east.add("after-the-first").await;
    hub.hears(&[Event::TriggerChanged(key("east", "after-the-first"))]).await;
    assert_eq!(hub.state("east"), Some(State::Ready), "it is the second that is shown");

    pass(10);
    let why = hub.in_state("east", "Refused").await;
    assert!(why.contains("the client certificate of the kubeconfig ended at"), "{why}");
    assert_eq!(hub.notice("east", "ended at").await.reason, "Unauthorized");
    east.add("missed").await;
    hub.register("east", &east.by_certificate(in_hours(10))).await;
    hub.hears(&[Event::TriggerChanged(key("east", "missed"))]).await;
    hub.in_state("east", "Ready").await;
}

/// Somebody else's certificate is refused by the spoke, and the text says what is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_a_client_certificate_of_another_authority_is_told_of_as_refused() {
    let hub = Hub::start(Clock::system()).await;
    let (east, other) = (Spoke::start("east").await, Spoke::start("other").await);
    let ends = Clock::system().now() + SignedDuration::from_hours(1);
    let foreign = other.by_certificate(ends);
    let proof: Vec<&str> = foreign.lines().filter(|it| it.contains("client-")).collect();
    let token = format!("    token: {}", east.server().token());
    let kubeconfig = east.by_token().replace(&token, &proof.join("\n"));

    hub.register("east", &kubeconfig).await;
    let why = hub.in_state("east", "Refused").await;
    assert!(why.contains("the client certificate of the kubeconfig is not accepted"), "{why}");
    assert!(why.contains("HTTP 401"), "{why}");
    hub.register("east", &east.by_certificate(ends)).await;

    hub.in_state("east", "Ready").await;
}

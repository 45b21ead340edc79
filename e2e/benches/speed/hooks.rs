//! How many webhooks does one core answer, and how soon? A whole replica in a process with one worker, on
//! real sockets; the cluster and the callers are in others.

mod load;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use e2e::calls::signature;
use ger_core::claim::Takeover;
use ger_core::names::{ClusterName, MemberId};
use ger_git::Client;
use git_events_runner::clock::Clock;
use git_events_runner::clusters::{TlsConnect, trusted_clients};
use git_events_runner::config::{Flags, Settings};
use git_events_runner::replica::{self, Pace};
use git_events_runner::webhooks;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::config::Kubeconfig;
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, HOME, Seeds};
use crate::process::{Peer, memory, say};
use crate::remotes::Remotes;
use load::{Answered, Load, Mix};

/// Callers at once, each on a connection of its own.
const CALLERS: usize = 32;
/// How long each kind of call is measured.
const MEASURED: Duration = Duration::from_secs(5);
/// How long it is called for memory to be seen to grow, unless the environment says otherwise: in seconds.
const SOAKED: Duration = Duration::from_mins(10);
const SOAKED_SECONDS: &str = "GER_BENCH_SOAK";
/// So often is memory looked at meanwhile.
const LOOKS: u32 = 10;
/// Triggers that are checked meanwhile.
const CHECKED: usize = 1000;
/// Connections that say nothing.
const IDLE: usize = 10_000;
const SECRET: &str = "known to the forge and to us";
const BODY: &str = r#"{"ref":"refs/heads/other","before":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7","after":"95790bf891e76fee5e1747ab589903a6a1f80f22","repository":{"id":186853002,"full_name":"acme/app","private":true,"html_url":"https://github.example/acme/app"},"pusher":{"name":"ada"},"commits":[{"id":"95790bf891e76fee5e1747ab589903a6a1f80f22","message":"Say hello","added":["docs/hello.md"]}]}"#;

/// What was measured of one kind of call.
#[derive(Debug)]
pub(crate) struct Row {
    title: &'static str,
    aim: u32,
    load: Load,
}

/// A long time of calls of all kinds.
#[derive(Debug)]
struct Soak {
    time: Duration,
    answered: Answered,
    /// Bytes before, at each look, and after.
    memory: Vec<u64>,
}

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Hooks {
    rows: Vec<Row>,
    soak: Soak,
    /// Of a probe of the utility port while idle connections are held, and of a call.
    beside_idle: (Duration, Duration),
}

/// A request as it goes over the wire; each call gets a delivery id of its own.
fn request(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: hooks.test\r\ncontent-type: application/json\r\n{headers}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn measure(remotes: &Remotes) -> anyhow::Result<Hooks> {
    let mut cluster = Cluster::start()?;
    // The sources and the action of the triggers.
    cluster.seed(&Seeds { count: 0, url: remotes.url(), commit: None })?;
    let mut peer = Peer::start("hooked", &[cluster.kubeconfig()])?;
    let said = peer.hear()?;
    let address = |key: &str| -> anyhow::Result<SocketAddr> {
        Ok(said[key].as_str().context("no address")?.parse()?)
    };
    let (hooks, utility) = (address("hooks")?, address("utility")?);
    let signed = format!(
        "x-github-event: push\r\nx-hub-signature-256: sha256={}\r\n",
        signature(SECRET, BODY.as_bytes())
    );
    let accepted = request("/apps/open/app-0", "", "{}");
    let ignored = request("/apps/signed/app-0", &signed, BODY);
    let calls = [
        ("202: recorded, all for one trigger", 202, 5_000, &accepted),
        ("200: signed, for another branch", 200, 20_000, &ignored),
        ("401: not signed", 401, 20_000, &request("/apps/signed/app-0", "", BODY)),
        ("404: no such trigger", 404, 20_000, &request("/apps/none/app-0", "", BODY)),
    ];
    let runtime = crate::threads()?;
    let mut rows = Vec::new();
    for (title, code, aim, call) in calls {
        let load = runtime.block_on(load::run(hooks, call, (CALLERS, code), MEASURED))?;
        rows.push(Row { title, aim, load });
    }
    let soak = soak(&mut peer, &runtime, (hooks, mix(signed)))?;
    let beside_idle = runtime.block_on(load::beside_idle(hooks, utility, IDLE, &ignored))?;

    cluster.seed_more(CHECKED, remotes.commit())?;
    peer.ask("settle")?;
    for (title, code, aim, call) in [
        ("202, while 1,000 triggers are checked", 202, 5_000, &accepted),
        ("200, while 1,000 triggers are checked", 200, 20_000, &ignored),
    ] {
        let load = runtime.block_on(load::run(hooks, call, (CALLERS, code), MEASURED))?;
        rows.push(Row { title, aim, load });
    }
    Ok(Hooks { rows, soak, beside_idle })
}

/// Every kind of call in turn; each has a delivery id of its own, and a path of its own where it leads
/// nowhere.
fn mix(signed: String) -> Arc<Mix> {
    Arc::new(move |number| {
        let delivery = format!("x-github-delivery: d-{number}\r\n");
        match number / CALLERS % 4 {
            0 => (request("/apps/open/app-0", &delivery, "{}"), 202),
            1 => (request("/apps/signed/app-0", &format!("{signed}{delivery}"), BODY), 200),
            2 => (request("/apps/signed/app-0", &delivery, BODY), 401),
            _ => (request(&format!("/apps/none-{number}/app-0"), &delivery, BODY), 404),
        }
    })
}

fn soak(
    peer: &mut Peer,
    runtime: &tokio::runtime::Runtime,
    (hooks, mix): (SocketAddr, Arc<Mix>),
) -> anyhow::Result<Soak> {
    let time = match std::env::var(SOAKED_SECONDS) {
        Ok(text) => Duration::from_secs(text.parse().context(SOAKED_SECONDS)?),
        Err(_) => SOAKED,
    };
    let mut memory = vec![peer.ask("memory")?.as_u64().context("no memory")?];
    let mut sum = Answered::default();
    for _ in 0..LOOKS {
        // Where one look ended the next goes on: no id comes twice.
        let from = (CALLERS, sum.all * CALLERS);
        let answered = runtime.block_on(load::soak(hooks, &mix, from, time / LOOKS))?;
        sum.all += answered.all;
        sum.otherwise += answered.otherwise;
        memory.push(peer.ask("memory")?.as_u64().context("no memory")?);
    }
    Ok(Soak { time, answered: sum, memory })
}

impl Soak {
    fn report(&self, text: &mut String) -> anyhow::Result<()> {
        let Answered { all, otherwise } = self.answered;
        let time = match self.time.as_secs() {
            whole if whole % 60 == 0 => format!("{} min", whole / 60),
            seconds => format!("{seconds} s"),
        };
        let kib = |it: Option<&u64>| it.copied().unwrap_or_default() / 1024;
        let (before, after) = (kib(self.memory.first()), kib(self.memory.last()));
        let most = kib(self.memory.iter().max());
        writeln!(
            text,
            "\n{all} calls of all kinds ({time}), each with an id of its own, those for nothing with a path \
             of its own: {before} KiB before, {after} KiB after, {most} KiB at the most of {LOOKS} looks; \
             {otherwise} were answered otherwise than here."
        )?;
        Ok(())
    }
}

impl Hooks {
    pub(crate) fn report(&self, text: &mut String) -> anyhow::Result<()> {
        writeln!(text, "\n### Webhooks\n")?;
        writeln!(
            text,
            "One worker thread, {CALLERS} connections, {} s each.\n",
            MEASURED.as_secs()
        )?;
        writeln!(text, "| answer | aim | a second | p50 | p99, aim < 20 ms |")?;
        writeln!(text, "| --- | ---: | ---: | ---: | ---: |")?;
        for Row { title, aim, load } in &self.rows {
            let (half, most) = (millis(load.p50), millis(load.p99));
            writeln!(text, "| {title} | {aim} | {:.0} | {half} | {most} |", load.per_second)?;
        }
        self.soak.report(text)?;
        let (probe, call) = self.beside_idle;
        writeln!(
            text,
            "While {IDLE} connections say nothing: a probe of the utility port in {}, a call in {}.",
            millis(probe),
            millis(call)
        )?;
        Ok(())
    }
}

fn millis(it: Duration) -> String {
    format!("{:.2} ms", it.as_secs_f64() * 1e3)
}

/// The measured process: a replica on a cluster.
pub(crate) async fn serve(arguments: &[String]) -> anyhow::Result<()> {
    let [kubeconfig] = arguments else { anyhow::bail!("usage: <kubeconfig>") };
    let flags = Flags { allow_loopback_clusters: Some(true), ..Flags::default() };
    let settings = Settings::from_flags(flags)?;
    let cluster_settings = replica::cluster_settings(&settings, HOME);
    let hub = trusted_clients(Kubeconfig::from_yaml(kubeconfig)?, &cluster_settings).await?;
    for object in objects() {
        apply(&hub.requests, &object).await?;
    }
    let hooks = webhooks::listen(([127, 0, 0, 1], 0).into()).await?;
    let utility = git_events_runner::utility::listen(([127, 0, 0, 1], 0).into()).await?;
    let said = json!({
        "hooks": hooks.local_addr()?.to_string(), "utility": utility.local_addr()?.to_string(),
    });
    let parts = replica::Parts {
        settings,
        namespace: HOME.to_owned(),
        member: MemberId::new(format!("measured-{}", std::process::id())),
        pod: None,
        hub,
        connect: Arc::new(TlsConnect::new(&cluster_settings)),
        remotes: Arc::new(Client::new()?),
        clock: Clock::system(),
        utility: Some(utility),
        webhooks: Some(hooks),
        pace: Pace { announce_after: Duration::from_millis(500) },
        takeover: Takeover::Enabled,
    };
    let (handle, running) = replica::start(parts, CancellationToken::new())?;
    let mut tasks = JoinSet::new();
    tasks.spawn(running);
    let is_known = || {
        let cluster = handle.clusters().cluster(&ClusterName::hub());
        cluster.is_some_and(|it| it.stores().webhook_triggers.len() == 2) && handle.ready().is_ok()
    };
    let end = Instant::now() + Duration::from_mins(2);
    while !is_known() {
        anyhow::ensure!(Instant::now() < end, "the triggers are not known in time");
        sleep(Duration::from_millis(50)).await;
    }
    say(&said)?;
    answer_questions().await
}

async fn answer_questions() -> anyhow::Result<()> {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        if line == "memory" {
            say(&json!(memory()?))?;
        } else {
            sleep(Duration::from_secs(10)).await;
            say(&Value::Null)?;
        }
        std::io::stdout().flush()?;
    }
    Ok(())
}

async fn apply(client: &kube::Client, object: &Value) -> anyhow::Result<()> {
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let version = text(&object["apiVersion"]);
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    let gvk = GroupVersionKind::gvk(group, version, &text(&object["kind"]));
    let resource = ApiResource::from_gvk(&gvk);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "apps", &resource);
    let params = PatchParams::apply("bench").force();
    api.patch(&text(&object["metadata"]["name"]), &params, &Patch::Apply(object)).await?;
    Ok(())
}

fn objects() -> [Value; 3] {
    let trigger = |name: &str, webhook: Value| {
        json!({
            "apiVersion": "git-events-runner.rs/v1alpha1", "kind": "WebhookTrigger",
            "metadata": { "name": name, "namespace": "apps" },
            "spec": {
                "sources": { "kind": "GitRepo", "names": ["app-0"] }, "webhook": webhook,
                "action": { "kind": "Action", "name": "deploy" },
            },
        })
    };
    let auth = json!({ "type": "github", "secretRef": { "name": "hook" }, "key": "token" });
    [
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "hook", "namespace": "apps" },
            "stringData": { "token": SECRET },
        }),
        trigger("open", json!({})),
        trigger("signed", json!({ "authConfig": auth })),
    ]
}

//! Is `dev` a cluster to work with? It is looked at with kubectl, and goes on from where it was, however it
//! ended.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use e2e::objects::APPS;
use e2e::real::kubectl;
use e2e::wait::look_until;
use e2e::{secs, story};
use ger_api::ScheduleTrigger;
use ger_api::status::RunPhase;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, Config, ResourceExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::real::{OURS, PROGRAM};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = secs(90);

/// A `dev` that keeps its state, and the hub as it is seen.
struct Dev {
    child: Child,
    client: Client,
    kubeconfig: PathBuf,
}

impl Dev {
    async fn start(folder: &Path) -> Self {
        let mut child = command(folder, "dev.log").spawn().unwrap();
        let line = look_until(LONG, async || {
            assert!(child.try_wait().unwrap().is_none(), "{}", text(folder, "dev.log"));
            let text = text(folder, "dev.log");
            let line = text.lines().find(|it| it.trim_start().starts_with("hub "))?;
            // The welcome is printed when everything is there.
            text.contains("quit").then(|| line.to_owned())
        });
        let line = line.await.expect("it starts");
        let kubeconfig = line.split(" --kubeconfig ").nth(1).unwrap().split(' ').next().unwrap();
        let config = Kubeconfig::read_from(kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
        let client = Client::try_from(config.unwrap()).unwrap();
        Self { child, client, kubeconfig: kubeconfig.into() }
    }

    async fn signal(mut self, name: &str) -> Option<i32> {
        let id = self.child.id().unwrap().to_string();
        Command::new("kill").args([name, &id]).status().await.unwrap();
        tokio::time::timeout(LONG, self.child.wait()).await.unwrap().unwrap().code()
    }

    fn triggers(&self) -> Api<ScheduleTrigger> {
        Api::namespaced(self.client.clone(), APPS)
    }

    async fn jobs(&self) -> Vec<Job> {
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), APPS);
        jobs.list(&ListParams::default()).await.unwrap().items
    }

    /// The phases of the trigger's runs when they are these.
    async fn phases(&self, wanted: &[RunPhase]) -> ScheduleTrigger {
        let seen = look_until(LONG, async || {
            let trigger = self.triggers().get("app").await.ok()?;
            let runs = &trigger.status.as_ref()?.runs;
            let phases: Vec<RunPhase> = runs.iter().map(|it| it.phase).collect();
            (phases == wanted).then_some(trigger)
        });
        let seen = seen.await;
        assert!(seen.is_some(), "not {wanted:?}: {:#?}", self.triggers().get("app").await);
        seen.unwrap()
    }

    async fn apply(&self, kind: &str, version: &str, name: &str, spec: Value) {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let kind = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), APPS, &resource);
        let object = json!({
            "apiVersion": kind.api_version(), "kind": kind.kind,
            "metadata": { "name": name, "namespace": APPS }, "spec": spec,
        });
        let params = PatchParams::apply("story").force();
        api.patch(name, &params, &Patch::Apply(object)).await.unwrap();
    }

    /// A trigger on the sample repository whose worker writes down that it ran, and ends when it may.
    async fn watch_the_sample(&self, folder: &Path) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": APPS },
        });
        let params = PatchParams::apply("story");
        namespaces.patch(APPS, &params, &Patch::Apply(namespace)).await.unwrap();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
            "git-events-runner.rs",
            "v1alpha1",
            "GitRepo",
        ));
        let samples: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), "demo", &resource);
        let sample = samples.get("sample").await.unwrap();
        let script = format!(
            "echo one; echo two; echo $ACTION_JOB_TRIGGER_SOURCE_COMMIT >> {0}/ran; \
             while ! test -e {0}/gate; do echo x >> {0}/alive; sleep 0.05; done; echo three",
            folder.display()
        );
        self.apply("GitRepo", OURS, "app", sample.data["spec"].clone()).await;
        let job = json!({ "command": ["sh", "-ec"], "args": [script] });
        self.apply("Action", OURS, "print", json!({ "actionJob": job })).await;
        let spec = json!({
            "sources": { "kind": "GitRepo", "names": ["app"] },
            "schedule": { "interval": "1s" }, "action": { "kind": "Action", "name": "print" },
        });
        self.apply("ScheduleTrigger", OURS, "app", spec).await;
    }
}

fn command(folder: &Path, log: &str) -> Command {
    let log = std::fs::File::create(folder.join(log)).unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .args(["dev", "--replicas", "1", "--state"])
        .arg(folder.join("state"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true);
    command
}

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_default()
}

/// Waits until so many workers have begun, and gives the commits that they were about.
async fn ran(folder: &Path, count: usize) -> Vec<String> {
    let lines = || text(folder, "ran").lines().map(str::to_owned).collect::<Vec<_>>();
    let seen = look_until(LONG, async || (lines().len() >= count).then(lines)).await;
    assert!(seen.is_some(), "{}", text(folder, "dev.log"));
    let seen = seen.unwrap();
    assert_eq!(seen.len(), count, "{seen:?}");
    seen
}

async fn push(folder: &Path, message: &str) -> String {
    let clone = folder.join("clone");
    let repository = folder.join("state/repositories/sample");
    if !clone.exists() {
        git(folder, &["clone", "-q", repository.to_str().unwrap(), "clone"]).await;
    }
    std::fs::write(clone.join("message.txt"), message).unwrap();
    git(&clone, &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", message]).await;
    git(&clone, &["push", "-q"]).await;
    git(&clone, &["rev-parse", "HEAD"]).await.trim().to_owned()
}

async fn git(folder: &Path, arguments: &[&str]) -> String {
    let done = Command::new("git").args(arguments).current_dir(folder).output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Law 2, on a laptop: what was recorded is there after a power failure, and nothing runs twice.
#[test]
fn dev_goes_on_from_its_state_however_it_ended_and_runs_nothing_twice() {
    story!(Real, async {
        let folder = TempDir::new().unwrap();
        let folder = folder.path();
        let dev = Dev::start(folder).await;
        dev.watch_the_sample(folder).await;
        let first = ran(folder, 1).await.remove(0);
        let before = dev.triggers().get("app").await.unwrap();
        let job = dev.jobs().await.remove(0);

        dev.signal("-KILL").await;
        let dev = Dev::start(folder).await;
        let after = dev.phases(&[RunPhase::Failed]).await;

        let version = |it: &ScheduleTrigger| it.resource_version().unwrap().parse::<u64>().unwrap();
        assert_eq!(after.uid(), before.uid());
        assert!(version(&after) > version(&before));
        let jobs = dev.jobs().await;
        assert_eq!((jobs.len(), jobs[0].uid()), (1, job.uid()));
        nothing_breathes(&folder.join("alive")).await;
        std::fs::write(folder.join("gate"), "").unwrap();
        let second = push(folder, "two").await;
        dev.phases(&[RunPhase::Failed, RunPhase::Succeeded]).await;
        assert_eq!(ran(folder, 2).await, [first.clone(), second.clone()]);

        assert_eq!(dev.signal("-TERM").await, Some(0));
        let dev = Dev::start(folder).await;
        let third = push(folder, "three").await;
        dev.phases(&[RunPhase::Failed, RunPhase::Succeeded, RunPhase::Succeeded]).await;

        assert_eq!(ran(folder, 3).await, [first, second, third]);
        assert_eq!(dev.jobs().await.len(), 3);
        assert_eq!(dev.signal("-INT").await, Some(0));
    });
}

/// The process that worked when `dev` was killed is dead: whatever it was about to do, it does not.
async fn nothing_breathes(file: &Path) {
    let size = || std::fs::metadata(file).unwrap().len();
    let rests = look_until(LONG, async || {
        let before = size();
        // Ten breaths: a living one would have written.
        tokio::time::sleep(Duration::from_millis(500)).await;
        (size() == before).then_some(())
    });
    assert!(rests.await.is_some(), "it works on");
}

/// A state that is not understood is neither used nor overwritten, and the message says what to do.
#[test]
fn dev_refuses_a_state_that_is_not_whole() {
    story!(Real, async {
        let folder = TempDir::new().unwrap();
        let folder = folder.path();
        Dev::start(folder).await.signal("-TERM").await;
        let file = folder.join("state/edge-1/cluster.jsonl");
        let whole = std::fs::read_to_string(&file).unwrap();
        let half = &whole[..whole.len() / 2];
        std::fs::write(&file, half).unwrap();

        let ended = command(folder, "refused.log").status().await.unwrap();

        let said = text(folder, "refused.log");
        assert_eq!(ended.code(), Some(1), "{said}");
        assert!(said.contains("cannot go on with the cluster edge-1"), "{said}");
        assert!(said.contains("put a copy in its place"), "{said}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), half);
        std::fs::write(&file, whole).unwrap();
        Dev::start(folder).await;
    });
}

/// What one types to look at a Job works.
#[test]
fn kubectl_looks_at_jobs_of_dev_as_anywhere() {
    story!(Real, async {
        let folder = TempDir::new().unwrap();
        let folder = folder.path();
        let dev = Dev::start(folder).await;
        let Some((true, _)) = kubectl(&dev.kubeconfig, &["version", "--client"]).await else {
            // There is no kubectl here: what it shows stays untold.
            return;
        };
        dev.watch_the_sample(folder).await;
        ran(folder, 1).await;
        let job = format!("job/{}", dev.jobs().await[0].name_any());
        let says = async |arguments: &[&str], wanted: &str| {
            let namespace = ["-n", APPS];
            let all = [&namespace[..], arguments].concat();
            let (success, said) = kubectl(&dev.kubeconfig, &all).await.unwrap();
            assert!(success && said.contains(wanted), "kubectl {arguments:?} printed: {said}");
            said
        };

        says(&["get", "pods"], "Running").await;
        says(&["logs", &job], "one\ntwo\n").await;
        let follow = ["logs", "-f", &job];
        let complete = ["wait", "--for=condition=complete", &job, "--timeout=60s"];
        let breaths = || text(folder, "alive").lines().count();
        let enough = breaths() + 20;
        let open = async {
            look_until(LONG, async || (breaths() >= enough).then_some(())).await.unwrap();
            std::fs::write(folder.join("gate"), "").unwrap();
        };
        let (followed, _, ()) =
            tokio::join!(says(&follow, "three"), says(&complete, "condition met"), open);

        // What kubectl says of its own choice of a container is behind that.
        assert!(followed.starts_with("one\ntwo\nthree\n"), "{followed}");
        assert!(says(&["logs", &job, "--tail=1"], "three").await.starts_with("three\n"));
        says(&["logs", &job, "--timestamps", "--since=1h"], "Z three").await;
        says(&["logs", &job, "--all-containers"], "three").await;
        says(&["describe", &job], "SuccessfulCreate").await;
        says(&["get", "pods"], "Completed").await;
        let previous = [&["-n", APPS][..], &["logs", &job, "--previous"]].concat();
        let (success, said) = kubectl(&dev.kubeconfig, &previous).await.unwrap();
        assert!(!success && said.contains("previous terminated container"), "{said}");
    });
}

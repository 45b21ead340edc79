//! And once more with nothing simulated: three processes of the program, three clusters, and one process that
//! is killed, and one that sleeps through what it was about to do.

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::fleet::HOME;
use e2e::real::{Program, Site, World};
use e2e::wait::look_until;
use e2e::{mins, secs, story};
use git_events_runner::dev::executor::Finished;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::real::{OURS, PROGRAM, apply_all, put};

const CLUSTERS: [&str; 3] = ["hub", "east", "west"];
/// Each cluster has so many triggers of one repository, so that every replica owns some.
const TRIGGERS: usize = 2;
/// A minute, in which Leases of three seconds run out many times over.
const ASLEEP: Duration = secs(60);
/// A takeover, a check, a Job with a clone, on a busy machine.
const LONG: Duration = mins(2);

/// How often each trigger ran each commit.
type Ran = BTreeMap<(String, String, String), usize>;

/// The fleet, and what was seen of it.
struct Scene {
    world: World,
    hub: Site,
    spokes: Vec<Site>,
    ran: Ran,
    commits: Vec<String>,
}

impl Scene {
    async fn start() -> Self {
        let mut world = World::start(PROGRAM).await;
        let hub = world.site(CLUSTERS[0]).await;
        let mut spokes = Vec::new();
        for name in &CLUSTERS[1..] {
            let spoke = world.site(name).await;
            world.register(&hub, name, &spoke).await;
            spokes.push(spoke);
        }
        let first = world.git.create_repo("app.git", &[("message.txt", "0")]).await.unwrap();
        let commits = vec![first.as_str().to_owned()];
        let scene = Self { world, hub, spokes, ran: Ran::new(), commits };
        for site in scene.sites() {
            apply_all(site, &scene.world.git.url("app.git")).await;
            for number in 1..TRIGGERS {
                put(site, OURS, "ScheduleTrigger", &format!("app-{number}"), spec()).await;
            }
        }
        scene
    }

    fn sites(&self) -> impl Iterator<Item = &Site> {
        std::iter::once(&self.hub).chain(&self.spokes)
    }

    async fn push(&mut self) {
        let text = self.commits.len().to_string();
        let pushed = self.world.git.commit("app.git", "message.txt", &text, "Next").await;
        self.commits.push(pushed.unwrap().as_str().to_owned());
    }

    /// Takes note of what has finished; gives whether the last commit ran everywhere.
    fn note(&mut self) -> bool {
        while let Ok(finished) = self.world.finished.try_recv() {
            assert_eq!(finished.exit_code, 0);
            *self.ran.entry(of(&finished)).or_default() += 1;
        }
        let last = self.commits.last().unwrap();
        self.ran.keys().filter(|it| it.2 == *last).count() == CLUSTERS.len() * TRIGGERS
    }

    /// Waits until every trigger has run the last commit.
    async fn all_run(&mut self, programs: &[&Program]) {
        let looked = look_until(LONG, async || self.note().then_some(())).await;
        if looked.is_none() {
            let logs: String = programs.iter().map(|it| it.log()).collect();
            panic!("the last of {:?} did not run everywhere: {:?}\n{logs}", self.commits, self.ran);
        }
    }
}

fn spec() -> serde_json::Value {
    json!({ "spec": {
        "sources": { "kind": "GitRepo", "names": ["app"] },
        "schedule": { "interval": "1s" },
        "action": { "kind": "Action", "name": "print" },
    }})
}

fn of(finished: &Finished) -> (String, String, String) {
    let said = |key: &str| finished.env.get(key).cloned().unwrap_or_default();
    let trigger = said("ACTION_JOB_TRIGGER_NAME");
    (finished.cluster.clone(), trigger, said("ACTION_JOB_TRIGGER_SOURCE_COMMIT"))
}

/// Laws 1 and 2, with real time, real sockets and a scheduler that nobody asked.
#[test]
fn fleet_of_processes_runs_each_commit_once_whoever_is_killed_or_sleeps() {
    story!(Real, async {
        let mut scene = Scene::start().await;
        let mut one = scene.world.run_as(&scene.hub, "replica-1").await;
        let mut two = scene.world.run_as(&scene.hub, "replica-2").await;
        let mut three = scene.world.run_as(&scene.hub, "replica-3").await;
        for program in [&mut one, &mut two, &mut three] {
            program.ready().await;
        }
        scene.all_run(&[&one, &two, &three]).await;

        // While a commit lands, one dies.
        scene.push().await;
        one.kill().await;
        scene.all_run(&[&two, &three]).await;

        // One sleeps for a minute, in which commits land.
        scene.push().await;
        two.freeze().await;
        let wake = Instant::now() + ASLEEP;
        scene.all_run(&[&two, &three]).await;
        for _ in 0..2 {
            scene.push().await;
            scene.all_run(&[&two, &three]).await;
        }
        sleep_until(wake).await;

        // It wakes to a commit, and to a world that went on.
        scene.push().await;
        two.wake().await;
        scene.all_run(&[&two, &three]).await;
        let mut four = scene.world.run_as(&scene.hub, "replica-4").await;
        four.ready().await;
        scene.push().await;
        scene.all_run(&[&two, &three, &four]).await;

        // Whatever asks them to end, they end in order, and give back what they hold.
        for (program, signal) in [(two, "-TERM"), (three, "-QUIT"), (four, "-HUP")] {
            assert_eq!(program.stop_by(signal).await, Some(0), "{signal}");
        }
        let leases: Api<Lease> = Api::namespaced(scene.hub.admin(), HOME);
        let leases = leases.list(&ListParams::default()).await.unwrap().items;
        let holder = |it: &Lease| it.spec.as_ref().and_then(|it| it.holder_identity.clone());
        // The one that was killed gave back nothing.
        let is_alive = |it: &String| !it.is_empty() && !it.starts_with("replica-1");
        let held: Vec<_> = leases.iter().filter_map(holder).filter(is_alive).collect();
        assert!(!leases.is_empty() && held.is_empty(), "{held:?} hold something still");
        scene.note();
        let each = CLUSTERS.len() * TRIGGERS * scene.commits.len();
        assert_eq!(scene.ran.len(), each, "{:?}", scene.ran);
        assert!(scene.ran.values().all(|it| *it == 1), "{:?}", scene.ran);
        for site in scene.sites() {
            assert_eq!(site.jobs_created(), TRIGGERS * scene.commits.len());
        }
    });
}

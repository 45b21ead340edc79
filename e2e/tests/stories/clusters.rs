//! Does everything stay in its cluster, the work and the trouble?

use e2e::fleet::{HOME, kubeconfig};
use e2e::{Fleet, mins, secs, story, trigger};
use kube_sandbox::FaultKind;
use serde_json::json;

/// Nothing crosses from one cluster, or from one namespace, to another.
#[test]
fn a_job_is_made_where_its_trigger_is() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).spokes(["east", "west"]).start().await;
        let (hub, east, west) = (fleet.hub(), fleet.spoke("east"), fleet.spoke("west"));
        east.create_namespace("team").await;
        let repos = [fleet.repo("of-hub"), fleet.repo("of-east"), fleet.repo("of-west")];
        let commits = repos.each_ref().map(e2e::Repo::push);

        hub.apply(&trigger("deploy").watching(&repos[0])).await;
        east.apply(&trigger("deploy").within("team").watching(&repos[1])).await;
        west.apply(&trigger("deploy").watching(&repos[2])).await;

        let places = [(&hub, "apps"), (&east, "team"), (&west, "apps")];
        for ((cluster, namespace), commit) in places.into_iter().zip(&commits) {
            let job = cluster.done_for(commit, secs(30)).await;
            assert_eq!(job.namespace, namespace, "{}", cluster.name());
            assert_eq!(cluster.jobs().await.len(), 1, "{}", cluster.name());
        }
    });
}

/// A cluster is a bulkhead: one that is cut off changes nothing for the others, and forgets nothing.
#[test]
fn a_spoke_that_is_cut_off_catches_up_once() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).spokes(["east", "west"]).start().await;
        let (hub, east, west) = (fleet.hub(), fleet.spoke("east"), fleet.spoke("west"));
        let repo = fleet.repo("app");
        let first = repo.push();
        for cluster in [&hub, &east, &west] {
            cluster.apply(&trigger("deploy").watching(&repo)).await;
            cluster.done_for(&first, secs(30)).await;
        }

        fleet.cut_off("east");
        let mut commits = vec![first];
        for _ in 0..3 {
            fleet.pass(secs(20)).await;
            let commit = repo.push();
            hub.done_for(&commit, secs(15)).await;
            west.done_for(&commit, secs(15)).await;
            commits.push(commit);
        }
        fleet.mend("east");

        let newest = commits.last().unwrap();
        east.done_for(newest, mins(2)).await;
        fleet.pass(mins(2)).await;
        for commit in &commits {
            assert_eq!(hub.jobs_for(commit).await.len(), 1);
            assert_eq!(west.jobs_for(commit).await.len(), 1);
            assert!(east.jobs_for(commit).await.len() <= 1);
        }
    });
}

/// An API that refuses everything is as good as one that is cut off.
#[test]
fn a_spoke_that_answers_with_errors_catches_up_once() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).spokes(["east"]).start().await;
        let east = fleet.spoke("east");
        let repo = fleet.repo("app");
        let first = repo.push();
        east.apply(&trigger("deploy").watching(&repo)).await;
        east.done_for(&first, secs(30)).await;

        east.fault(&FaultKind::Unavailable(503));
        east.fault(&FaultKind::DropWatches);
        let commit = repo.push();
        fleet.pass(mins(3)).await;
        assert_eq!(east.jobs_for(&commit).await.len(), 0);
        fleet.mend("east");

        east.done_for(&commit, mins(3)).await;
        fleet.pass(mins(1)).await;
        assert_eq!(east.jobs_for(&commit).await.len(), 1);
    });
}

/// A spoke is gone when its Secret goes: its triggers stop, and nothing in it is touched.
#[test]
fn a_spoke_that_is_registered_again_resumes() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).spokes(["east"]).start().await;
        let east = fleet.spoke("east");
        let repo = fleet.repo("app");
        let first = repo.push();
        let deploy = east.apply(&trigger("deploy").watching(&repo)).await;
        east.done_for(&first, secs(30)).await;
        let before = east.version(&deploy).await;

        fleet.unregister("east").await;
        fleet.pass(secs(30)).await;
        let (asked, commit) = (repo.requests(), repo.push());
        fleet.pass(mins(2)).await;
        assert_eq!(repo.requests(), asked, "nobody looks for a spoke that is gone");
        assert_eq!(east.version(&deploy).await, before, "nothing in it is touched");
        fleet.register("east", "east").await;

        east.done_for(&commit, mins(1)).await;
        fleet.pass(mins(1)).await;
        assert_eq!(east.jobs_for(&first).await.len(), 1);
        assert_eq!(east.jobs_for(&commit).await.len(), 1);
    });
}

/// One cluster under two names would run everything twice: who registered first keeps it.
#[test]
fn d2_a_cluster_that_is_registered_twice_runs_once() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).spokes(["east"]).start().await;
        let (hub, east) = (fleet.hub(), fleet.spoke("east"));
        let repo = fleet.repo("app");
        let first = repo.push();
        east.apply(&trigger("deploy").watching(&repo)).await;
        east.done_for(&first, secs(30)).await;

        fleet.register("east-again", "east").await;
        fleet.register("the-hub-again", "hub").await;
        hub.apply(&trigger("deploy").watching(&repo)).await;
        let said = async || (hub.events("Duplicate").await.len() == 2).then_some(());
        hub.until(mins(1), "an Event on each Secret", said).await;

        let commit = repo.push();
        east.done_for(&commit, secs(30)).await;
        hub.done_for(&commit, secs(30)).await;
        fleet.pass(mins(2)).await;
        for cluster in [&east, &hub] {
            assert_eq!(cluster.jobs_for(&commit).await.len(), 1, "{}", cluster.name());
        }
        assert_eq!(hub.events("Duplicate").await.len(), 2, "each is said once");
    });
}

/// An API server forgets what was said of a cluster after an hour; who asks after that is told too.
#[test]
fn how_a_cluster_is_can_be_read_long_after_it_was_news() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(1).shards(4).spokes(["east"]).start().await;
        let hub = fleet.hub();
        fleet.register_raw("broken", "{ not: [yaml").await;
        let said = async || (!hub.events("KubeconfigRefused").await.is_empty()).then_some(());
        hub.until(mins(1), "an Event that says what is refused", said).await;
        let told = async |reason: &str| {
            let said = hub.events(reason).await;
            let secret = |it: &&k8s_openapi::api::core::v1::Event| {
                it.involved_object.kind.as_deref() == Some("Secret")
            };
            said.iter().filter(secret).count()
        };
        assert_eq!((told("Ready").await, told("KubeconfigRefused").await), (1, 1));

        fleet.pass(mins(21)).await;

        let again = (told("Ready").await, told("KubeconfigRefused").await);
        assert_eq!(again, (2, 2), "once in twenty minutes");
    });
}

/// A spoke without our CRDs is refused with the reason, and taken once they are there.
#[test]
fn a_spoke_is_taken_once_its_crds_are_installed() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).bare("new").start().await;
        let (hub, new) = (fleet.hub(), fleet.spoke("new"));
        fleet.register("new", "new").await;
        let said = async || hub.events("CrdsMissing").await.into_iter().next();
        let event = hub.until(mins(1), "an Event that names what is missing", said).await;
        assert_eq!(event.involved_object.name.as_deref(), Some("new"));

        new.install_crds().await;
        new.connected().await;
        let repo = fleet.repo("app");
        let commit = repo.push();
        new.apply(&trigger("deploy").watching(&repo)).await;

        new.done_for(&commit, secs(30)).await;
        assert_eq!(hub.events("CrdsMissing").await.len(), 1);
    });
}

/// What is dangerous in a kubeconfig is never used; the refusal is said once, on the Secret.
#[test]
fn a_kubeconfig_that_runs_a_program_is_refused_until_it_is_mended() {
    story!(Virtual, async {
        let exec = json!({ "exec": { "apiVersion": "v1", "command": "/bin/sh" } });
        refused_until_mended(&kubeconfig("late", &exec), "exec").await;
    });
}

/// A Secret that holds no kubeconfig says so, and harms nobody.
#[test]
fn a_secret_that_is_no_kubeconfig_is_refused_until_it_is_mended() {
    story!(Virtual, refused_until_mended("{ not: [yaml", "YAML"));
}

async fn refused_until_mended(kubeconfig: &str, says: &str) {
    let fleet = Fleet::builder().replicas(2).spokes(["east"]).bare("late").start().await;
    let (hub, east, late) = (fleet.hub(), fleet.spoke("east"), fleet.spoke("late"));
    late.install_crds().await;
    let repo = fleet.repo("app");
    let first = repo.push();
    east.apply(&trigger("deploy").watching(&repo)).await;
    late.apply(&trigger("deploy").watching(&repo)).await;

    fleet.register_raw("late", kubeconfig).await;
    let said = async || hub.events("KubeconfigRefused").await.into_iter().next();
    let event = hub.until(mins(1), "an Event that says what is refused", said).await;
    assert_eq!(event.involved_object.name.as_deref(), Some("late"));
    assert_eq!(event.involved_object.namespace.as_deref(), Some(HOME));
    assert!(event.message.as_deref().is_some_and(|it| it.contains(says)), "{event:?}");
    east.done_for(&first, secs(30)).await;
    fleet.pass(mins(5)).await;
    assert_eq!(hub.events("KubeconfigRefused").await.len(), 1, "said once");
    assert_eq!(late.jobs().await.len(), 0);

    fleet.register("late", "late").await;
    late.done_for(&first, mins(1)).await;
    fleet.pass(mins(1)).await;
    assert_eq!(late.jobs_for(&first).await.len(), 1);
    assert_eq!(east.jobs_for(&first).await.len(), 1);
}

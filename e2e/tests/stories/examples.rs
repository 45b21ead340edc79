//! Do the examples that people copy work as they are?

use std::path::Path;
use std::process::Command;

use e2e::real::World;
use e2e::wait::look_until;
use e2e::{Fleet, mins, secs, story};
use ger_api::ScheduleTrigger;
use ger_api::status::RunPhase;
use ger_core::names::{ClusterName, TriggerKey, TriggerKind};
use kube::Api;
use serde_json::Value;

use crate::real::{PROGRAM, apply, next, text};

/// A file of `docs/examples`.
fn example(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(file);
    std::fs::read_to_string(path).unwrap()
}

/// The objects of a file of `docs/examples`.
fn objects(file: &str) -> Vec<Value> {
    let text = example(file);
    text.split("\n---\n").map(|it| serde_saphyr::from_str(it).unwrap()).collect()
}

/// Terraform is applied once for each commit, one apply after another.
#[test]
fn terraform_is_applied_on_each_commit_one_after_another() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("infrastructure"));
        hub.create_namespace("infrastructure").await;
        let first = repo.write("main.tf", "one");
        for mut object in objects("terraform/terraform.yaml") {
            if object["kind"] == "GitRepo" {
                object["spec"]["repoUri"] = repo.uri().into();
            }
            hub.put(&object).await;
        }
        let key = TriggerKey {
            cluster: ClusterName::hub(),
            kind: TriggerKind::Schedule,
            namespace: "infrastructure".to_owned(),
            name: "infrastructure".to_owned(),
        };
        hub.until_run(&key, &first, RunPhase::Succeeded).await;
        let second = repo.write("modules/network/main.tf", "two");
        hub.until_run(&key, &second, RunPhase::Succeeded).await;
        let other = repo.write("README.md", "three");
        fleet.pass(mins(5)).await;

        assert_eq!(hub.jobs_for(&other).await.len(), 0, "no file of Terraform changed");
        assert_eq!(hub.kubelet().most_at_once(), 1);
        let job = hub.present().await.remove(0);
        let pod = job.spec.unwrap().template.spec.unwrap();
        assert_eq!(pod.service_account_name.as_deref(), Some("terraform"));
        let env = pod.containers[0].env.clone().unwrap();
        let commit = env.iter().find(|it| it.name == "TF_VAR_commit").unwrap();
        assert_eq!(commit.value.as_deref(), Some("$(ACTION_JOB_TRIGGER_SOURCE_COMMIT)"));
        fleet.pass(secs(1)).await;
    });
}

/// The same with Terraform itself, a repository that anybody can try, and Jobs as processes, as in `dev`. Told
/// only where there is a `terraform`.
#[test]
fn terraform_itself_applies_each_commit_and_the_status_says_which() {
    if Command::new("terraform").arg("version").output().is_err() {
        return;
    }
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let hub = world.site("hub").await;
        hub.create_namespace("infrastructure").await;
        let main = example("terraform/repository/main.tf");
        let first =
            world.git.create_repo("infrastructure.git", &[("main.tf", &main)]).await.unwrap();
        for mut object in objects("terraform/terraform.yaml") {
            match object["kind"].as_str() {
                Some("GitRepo") => {
                    object["spec"]["repoUri"] = world.git.url("infrastructure.git").into();
                }
                Some("ScheduleTrigger") => object["spec"]["schedule"]["interval"] = "1s".into(),
                _ => {}
            }
            apply(&hub.admin(), &object).await;
        }
        let mut program = world.run(&hub).await;
        program.ready().await;

        let mut applied = vec![next(&mut world).await];
        let changed = format!("{main}\n# changed\n");
        let second = world.git.commit("infrastructure.git", "main.tf", &changed, "Change").await;
        applied.push(next(&mut world).await);

        let commits = [first, second.unwrap()];
        for (commit, applied) in commits.iter().zip(&applied) {
            let printed = text(applied);
            assert!(printed.contains("Apply complete!"), "{printed}");
            assert!(printed.contains(&format!("commit = \"{commit}\"")), "{printed}");
        }
        let triggers: Api<ScheduleTrigger> = Api::namespaced(hub.admin(), "infrastructure");
        let both = async || {
            let status = triggers.get("infrastructure").await.unwrap().status?;
            let ended = status.runs.iter().filter(|it| it.phase == RunPhase::Succeeded);
            (ended.count() == 2).then_some(status)
        };
        let status = look_until(secs(60), both).await.expect("both applies are recorded");
        for (run, commit) in status.runs.iter().zip(&commits) {
            assert_eq!(run.commit.as_deref(), Some(commit.as_str()));
            assert!(run.job.as_ref().is_some_and(|it| it.starts_with("infrastructure-")));
        }
        let recorded = &status.checked_sources["infrastructure"].commit_hash;
        assert_eq!(recorded.as_deref(), Some(commits[1].as_str()));
    });
}

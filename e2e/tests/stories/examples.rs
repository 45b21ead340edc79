//! Do the examples that people copy work as they are?

use std::path::Path;

use e2e::{Fleet, mins, secs, story};
use ger_api::status::RunPhase;
use ger_core::names::{ClusterName, TriggerKey, TriggerKind};
use serde_json::Value;

/// The objects of a file of `docs/examples`.
fn objects(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(file);
    let text = std::fs::read_to_string(path).unwrap();
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

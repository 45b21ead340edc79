//! A controller under test, an hour in an instant: `cargo run --example controller`.
//!
//! It runs a Job for each ConfigMap. The cluster's own controllers make the Pod, a script says that it
//! takes an hour and succeeds, and tokio's paused time runs to the end of it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::{batch::v1::Job, core::v1::ConfigMap};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    runtime::{
        Controller,
        controller::Action,
        wait::{await_condition, conditions},
        watcher,
    },
};
use kube_sandbox::{Outcome, Run, Sandbox, Script};
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

/// What is to be tested: it knows nothing of the sandbox.
async fn reconcile(config: Arc<ConfigMap>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let jobs: Api<Job> = Api::default_namespaced(Client::clone(&client));
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": config.name_any(), "ownerReferences": [config.controller_owner_ref(&())],
        },
        "spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1"}],
        }}},
    });
    let params = PatchParams::apply("example").force();
    jobs.patch(&config.name_any(), &params, &Patch::Apply(job)).await?;
    Ok(Action::await_change())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
#[expect(clippy::print_stdout, reason = "an example talks to a terminal")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sandbox = Sandbox::new("example");
    let client = Client::new(sandbox.client_router("controller"), "default");
    let takes_an_hour = Script(|_: &Run| (Duration::from_hours(1), Outcome::exit(0)));
    let mut tasks = JoinSet::new();
    tasks.spawn(sandbox.run_controllers());
    tasks.spawn(sandbox.run_pods(takes_an_hour));
    let configs: Api<ConfigMap> = Api::default_namespaced(client.clone());
    // Only ours: the cluster keeps a ConfigMap of its own in each namespace.
    let ours = watcher::Config::default().labels("example.com/run=true");
    let controller = Controller::new(configs.clone(), ours);
    let wait = |_: Arc<ConfigMap>, _: &kube::Error, _: Arc<Client>| {
        Action::requeue(Duration::from_secs(5))
    };
    let runs = controller.run(reconcile, wait, Arc::new(client.clone()));
    tasks.spawn(runs.map(Ok::<_, Infallible>).for_each(|_| std::future::ready(())));

    let start = Instant::now();
    let config = serde_json::from_value(json!({
        "metadata": {"name": "nightly", "labels": {"example.com/run": "true"}},
    }))?;
    configs.create(&PostParams::default(), &config).await?;
    let jobs: Api<Job> = Api::default_namespaced(client);
    await_condition(jobs, "nightly", conditions::is_job_completed()).await?;

    let minutes = start.elapsed().as_secs() / 60;
    println!("The Job was done after {minutes} minutes by the cluster's clock.");
    for write in sandbox.audit().iter().filter(|it| it.resource == "jobs") {
        println!("{} {} {} by {}: {}", write.at, write.verb, write.name, write.client, write.code);
    }
    Ok(())
}

//! Is a run one trace, from its firing to its Job's outcome, whoever takes it on?

mod collector;

use std::collections::BTreeSet;

use e2e::objects::APPS;
use e2e::real::{Program, World};
use e2e::wait::look_until;
use e2e::{mins, story};
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use self::collector::{Collector, Told};
use crate::real::{OURS, PROGRAM, apply_all, next, put};

/// The steps before the Job's end.
const BEGUN: [&str; 5] = ["firing", "check", "record", "create job", "admission"];

/// The values of a field in a program's log.
fn logged(program: &Program, field: &str) -> BTreeSet<String> {
    let log = program.log();
    let lines = log.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
    lines.filter_map(|it| it[field].as_str().map(str::to_owned)).collect()
}

async fn until_told(collector: &Collector, names: &[&str], program: &Program) -> Vec<Told> {
    let has_all = async || {
        let told = collector.told();
        names.iter().all(|name| told.iter().any(|it| it.name == *name)).then_some(told)
    };
    let told = look_until(mins(1), has_all).await;
    told.unwrap_or_else(|| panic!("of {names:?} only {:?}\n{}", collector.told(), program.log()))
}

/// The replica that began it is killed while the Job works; another one sees it end. One speaks HTTP to the
/// collector, the other gRPC.
#[test]
fn a_run_is_one_trace_although_another_replica_ends_it() {
    story!(Real, async {
        let collector = Collector::start().await;
        let mut world = World::start(PROGRAM).await;
        let hub = world.site("hub").await;
        let commit = world.git.create_repo("app.git", &[("message.txt", "one")]).await.unwrap();
        apply_all(&hub, &world.git.url("app.git")).await;
        let go = world.folder().join("go");
        let script = format!("while ! test -e {}; do sleep 0.1; done", go.display());
        let job = json!({ "command": ["sh", "-ec"], "args": [script] });
        put(&hub, OURS, "Action", "print", json!({ "spec": { "actionJob": job } })).await;
        let http = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ];
        let began = world.run_with(&hub, "began", &http).await;
        let told = until_told(&collector, &BEGUN, &began).await;
        let named = logged(&began, "trace_id");
        began.kill().await;

        let grpc = [("OPENTELEMETRY_ENDPOINT_URL", collector.address.as_str())];
        let ends = world.run_with(&hub, "ends", &grpc).await;
        std::fs::write(&go, "").unwrap();
        next(&mut world).await;
        let all = until_told(&collector, &["job"], &ends).await;

        let traces: BTreeSet<&str> = all.iter().map(|it| it.trace.as_str()).collect();
        assert_eq!(traces.len(), 1, "{all:?}");
        let trace = *traces.first().unwrap();
        assert_eq!(named, BTreeSet::from([trace.to_owned()]));
        assert_eq!(logged(&ends, "trace_id"), named);
        let jobs: Api<Job> = Api::namespaced(hub.admin(), APPS);
        let job = jobs.list(&ListParams::default()).await.unwrap().items.remove(0);
        let annotations = job.metadata.annotations.unwrap();
        assert_eq!(annotations["git-events-runner.rs/trace-id"], trace);
        let run = &job.metadata.labels.unwrap()["git-events-runner.rs/run-id"];

        let firing = all.iter().find(|it| it.name == "firing").unwrap();
        assert_eq!((firing.parent.as_str(), firing.service.as_str()), ("", "git-events-runner"));
        for step in &all {
            assert!(step.from <= step.to, "{step:?}");
            assert!(step.name == "firing" || step.parent == firing.span, "{step:?}");
            let said = |name: &str| step.attributes.get(name).map(String::as_str);
            assert_eq!(said("git_events_runner.cluster"), Some("hub"));
            assert_eq!(said("git_events_runner.trigger.name"), Some("app"));
            assert_eq!(said("git_events_runner.source"), Some("app"));
            assert_eq!(said("git_events_runner.run.id"), Some(run.as_str()));
            assert_eq!(said("git_events_runner.commit"), Some(commit.as_str()));
        }
        assert!(told.iter().all(|it| it.path == "/v1/traces"), "{told:?}");
        let ended = all.iter().find(|it| it.name == "job").unwrap();
        assert!(ended.path.ends_with("TraceService/Export"), "{ended:?}");
        assert_eq!(ended.attributes["git_events_runner.run.phase"], "Succeeded");
        assert_eq!(ends.stop().await, Some(0));
    });
}

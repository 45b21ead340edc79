//! Does a Deployment of the original start with our program in it? Its flags, and its environment.

use std::time::Duration;

use e2e::real::World;
use e2e::story;
use ger_core::webhook::Rate;
use git_events_runner::cli::settings;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::real::PROGRAM;

/// Flags that mean nothing here: there is no leader, and checks clone nothing.
const WITHOUT_EFFECT: [&str; 4] = [
    "--leader-lease-name",
    "--leader-lease-duration",
    "--leader-lease-grace",
    "--source-clone-folder",
];

fn words(typed: &str) -> Vec<String> {
    typed.split_whitespace().map(str::to_owned).collect()
}

/// Every flag of the original, by its long and its short name, says here what it said there.
#[test]
fn every_flag_of_the_original_means_what_it_meant() {
    let typed = "run --webhooks-port 8081 --utility-port 3001 --webhooks-parallelism 3 \
        --schedule-parallelism 5 --secrets-cache-time 7 --source-clone-folder /tmp/git-events-runner \
        --config-map-name theirs --leader-lease-name git-events-runner-leader-lock \
        --leader-lease-duration 30 --leader-lease-grace 5 --metrics-prefix theirs \
        --hooks-rrl-global 60/60 --hooks-rrl-trigger 6/60 --hooks-rrl-source 3/60 \
        --tls-secret-name certificate --tls-secret-namespace secrets --json-logs";

    let long = settings(&words(typed)).unwrap();
    let short = settings(&words("run -w 8081 -u 3001 -j")).unwrap();
    let files = settings(&words("run --tls-cert-path /tls/crt --tls-key-path /tls/key")).unwrap();

    for read in [&long, &short] {
        assert_eq!((read.webhooks.listen.port(), read.utility.port()), (8081, 3001));
        assert_eq!(read.json_logs, git_events_runner::config::LogFormat::Json);
    }
    assert_eq!((long.webhooks.parallelism, long.schedule_parallelism), (3, 5));
    assert_eq!(long.secrets_cache_time, Duration::from_secs(7));
    assert_eq!((long.config_map.as_str(), long.metrics_prefix.as_str()), ("theirs", "theirs"));
    let limits = long.webhooks.limits;
    let rate = |it: &str| Rate::parse(it).ok();
    assert_eq!(
        [limits.global, limits.trigger, limits.source],
        [rate("60/60"), rate("6/60"), rate("3/60")]
    );
    let said = format!("{:?}", long.webhooks.certificate);
    assert!(said.contains("certificate") && said.contains("secrets"), "{said}");
    let said = format!("{:?}", files.webhooks.certificate);
    assert!(said.contains("/tls/crt") && said.contains("/tls/key"), "{said}");
    assert_eq!(long.ignored, WITHOUT_EFFECT);
}

/// The program starts with what the original's chart types and sets, says once of each flag that it does nothing
/// any more, and does what the others say.
#[test]
fn a_deployment_of_the_original_starts_with_our_program() {
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let hub = world.site("hub").await;
        let typed = "--webhooks-parallelism 16 --schedule-parallelism 16 --secrets-cache-time 60 \
            --source-clone-folder /tmp/git-events-runner --config-map-name git-events-runner-config \
            --leader-lease-name git-events-runner-leader-lock --leader-lease-duration 30 \
            --leader-lease-grace 5 --metrics-prefix theirs --hooks-rrl-global 2/600";
        // Nobody collects traces there: nothing waits for it.
        let environment =
            [("RUST_LOG", "debug"), ("OPENTELEMETRY_ENDPOINT_URL", "http://127.0.0.1:9")];

        let mut program = world.run_typed(&hub, typed, &environment).await;
        program.ready().await;

        let log = program.log();
        for flag in WITHOUT_EFFECT {
            assert_eq!(log.matches(flag).count(), 1, "{flag}: {log}");
        }
        let lines = || log.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
        assert!(lines().any(|it| it["level"] == "DEBUG"), "{log}");
        let (_, metrics) = program.http("/metrics").await.unwrap();
        assert!(metrics.contains("theirs_members 1"), "{metrics}");
        let mut codes = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(program.hooks()).await.unwrap();
            let call = b"POST /apps/none HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n";
            stream.write_all(call).await.unwrap();
            let mut told = String::new();
            stream.read_to_string(&mut told).await.unwrap();
            codes.push(told.split(' ').nth(1).unwrap_or_default().to_owned());
        }
        assert_eq!(codes, ["404", "404", "429"]);
        assert_eq!(program.stop().await, Some(0));
    });
}

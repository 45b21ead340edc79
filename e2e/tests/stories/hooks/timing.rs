//! What do answers tell by the time they take? In CPU time of this thread, which nobody else's work disturbs.

use std::time::Duration;

use e2e::{hook, post, secs, story};
use rustix::time::{ClockId, clock_gettime};

use super::{Ground, SECRET};

/// So that what is compared is the verification, and not the rest.
const BODY: usize = 256 << 10;
const ROUNDS: usize = 20;

fn cpu() -> Duration {
    let it = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(it.tv_sec), u32::try_from(it.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

/// A10: the time of an answer does not tell whether a trigger, its cluster or its source is there, nor how
/// its callers are known.
#[test]
fn a10_what_is_not_there_takes_a_stranger_as_long_as_what_is() {
    story!(Virtual, async {
        let it = Ground::new().await;
        for kind in ["header", "gitlab"] {
            it.fleet.hub().apply(&hook(kind).known_by(kind, "forge").watching(&it.repo)).await;
        }
        let is_known =
            async || (it.fleet.called(&post("/apps/gitlab/app")).await.code != 404).then_some(());
        it.fleet.until(secs(30), "the last one is known", is_known).await;
        let paths = [
            ("/apps/deploy/app", 403),
            ("/apps/deploy/none", 403),
            ("/apps/header/app", 403),
            ("/apps/gitlab/app", 403),
            ("/apps/none/app", 404),
            ("/none/deploy/app", 404),
            ("/clusters/none/apps/deploy/app", 404),
        ];
        let body = "x".repeat(BODY);
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); paths.len()];

        for _ in 0..ROUNDS {
            for ((path, code), times) in paths.iter().zip(&mut times) {
                let call = post(path).body(body.clone()).signed(&format!("not {SECRET}"));
                let call = call.header("x-trigger-auth", "no").header("x-gitlab-token", "no");
                let begun = cpu();
                let told = it.fleet.called(&call).await;
                times.push(cpu().saturating_sub(begun));
                assert_eq!(told.code, *code, "{path}");
            }
        }

        // What else the machine does only ever adds to a time.
        let least = |times: &Vec<Duration>| times.iter().min().map_or(0.0, Duration::as_secs_f64);
        let least: Vec<f64> = times.iter().map(least).collect();
        for ((path, _), took) in paths.iter().zip(&least) {
            let ratio = took / least[0];
            assert!(
                (0.7..1.4).contains(&ratio),
                "{path} takes {ratio:.2} times as long: {least:?}"
            );
        }
    });
}

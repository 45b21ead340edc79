//! Is each row of the table of answers so? One story a row, and what the limits say.

use e2e::fleet::Hooks;
use e2e::objects::secret;
use e2e::{Fleet, hook, mins, post, secs, story};
use ger_api::status::RunPhase;
use http::Method;
use serde_json::json;

use super::{DEPLOY, Ground, SECRET};

/// What nothing can be called, and what nobody made, are not found; what is no POST is refused.
#[test]
fn paths_that_lead_nowhere_are_not_found() {
    story!(Virtual, async {
        let it = Ground::new().await;

        for path in [
            "/",
            "/apps",
            "/apps/deploy/",
            "/apps/other/app",
            "/other/deploy/app",
            "/a/b/c/d",
            "/clusters/west/apps/deploy/app",
            "/Apps/deploy",
        ] {
            let told = it.fleet.called(&post(path)).await;
            assert_eq!((told.code, told.word()), (404, "error"), "{path}: {told:?}");
        }
        let told = it.fleet.called(&post(DEPLOY).method(Method::GET)).await;
        assert_eq!((told.code, told.header("allow")), (405, Some("POST")));
    });
}

/// Who shows nothing gets 401, who shows the wrong thing 403; only who was let in hears of sources.
#[test]
fn callers_that_know_nothing_are_told_nothing() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let unknown = post("/apps/deploy/other");

        let missing = it.fleet.called(&post(DEPLOY)).await;
        let wrong = it.fleet.called(&post(DEPLOY).body("{}").signed("guessed")).await;
        let unknown_to_strangers = it.fleet.called(&unknown).await;
        let unknown = it.fleet.called(&unknown.body("{}").signed(SECRET)).await;
        let all = it.fleet.called(&post("/apps/deploy").body("{}").signed(SECRET)).await;

        assert_eq!((missing.code, missing.message()), (401, "authorization is required"));
        assert_eq!((wrong.code, wrong.message()), (403, "forbidden"));
        assert_eq!(unknown_to_strangers.code, 401);
        assert_eq!((unknown.code, unknown.message()), (404, "source doesn't exist in the trigger"));
        assert_eq!((all.code, all.message()), (400, "multi-source hook isn't allowed"));
        it.fleet.pass(mins(1)).await;
        assert_eq!(it.fleet.hub().status(&it.key).await.sequence, 0);
    });
}

/// Without a source, all are checked, where the trigger allows it.
#[test]
fn a_call_for_all_sources_runs_each_that_changed() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, app, lib) = (fleet.hub(), fleet.repo("app"), fleet.repo("lib"));
        let trigger = hook("deploy").watching(&app).watching(&lib);
        let key = hub.apply(&trigger.webhook("multiSource", true.into())).await;
        fleet
            .until(secs(30), "the trigger is known", async || {
                let told =
                    fleet.called(&post("/apps/deploy").header("x-github-event", "ping")).await;
                (told.code == 200).then_some(())
            })
            .await;

        let told = fleet.called(&post("/apps/deploy")).await;

        assert_eq!(told.code, 202, "{told:?}");
        let runs: Vec<&str> = told.run().split(',').collect();
        assert_eq!(runs.len(), 2, "{told:?}");
        for run in runs {
            hub.until_phase(&key, run, RunPhase::Succeeded).await;
        }
        assert_eq!(hub.jobs().await.len(), 2);
    });
}

/// A suspended trigger takes no calls; a ping still shows that the address is right.
#[test]
fn a_suspended_trigger_answers_409() {
    story!(Virtual, async {
        let it = Ground::new().await;
        it.fleet.hub().edit(&it.key, &json!({ "spec": { "suspend": true } })).await;
        let is_suspended = async || {
            let told = it.fleet.called(&it.push("d-1")).await;
            (told.code == 409).then_some(told)
        };
        it.fleet.until(secs(30), "the trigger is suspended", is_suspended).await;

        let ping = post(DEPLOY).header("x-github-event", "ping").body("{}").signed(SECRET);
        let sequence = it.fleet.hub().status(&it.key).await.sequence;

        assert_eq!(it.fleet.called(&ping).await.code, 200);
        assert_eq!(it.fleet.called(&it.push("d-2")).await.code, 409);
        it.fleet.pass(mins(1)).await;
        assert_eq!(it.fleet.hub().status(&it.key).await.sequence, sequence);
    });
}

/// A Secret that cannot be used is our trouble, and nobody hears of it in detail.
#[test]
fn a_secret_that_is_not_there_answers_500_and_is_not_asked_for_by_every_stranger() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        hub.delete(&secret("forge", "token", SECRET)).await;
        it.fleet.pass(mins(2)).await;

        let told = it.fleet.called(&it.push("d-1")).await;
        let requests = it.fleet.asked("replica-1");
        for _ in 0..50 {
            assert_eq!(it.fleet.called(&it.push("d-1")).await.code, 500);
        }

        assert_eq!((told.code, told.message()), (500, "unable to complete authorization"));
        assert_eq!(it.fleet.asked("replica-1"), requests);
        hub.put(&secret("forge", "other", SECRET)).await;
        it.fleet.pass(secs(10)).await;
        assert_eq!(it.fleet.called(&it.push("d-1")).await.code, 500, "it has no key `token`");
        hub.put(&secret("forge", "token", SECRET)).await;
        it.fleet.pass(mins(2)).await;
        assert_eq!(it.fleet.called(&it.push("d-1")).await.code, 202);
    });
}

/// While a secret is changed, both are good; then the old one is not, and the new one at once.
#[test]
fn a_secret_is_rotated_without_a_lost_delivery() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        let code = async |secret: &str| {
            it.repo.push();
            let call = post(DEPLOY).body("{\"ref\":\"refs/heads/main\"}").signed(secret);
            it.fleet.called(&call).await.code
        };
        assert_eq!((code(SECRET).await, code("new").await), (202, 403));
        let both = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "forge", "namespace": "apps" },
            "stringData": { "token": "new", "token.old": SECRET, "tokenless": "no" },
        });

        it.fleet.pass(secs(10)).await;
        hub.put(&both).await;
        assert_eq!(code("new").await, 202, "it is read again for who is not let in");
        assert_eq!(code(SECRET).await, 202);
        assert_eq!(code("no").await, 403, "another key that begins alike");

        let mut one = both.clone();
        one["stringData"] = json!({ "token": "new" });
        hub.delete(&both).await;
        hub.put(&one).await;
        it.fleet.pass(mins(2)).await;
        assert_eq!((code("new").await, code(SECRET).await), (202, 403));
    });
}

/// A spec that cannot be carried out takes no calls, and its conditions say why.
#[test]
fn a_trigger_that_cannot_be_carried_out_answers_409_and_says_why() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let wrong = hook("deploy").watching(&repo).webhook("events", json!([]));
        let key = hub.apply(&wrong).await;

        hub.until_condition(&key, ("Ready", "False", "InvalidWebhook")).await;

        assert_eq!(fleet.called(&post(DEPLOY)).await.code, 409);
        hub.edit(&key, &json!({ "spec": { "webhook": { "events": ["push"] } } })).await;
        hub.until_condition(&key, ("Ready", "True", "Watching")).await;
        assert_eq!(fleet.called(&post(DEPLOY)).await.code, 202);
    });
}

/// A delivery that comes again while its run goes on is the same; afterwards it is looked for again, and
/// nothing has changed.
#[test]
fn a_redelivery_runs_nothing_twice() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        hub.work(e2e::Work::Lasts);
        let commit = it.repo.push();
        let push = it.push("delivery-1");
        let first = it.fleet.called(&push).await;
        hub.until_phase(&it.key, first.run(), RunPhase::Running).await;

        let meanwhile = it.fleet.called(&push).await;
        hub.work(e2e::Work::Succeeds(secs(1)));
        hub.until_phase(&it.key, first.run(), RunPhase::Succeeded).await;
        let afterwards = it.fleet.called(&push).await;

        assert_eq!((meanwhile.code, meanwhile.run()), (200, first.run()));
        assert_eq!(afterwards.code, 202);
        assert_ne!(afterwards.run(), first.run());
        hub.until_phase(&it.key, afterwards.run(), RunPhase::Unchanged).await;
        assert_eq!(hub.jobs_for(&commit).await.len(), 1);
    });
}

/// Events that the user wants count, by the forge's word or by ours.
#[test]
fn events_are_the_ones_that_are_named() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let events = json!(["Merge Request Hook", "pull_request"]);
        hub.apply(&hook("deploy").watching(&repo).webhook("events", events)).await;
        fleet
            .until(secs(30), "the trigger is known", async || {
                let told = fleet.called(&post(DEPLOY).header("x-github-event", "ping")).await;
                (told.code == 200).then_some(())
            })
            .await;
        let code = async |header: &str, event: &str| {
            fleet.called(&post(DEPLOY).header(header, event)).await.code
        };

        assert_eq!(code("x-github-event", "pull_request").await, 202);
        assert_eq!(code("x-gitlab-event", "Merge Request Hook").await, 202);
        assert_eq!(code("x-github-event", "push").await, 200);
        assert_eq!(code("x-gitea-event", "issues").await, 200);
    });
}

/// Limits are counted by each replica, and say when to come again.
#[test]
fn limits_say_how_much_is_left_and_when_to_come_again() {
    story!(Virtual, async {
        let hooks = Hooks { trigger: Some("3/30".to_owned()), ..Hooks::default() };
        let it = Ground::of(Fleet::builder().hooks(hooks).start().await).await;
        // Strangers do not use up what the trigger's callers have.
        for _ in 0..20 {
            assert_eq!(it.fleet.called(&post(DEPLOY)).await.code, 401);
        }
        let mut left = Vec::new();
        for number in 0..3 {
            it.repo.push();
            let told = it.fleet.called(&it.push(&format!("d-{number}"))).await;
            assert_eq!((told.code, told.header("x-ratelimit-limit")), (202, Some("3")), "{told:?}");
            left.push(told.header("x-ratelimit-remaining").unwrap().to_owned());
        }

        let told = it.fleet.called(&it.push("d-4")).await;

        assert_eq!(left, ["2", "1", "0"]);
        assert_eq!((told.code, told.word()), (429, "error"));
        let seconds = |name: &str| told.header(name).unwrap().parse::<u64>().unwrap();
        assert!((8..=10).contains(&seconds("retry-after")), "{told:?}");
        assert_eq!(seconds("retry-after"), seconds("x-ratelimit-after"));
        assert_eq!(told.header("x-ratelimit-remaining"), Some("0"));
        it.fleet.pass(secs(11)).await;
        assert_eq!(it.fleet.called(&it.push("d-5")).await.code, 202);
    });
}

/// Behind a proxy that is trusted, a caller is whom the proxy names.
#[test]
fn a_caller_s_limit_sees_through_the_ingress() {
    story!(Virtual, async {
        let hooks = Hooks {
            caller: Some("2/60".to_owned()),
            proxies: Some("198.51.100.0/24".to_owned()),
            ..Hooks::default()
        };
        let fleet = Fleet::builder().hooks(hooks).start().await;
        let from = |address: &str| post("/apps/none/app").header("x-forwarded-for", address);

        for _ in 0..2 {
            assert_eq!(fleet.called(&from("203.0.113.1")).await.code, 404);
        }
        assert_eq!(fleet.called(&from("203.0.113.1")).await.code, 429);
        assert_eq!(fleet.called(&from("192.0.2.1, 203.0.113.1")).await.code, 429);
        assert_eq!(fleet.called(&from("203.0.113.2")).await.code, 404);
    });
}

/// The numbers are under the original's names, and what calls nothing makes no series.
#[test]
fn calls_are_counted_by_trigger_and_never_by_a_stranger_s_path() {
    story!(Virtual, async {
        let it = Ground::new().await;
        for number in 0..500 {
            it.fleet.called(&post(&format!("/apps/guess-{number}/app"))).await;
        }
        it.repo.push();
        assert_eq!(it.fleet.called(&it.push("d-1")).await.code, 202);

        let text = it.fleet.metrics("replica-1");

        let lines = |name: &str| text.lines().filter(|it| it.starts_with(name)).collect::<Vec<_>>();
        let counts = lines("git_events_runner_webhook_requests_count");
        assert!(counts.len() <= 4, "{counts:?}");
        let accepted = counts.iter().find(|it| it.contains("status=\"202\"")).unwrap();
        assert!(
            accepted.contains("cluster=\"hub\"")
                && accepted.contains("namespace=\"apps\"")
                && accepted.contains("trigger_name=\"deploy\""),
            "{accepted}"
        );
        assert!(!lines("git_events_runner_webhook_recorded_seconds").is_empty());
        assert!(!lines("git_events_runner_webhook_requests_duration_seconds").is_empty());
    });
}

//! What strangers try: each attack by its code. A1 over real sockets is in the controller's own tests.

use e2e::calls::signature;
use e2e::objects::secret;
use e2e::{Fleet, hook, mins, post, secs, story};
use ger_api::status::RunPhase;
use serde_json::json;

use super::{DEPLOY, Ground, SECRET};

/// A2: what is no payload of the trigger's forge is refused, and the next one is served.
#[test]
fn a2_malformed_payloads_are_refused_and_harm_nobody() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        for kind in ["gitea", "gitlab", "bitbucket"] {
            hub.apply(&hook(kind).known_by(kind, "forge").watching(&it.repo)).await;
        }
        let is_known = async || {
            (it.fleet.called(&post("/apps/bitbucket/app")).await.code != 404).then_some(())
        };
        it.fleet.until(secs(30), "the last one is known", is_known).await;

        for body in [
            "",
            "null",
            "[]",
            "{}",
            "0",
            "\"push\"",
            "{\"ref\":null}",
            "{\"ref\":7}",
            "{\"ref\":\"\"}",
            "{\"ref\":\"refs/heads/main\",\"after\":[]}",
            "{\"ref\":[\"main\"]}",
            "{\"push\":null}",
            "{\"push\":{\"changes\":[]}}",
            "{\"push\":{\"changes\":[{}]}}",
            "{\"push\":{\"changes\":[null]}}",
            "{\"changes\":[]}",
            "{\"changes\":[{\"ref\":{}}]}",
            "{\"changes\":{}}",
            "{\"ref\":\"a\",\"ref\":\"b\"}",
            "payload=%7B%7D",
            "{\"ref\":\"\\ud800\"}",
        ] {
            let signed = signature(SECRET, body.as_bytes());
            let gitlab = post("/apps/gitlab/app").body(body).header("x-gitlab-token", SECRET);
            let told = it.fleet.called(&gitlab.header("x-gitlab-event", "Push Hook")).await;
            assert_eq!(told.code, 400, "gitlab: {body}: {told:?}");
            let told = [
                (
                    "deploy",
                    "x-hub-signature-256",
                    format!("sha256={signed}"),
                    "x-github-event",
                    "push",
                ),
                ("gitea", "x-gitea-signature", signed.clone(), "x-gitea-event", "push"),
                (
                    "bitbucket",
                    "x-hub-signature",
                    format!("sha256={signed}"),
                    "x-event-key",
                    "repo:push",
                ),
            ];
            for (trigger, header, signature, event, name) in told {
                let call = post(&format!("/apps/{trigger}/app")).body(body);
                let call = call.header(header, &signature).header(event, name);
                let told = it.fleet.called(&call).await;
                assert_eq!(told.code, 400, "{trigger}: {body}: {told:?}");
            }
        }
        it.repo.push();
        assert_eq!(it.fleet.called(&it.push("d-1")).await.code, 202);
    });
}

/// A2: Azure DevOps is known by a token, and with it a body may be anything: what is nearly one of its own is
/// looked into or ignored, names no commit that would be waited for, and harms nobody.
#[test]
fn a2_malformed_payloads_of_azure_harm_nobody() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        let azure = hook("azure").known_by("header", "forge").watching(&it.repo);
        let key = hub.apply(&azure.webhook("matchReference", true.into())).await;
        let path = "/apps/azure/app";
        let is_known = async || (it.fleet.called(&post(path)).await.code != 404).then_some(());
        it.fleet.until(secs(30), "the trigger is known", is_known).await;
        let update = |fields: &str| {
            format!("{{\"eventType\":\"git.push\",\"resource\":{{\"refUpdates\":{fields}}}}}")
        };
        let other = "[{\"name\":\"refs/heads/other\",\"newObjectId\":7}]";

        for body in [
            "null".to_owned(),
            "{\"eventType\":null}".to_owned(),
            "{\"eventType\":[\"git.push\"]}".to_owned(),
            "{\"eventType\":\"git.push\"}".to_owned(),
            "{\"eventType\":\"git.push\",\"resource\":[]}".to_owned(),
            "{\"eventType\":\"git.push\",\"resource\":null,\"id\":{}}".to_owned(),
            update("null"),
            update("{}"),
            update("[null]"),
            update("[{}]"),
            update(other),
            update("[{\"name\":\"refs/heads/main\",\"newObjectId\":\"made up\"}]"),
        ] {
            let call = post(path).body(body.clone()).header("x-trigger-auth", SECRET);
            let told = it.fleet.called(&call).await;
            assert!(matches!(told.code, 200 | 202), "{body}: {told:?}");
        }
        let runs = hub.status(&key).await.runs;
        assert!(runs.iter().all(|it| it.expected_commit.is_none()), "{runs:?}");
        it.repo.push();
        assert_eq!(it.fleet.called(&it.push("d-1")).await.code, 202);
    });
}

/// A3: what is deep, long, repeated, packed or no text costs no more than its bytes.
#[test]
fn a3_payloads_that_are_bombs_do_not_go_off() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let deep = format!(
            "{{\"x\":{}{},\"ref\":\"refs/heads/other\"}}",
            "[".repeat(500_000),
            "]".repeat(500_000)
        );
        let commits =
            format!("{{\"ref\":\"refs/heads/other\",\"commits\":[{}0]}}", "0,".repeat(1_000_000));
        let twice = "{\"ref\":\"refs/heads/other\",\"ref\":\"refs/heads/main\"}".to_owned();
        let text = [b"{\"ref\":\"refs/heads/".to_vec(), vec![0xff, 0xfe], b"\"}".to_vec()].concat();
        let packed = [vec![0x1f, 0x8b, 8, 0], vec![0; 1000]].concat();

        for (body, allowed) in [
            (deep.into_bytes(), [200, 400]),
            (commits.into_bytes(), [200, 200]),
            (twice.into_bytes(), [400, 400]),
            (text, [400, 400]),
            (packed, [400, 400]),
        ] {
            let signed = format!("sha256={}", signature(SECRET, &body));
            let call = post(DEPLOY).header("x-hub-signature-256", &signed).body(body);
            let call = call.header("x-github-event", "push").header("content-encoding", "gzip");
            let told = it.fleet.called(&call).await;
            assert!(allowed.contains(&told.code), "{told:?}");
        }
        assert_eq!(it.fleet.hub().status(&it.key).await.sequence, 0);
    });
}

/// A4: what is not exactly the signature of exactly these bytes with exactly this secret is none.
#[test]
fn a4_signatures_that_are_nearly_right_are_wrong() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let body = "{\"ref\": \"refs/heads/main\",  \"after\": \"0\"}";
        let good = signature(SECRET, body.as_bytes());
        let sent_again = json!({ "ref": "refs/heads/main", "after": "0" }).to_string();
        let reserialised = signature(SECRET, sent_again.as_bytes());
        let code = async |headers: &[(&str, &str)]| {
            let mut call = post(DEPLOY).body(body).header("x-github-event", "push");
            for (name, value) in headers {
                call = call.header(name, value);
            }
            it.fleet.called(&call).await.code
        };
        let name = "x-hub-signature-256";
        let whole = format!("sha256={good}");

        assert_eq!(code(&[]).await, 401, "none");
        assert_eq!(
            code(&[("x-hub-signature", "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6")]).await,
            401
        );
        for wrong in [
            "sha256=".to_owned(),
            String::new(),
            good.clone(),
            format!("SHA256={good}"),
            format!("sha256={}", good.to_uppercase()),
            format!("sha1={good}"),
            format!("sha256={}", &good[..62]),
            format!("sha256={good}00"),
            format!("sha256={good},sha256={good}"),
            format!("sha256={}", signature("", body.as_bytes())),
            format!("sha256={reserialised}"),
            "sha256=zz".to_owned(),
        ] {
            assert_eq!(code(&[(name, &wrong)]).await, 403, "{wrong}");
        }
        assert_eq!(code(&[(name, &whole), (name, &whole)]).await, 403, "two of them");
        assert_eq!(code(&[(name, &whole)]).await, 202, "the right one");
    });
}

/// A4: a Secret that holds nothing lets nobody in: everybody knows it.
#[test]
fn a4_an_empty_secret_matches_nothing() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let blanks = ["", "\n", "\r\n", "\n\n", " "];
        for (number, blank) in blanks.iter().enumerate() {
            let name = format!("empty-{number}");
            hub.put(&secret(&name, "token", blank)).await;
            let signed = hook(&format!("signed-{number}")).known_by("github", &name);
            hub.apply(&signed.watching(&repo)).await;
            let told = hook(&format!("told-{number}")).known_by("header", &name);
            hub.apply(&told.watching(&repo)).await;
        }
        let is_known =
            async || (fleet.called(&post("/apps/told-4/app")).await.code != 404).then_some(());
        fleet.until(secs(30), "the triggers are known", is_known).await;

        for (number, blank) in blanks.iter().enumerate() {
            let told = post(&format!("/apps/told-{number}/app")).header("x-trigger-auth", "");
            assert_eq!(fleet.called(&told).await.code, 403, "{blank:?}");
            for guess in blanks {
                let signed = post(&format!("/apps/signed-{number}/app")).body("{}").signed(guess);
                assert_eq!(fleet.called(&signed).await.code, 403, "{blank:?}, {guess:?}");
            }
        }
    });
}

/// A5: a captured delivery that is sent ten thousand times, to all replicas, is one Job.
#[test]
fn a5_a_replayed_delivery_is_one_job_for_its_commit() {
    story!(Virtual, async {
        let it = Ground::of(Fleet::builder().replicas(2).start().await).await;
        let hub = it.fleet.hub();
        let knows =
            async || (it.fleet.call("replica-2", &post(DEPLOY)).await.code != 404).then_some(());
        it.fleet.until(secs(30), "the other replica knows it too", knows).await;
        let commit = it.repo.push();
        let push = it.push("captured");

        for (count, pause) in [(10_000, 0), (200, 20), (200, 20)] {
            it.fleet.pass(secs(pause)).await;
            let replicas = ["replica-1", "replica-2"].into_iter().cycle().take(count);
            let told =
                futures::future::join_all(replicas.map(|name| it.fleet.call(name, &push))).await;
            let is_right = |code: u16| matches!(code, 200 | 202) || (pause == 0 && code == 503);
            let wrong = told.iter().find(|it| !is_right(it.code));
            assert!(wrong.is_none(), "{wrong:?}");
            assert!(told.iter().any(|it| it.code == 202), "nothing was recorded");
        }

        hub.until(mins(2), "all is done", async || {
            let status = hub.status(&it.key).await;
            status.runs.iter().all(|it| it.phase.is_final()).then_some(())
        })
        .await;
        assert_eq!(hub.jobs_for(&commit).await.len(), 1);
        assert_eq!(hub.jobs().await.len(), 1);
    });
}

/// A6: who cannot sign a delivery cannot use its id up.
#[test]
fn a6_an_unverified_delivery_takes_nobody_s_place() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let commit = it.repo.push();
        let forged = post(DEPLOY)
            .github_push("refs/heads/main", commit.as_str(), "delivery-1")
            .signed("guessed");
        for _ in 0..50 {
            assert_eq!(it.fleet.called(&forged).await.code, 403);
        }

        let told = it.fleet.called(&it.push("delivery-1")).await;

        assert_eq!(told.code, 202, "{told:?}");
        it.fleet.hub().until_phase(&it.key, told.run(), RunPhase::Succeeded).await;
        assert_eq!(it.fleet.hub().jobs_for(&commit).await.len(), 1);
    });
}

/// A7 and A8: nothing that a payload says of a repository is read: not as a pattern, not as an address.
#[test]
fn a7_a_repository_s_address_in_a_payload_is_no_pattern_and_leads_nowhere() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        let others = it.fleet.repo("other");
        let asked = others.requests();

        for (number, url) in [
            ".*",
            "(a+)+$",
            "https://git.test/other.git",
            "https://GIT.test:443/other",
            "-oProxyCommand=x",
            "file:///etc/passwd",
            "http://169.254.169.254/latest/meta-data",
            "git@git.test:other.git",
        ]
        .into_iter()
        .enumerate()
        {
            let commit = it.repo.push();
            let body = json!({
                "ref": "refs/heads/main", "after": commit.as_str(), "repository_url": url,
                "repository": { "clone_url": url, "html_url": url, "url": url, "ssh_url": url },
            });
            let call = post(DEPLOY)
                .header("x-github-event", "push")
                .header("x-github-delivery", &format!("d-{number}"))
                .body(body.to_string())
                .signed(SECRET);
            let told = it.fleet.called(&call).await;
            assert_eq!(told.code, 202, "{url}: {told:?}");
            let run = hub.until_phase(&it.key, told.run(), RunPhase::Succeeded).await;
            assert_eq!(run.commit.as_deref(), Some(commit.as_str()), "{url}");
        }
        assert_eq!(others.requests(), asked);
    });
}

/// A8: whatever a payload names, the only remote that is asked is the source's.
#[test]
fn a8_no_address_of_a_payload_is_ever_fetched() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let victim = it.fleet.repo("victim");
        let asked = victim.requests();
        let uri = victim.uri();
        let body = json!({
            "ref": "refs/heads/main", "after": "e".repeat(40), "compare": uri, "callback_url": uri,
            "repository": { "links": { "self": [{ "href": uri }] }, "clone_url": uri },
            "resource": { "url": uri, "_links": { "commits": { "href": uri } } },
        });
        let call =
            post(DEPLOY).header("x-github-event", "push").body(body.to_string()).signed(SECRET);

        let told = it.fleet.called(&call).await;

        it.fleet.hub().until_phase(&it.key, told.run(), RunPhase::Succeeded).await;
        assert_eq!(victim.requests(), asked);
    });
}

/// A9: who knows another trigger's secret knows nothing here; and a true delivery of another repository
/// changes nothing, for it is the remote that is asked.
#[test]
fn a9_another_s_secret_is_no_key_and_another_s_push_is_no_change() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        hub.put(&secret("others", "token", "the other's")).await;
        hub.apply(&hook("other").known_by("github", "others").watching(&it.repo)).await;
        let first = it.fleet.called(&it.push("d-1")).await;
        hub.until_phase(&it.key, first.run(), RunPhase::Succeeded).await;

        let head = it.repo.head("main").unwrap();
        let theirs =
            post(DEPLOY).github_push("refs/heads/main", head.as_str(), "d-2").signed("the other's");
        let of_another =
            post(DEPLOY).github_push("refs/heads/main", &"a".repeat(40), "d-3").signed(SECRET);

        assert_eq!(it.fleet.called(&theirs).await.code, 403);
        let told = it.fleet.called(&of_another).await;
        hub.until_phase(&it.key, told.run(), RunPhase::Unchanged).await;
        assert_eq!(hub.jobs().await.len(), 1);
    });
}

/// A10: a path leads to one trigger of one namespace, whatever its body says; and asking for what is not
/// there costs nobody anything.
#[test]
fn a10_a_hook_reaches_only_the_trigger_that_its_path_names() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        hub.create_namespace("theirs").await;
        let same = hook("deploy").within("theirs").known_by("github", "forge");
        hub.apply(&same.watching(&it.repo)).await;
        let mut theirs = secret("forge", "token", "theirs");
        theirs["metadata"]["namespace"] = "theirs".into();
        hub.put(&theirs).await;
        let path = "/theirs/deploy/app";
        let is_known = async || (it.fleet.called(&post(path)).await.code != 404).then_some(());
        it.fleet.until(secs(30), "the other trigger is known", is_known).await;

        let head = it.repo.head("main").unwrap();
        let push = |path: &str| post(path).github_push("refs/heads/main", head.as_str(), "d-1");
        let with_ours = it.fleet.called(&push(path).signed(SECRET)).await;
        let with_theirs = it.fleet.called(&push(path).signed("theirs")).await;

        assert_eq!((with_ours.code, with_theirs.code), (403, 202));
        it.fleet.pass(mins(1)).await;
        assert_eq!(hub.status(&it.key).await.sequence, 0, "ours was not called");
        let requests = it.fleet.asked("replica-1");
        for number in 0..200 {
            let told = it.fleet.called(&push(&format!("/theirs/guess-{number}/app"))).await;
            assert_eq!((told.code, told.message()), (404, "trigger doesn't exist"));
            let told = it.fleet.called(&push(&format!("/clusters/guess-{number}/a/b"))).await;
            assert_eq!((told.code, told.message()), (404, "trigger doesn't exist"));
        }
        assert_eq!(it.fleet.asked("replica-1"), requests, "nobody was asked");
    });
}

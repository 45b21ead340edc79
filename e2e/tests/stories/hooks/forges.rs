//! Is what each forge sends understood, byte for byte? The payloads are in `e2e/payloads`, signed by openssl.

use std::path::{Path, PathBuf};

use e2e::objects::secret;
use e2e::{Call, Fleet, hook, post, secs, story};

/// A trigger for the type of a forge, or for whoever shows the token.
struct Ground {
    fleet: Fleet,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads")
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn known_secret() -> String {
    String::from_utf8(read(&folder().join("secret"))).unwrap()
}

/// A delivery as it came, to a trigger's source `app`.
fn delivery(trigger: &str, name: &str) -> Call {
    let headers = read(&folder().join(format!("{name}.headers")));
    let mut call = post(&format!("/apps/{trigger}/app"));
    for line in String::from_utf8(headers).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        call = call.header(name, value);
    }
    call.body(read(&folder().join(format!("{name}.body"))))
}

impl Ground {
    async fn new() -> Self {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        hub.put(&secret("forge", "token", &known_secret())).await;
        for kind in ["github", "gitlab", "gitea", "bitbucket", "header"] {
            let trigger = hook(kind).known_by(kind, "forge").watching(&repo);
            hub.apply(&trigger.webhook("matchReference", true.into())).await;
        }
        let tagged = hook("tagged").known_by("github", "forge").tag("v1.4.0");
        hub.apply(&tagged.watching(&repo)).await;
        let ranged = hook("ranged").known_by("gitlab", "forge").semver(">=1.2 <2");
        hub.apply(&ranged.watching(&repo)).await;
        let other = hook("elsewhere").known_by("gitea", "forge").branch("release");
        hub.apply(&other.watching(&repo)).await;
        let is_known = async || {
            let told = fleet.called(&post("/apps/elsewhere/app")).await;
            (told.code != 404).then_some(())
        };
        fleet.until(secs(30), "the last trigger is known", is_known).await;
        Self { fleet }
    }

    async fn told(&self, trigger: &str, name: &str) -> (u16, String) {
        let told = self.fleet.called(&delivery(trigger, name)).await;
        (told.code, format!("{} {}", told.word(), told.message()))
    }
}

/// Each forge's push to the watched branch is accepted by a trigger of its type.
#[test]
fn a_push_of_each_forge_is_accepted() {
    story!(Virtual, async {
        let it = Ground::new().await;

        for (trigger, name) in [
            ("github", "github/push"),
            ("github", "github/push_form"),
            ("gitlab", "gitlab/push"),
            ("gitea", "gitea/push"),
            ("gitea", "forgejo/push"),
            ("bitbucket", "bitbucket/push"),
            ("bitbucket", "bitbucket-server/push"),
            ("header", "azure/push"),
            ("header", "generic/push"),
            ("header", "generic/push_short"),
            ("tagged", "github/push_tag"),
            ("ranged", "gitlab/tag_push"),
        ] {
            let (code, said) = it.told(trigger, name).await;
            assert_eq!(code, 202, "{name}: {said}");
        }
    });
}

/// What cannot concern a trigger is ignored, with the reason; and costs no request to any API.
#[test]
fn what_does_not_concern_a_trigger_is_ignored_with_the_reason() {
    story!(Virtual, async {
        let it = Ground::new().await;
        // The Secrets are read, and from here on they are known.
        for trigger in ["github", "gitlab", "gitea", "bitbucket", "elsewhere", "tagged", "ranged"] {
            let name = match trigger {
                "gitlab" | "ranged" => "gitlab/merge_request",
                "gitea" | "elsewhere" => "gitea/push_tag",
                "bitbucket" => "bitbucket/push_many",
                _ => "github/pull_request",
            };
            assert_eq!(it.told(trigger, name).await.0, 200, "{trigger}");
        }
        let hub = it.fleet.hub();
        it.fleet.pass(secs(20)).await;
        let requests = it.fleet.asked("replica-1");

        for (trigger, name, why) in [
            ("github", "github/pull_request", "pull_request"),
            ("github", "github/push_tag", "v1.4.0"),
            ("github", "github/push_deleted", "deletes"),
            ("gitlab", "gitlab/merge_request", "merge request hook"),
            ("gitlab", "gitlab/tag_push", "v1.4.0"),
            ("gitlab", "gitlab/push_deleted", "deletes"),
            ("gitea", "gitea/push_tag", "v1.4.0"),
            ("elsewhere", "gitea/push", "release"),
            ("elsewhere", "forgejo/push", "release"),
            ("bitbucket", "bitbucket/push_many", "2 more"),
            ("tagged", "github/push", "v1.4.0"),
            ("ranged", "gitlab/push", ">=1.2 <2"),
        ] {
            let (code, said) = it.told(trigger, name).await;
            assert_eq!(code, 200, "{name}: {said}");
            assert!(said.starts_with("ignored ") && said.contains(why), "{name}: {said}");
        }
        for (trigger, name) in [("github", "github/ping"), ("bitbucket", "bitbucket-server/ping")] {
            let (code, said) = it.told(trigger, name).await;
            assert_eq!((code, said.split(' ').next()), (200, Some("ok")), "{name}: {said}");
        }
        assert_eq!(it.fleet.asked("replica-1"), requests, "nobody was asked anything");
        assert!(hub.jobs().await.is_empty());
    });
}

/// A signature is of the bytes as they came: one that differs is not the same body.
#[test]
fn a_body_that_was_touched_on_its_way_is_refused() {
    story!(Virtual, async {
        let it = Ground::new().await;

        for (trigger, name) in [
            ("github", "github/push"),
            ("github", "github/push_form"),
            ("gitea", "gitea/push"),
            ("bitbucket", "bitbucket/push"),
            ("bitbucket", "bitbucket-server/push"),
        ] {
            let mut body = read(&folder().join(format!("{name}.body")));
            body.push(b' ');
            let told = it.fleet.called(&delivery(trigger, name).body(body)).await;
            assert_eq!(told.code, 403, "{name}: {told:?}");
        }
    });
}

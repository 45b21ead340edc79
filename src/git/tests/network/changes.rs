//! What a check sees when history is rewritten: always what is there now, whatever was there
//! before.

use ger_git::{Client, Error, Reference, Resolved};

use crate::support::Site;

struct Watched {
    site: Site,
    client: Client,
    reference: Reference,
}

impl Watched {
    async fn start(reference: Reference) -> Self {
        let site = Site::start().await;
        site.server.create_repo("app", &[("a", "1")]).await.unwrap();
        Self { site, client: Client::new().unwrap(), reference }
    }

    async fn look(&self) -> Result<Resolved, Error> {
        self.client.resolve(&self.site.remote("app"), &self.reference).await
    }

    async fn seen(&self) -> String {
        self.look().await.unwrap().commit.to_string()
    }

    async fn push(&self, content: &str) -> String {
        self.site.server.commit("app", "a", content, "push").await.unwrap().to_string()
    }

    async fn git(&self, arguments: &[&str]) -> String {
        self.site.server.git_in("app", arguments, b"").await.unwrap()
    }
}

#[tokio::test]
async fn b8_a_force_push_and_the_way_back_are_seen() {
    let watched = Watched::start(Reference::branch("main").unwrap()).await;
    let a = watched.seen().await;

    let b = watched.push("2").await;
    assert_eq!(watched.seen().await, b);

    watched.git(&["update-ref", "refs/heads/main", &a]).await;
    assert_eq!(watched.seen().await, a);

    let c = watched.push("3").await;
    assert_ne!(c, b);
    assert_eq!(watched.seen().await, c);
}

#[tokio::test]
async fn b8_a_branch_that_is_deleted_and_made_again_is_seen_each_time() {
    let watched = Watched::start(Reference::branch("topic").unwrap()).await;
    watched.git(&["branch", "topic", "main"]).await;
    let before = watched.seen().await;

    watched.git(&["branch", "-D", "topic"]).await;
    let refused = watched.look().await.unwrap_err();
    assert!(matches!(refused, Error::RefNotFound { .. }) && !refused.is_transient(), "{refused}");

    let commit = watched.push("2").await;
    watched.git(&["branch", "topic", "main"]).await;
    assert_ne!(commit, before);
    assert_eq!(watched.seen().await, commit);
}

#[tokio::test]
async fn b8_the_default_branch_may_be_renamed() {
    let watched = Watched::start(Reference::branch("main").unwrap()).await;
    let before = watched.seen().await;

    watched.git(&["branch", "-m", "main", "trunk"]).await;

    assert!(matches!(watched.look().await.unwrap_err(), Error::RefNotFound { .. }));
    let trunk = Reference::branch("trunk").unwrap();
    let moved = watched.client.resolve(&watched.site.remote("app"), &trunk).await.unwrap();
    assert_eq!(moved.commit.as_str(), before);
}

/// A tag that is set again on the same commit is another object: that is told apart.
#[tokio::test]
async fn b8_a_tag_that_moves_or_is_set_again_is_seen() {
    let watched = Watched::start(Reference::tag("v1").unwrap()).await;
    watched.site.server.annotate("app", "v1", "main").await.unwrap();
    let first = watched.look().await.unwrap();

    watched.git(&["tag", "--force", "-m", "said anew", "v1", "main"]).await;
    let again = watched.look().await.unwrap();
    assert_eq!(again.commit, first.commit);
    assert_ne!(again.tag_object, first.tag_object);

    let commit = watched.push("2").await;
    watched.site.server.tag("app", "v1").await.unwrap();
    let moved = watched.look().await.unwrap();
    assert_eq!((moved.commit.as_str(), moved.tag_object), (commit.as_str(), None));
}

#[tokio::test]
async fn b8_a_range_follows_tags_that_come_and_go() {
    let watched = Watched::start(Reference::semver(">=1 <2").unwrap()).await;
    assert!(matches!(watched.look().await.unwrap_err(), Error::RefNotFound { .. }));
    let tag_of = async || watched.look().await.unwrap().tag.unwrap();

    watched.site.server.tag("app", "v1.0.0").await.unwrap();
    assert_eq!(tag_of().await, "v1.0.0");
    watched.site.server.tag("app", "v1.1.0").await.unwrap();
    assert_eq!(tag_of().await, "v1.1.0");
    watched.git(&["tag", "-d", "v1.1.0"]).await;
    assert_eq!(tag_of().await, "v1.0.0");
}

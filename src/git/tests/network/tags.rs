//! Which commit and which tag a reference means, when tags are annotated, nested, moved and many.

use ger_git::{Client, Commit, Error, Reference, Resolved, backend::Versions};

use crate::support::Site;

async fn object_at(site: &Site, name: &str) -> Commit {
    let id = site.server.git_in("app", &["rev-parse", name], b"").await.unwrap();
    Commit::parse(&id).unwrap()
}

#[tokio::test]
async fn tags_are_followed_to_the_commit_however_deep() {
    for versions in [Versions::All, Versions::Oldest] {
        let site = Site::start_speaking(versions).await;
        let commit = site.server.create_repo("app", &[("a", "b")]).await.unwrap();
        site.server.tag("app", "light").await.unwrap();
        site.server.annotate("app", "heavy", "main").await.unwrap();
        site.server.annotate("app", "nested", "heavy").await.unwrap();
        let client = Client::new().unwrap();

        for name in ["light", "heavy", "nested"] {
            let tag = Reference::tag(name).unwrap();
            let object = object_at(&site, name).await;
            let tag_object = Some(object).filter(|it| *it != commit);
            assert_eq!(tag_object.is_none(), name == "light");

            let resolved = client.resolve(&site.remote("app"), &tag).await.unwrap();
            assert_eq!(
                resolved,
                Resolved { commit: commit.clone(), tag_object, tag: None },
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn a_range_chooses_the_highest_tag_and_says_which() {
    for versions in [Versions::All, Versions::One] {
        let site = Site::start_speaking(versions).await;
        let first = site.server.create_repo("app", &[("a", "1")]).await.unwrap();
        for tag in ["v1.9.0", "v2", "nightly", "1.11.0-rc.1"] {
            site.server.tag("app", tag).await.unwrap();
        }
        let second = site.server.commit("app", "a", "2", "more").await.unwrap();
        site.server.annotate("app", "v1.10.0", "main").await.unwrap();
        let client = Client::new().unwrap();

        for (range, commit, tag, is_annotated) in [
            ("1.x", &second, "v1.10.0", true),
            ("<1.10", &first, "v1.9.0", false),
            (">=1.0.0-0 <2", &first, "1.11.0-rc.1", false),
            ("*", &first, "v2", false),
        ] {
            let reference = Reference::semver(range).unwrap();
            let resolved = client.resolve(&site.remote("app"), &reference).await.unwrap();

            assert_eq!((&resolved.commit, resolved.tag.as_deref()), (commit, Some(tag)), "{range}");
            assert_eq!(resolved.tag_object.is_some(), is_annotated, "{range}");
        }

        let absent = Reference::semver(">=3").unwrap();
        let refused = client.resolve(&site.remote("app"), &absent).await.unwrap_err();
        assert!(
            matches!(&refused, Error::RefNotFound { reference } if *reference == absent),
            "{refused}"
        );
        assert_eq!(refused.to_string(), "semver/>=3 does not exist on the remote");
    }
}

/// A hundred thousand refs pass by; those that nobody asked for are not kept.
#[tokio::test]
async fn many_refs_are_streamed() {
    let site = Site::start().await;
    let commit = site.server.create_repo("app", &[("a", "1")]).await.unwrap();
    // As `git pack-refs` writes them: making them one by one takes minutes.
    let mut packed = "# pack-refs with: peeled fully-peeled sorted \n".to_owned();
    packed.extend((0..100_000).map(|it| format!("{commit} refs/heads/b{it:06}\n")));
    packed.extend((0..1000).map(|it| format!("{commit} refs/tags/v1.{it:04}.0\n")));
    std::fs::write(site.server.path("app").join("packed-refs"), packed).unwrap();
    let client = Client::new().unwrap();
    let host = site.server.address().to_string();

    let one = Reference::branch("b012345").unwrap();
    assert_eq!(client.resolve(&site.remote("app"), &one).await.unwrap().commit, commit);
    assert!(client.traffic().by_host()[&host].received < 1000);

    let range = Reference::semver("1.x").unwrap();
    let best = client.resolve(&site.remote("app"), &range).await.unwrap();
    assert_eq!(best.tag.as_deref(), Some("v1.0999.0"));

    let refs = client.ls_refs(&site.remote("app"), &["refs/heads/".to_owned()]).await.unwrap();
    assert_eq!(refs.len(), 100_001);
}

//! What a reference points at, as git's own server tells it.

use ger_git::{Auth, Client, Error, Reference, Remote, backend::Versions};

use crate::support::{Site, remote};

#[tokio::test]
async fn a_check_is_one_request_and_finds_the_commit() {
    let site = Site::start().await;
    let first = site.server.create_repo("app", &[("README.md", "hello\n")]).await.unwrap();
    let client = Client::new().unwrap();
    let main = Reference::branch("main").unwrap();

    assert_eq!(client.resolve(&site.remote("app"), &main).await.unwrap().commit, first);
    assert_eq!(site.server.requests(), 1);

    let second = site.server.commit("app", "README.md", "bye\n", "change").await.unwrap();
    assert_ne!(first, second);
    assert_eq!(client.resolve(&site.remote("app"), &main).await.unwrap().commit, second);
    assert_eq!(site.server.requests(), 2);

    let by_host = client.traffic().by_host();
    let exchanged = by_host[&site.server.address().to_string()];
    assert_eq!((exchanged.requests, exchanged.connections), (2, 1));
    assert!(exchanged.sent > 100 && exchanged.received > 100, "{exchanged:?}");
}

#[tokio::test]
async fn a_branch_is_found_by_its_whole_name_alone() {
    let site = Site::start().await;
    let commit = site.server.create_repo("app", &[("a", "b")]).await.unwrap();
    site.server.git_in("app", &["branch", "release-2", "main"], b"").await.unwrap();
    site.server.tag("app", "release").await.unwrap();
    let client = Client::new().unwrap();

    let absent = Reference::branch("release").unwrap();
    let refused = client.resolve(&site.remote("app"), &absent).await.unwrap_err();
    assert!(
        matches!(&refused, Error::RefNotFound { reference } if *reference == absent),
        "{refused}"
    );
    assert!(!refused.is_transient() && !refused.is_auth());

    let present = Reference::branch("release-2").unwrap();
    assert_eq!(client.resolve(&site.remote("app"), &present).await.unwrap().commit, commit);
}

#[tokio::test]
async fn a_commit_answers_for_itself() {
    let site = Site::start().await;
    let commit = Reference::commit(&"a".repeat(40)).unwrap();

    let resolved = Client::new().unwrap().resolve(&site.remote("none"), &commit).await.unwrap();

    assert_eq!(resolved.commit.as_str(), "a".repeat(40));
    assert_eq!(site.server.requests(), 0);
}

#[tokio::test]
async fn an_empty_repository_has_no_branch() {
    let site = Site::start().await;
    let bare = ["init", "--quiet", "--bare", "-b", "main", "empty"];
    site.server.git_in("", &bare, b"").await.unwrap();
    let client = Client::new().unwrap();

    assert!(client.ls_refs(&site.remote("empty"), &[]).await.unwrap().is_empty());
    let main = Reference::branch("main").unwrap();
    let refused = client.resolve(&site.remote("empty"), &main).await.unwrap_err();
    assert!(matches!(refused, Error::RefNotFound { .. }), "{refused}");
}

/// `HEAD` may be detached, or name a branch that is not there.
#[tokio::test]
async fn a_head_of_any_kind_is_no_hindrance() {
    for versions in [Versions::All, Versions::Oldest] {
        let site = Site::start_speaking(versions).await;
        let commit = site.server.create_repo("app", &[("a", "b")]).await.unwrap();
        let client = Client::new().unwrap();
        let main = Reference::branch("main").unwrap();
        let missing = ["symbolic-ref", "HEAD", "refs/heads/gone"];
        let detached = ["update-ref", "--no-deref", "HEAD", commit.as_str()];

        for (change, expected) in
            [(&missing[..], &["refs/heads/main"][..]), (&detached, &["HEAD", "refs/heads/main"])]
        {
            site.server.git_in("app", change, b"").await.unwrap();
            let refs = client.ls_refs(&site.remote("app"), &[]).await.unwrap();
            assert_eq!(refs.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), expected);
            assert!(refs.iter().all(|it| it.symref_target.is_none()));
            assert_eq!(client.resolve(&site.remote("app"), &main).await.unwrap().commit, commit);
        }
    }
}

#[tokio::test]
async fn a_hidden_ref_is_as_good_as_none() {
    for versions in [Versions::All, Versions::Oldest] {
        let site = Site::start_speaking(versions).await;
        site.server.create_repo("app", &[("a", "b")]).await.unwrap();
        site.server.git_in("app", &["branch", "secret", "main"], b"").await.unwrap();
        let hide = ["config", "transfer.hideRefs", "refs/heads/secret"];
        site.server.git_in("app", &hide, b"").await.unwrap();
        let secret = Reference::branch("secret").unwrap();
        let client = Client::new().unwrap();

        let refused = client.resolve(&site.remote("app"), &secret).await.unwrap_err();

        assert!(matches!(refused, Error::RefNotFound { .. }), "{refused}");
        let refs = client.ls_refs(&site.remote("app"), &[]).await.unwrap();
        assert!(refs.iter().all(|it| !it.name.contains("secret")));
    }
}

#[tokio::test]
async fn all_refs_come_without_a_prefix() {
    let site = Site::start().await;
    site.server.create_repo("app", &[("a", "b")]).await.unwrap();
    site.server.tag("app", "v1").await.unwrap();

    let refs = Client::new().unwrap().ls_refs(&site.remote("app"), &[]).await.unwrap();

    let names = refs.iter().map(|it| it.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names, ["HEAD", "refs/heads/main", "refs/tags/v1"]);
    assert_eq!(refs[0].symref_target.as_deref(), Some("refs/heads/main"));
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_a_404() {
    let site = Site::start().await;
    let main = Reference::branch("main").unwrap();

    let refused = Client::new().unwrap().resolve(&site.remote("none"), &main).await.unwrap_err();

    assert!(matches!(refused, Error::Status { status: 404, .. }), "{refused}");
}

#[tokio::test]
async fn credentials_open_what_they_guard_and_nothing_else_does() {
    let site = Site::start().await;
    let commit = site.server.create_repo("app", &[("a", "b")]).await.unwrap();
    let basic = Auth::Basic { username: "user".into(), password: "pa:ss wörd".into() };
    let token = Auth::Token("Bearer abc".into());
    let client = Client::new().unwrap();
    let main = Reference::branch("main").unwrap();

    for (right, wrong) in [(basic.clone(), token.clone()), (token, basic)] {
        site.server.guard("app", right.clone());
        let let_in = Remote { auth: right, ..site.remote("app") };
        assert_eq!(client.resolve(&let_in, &main).await.unwrap().commit, commit);
        for auth in [wrong, Auth::None] {
            let kept_out = Remote { auth, ..site.remote("app") };
            let refused = client.resolve(&kept_out, &main).await.unwrap_err();
            assert!(refused.is_auth() && !refused.is_transient(), "{refused}");
            assert!(!format!("{refused:?}").contains("abc"));
        }
    }
}

#[tokio::test]
async fn nobody_there_is_told_with_the_host_alone() {
    let site = Site::start().await;
    let uri = site.server.url("team/secret-app");
    let host = site.server.address().to_string();
    site.server.stop().await;

    let main = Reference::branch("main").unwrap();
    let refused = Client::new().unwrap().resolve(&remote(&uri), &main).await.unwrap_err();

    assert!(refused.is_transient());
    let shown = format!("{refused} {refused:?}");
    assert!(shown.contains(&host) && !shown.contains("secret-app"), "{shown}");
}

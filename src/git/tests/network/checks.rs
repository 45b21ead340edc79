//! What a reference points at, as git's own server tells it.

use ger_git::{Auth, Client, Error, Reference, Remote, RepoUri, backend::Versions};

use crate::support::{Site, remote};

#[tokio::test]
async fn a_check_is_one_request_and_finds_the_commit() {
    let site = Site::start().await;
    let first = site.server.create_repo("app", &[("README.md", "hello\n")]).await.unwrap();
    let client = Client::new().unwrap();
    let main = Reference::branch("main").unwrap();

    assert_eq!(client.resolve(&site.remote("app"), &main).await.unwrap(), first);
    assert_eq!(site.server.requests(), 1);

    let second = site.server.commit("app", "README.md", "bye\n", "change").await.unwrap();
    assert_ne!(first, second);
    assert_eq!(client.resolve(&site.remote("app"), &main).await.unwrap(), second);
    assert_eq!(site.server.requests(), 2);

    let by_host = client.traffic().by_host();
    let exchanged = by_host[&site.server.address().to_string()];
    assert_eq!(exchanged.requests, 2);
    assert!(exchanged.sent > 100 && exchanged.received > 100, "{exchanged:?}");
}

#[tokio::test]
async fn tags_are_followed_to_the_commit_however_deep() {
    let site = Site::start().await;
    let commit = site.server.create_repo("app", &[("a", "b")]).await.unwrap();
    site.server.tag("app", "light").await.unwrap();
    site.server.annotate("app", "heavy", "main").await.unwrap();
    site.server.annotate("app", "nested", "heavy").await.unwrap();
    let client = Client::new().unwrap();

    for name in ["light", "heavy", "nested"] {
        let tag = Reference::tag(name).unwrap();
        assert_eq!(client.resolve(&site.remote("app"), &tag).await.unwrap(), commit, "{name}");
    }
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
    assert_eq!(client.resolve(&site.remote("app"), &present).await.unwrap(), commit);
}

#[tokio::test]
async fn a_commit_answers_for_itself() {
    let site = Site::start().await;
    let commit = Reference::commit(&"a".repeat(40)).unwrap();

    let resolved = Client::new().unwrap().resolve(&site.remote("none"), &commit).await.unwrap();

    assert_eq!(resolved.as_str(), "a".repeat(40));
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
        assert_eq!(client.resolve(&let_in, &main).await.unwrap(), commit);
        for auth in [wrong, Auth::None] {
            let kept_out = Remote { auth, ..site.remote("app") };
            let refused = client.resolve(&kept_out, &main).await.unwrap_err();
            assert!(refused.is_auth() && !refused.is_transient(), "{refused}");
            assert!(!format!("{refused:?}").contains("abc"));
        }
    }
}

#[tokio::test]
async fn a_server_without_version_2_is_asked_in_the_old_way_and_remembered() {
    let site = Site::start_speaking(Versions::Oldest).await;
    let commit = site.server.create_repo("app", &[("a", "b")]).await.unwrap();
    site.server.annotate("app", "v1", "main").await.unwrap();
    let client = Client::new().unwrap();
    let main = Reference::branch("main").unwrap();
    let tag = Reference::tag("v1").unwrap();

    assert_eq!(client.resolve(&site.remote("app"), &main).await.unwrap(), commit);
    let finding_out = site.server.requests();

    assert_eq!(client.resolve(&site.remote("app"), &tag).await.unwrap(), commit);
    assert_eq!(site.server.requests(), finding_out + 1);
}

#[tokio::test]
async fn a_repository_with_long_ids_is_understood() {
    let site = Site::start().await;
    let init = ["init", "--quiet", "--bare", "--object-format=sha256", "-b", "main", "long"];
    site.server.git_in("", &init, b"").await.unwrap();
    let tree = site.server.git_in("long", &["mktree"], b"").await.unwrap();
    let commit = site.server.git_in("long", &["commit-tree", "-m", "x", &tree], b"").await.unwrap();
    site.server.git_in("long", &["branch", "main", &commit], b"").await.unwrap();
    let main = Reference::branch("main").unwrap();

    let resolved = Client::new().unwrap().resolve(&site.remote("long"), &main).await.unwrap();

    assert_eq!((resolved.as_str().len(), resolved.as_str()), (64, commit.as_str()));
}

#[tokio::test]
async fn what_is_not_built_says_so() {
    let client = Client::new().unwrap();
    for uri in ["ssh://git@127.0.0.1/a", "git@127.0.0.1:a", "git://127.0.0.1/a"] {
        let main = Reference::branch("main").unwrap();
        let remote = Remote::new(RepoUri::parse(uri).unwrap());

        let refused = client.resolve(&remote, &main).await.unwrap_err();

        assert!(refused.to_string().contains("not supported"), "{refused}");
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

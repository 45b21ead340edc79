//! Sessions that are kept and shared, and what the server says when it does not do as it is asked.

use std::{fs, time::Duration};

use ger_git::{Auth, Client, Error, FetchOptions, Remote, RepoUri, Want, fetch};
use tokio::task::JoinSet;

use crate::sshd::{Key, Sshd, create_repository, main, run};

fn connections(client: &Client) -> u64 {
    client.traffic().by_host().values().map(|it| it.connections).sum()
}

fn at(sshd: &Sshd, key: &Key, uri: &str) -> Remote {
    Remote { uri: RepoUri::parse(uri).unwrap(), ..sshd.remote(key) }
}

#[tokio::test]
async fn one_session_serves_all_checks_of_one_login() {
    let sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);
    let client = Client::new().unwrap();

    for n in 0..20 {
        sshd.assert_answered(&client.resolve(&sshd.remote(&key), &main()).await, &n.to_string());
    }

    let by_host = client.traffic().by_host();
    let exchanged = by_host[&format!("127.0.0.1:{}", sshd.port)];
    assert_eq!((exchanged.connections, exchanged.requests), (1, 20));
    assert!(exchanged.sent > 0 && exchanged.received > 0, "{exchanged:?}");
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1, "{}", sshd.log());
}

#[tokio::test]
async fn checks_at_once_share_sessions_and_stay_below_the_servers_limit() {
    let sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);
    let client = Client::new().unwrap();

    let mut checks = JoinSet::new();
    for _ in 0..40 {
        let (client, remote) = (client.clone(), sshd.remote(&key));
        checks.spawn(async move { client.resolve(&remote, &main()).await });
    }
    for outcome in checks.join_all().await {
        sshd.assert_answered(&outcome, "at once");
    }

    assert!(connections(&client) <= 5, "{}", connections(&client));
    assert!(!sshd.log().contains("no more sessions"), "{}", sshd.log());
}

#[tokio::test]
async fn a_server_with_one_channel_a_session_answers_too() {
    let sshd = Sshd::start_with("MaxSessions 1").await;
    let key = sshd.admit(&["-t", "ed25519"]);
    let client = Client::new().unwrap();

    let mut checks = JoinSet::new();
    for _ in 0..10 {
        let (client, remote) = (client.clone(), sshd.remote(&key));
        checks.spawn(async move { client.resolve(&remote, &main()).await });
    }

    for outcome in checks.join_all().await {
        sshd.assert_answered(&outcome, "one at a time");
    }
}

#[tokio::test]
async fn different_keys_never_share_a_session() {
    let sshd = Sshd::start().await;
    let client = Client::new().unwrap();

    for _ in 0..3 {
        let key = sshd.admit(&["-t", "ed25519"]);
        sshd.assert_answered(&client.resolve(&sshd.remote(&key), &main()).await, "its own");
    }
    let stranger = Key::generate(sshd.root.path(), &["-t", "ed25519"]);
    let error = client.resolve(&sshd.remote(&stranger), &main()).await.unwrap_err();

    assert_eq!(connections(&client), 3);
    assert!(matches!(error, Error::SshRefused { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_dies_and_comes_back_is_asked_again() {
    let mut sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);
    let client = Client::new().unwrap();
    sshd.assert_answered(&client.resolve(&sshd.remote(&key), &main()).await, "before");

    sshd.end().await;
    let error = client.resolve(&sshd.remote(&key), &main()).await.unwrap_err();
    sshd.begin().await;

    assert!(error.is_transient(), "{error:?}");
    sshd.assert_answered(&client.resolve(&sshd.remote(&key), &main()).await, "after");
    assert_eq!(connections(&client), 2);
}

#[tokio::test]
async fn a_server_that_lets_no_variable_in_answers_in_its_own_version() {
    for options in ["", "AcceptEnv GIT_PROTOCOL"] {
        let sshd = Sshd::start_with(options).await;
        let key = sshd.admit(&["-t", "ed25519"]);

        let outcome = Client::new().unwrap().resolve(&sshd.remote(&key), &main()).await;

        sshd.assert_answered(&outcome, options);
    }
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_told_in_the_servers_words() {
    let sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);
    let client = Client::new().unwrap();
    let remote = at(&sshd, &key, &sshd.uri("/nowhere.git"));

    let error = client.resolve(&remote, &main()).await.unwrap_err();

    let Error::Remote { message, .. } = &error else { panic!("{error:?}") };
    assert!(message.contains("does not appear to be a git repository"), "{message}");
    assert!(!error.is_transient());
    sshd.assert_answered(&client.resolve(&sshd.remote(&key), &main()).await, "afterwards");
    assert_eq!(connections(&client), 1, "a repository is not there, the session is");
}

#[tokio::test]
async fn a_host_without_git_says_so() {
    let sshd = Sshd::start().await;
    let key = Key::generate(sshd.root.path(), &["-t", "ed25519"]);
    let says = "command=\"echo git-upload-pack: not found >&2; exit 127\" ";
    sshd.authorize(&key.public, says);

    let error = Client::new().unwrap().resolve(&sshd.remote(&key), &main()).await.unwrap_err();

    let Error::Remote { message, .. } = &error else { panic!("{error:?}") };
    assert_eq!(message, "git-upload-pack: not found");
}

#[tokio::test]
async fn a_command_that_fails_without_a_word_is_told_by_its_status() {
    for (does, expected) in [("exit 3", "status 3"), ("kill -KILL $$", "status 137")] {
        let sshd = Sshd::start().await;
        let key = Key::generate(sshd.root.path(), &["-t", "ed25519"]);
        sshd.authorize(&key.public, &format!("command=\"{does}\" "));

        let error = Client::new().unwrap().resolve(&sshd.remote(&key), &main()).await.unwrap_err();

        assert!(error.to_string().contains(expected), "{error:?}");
    }
}

#[tokio::test]
async fn b1_paths_are_quoted_whatever_is_in_them() {
    let sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);
    let client = Client::new().unwrap();
    let witness = sshd.root.path().join("witness");

    for name in
        ["it's.git", "a!b.git", "a$(touch witness)b.git", "a;b`c`.git", "a b.git", "100%.git"]
    {
        let path = sshd.root.path().join(name);
        let commit = create_repository(&path);
        let escaped = path.to_str().unwrap().replace('%', "%25").replace(' ', "%20");
        let remote = at(&sshd, &key, &sshd.uri(&escaped));

        let resolved = client.resolve(&remote, &main()).await;

        assert_eq!(resolved.unwrap().commit, commit, "{name}");
    }
    let attack = format!("x';touch${{IFS}}{};'", witness.display());
    let uri = format!("{}@127.0.0.1:{attack}", "git");
    assert!(RepoUri::parse(&uri).is_ok(), "it is an address, if a strange one");
    let remote = at(&sshd, &key, &sshd.uri(&format!("/{attack}")));
    assert!(client.resolve(&remote, &main()).await.is_err());
    assert!(!fs::exists(witness).unwrap());
}

#[tokio::test]
async fn b1_nothing_in_an_address_reads_as_an_option() {
    let client = Client::new().unwrap();
    let sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);

    for uri in [
        "ssh://-oProxyCommand=touch@h/a",
        "ssh://git@-oProxyCommand=touch/a",
        "-oProxyCommand=touch@h:a",
        "git@h:--upload-pack=touch",
    ] {
        assert!(RepoUri::parse(uri).is_err(), "{uri}");
    }
    let remote = at(&sshd, &key, "ssh://%2DoProxyCommand=touch@127.0.0.1/a");
    let error = client.resolve(&remote, &main()).await.unwrap_err();
    assert!(matches!(error, Error::Login { .. }), "{error:?}");
}

#[tokio::test]
async fn a_host_that_is_not_there_is_an_error_that_passes() {
    let sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);
    let remote = Remote {
        uri: RepoUri::parse("ssh://git@127.0.0.1:1/a").unwrap(),
        auth: Auth::Ssh(key.with(ger_git::HostKeys::FirstUse)),
        timeout: Duration::from_secs(5),
        ..sshd.remote(&key)
    };

    let error = Client::new().unwrap().resolve(&remote, &main()).await.unwrap_err();

    assert!(matches!(error, Error::Connection { .. }) && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_commit_is_fetched_over_ssh() {
    let sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);
    let repository = sshd.root.path().join("app.git");
    let git = || {
        let mut git = std::process::Command::new("git");
        git.current_dir(&repository).args(["-c", "user.name=t", "-c", "user.email=t@t"]);
        git
    };
    let big = sshd.root.path().join("big");
    fs::write(&big, "a line\n".repeat(100_000)).unwrap();
    let blob = run(git().args(["hash-object", "-w"]).arg(&big));
    let index = sshd.root.path().join("index");
    let entry = format!("100644,{blob},folder/file");
    run(git().env("GIT_INDEX_FILE", &index).args(["update-index", "--add", "--cacheinfo", &entry]));
    let tree = run(git().env("GIT_INDEX_FILE", &index).args(["write-tree"]));
    let commit = run(git().args(["commit-tree", "-m", "two", &tree]));
    run(git().args(["update-ref", "refs/heads/main", &commit]));
    let destination = sshd.root.path().join("out");
    let (remote, want) = (sshd.remote(&key), Want { reference: Some(main()), ..Want::default() });

    let into = destination.clone();
    let fetching = move || fetch(&remote, &want, &into, &FetchOptions::default());
    let fetched = tokio::task::spawn_blocking(fetching).await.unwrap().unwrap();

    assert_eq!(fetched.commit.as_str(), commit);
    let text = fs::read_to_string(destination.join("folder/file")).unwrap();
    assert_eq!(text.len(), 700_000);
}

//! Over a stream a server speaks first. One that is known is asked before it has: and may have become
//! another one since.

use std::{net::Ipv4Addr, time::Duration};

use ger_git::{Client, Error, Reference, Remote, RepoUri};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const CAPABILITIES: &str = "000eversion 2\n0000";
const LONG: &str = "000eversion 2\n0019object-format=sha256\n0000";
const QUESTION_ENDS: &[u8] = b"00000000";

/// What a server does with a connection.
#[derive(Clone, Copy)]
enum Manner {
    /// It says what it can, and answers what it is asked then.
    Speaks,
    /// It says nothing before it was asked, and then both.
    Listens,
    /// It has never heard of questions.
    IsOld,
    /// Its objects have long names by now, and it takes no question about short ones.
    IsLong,
    HangsUp,
}

fn line(text: &str) -> String {
    format!("{:04x}{text}\n", text.len() + 5)
}

fn answer(digit: &str, length: usize) -> String {
    line(&format!("{} refs/heads/main", digit.repeat(length))) + "0000"
}

async fn question(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    while !heard.ends_with(QUESTION_ENDS) && stream.read_buf(&mut heard).await.unwrap() > 0 {}
    heard
}

async fn serve(mut stream: TcpStream, manner: Manner) {
    let say = match manner {
        Manner::HangsUp => return,
        Manner::Speaks => {
            stream.write_all(CAPABILITIES.as_bytes()).await.unwrap();
            question(&mut stream).await;
            answer("a", 40)
        }
        Manner::Listens => {
            question(&mut stream).await;
            CAPABILITIES.to_owned() + &answer("b", 40)
        }
        Manner::IsOld => {
            let first = format!("{} refs/heads/main\0agent=git/1", "c".repeat(40));
            line(&first) + "0000"
        }
        Manner::IsLong => {
            stream.write_all(LONG.as_bytes()).await.unwrap();
            let heard = question(&mut stream).await;
            let is_right = heard.windows(6).any(|it| it == b"sha256");
            if is_right { answer("d", 64) } else { line("ERR mismatched object format") }
        }
    };
    // Who hangs up early is not listened to.
    let _ = stream.write_all(say.as_bytes()).await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

/// A server that treats one connection after the other in these manners.
async fn start(manners: &'static [Manner]) -> (Remote, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let uri = format!("git://{}/app", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut serving = JoinSet::new();
        for manner in manners {
            let (stream, _) = listener.accept().await.unwrap();
            serving.spawn(serve(stream, *manner));
        }
        serving.join_all().await;
    });
    let timeout = Duration::from_secs(10);
    (Remote { timeout, ..Remote::new(RepoUri::parse(&uri).unwrap()) }, tasks)
}

async fn ask(client: &Client, remote: &Remote) -> Result<String, Error> {
    let main = Reference::branch("main").unwrap();
    let resolved = client.resolve(remote, &main).await?;
    Ok(resolved.commit.as_str().chars().take(1).collect())
}

fn connections(client: &Client) -> u64 {
    client.traffic().by_host().values().map(|it| it.connections).sum()
}

#[tokio::test]
async fn who_answered_once_is_asked_before_it_speaks() {
    let (remote, _serving) = start(&[Manner::Speaks, Manner::Listens, Manner::Listens]).await;
    let client = Client::new().unwrap();

    for expected in ["a", "b", "b"] {
        assert_eq!(ask(&client, &remote).await.unwrap(), expected);
    }

    assert_eq!(connections(&client), 3);
}

#[tokio::test]
async fn a_stranger_is_not_asked_before_it_speaks() {
    let (remote, _serving) = start(&[Manner::Listens]).await;
    let remote = Remote { timeout: Duration::from_millis(300), ..remote };

    let outcome = ask(&Client::new().unwrap(), &remote).await;

    assert!(matches!(outcome, Err(Error::Slow { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_server_that_was_set_back_is_understood_and_no_longer_asked_early() {
    let (remote, _serving) = start(&[Manner::Speaks, Manner::IsOld, Manner::Speaks]).await;
    let client = Client::new().unwrap();

    for expected in ["a", "c", "a"] {
        assert_eq!(ask(&client, &remote).await.unwrap(), expected);
    }

    assert_eq!(connections(&client), 3);
}

#[tokio::test]
async fn a_server_that_takes_no_early_question_is_asked_once_more() {
    const MANNERS: &[Manner] = &[Manner::Speaks, Manner::HangsUp, Manner::Speaks, Manner::Listens];
    let (remote, _serving) = start(MANNERS).await;
    let client = Client::new().unwrap();

    for expected in ["a", "a", "b"] {
        assert_eq!(ask(&client, &remote).await.unwrap(), expected);
    }

    assert_eq!(connections(&client), 4);
}

#[tokio::test]
async fn a_repository_whose_ids_became_long_is_asked_once_more_and_remembered() {
    const MANNERS: &[Manner] = &[Manner::Speaks, Manner::IsLong, Manner::IsLong, Manner::IsLong];
    let (remote, _serving) = start(MANNERS).await;
    let client = Client::new().unwrap();

    for expected in ["a", "d", "d"] {
        assert_eq!(ask(&client, &remote).await.unwrap(), expected);
    }

    assert_eq!(connections(&client), 4);
}

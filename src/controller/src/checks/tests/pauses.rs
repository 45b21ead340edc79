//! A host that wants to be left alone is, by all who were told with the same credential.

use super::ground::source;
use super::*;

/// A hundred triggers ask as the scheduler lets them: each again when it was told to.
async fn ask_for_long(ground: &Ground, time: Duration, interval: Duration) {
    let end = Instant::now() + time;
    let source = open();
    let trigger = async |n: u32| {
        tokio::time::sleep(interval * n / 100).await;
        while Instant::now() < end {
            let answer = ground.head(&source).await;
            let wait = answer.err().and_then(|it| it.retry_after()).unwrap_or_default();
            tokio::time::sleep(wait.max(interval)).await;
        }
    };
    futures::future::join_all((0..100).map(trigger)).await;
}

#[tokio::test(start_paused = true)]
async fn e7_a_hundred_triggers_on_a_host_that_says_429_ask_once_an_interval() {
    let ground = Ground::new();
    let pause = Duration::from_mins(1);
    ground.remote.lock().status = Some((429, Some(pause)));

    ask_for_long(&ground, Duration::from_mins(10), Duration::from_secs(10)).await;

    let requests = ground.requests();
    assert!((8..=10).contains(&requests), "{requests} requests in ten pauses of a minute");
}

#[tokio::test(start_paused = true)]
async fn e7_a_host_that_does_not_say_how_long_is_asked_less_and_less() {
    let ground = Ground::new();
    ground.remote.lock().status = Some((429, None));

    ask_for_long(&ground, Duration::from_mins(10), Duration::from_secs(10)).await;

    let requests = ground.requests();
    assert!((5..=14).contains(&requests), "{requests} requests");
}

#[tokio::test(start_paused = true)]
async fn a_pause_counts_for_every_repository_of_the_host_and_is_told() {
    let ground = Ground::new();
    ground.remote.lock().status = Some((503, Some(Duration::from_secs(30))));
    ground.head(&open()).await.unwrap_err();
    ground.remote.lock().status = None;
    assert_eq!(ground.handle.paused(), 1);

    let other = source(&json!({ "repoUri": "https://git.example.com/lib" }));
    let error = ground.head(&other).await.unwrap_err();
    assert_eq!((error.reason(), ground.requests()), ("RateLimited", 1));
    assert!(error.retry_after().is_some_and(|it| it <= Duration::from_secs(30)));

    let elsewhere = source(&json!({ "repoUri": "https://git.example.org/lib" }));
    assert!(ground.head(&elsewhere).await.is_ok());
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(ground.head(&other).await.is_ok());
    assert_eq!(ground.handle.paused(), 0);
}

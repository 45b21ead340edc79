//! One request for all who may share it; credentials read again when they are refused.

mod access;
mod files;
mod ground;
mod pauses;

use serde_json::json;

use self::ground::{COMMIT, Ground, locked, open};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_hundred_triggers_that_ask_together_cost_one_request() {
    let ground = Ground::new();
    let source = open();

    let asking = (0..100).map(|_| ground.head(&source));
    let heads = futures::future::join_all(asking).await;

    assert!(heads.iter().all(|it| it.as_ref().is_ok_and(|it| it.commit.as_str() == COMMIT)));
    // The first is sent at once; the others asked behind it and share the next.
    assert!(ground.requests() <= 2, "{} requests", ground.requests());
}

#[tokio::test(start_paused = true)]
async fn whoever_holds_another_secret_asks_for_himself() {
    let ground = Ground::new();
    ground.set_login("right").await;
    ground.lock("right");

    let (with, without) = (locked(), open());
    let (with, without) = tokio::join!(ground.head(&with), ground.head(&without));

    assert!(with.is_ok());
    assert!(without.is_err_and(|it| it.reason() == "Unauthorized"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_read_again_before_it_counts() {
    let ground = Ground::new();
    ground.set_login("old").await;
    ground.lock("old");
    assert!(ground.head(&locked()).await.is_ok());

    // Rotated on both sides, within the time that Secrets are kept.
    ground.set_login("new").await;
    ground.lock("new");
    let before = ground.requests();

    assert!(ground.head(&locked()).await.is_ok());
    assert_eq!(ground.requests() - before, 2, "once with the old, once with the new");
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_that_is_the_same_is_not_shown_again() {
    let ground = Ground::new();
    ground.set_login("wrong").await;
    ground.lock("right");

    let error = ground.head(&locked()).await.unwrap_err();

    assert_eq!((error.reason(), ground.requests()), ("Unauthorized", 1));
}

/// The cache is shared, and a reading that is late must not come back behind a newer one.
#[tokio::test(start_paused = true)]
async fn e8_credentials_that_rotate_under_many_checks_end_with_the_newest() {
    let ground = Ground::new();
    ground.set_login("0").await;
    ground.lock("0");
    for n in 1..30 {
        let password = n.to_string();
        let source = locked();
        let asking = futures::future::join_all((0..20).map(|_| ground.head(&source)));
        let rotating = async {
            ground.set_login(&password).await;
            ground.lock(&password);
        };
        tokio::join!(asking, rotating);

        assert!(ground.head(&source).await.is_ok(), "rotation {n}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_named_and_nothing_secret_is() {
    let ground = Ground::new();
    let error = ground.head(&locked()).await.unwrap_err();
    assert_eq!(error.reason(), "CredentialsMissing");
    assert!(error.message().contains("login") && error.message().contains("default"));

    ground.set_login("hunter2").await;
    ground.lock("other");
    let error = ground.head(&locked()).await.unwrap_err();
    assert_eq!(error.reason(), "Unauthorized");
    assert!(!format!("{error:?} {}", error.message()).contains("hunter2"));

    ground.set_secret("login", &json!({ "username": "me", "password": null })).await;
    let error = ground.head(&locked()).await.unwrap_err();
    assert!(error.message().contains("key password"), "{}", error.message());
    ground.set_login("other").await;
    assert!(ground.head(&locked()).await.is_ok(), "what was missing is looked for at once");
}

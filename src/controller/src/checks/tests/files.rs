//! The watched files are looked at when a commit moved, once for all, and at no other time.

use ger_core::plan::patterns_digest;

use super::*;

const OLD: &str = "abcdefabcdefabcdefabcdefabcdefabcdefabcd";

fn patterns() -> Vec<String> {
    vec!["src/**".to_owned()]
}

fn record(commit: &str, hash: &str) -> CheckedSource {
    CheckedSource {
        commit_hash: Some(commit.to_owned()),
        file_hash: Some(hash.to_owned()),
        ..CheckedSource::default()
    }
}

fn ours() -> String {
    format!("t1-{}-{}", patterns_digest(&patterns()), "a".repeat(64))
}

async fn look(ground: &Ground, record: Option<&CheckedSource>) -> Result<Head, Error> {
    ground.head_with(&open(), Some(&patterns()), record).await
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_on_record_needs_no_look_at_its_files() {
    let ground = Ground::new();
    let record = record(COMMIT, &ours());

    let head = look(&ground, Some(&record)).await.unwrap();

    assert_eq!((head.files, ground.hashes()), (Some(ours()), 0));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_moved_is_looked_at_once_for_all_who_ask_soon() {
    let ground = Ground::new();
    let record = record(OLD, &ours());

    let heads = futures::future::join_all((0..50).map(|_| look(&ground, Some(&record)))).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    let later = look(&ground, None).await.unwrap();

    assert!(heads.iter().all(|it| it.as_ref().unwrap().files == Some(ours())));
    assert_eq!((later.files, ground.hashes()), (Some(ours()), 1));
}

#[tokio::test(start_paused = true)]
async fn files_are_shown_only_to_who_may_see_them() {
    let ground = Ground::new();
    ground.set_login("right").await;
    ground.lock("right");
    ground.head_with(&locked(), Some(&patterns()), None).await.unwrap();

    let error = look(&ground, None).await.unwrap_err();

    assert_eq!(error.reason(), "Unauthorized");
}

#[tokio::test(start_paused = true)]
async fn a_hash_of_the_original_is_compared_with_its_own_kind() {
    let ground = Ground::new();
    let record = record(OLD, &"b".repeat(64));

    let head = look(&ground, Some(&record)).await.unwrap();

    assert_eq!((head.files, head.original_files), (Some(ours()), Some("b".repeat(64))));
}

/// Nothing runs half-understood, and nothing is lost: the record stays as it is.
#[tokio::test(start_paused = true)]
async fn files_that_cannot_be_looked_at_are_an_answer_to_nothing() {
    let ground = Ground::new();
    ground.remote.lock().too_large = true;

    let error = look(&ground, Some(&record(OLD, &ours()))).await.unwrap_err();

    assert_eq!(error.reason(), "RepositoryTooLarge");
    assert!(error.message().contains("remove watchOn.files"), "{}", error.message());
    ground.remote.lock().too_large = false;
    assert!(look(&ground, None).await.is_ok(), "a failure is not kept");
}

#[tokio::test(start_paused = true)]
async fn a_pattern_that_is_none_is_named() {
    let ground = Ground::new();

    let error = ground.head_with(&open(), Some(&["[".to_owned()]), None).await.unwrap_err();

    assert_eq!((error.reason(), ground.hashes()), ("InvalidFiles", 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_a_tag_comes_along() {
    let ground = Ground::new();
    ground.remote.lock().resolved.tag_object = Some(ger_git::Commit::parse(OLD).unwrap());
    ground.remote.lock().resolved.tag = Some("v1.2.0".to_owned());

    let head = ground.head(&open()).await.unwrap();

    assert_eq!((head.tag_object.unwrap().as_str(), head.tag.as_deref()), (OLD, Some("v1.2.0")));
}

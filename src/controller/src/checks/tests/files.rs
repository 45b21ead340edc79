//! The watched files are looked at when a commit moved, once for all, and at no other time.

use ger_core::plan::patterns_digest;
use ger_git::Hashing;

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
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_too_large_is_not_fetched_again_at_each_retry() {
    let ground = Ground::new();
    ground.remote.lock().too_large = true;

    for _ in 0..5 {
        assert_eq!(look(&ground, None).await.unwrap_err().reason(), "RepositoryTooLarge");
        tokio::time::sleep(Duration::from_mins(1)).await;
    }

    assert_eq!(ground.hashes(), 1);
    ground.remote.lock().too_large = false;
    tokio::time::sleep(Duration::from_mins(6)).await;
    assert!(look(&ground, None).await.is_ok(), "the server may have learned to leave out contents");
}

#[tokio::test(start_paused = true)]
async fn other_failures_are_not_kept() {
    let ground = Ground::new();
    ground.remote.lock().slow = Some(Hashing::Ours);
    let error = look(&ground, None).await.unwrap_err();
    ground.remote.lock().slow = None;

    let head = look(&ground, None).await.unwrap();

    assert_eq!((error.reason(), head.files), ("Unreachable", Some(ours())));
}

/// The contents may need more time than there ever is: then the change is not forgotten, it runs.
#[tokio::test(start_paused = true)]
async fn a_hash_of_the_original_that_was_out_of_reach_for_hours_is_let_go() {
    let ground = Ground::new();
    ground.remote.lock().slow = Some(Hashing::Original);
    let mut record = record(OLD, &"b".repeat(64));
    record.failures = 1;
    let error = look(&ground, Some(&record)).await.unwrap_err();
    record.failures = 64;

    let head = look(&ground, Some(&record)).await.unwrap();

    assert_eq!(error.reason(), "Unreachable");
    assert_eq!((head.files, head.original_files), (Some(ours()), None));
}

/// The slots at a host are everybody's, and a tree takes minutes.
#[tokio::test(start_paused = true)]
async fn trees_that_many_clusters_wait_for_hold_up_no_check() {
    let ground = Ground::new();
    ground.remote.lock().tree_time = Duration::from_mins(1);
    let patterns: Vec<Vec<String>> = (0..12).map(|n| vec![format!("src/{n}/**")]).collect();
    let looks =
        futures::future::join_all(patterns.iter().enumerate().map(async |(n, patterns)| {
            let cluster = ClusterName::parse_spoke(&format!("edge-{n}")).unwrap();
            ground.head_in(&cluster, &open(), Some(patterns), None).await
        }));
    let check = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let asked = Instant::now();
        ground.head(&open()).await.unwrap();
        asked.elapsed()
    };

    let (heads, took) = tokio::join!(looks, check);

    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(heads.iter().all(Result::is_ok));
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

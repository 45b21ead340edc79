//! Packs that lie: about sizes, about counts, about what is in them. Each is refused in bounded
//! memory and time, and leaves nothing.

use std::time::Duration;

use ger_git::{Error, GitFolder, HashOptions, Hashing, Limits, Remote};
use gix::objs::Kind;
use tokio::time::Instant;

use crate::support::{
    crafted::{
        BLOB, COMMIT, Crafted, REF_DELTA, TREE, commit_of_blob, deflated, entry, id_of, line, pack,
    },
    fetching::{fetch, fetch_with, hash, hash_with, main_branch, names},
};

/// More than the limit below, and a thousandth of it in a pack.
const BOMB: usize = 16 << 20;
const LIMIT: u64 = 4 << 20;

/// What a clone and a look at all paths make of it, within a few seconds.
async fn fails(remote: &Remote) -> [Error; 2] {
    let limits = Limits { object: LIMIT, ..Limits::default() };
    let out = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let folder = GitFolder::Remove;
    let fetched = fetch_with(remote.clone(), main_branch(), out.path(), folder, limits).await;
    assert!(names(out.path()).is_empty());
    let options = HashOptions { hashing: Hashing::Original, limits, ..HashOptions::default() };
    let hashed = hash_with(remote.clone(), main_branch(), &["**"], options).await;
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    [fetched.unwrap_err(), hashed.unwrap_err()]
}

/// A pack of one commit with one file, whose entry is this.
async fn serve_blob(id: gix::ObjectId, blob: Vec<u8>) -> Crafted {
    let (commit, mut entries) = commit_of_blob(id);
    entries.push(blob);
    Crafted::serve(&commit, pack(3, &entries)).await
}

#[tokio::test]
async fn an_honest_pack_is_taken() {
    let id = id_of(Kind::Blob, b"hello");
    let crafted = serve_blob(id, entry(BLOB, 5, &deflated(b"hello"))).await;
    let out = tempfile::tempdir().unwrap();

    fetch(crafted.remote.clone(), main_branch(), out.path()).await.unwrap();

    assert_eq!(std::fs::read_to_string(out.path().join("a")).unwrap(), "hello");
    assert_eq!(hash(crafted.remote.clone(), &["a"]).await.unwrap().matched, 1);
}

#[tokio::test]
async fn b4_a_decompression_bomb_is_refused() {
    let zeros = vec![0; BOMB];
    let id = id_of(Kind::Blob, &zeros);
    let crafted = serve_blob(id, entry(BLOB, BOMB as u64, &deflated(&zeros))).await;

    for refused in fails(&crafted.remote).await {
        assert!(matches!(refused, Error::Fetch { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn b4_an_object_that_lies_about_its_size_is_refused() {
    let id = id_of(Kind::Blob, b"hello");
    for blob in [
        // It is larger than it says.
        entry(BLOB, 5, &deflated(&vec![0; BOMB])),
        entry(BLOB, 4, &deflated(b"hello")),
        // It is smaller than it says.
        entry(BLOB, 6, &deflated(b"hello")),
        entry(BLOB, 1 << 40, &deflated(b"hello")),
        entry(BLOB, u64::MAX >> 4, &deflated(b"hello")),
        // It is not what zlib writes.
        entry(BLOB, 5, b"hello"),
        // It has no kind.
        entry(0, 5, &deflated(b"hello")),
        entry(5, 5, &deflated(b"hello")),
    ] {
        let crafted = serve_blob(id, blob).await;

        for refused in fails(&crafted.remote).await {
            let is_told =
                matches!(refused, Error::Fetch { .. } | Error::Checkout { .. } | Error::Worker);
            assert!(is_told, "{refused:?}");
        }
    }
}

#[tokio::test]
async fn b4_a_delta_that_lies_about_its_size_is_refused() {
    let base = b"hello";
    let id = id_of(Kind::Blob, base);
    for delta in [
        // From five bytes to 2^40, by copying them again and again.
        [&[5, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20][..], &[0x90, 5].repeat(1000)].concat(),
        // From more bytes than there are.
        vec![0xff, 0xff, 0x03, 5, 0x90, 5],
        // From beyond the end.
        vec![5, 5, 0x93, 0xff, 0xff, 5],
        vec![],
    ] {
        let (commit, mut entries) = commit_of_blob(id_of(Kind::Blob, b"other"));
        entries.push(entry(BLOB, 5, &deflated(base)));
        let data = [id.as_slice(), &deflated(&delta)].concat();
        entries.push(entry(REF_DELTA, delta.len() as u64, &data));
        let crafted = Crafted::serve(&commit, pack(4, &entries)).await;

        for refused in fails(&crafted.remote).await {
            let is_told =
                matches!(refused, Error::Fetch { .. } | Error::Checkout { .. } | Error::Worker);
            assert!(is_told, "{refused:?}");
        }
    }
}

#[tokio::test]
async fn b4_a_pack_that_lies_about_its_count_is_refused() {
    let (commit, entries) = commit_of_blob(id_of(Kind::Blob, b"hello"));
    for (count, is_large) in [(u32::MAX, true), (1000, false), (1, false), (0, false)] {
        let crafted = Crafted::serve(&commit, pack(count, &entries)).await;

        for refused in fails(&crafted.remote).await {
            match refused {
                Error::Large { what: "objects", .. } => assert!(is_large),
                Error::Fetch { .. } => assert!(!is_large),
                other => panic!("{count}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn b4_a_pack_that_is_cut_or_changed_is_refused() {
    let id = id_of(Kind::Blob, b"hello");
    let (commit, mut entries) = commit_of_blob(id);
    entries.push(entry(BLOB, 5, &deflated(b"hello")));
    let whole = pack(3, &entries);
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    for broken in [whole[..whole.len() / 2].to_vec(), whole[..8].to_vec(), Vec::new(), changed] {
        let crafted = Crafted::serve(&commit, broken).await;

        for refused in fails(&crafted.remote).await {
            assert!(matches!(refused, Error::Fetch { .. }), "{refused:?}");
        }
    }
}

/// What is named is not in the pack: the commit, its tree, its file, or another kind is there.
#[tokio::test]
async fn b4_a_pack_without_what_it_is_about_is_refused() {
    let id = id_of(Kind::Blob, b"hello");
    let (commit, entries) = commit_of_blob(id);
    let other = "a".repeat(40);
    let of_commit = id_of(Kind::Blob, b"commit");
    for (main, entries) in [
        (&other, entries.clone()),
        (&commit, entries[..1].to_vec()),
        (&commit, entries.clone()),
        (&of_commit.to_string(), vec![entry(BLOB, 6, &deflated(b"commit"))]),
        (
            &id_of(Kind::Commit, b"nonsense").to_string(),
            vec![entry(COMMIT, 8, &deflated(b"nonsense"))],
        ),
        (&id_of(Kind::Tree, b"nonsense").to_string(), vec![entry(TREE, 8, &deflated(b"nonsense"))]),
    ] {
        let count = u32::try_from(entries.len()).unwrap();
        let crafted = Crafted::serve(main, pack(count, &entries)).await;

        for refused in fails(&crafted.remote).await {
            assert!(matches!(refused, Error::Fetch { .. } | Error::Checkout { .. }), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn b2_refs_with_odd_names_are_not_the_one_that_is_asked_for() {
    let id = "a".repeat(40);
    for name in ["refs/heads/main\nx", "refs/heads/main\x1b[2J", "refs/heads/main\0", "-main", ""] {
        let refs = [line(&format!("{id} {name}\n")), b"0000".to_vec()].concat();
        let crafted = Crafted::serve_refs(refs, Vec::new()).await;

        for refused in fails(&crafted.remote).await {
            let text = format!("{refused}");
            assert!(
                matches!(refused, Error::RefNotFound { .. } | Error::Fetch { .. }),
                "{refused:?}"
            );
            assert!(!text.contains(['\n', '\x1b', '\0']), "{text:?}");
        }
    }
}

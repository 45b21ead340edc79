//! Answers of honest, broken and hostile servers.

use proptest::prelude::*;

use super::*;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

fn read(bytes: &[u8], prefixes: &[String]) -> Result<Vec<RemoteRef>, Malformed> {
    let mut answer = Answer::kept_in(All::below(prefixes));
    answer.push(bytes)?;
    answer.finish().map(|it| it.refs)
}

#[test]
fn the_question_is_what_git_expects() {
    let body = question(&["refs/heads/main".to_owned()], ObjectFormat::Sha1).unwrap();

    let body = String::from_utf8(body).unwrap();
    assert!(body.starts_with("0014command=ls-refs\n"), "{body}");
    assert!(
        body.ends_with("00010009peel\n000csymrefs\n001fref-prefix refs/heads/main\n0000"),
        "{body}"
    );
}

#[test]
fn a_prefix_cannot_add_a_line() {
    for prefix in ["a\nb", "a\0", &"a".repeat(70_000)] {
        assert!(question(&[prefix.to_owned()], ObjectFormat::Sha1).is_err());
    }
}

#[test]
fn refs_are_read_with_what_they_point_at() {
    let text = [
        line(&format!("{A} HEAD symref-target:refs/heads/main\n")),
        line(&format!("{A} refs/heads/main\n")),
        line(&format!("{A} refs/tags/v1 peeled:{B}\n")),
        "0000".to_owned(),
    ]
    .concat();

    let refs = read(text.as_bytes(), &[]).unwrap();

    assert_eq!(refs.len(), 3);
    assert_eq!(refs[0].symref_target.as_deref(), Some("refs/heads/main"));
    assert_eq!(refs[1].commit().as_str(), A);
    assert_eq!(refs[2].commit().as_str(), B);
}

#[test]
fn what_was_not_asked_for_is_not_kept() {
    let text = [
        line(&format!("{A} refs/heads/main\n")),
        line(&format!("{A} refs/pull/1/head\n")),
        line("not-an-id refs/pull/2\x07/head\n"),
        "0000".to_owned(),
    ]
    .concat();

    let refs = read(text.as_bytes(), &["refs/heads/".to_owned()]).unwrap();

    assert_eq!(refs.len(), 1);
}

#[test]
fn an_answer_without_an_end_is_no_answer() {
    let text = line(&format!("{A} refs/heads/main\n"));

    assert_eq!(read(text.as_bytes(), &[]), Err(Malformed::Truncated { lines: 1 }));
    assert_eq!(read(b"", &[]), Err(Malformed::Truncated { lines: 0 }));
    assert_eq!(read(b"00", &[]), Err(Malformed::Truncated { lines: 0 }));
}

#[test]
fn garbage_is_told_from_an_answer() {
    let newline = line(&format!("{A} refs/heads/a\x01b"));
    let short = line("abc refs/heads/main\n");
    for text in [
        "<html>not git</html>",
        "0003",
        "0004",
        "ffff",
        "fff1",
        "zzzz",
        "00010000",
        "0002",
        &newline,
        &short,
        &line("x"),
    ] {
        let read = read(text.as_bytes(), &[]);

        assert!(
            matches!(read, Err(Malformed::Line { .. } | Malformed::Record { .. })),
            "{text:?}: {read:?}",
        );
    }
}

#[test]
fn a_complaint_is_shown_short_and_clean() {
    let text = line(&format!("ERR access\x1b[31m denied {}\n", "x".repeat(5000)));

    let Err(Malformed::Refused { message }) = read(text.as_bytes(), &[]) else { panic!() };

    assert!(message.starts_with("access [31m denied xxx"), "{message}");
    assert_eq!(message.chars().count(), 256);
}

/// Whatever passes by, one ref and the rest of one line are all that is held.
#[test]
fn many_refs_take_no_memory() {
    let lines = (0..100_000).map(|it| line(&format!("{A} refs/heads/main{it:06}\n")));
    let text = lines.collect::<Vec<_>>().concat() + "0000";
    let mut answer = Answer::kept_in(One::named("refs/heads/main000123"));
    let mut most_held = 0;

    for piece in text.as_bytes().chunks(1500) {
        answer.push(piece).unwrap();
        most_held = most_held.max(answer.lines.pending.capacity());
    }

    assert!(most_held < 4096, "{most_held}");
    assert_eq!(answer.finish().unwrap().found.unwrap().name, "refs/heads/main000123");
}

#[test]
fn an_answer_that_never_ends_is_cut() {
    let piece = line(&format!("{A} refs/pull/1/head\n")).repeat(10_000);
    let prefixes = ["refs/heads/".to_owned()];
    let mut answer = Answer::kept_in(All::below(&prefixes));

    let outcome = (0..1000).find_map(|_| answer.push(piece.as_bytes()).err());

    assert_eq!(outcome, Some(Malformed::Long { most: MOST_BYTES }));
    assert!(answer.keep.refs.is_empty() && answer.lines.pending.len() < 70_000);
}

#[test]
fn more_refs_than_anybody_has_are_refused() {
    let piece = line(&format!("{A} refs/heads/x\n")).repeat(1000);
    let mut answer = Answer::kept_in(All::below(&[]));

    let outcome = (0..1000).find_map(|_| answer.push(piece.as_bytes()).err());

    assert_eq!(outcome, Some(Malformed::Many { most: MOST_REFS }));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes, &[]);
    }

    /// However the network cuts an answer, it is the same answer.
    #[test]
    fn pieces_do_not_matter(
        names in prop::collection::vec("[a-z]{1,9}", 0..9),
        garbage in "\\PC{0,9}",
        size in 1_usize..40,
    ) {
        let lines = names.iter().map(|it| line(&format!("{A} refs/heads/{it}\n")));
        let text = lines.chain(["0000".to_owned(), garbage]).collect::<String>();

        let mut answer = Answer::kept_in(All::below(&[]));
        for piece in text.as_bytes().chunks(size) {
            answer.push(piece).unwrap();
        }
        let in_pieces = answer.finish().unwrap().refs;

        prop_assert_eq!(&in_pieces, &read(text.as_bytes(), &[]).unwrap());
        prop_assert_eq!(in_pieces.len(), names.len());
    }
}

//! What servers of all ages say first, and what others say instead.

use proptest::prelude::*;

use super::*;
use crate::{
    SemverRange,
    ls_refs::{All, Best, One},
};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const ZERO: &str = "0000000000000000000000000000000000000000";

fn line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

fn read<K: Keep>(text: &str, keep: K) -> Result<Advertised<K>, Malformed> {
    let mut advertisement = Advertisement::kept_in(keep);
    advertisement.push(text.as_bytes())?;
    advertisement.finish()
}

fn refs(text: &str) -> Vec<RemoteRef> {
    match read(text, All::below(&[])).unwrap() {
        Advertised::Refs(kept) => kept.refs,
        Advertised::Capabilities(format) => panic!("{format:?}"),
    }
}

fn refused(text: &str) -> Malformed {
    read(text, All::below(&[])).unwrap_err()
}

fn oldest() -> String {
    [
        line(&format!("{A} HEAD\0multi_ack symref=HEAD:refs/heads/main agent=git/2.0\n")),
        line(&format!("{A} refs/heads/main\n")),
        line(&format!("{A} refs/tags/v1\n")),
        line(&format!("{B} refs/tags/v1^{{}}\n")),
        "0000".to_owned(),
    ]
    .concat()
}

#[test]
fn refs_of_the_older_protocols_are_read_with_what_they_point_at() {
    let service = format!("{}0000", line("# service=git-upload-pack\n"));
    let first = line("version 1\n");
    for before in ["", &first, &service, &format!("{service}{first}")] {
        let refs = refs(&format!("{before}{}", oldest()));

        let names = refs.iter().map(|it| it.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names, ["HEAD", "refs/heads/main", "refs/tags/v1"]);
        assert_eq!(refs[0].symref_target.as_deref(), Some("refs/heads/main"));
        assert_eq!((refs[2].oid.as_str(), refs[2].commit().as_str()), (A, B));
    }
}

#[test]
fn capabilities_tell_the_hash() {
    let text = |format: &str| {
        let lines = ["version 2\n", "agent=git/2.47\n", "ls-refs=unborn\n", "fetch=shallow\n"];
        lines.map(line).concat() + &line(format) + "0000"
    };
    for (line, expected) in [
        ("server-option\n", ObjectFormat::Sha1),
        ("object-format=sha1\n", ObjectFormat::Sha1),
        ("object-format=sha256\n", ObjectFormat::Sha256),
    ] {
        let said = read(&text(line), All::below(&[])).unwrap();

        assert!(matches!(said, Advertised::Capabilities(it) if it == expected), "{said:?}");
    }
    assert_eq!(refused(&text("object-format=blake3\n")), Malformed::Record { line: 5 });
}

#[test]
fn long_ids_are_read() {
    let id = "c".repeat(64);
    let text = line(&format!("{id} refs/heads/main\0object-format=sha256\n")) + "0000";

    assert_eq!(refs(&text)[0].oid.as_str(), id);
}

#[test]
fn a_repository_may_be_empty_or_shallow_or_without_a_head() {
    let nothing = line(&format!("{ZERO} capabilities^{{}}\0multi_ack\n"));
    let shallow = line(&format!("shallow {A}\n"));
    let one = line(&format!("{A} refs/heads/x\0symref=HEAD:refs/heads/gone\n"));

    assert!(refs(&format!("{nothing}0000")).is_empty());
    assert!(refs("0000").is_empty());
    assert!(refs(&format!("{nothing}{shallow}0000")).is_empty());
    assert_eq!(refs(&format!("{one}{shallow}0000")).len(), 1);
}

#[test]
fn only_what_is_asked_for_is_kept() {
    let tags = (0..1000).map(|it| {
        line(&format!("{A} refs/tags/v1.{it}\n")) + &line(&format!("{B} refs/tags/v1.{it}^{{}}\n"))
    });
    let text = format!("{}{}0000", line(&format!("{A} HEAD\0\n")), tags.collect::<String>());

    let range = SemverRange::parse("<=1.500").unwrap();
    let Advertised::Refs(best) = read(&text, Best::of(&range)).unwrap() else { panic!() };
    let (found, tag) = best.found().unwrap();
    assert_eq!((tag.as_str(), found.oid.as_str(), found.commit().as_str()), ("v1.500", A, B));

    let Advertised::Refs(one) = read(&text, One::named("refs/tags/v1.7")).unwrap() else {
        panic!()
    };
    assert_eq!(one.found.unwrap().commit().as_str(), B);

    let prefixes = ["refs/tags/v1.99".to_owned()];
    let Advertised::Refs(all) = read(&text, All::below(&prefixes)).unwrap() else { panic!() };
    assert_eq!(all.refs.len(), 11);
}

#[test]
fn what_is_not_an_advertisement_says_why() {
    let service = line("# service=git-upload-pack\n");
    for (text, reason) in [
        (String::new(), Malformed::Truncated { lines: 0 }),
        (line("version 2\n"), Malformed::Truncated { lines: 1 }),
        (format!("{service}0000"), Malformed::Truncated { lines: 2 }),
        ("<html>".to_owned(), Malformed::Line { line: 1 }),
        (line("version 3\n") + "0000", Malformed::Version),
        (line("# service=git-receive-pack\n"), Malformed::Record { line: 1 }),
        (format!("{service}{}", line(&format!("{A} HEAD\n"))), Malformed::Record { line: 2 }),
        (line("version 1\n").repeat(2), Malformed::Record { line: 2 }),
        (line("nonsense\n"), Malformed::Record { line: 1 }),
        (line(&format!("{A} refs/heads/a\x01b\0\n")), Malformed::Record { line: 1 }),
        (line("abc refs/heads/a\0\n"), Malformed::Record { line: 1 }),
        ("0001".to_owned(), Malformed::Record { line: 1 }),
        (line("ERR no\x07 such\n"), Malformed::Refused { message: "no  such".to_owned() }),
    ] {
        assert_eq!(refused(&text), reason, "{text:?}");
    }
}

#[test]
fn the_dumb_protocol_and_pages_are_told_from_each_other() {
    let long = "a".repeat(64);
    for (bytes, reason) in [
        (format!("{A}\trefs/heads/main\n"), Malformed::Dumb),
        (format!("{long}\trefs/heads/main\n"), Malformed::Dumb),
        (format!("{A} refs/heads/main\n"), Malformed::Line { line: 1 }),
        ("<html>".to_owned(), Malformed::Line { line: 1 }),
        (String::new(), Malformed::Truncated { lines: 0 }),
    ] {
        assert_eq!(judge_other(bytes.as_bytes()), reason, "{bytes}");
    }
}

#[test]
fn b4_an_endless_advertisement_is_cut_and_takes_no_memory() {
    let long = "x".repeat(60_000);
    let endless = [
        (oldest().replace("0000", ""), line(&format!("{A} refs/pull/{long}\n"))),
        (line("version 2\n"), line(&format!("symref=a:{long}\n"))),
    ];
    for (first, then) in endless {
        let prefixes = ["refs/none/".to_owned()];
        let mut advertisement = Advertisement::kept_in(All::below(&prefixes));
        advertisement.push(first.as_bytes()).unwrap();
        let piece = then.repeat(20);

        let outcome = (0..1000).find_map(|_| advertisement.push(piece.as_bytes()).err());

        assert!(matches!(outcome, Some(Malformed::Long { .. })), "{outcome:?}");
        assert!(advertisement.reader.keep.refs.is_empty());
        assert!(advertisement.reader.symrefs.len() <= MOST_SYMREFS);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut advertisement = Advertisement::kept_in(All::below(&[]));
        let _ = advertisement.push(&bytes).map(|_| advertisement.finish());
    }

    #[test]
    fn no_lines_make_the_reader_panic(
        lines in prop::collection::vec("(# service=|version |shallow )?[a-f0-9 \\x00^{}:=]{0,60}", 0..9),
    ) {
        let text = lines.iter().map(|it| line(it)).collect::<String>() + "0000";
        let _ = read(&text, All::below(&[]));
    }

    /// However the network cuts it, it is the same advertisement.
    #[test]
    fn pieces_do_not_matter(size in 1_usize..40, garbage in "\\PC{0,9}") {
        let text = oldest() + &garbage;

        let mut advertisement = Advertisement::kept_in(All::below(&[]));
        for piece in text.as_bytes().chunks(size) {
            advertisement.push(piece).unwrap();
        }

        let Advertised::Refs(kept) = advertisement.finish().unwrap() else { panic!() };
        prop_assert_eq!(kept.refs, refs(&text));
    }
}

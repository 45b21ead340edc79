//! What must hold whatever strangers send? Each function takes bytes, reads them as one of our parsers
//! does, and panics where a promise is broken.
//!
//! Driven by the targets under `e2e/fuzz` for as long as somebody likes, and by `tests/fuzz` briefly.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    HostKey, KnownHosts, Malformed, Patterns, RemoteRef, RepoUri, Verdict,
    advertisement::{Advertised, Advertisement},
    ls_refs::{All, Answer, Keep, ObjectFormat, One},
};

/// What reads bytes.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: [(&str, Target); 5] = [
    ("pkt_line_and_ls_refs", pkt_line_and_ls_refs),
    ("advertisement", advertisement),
    ("uri", uri),
    ("known_hosts", known_hosts),
    ("gitignore", gitignore),
];

/// The key that a host shows.
const KEY: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
/// The branch that is asked for.
const MAIN: &str = "refs/heads/main";

/// The answer to `ls-refs`: the first byte says in which pieces the rest arrives.
pub fn pkt_line_and_ls_refs(input: &[u8]) {
    let Some((size, answer)) = input.split_first() else { return };
    let whole = refs(answer, answer.len());
    let pieces = refs(answer, usize::from(*size));

    assert_eq!(whole, pieces, "an answer depends on how it arrives");
    let one = read(answer, answer.len(), One::named(MAIN)).map(|it| it.found);
    if let (Ok(all), Ok(one)) = (&whole, one) {
        assert_fit(all, answer.len());
        assert_eq!(all.iter().find(|it| it.name == MAIN), one.as_ref());
    }
}

fn refs(answer: &[u8], size: usize) -> Result<Vec<RemoteRef>, Malformed> {
    read(answer, size, All::below(&[])).map(|it| it.refs)
}

fn read<K: Keep>(bytes: &[u8], size: usize, keep: K) -> Result<K, Malformed> {
    let mut answer = Answer::kept_in(keep);
    for piece in bytes.chunks(size.max(1)) {
        if answer.push(piece)? {
            break;
        }
    }
    answer.finish()
}

/// What a server says first, in any version: the first byte says in which pieces the rest arrives.
pub fn advertisement(input: &[u8]) {
    let Some((size, said)) = input.split_first() else { return };
    let whole = advertised(said, said.len());
    let pieces = advertised(said, usize::from(*size));

    assert_eq!(whole, pieces, "an advertisement depends on how it arrives");
    if let Ok((None, refs)) = whole {
        assert_fit(&refs, said.len());
    }
}

type Said = (Option<ObjectFormat>, Vec<RemoteRef>);

fn advertised(bytes: &[u8], size: usize) -> Result<Said, Malformed> {
    let mut advertisement = Advertisement::kept_in(All::below(&[]));
    for piece in bytes.chunks(size.max(1)) {
        if advertisement.push(piece)? {
            break;
        }
    }
    Ok(match advertisement.finish()? {
        Advertised::Capabilities(format) => (Some(format), Vec::new()),
        Advertised::Refs(all) => (None, all.refs),
    })
}

/// No more is kept than was sent, and no name breaks a line.
fn assert_fit(refs: &[RemoteRef], sent: usize) {
    let kept: usize =
        refs.iter().map(|it| it.name.len().saturating_add(it.oid.as_str().len())).sum();
    assert!(kept <= sent, "{kept} bytes are kept of {sent}");
    let names = refs.iter().flat_map(|it| [Some(&it.name), it.symref_target.as_ref()]);
    for name in names.flatten() {
        assert!(!name.is_empty() && !name.chars().any(char::is_control), "a name is {name:?}");
    }
}

/// A repository's address.
pub fn uri(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(uri) = RepoUri::parse(text) else { return };

    let parts = [Some(uri.host()), Some(uri.path()), uri.user()];
    for part in parts.into_iter().flatten() {
        assert!(!part.starts_with('-'), "{part:?} reads as an option");
        assert!(
            !part.chars().any(|it| it.is_control() || it.is_whitespace()),
            "a part is {part:?}"
        );
    }
    assert!(!uri.host().contains(['@', '/']), "the host is {:?}", uri.host());
    assert_eq!(RepoUri::parse(&uri.to_contract()).as_ref(), Ok(&uri), "it is not read back");
}

/// A file of known hosts: what stands before the first NUL is the host that is asked for.
pub fn known_hosts(input: &[u8]) {
    let mut halves = input.splitn(2, |it| *it == 0);
    let (host, file) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    let host = String::from_utf8_lossy(host);
    let (Some(shown), Ok(known)) = (HostKey::from_bytes(KEY), KnownHosts::parse(file)) else {
        return;
    };
    let is_in_file = String::from_utf8_lossy(file).contains(&STANDARD.encode(KEY));

    for port in [22, 2222] {
        let kinds = known.kinds(&host, port).len();
        assert!(kinds <= file.len(), "{kinds} keys in {} bytes", file.len());
        let is_trusted = known.judge(&host, port, &shown) == Verdict::Trusted;
        assert!(is_in_file || !is_trusted, "a key is trusted that the file does not hold");
    }
}

/// A trigger's patterns, an empty line, and a repository's paths.
pub fn gitignore(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (lines, paths) = text.split_once("\n\n").unwrap_or((&text, "README.md"));
    let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
    let Ok(patterns) = Patterns::parse(&lines) else { return };

    let excludes = lines.iter().any(|it| it.trim_start().starts_with('!'));
    for path in paths.lines().filter(|it| is_path(it)) {
        let is_entered = folders(path).all(|it| patterns.enters(it.as_bytes()));
        if patterns.selects(path.as_bytes()) && !excludes {
            assert!(is_entered, "{path:?} is selected in a folder that is never entered");
        }
    }
}

/// As a tree of git has it.
fn is_path(text: &str) -> bool {
    text.split('/').all(|it| !matches!(it, "" | "." | ".."))
}

fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(at, _)| path.get(..at))
}

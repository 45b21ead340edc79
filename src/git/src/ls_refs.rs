//! What does a server advertise? The question of protocol v2 as bytes, and its answer from bytes.
//!
//! No IO here: the answer arrives in pieces of any size from somebody who may mean harm. What is
//! kept is bounded by one pkt-line and by the refs that were asked for.

mod keep;
mod lines;

use gix_packetline::{
    PacketLineRef,
    blocking_io::encode::{delim_to_write, flush_to_write, text_to_write},
};
use memchr::memchr;

pub(crate) use self::{
    keep::{All, Best, Keep, One, TAGS},
    lines::Lines,
};
use crate::Commit;

/// 100,000 refs of 80 bytes are 8 MB, and a server that ignores prefixes sends all of them.
const MOST_BYTES: usize = 64 << 20;
/// Refs that were asked for and are kept; ten times what the largest public repositories have tags.
const MOST_REFS: usize = 200_000;
/// Git cuts a ref at a path's length; a longer prefix cannot match anything.
const LONGEST_PREFIX: usize = 4096;
/// A server's complaint ends up in a status: enough to understand it.
const LONGEST_MESSAGE: usize = 256;

/// A ref as a server tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRef {
    /// The full name: `refs/heads/main`.
    pub name: String,
    /// What it points at, which may be a tag object.
    pub oid: Commit,
    /// What the tag object (or the tags it is made of) finally points at.
    pub peeled: Option<Commit>,
    /// The ref that this one is another name of.
    pub symref_target: Option<String>,
}

impl RemoteRef {
    /// The commit that somebody who checks this ref out gets.
    pub fn commit(&self) -> &Commit {
        self.peeled.as_ref().unwrap_or(&self.oid)
    }
}

/// An answer that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The connection ended before the answer did.
    #[error("the answer ends in the middle, after {lines} lines")]
    Truncated {
        /// The lines that did arrive.
        lines: usize,
    },
    /// Not a pkt-line.
    #[error("line {line} is not a pkt-line")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// A pkt-line that names no ref.
    #[error("line {line} is not a ref")]
    Record {
        /// Counted from 1.
        line: usize,
    },
    /// It does not end.
    #[error("the answer is longer than {most} bytes")]
    Long {
        /// The limit.
        most: usize,
    },
    /// It fits the question, but who has so many refs?
    #[error("the answer has more than {most} refs")]
    Many {
        /// The limit.
        most: usize,
    },
    /// Files alone, for a client that puts refs and objects together by itself.
    #[error("the server speaks the dumb protocol, and no git runs there")]
    Dumb,
    /// A version of the protocol that nobody asked for, or that nobody knows.
    #[error("the server answers in a version that it was not asked for")]
    Version,
    /// The server says why not.
    #[error("the server says: {message}")]
    Refused {
        /// In its words, cut, and without control characters.
        message: String,
    },
}

/// The hash that a repository's object names are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectFormat {
    Sha1,
    Sha256,
}

impl ObjectFormat {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Sha1 => Self::Sha256,
            Self::Sha256 => Self::Sha1,
        }
    }
}

/// A prefix that no ref can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadPrefix;

/// The body of the one POST that a check is.
pub(crate) fn question(prefixes: &[String], format: ObjectFormat) -> Result<Vec<u8>, BadPrefix> {
    let is_fine = |it: &String| it.len() <= LONGEST_PREFIX && !it.chars().any(char::is_control);
    if !prefixes.iter().all(is_fine) {
        return Err(BadPrefix);
    }
    let mut body = Vec::with_capacity(256);
    write_question(prefixes, format, &mut body).map_err(|_| BadPrefix)?;
    Ok(body)
}

fn write_question(
    prefixes: &[String],
    format: ObjectFormat,
    body: &mut Vec<u8>,
) -> std::io::Result<()> {
    text_to_write(b"command=ls-refs", &mut *body)?;
    text_to_write(crate::AGENT.as_bytes(), &mut *body)?;
    if format == ObjectFormat::Sha256 {
        text_to_write(b"object-format=sha256", &mut *body)?;
    }
    delim_to_write(&mut *body)?;
    text_to_write(b"peel", &mut *body)?;
    text_to_write(b"symrefs", &mut *body)?;
    for prefix in prefixes {
        text_to_write(format!("ref-prefix {prefix}").as_bytes(), &mut *body)?;
    }
    flush_to_write(&mut *body)?;
    Ok(())
}

/// The answer so far.
#[derive(Debug)]
pub(crate) struct Answer<K> {
    lines: Lines,
    keep: K,
}

impl<K: Keep> Answer<K> {
    pub(crate) fn kept_in(keep: K) -> Self {
        Self { lines: Lines::default(), keep }
    }

    /// Takes the next piece. True once the answer is complete: what follows is not read.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<bool, Malformed> {
        let keep = &mut self.keep;
        let rest = self.lines.push(piece, |line, number| take(keep, line, number))?;
        Ok(rest.is_some())
    }

    /// What was kept, if the answer came to its end.
    pub(crate) fn finish(self) -> Result<K, Malformed> {
        self.lines.end().map(|()| self.keep)
    }
}

fn take(keep: &mut impl Keep, line: PacketLineRef<'_>, number: usize) -> Result<bool, Malformed> {
    if let Some(complaint) = line.check_error() {
        return Err(Malformed::Refused { message: sanitise(complaint.0) });
    }
    let not_a_ref = || Malformed::Record { line: number };
    let Some(text) = line.as_text() else {
        // A flush ends it; anything else that is no data has no place in this answer.
        return if line == PacketLineRef::Flush { Ok(true) } else { Err(not_a_ref()) };
    };
    let text = text.as_slice();
    if text.starts_with(b"unborn ") {
        return Ok(false);
    }
    let (oid, rest) = first_word(text).ok_or_else(not_a_ref)?;
    let (name, attributes) = first_word(rest).unwrap_or((rest, &[]));
    if keep.wants(name) {
        let words = attributes.split(|it| *it == b' ');
        keep.keep(record(oid, name, words).ok_or_else(not_a_ref)?)?;
    }
    Ok(false)
}

/// What is before the first space and behind it, if there is one.
#[inline]
pub(crate) fn first_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (word, rest) = text.split_at_checked(memchr(b' ', text)?)?;
    Some((word, rest.get(1..).unwrap_or_default()))
}

fn record<'b>(
    oid: &[u8],
    name: &[u8],
    attributes: impl Iterator<Item = &'b [u8]>,
) -> Option<RemoteRef> {
    let mut one =
        RemoteRef { name: name_of(name)?, oid: id_of(oid)?, peeled: None, symref_target: None };
    for attribute in attributes {
        if let Some(id) = attribute.strip_prefix(b"peeled:") {
            one.peeled = Some(id_of(id)?);
        } else if let Some(target) = attribute.strip_prefix(b"symref-target:") {
            one.symref_target = Some(name_of(target)?);
        }
    }
    Some(one)
}

pub(crate) fn id_of(bytes: &[u8]) -> Option<Commit> {
    std::str::from_utf8(bytes).ok().and_then(|it| Commit::parse(it).ok())
}

pub(crate) fn name_of(bytes: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(bytes).ok()?;
    let is_name = !name.is_empty() && !name.chars().any(char::is_control);
    is_name.then(|| name.to_owned())
}

/// A server's words, fit for a status or a log line.
pub(crate) fn sanitise(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests;

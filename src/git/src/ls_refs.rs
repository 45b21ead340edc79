//! What does a server advertise? The question of protocol v2 as bytes, and its answer from bytes.
//!
//! No IO here: the answer arrives in pieces of any size from somebody who may mean harm. What is
//! kept is bounded by one pkt-line and by the refs that were asked for.

use gix_packetline::{
    PacketLineRef,
    blocking_io::encode::{delim_to_write, flush_to_write, text_to_write},
    decode::{self, Stream},
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
pub(crate) struct Answer<'a> {
    prefixes: &'a [String],
    /// The beginning of a line whose end has not arrived.
    pending: Vec<u8>,
    received: usize,
    lines: usize,
    refs: Vec<RemoteRef>,
    is_complete: bool,
}

impl<'a> Answer<'a> {
    pub(crate) fn to(prefixes: &'a [String]) -> Self {
        Self {
            prefixes,
            pending: Vec::new(),
            received: 0,
            lines: 0,
            refs: Vec::new(),
            is_complete: false,
        }
    }

    /// Takes the next piece. True once the answer is complete: what follows is not read.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<bool, Malformed> {
        if self.is_complete {
            return Ok(true);
        }
        self.received = self.received.saturating_add(piece.len());
        if self.received > MOST_BYTES {
            return Err(Malformed::Long { most: MOST_BYTES });
        }
        let mut held = std::mem::take(&mut self.pending);
        held.extend_from_slice(piece);
        let mut rest = held.as_slice();
        while !self.is_complete {
            let next_line = self.lines.saturating_add(1);
            match decode::streaming(rest).map_err(|_| Malformed::Line { line: next_line })? {
                Stream::Incomplete { .. } => break,
                Stream::Complete { line, bytes_consumed } => {
                    self.lines = next_line;
                    self.take(line)?;
                    rest = rest.get(bytes_consumed..).unwrap_or_default();
                }
            }
        }
        let consumed = held.len().saturating_sub(rest.len());
        held.drain(..consumed);
        self.pending = held;
        Ok(self.is_complete)
    }

    /// The refs, if the answer came to its end.
    pub(crate) fn finish(self) -> Result<Vec<RemoteRef>, Malformed> {
        if self.is_complete {
            Ok(self.refs)
        } else {
            Err(Malformed::Truncated { lines: self.lines })
        }
    }

    fn take(&mut self, line: PacketLineRef<'_>) -> Result<(), Malformed> {
        if let Some(complaint) = line.check_error() {
            return Err(Malformed::Refused { message: sanitise(complaint.0) });
        }
        let Some(text) = line.as_text() else {
            // A flush ends it; anything else that is no data has no place in this answer.
            self.is_complete = line == PacketLineRef::Flush;
            return if self.is_complete { Ok(()) } else { Err(self.not_a_ref()) };
        };
        let text = text.as_slice();
        if text.starts_with(b"unborn ") {
            return Ok(());
        }
        let space = text.iter().position(|it| *it == b' ').ok_or_else(|| self.not_a_ref())?;
        let (oid, rest) = text.split_at(space);
        let mut words = rest.split(|it| *it == b' ').skip(1);
        let name = words.next().unwrap_or_default();
        if !self.was_asked_for(name) {
            return Ok(());
        }
        if self.refs.len() >= MOST_REFS {
            return Err(Malformed::Many { most: MOST_REFS });
        }
        let one = record(oid, name, words).ok_or_else(|| self.not_a_ref())?;
        self.refs.push(one);
        Ok(())
    }

    /// A server may ignore the prefixes; what nobody asked for takes no memory.
    fn was_asked_for(&self, name: &[u8]) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|it| name.starts_with(it.as_bytes()))
    }

    fn not_a_ref(&self) -> Malformed {
        Malformed::Record { line: self.lines }
    }
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

fn id_of(bytes: &[u8]) -> Option<Commit> {
    std::str::from_utf8(bytes).ok().and_then(|it| Commit::parse(it).ok())
}

fn name_of(bytes: &[u8]) -> Option<String> {
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

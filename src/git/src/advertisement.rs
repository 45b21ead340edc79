//! What does a server say before it is asked? Its capabilities in protocol v2, all its refs in the
//! older ones: over a stream at once, over http behind a line with the service's name.
//!
//! No IO here, and nothing is kept but the refs that were asked for, as in `ls_refs`.

use gix_packetline::PacketLineRef;

use crate::ls_refs::{
    Keep, Lines, Malformed, ObjectFormat, RemoteRef, first_word, id_of, name_of, sanitise,
};

/// git tells of `HEAD` alone; each one is looked at for each ref that is kept.
const MOST_SYMREFS: usize = 16;

/// What the server said.
#[derive(Debug)]
pub(crate) enum Advertised<K> {
    /// Protocol v2: it waits for a command, and its objects' ids are made with this hash.
    Capabilities(ObjectFormat),
    /// An older protocol: the refs that were to be kept.
    Refs(K),
}

/// The advertisement so far.
#[derive(Debug)]
pub(crate) struct Advertisement<K> {
    lines: Lines,
    reader: Reader<K>,
}

#[derive(Debug)]
struct Reader<K> {
    keep: K,
    stage: Stage,
    format: ObjectFormat,
    /// Names that are other names of refs. They all stand in the first line.
    symrefs: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begin,
    /// After the service's name comes a flush that ends nothing.
    Service,
    /// After that flush.
    First,
    /// After `version 1`.
    One,
    Capabilities,
    Refs,
}

impl<K: Keep> Advertisement<K> {
    pub(crate) fn kept_in(keep: K) -> Self {
        let (format, symrefs) = (ObjectFormat::Sha1, Vec::new());
        let reader = Reader { keep, stage: Stage::Begin, format, symrefs };
        Self { lines: Lines::default(), reader }
    }

    /// Takes the next piece. True once it is complete: what follows is not read.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<bool, Malformed> {
        Ok(self.push_some(piece)?.is_some())
    }

    /// Takes the next piece, and gives back what is behind the advertisement once that is complete.
    pub(crate) fn push_some<'b>(&mut self, piece: &'b [u8]) -> Result<Option<&'b [u8]>, Malformed> {
        let reader = &mut self.reader;
        self.lines.push(piece, |line, number| {
            reader.take(line).map_err(|it| it.unwrap_or(Malformed::Record { line: number }))
        })
    }

    /// The hash that a server of v2 names objects by; nothing of an older one.
    pub(crate) fn capabilities(&self) -> Option<ObjectFormat> {
        (self.reader.stage == Stage::Capabilities).then_some(self.reader.format)
    }

    /// What was said, if it came to its end.
    pub(crate) fn finish(self) -> Result<Advertised<K>, Malformed> {
        self.lines.end()?;
        Ok(match self.reader.stage {
            Stage::Capabilities => Advertised::Capabilities(self.reader.format),
            _ => Advertised::Refs(self.reader.keep),
        })
    }
}

/// What a web server says instead, told from the first bytes of it.
pub(crate) fn judge_other(bytes: &[u8]) -> Malformed {
    let digits = bytes.iter().take_while(|it| it.is_ascii_hexdigit()).count();
    let is_list = matches!(digits, 40 | 64) && bytes.get(digits) == Some(&b'\t');
    match bytes {
        [] => Malformed::Truncated { lines: 0 },
        _ if is_list => Malformed::Dumb,
        _ => Malformed::Line { line: 1 },
    }
}

/// Nothing stands for a line that is no record.
type Outcome<T> = Result<T, Option<Malformed>>;

impl<K: Keep> Reader<K> {
    /// True when the line is the last one.
    fn take(&mut self, line: PacketLineRef<'_>) -> Outcome<bool> {
        if let Some(complaint) = line.check_error() {
            return Err(Some(Malformed::Refused { message: sanitise(complaint.0) }));
        }
        let Some(text) = line.as_text() else {
            let is_flush = line == PacketLineRef::Flush;
            let is_inner = is_flush && self.stage == Stage::Service;
            if is_inner {
                self.stage = Stage::First;
            }
            return if is_flush { Ok(!is_inner) } else { Err(None) };
        };
        let text = text.as_slice();
        match self.stage {
            Stage::Begin if text.starts_with(b"# service=") => {
                self.stage = Stage::Service;
                if text == b"# service=git-upload-pack" { Ok(()) } else { Err(None) }
            }
            Stage::Service => Err(None),
            Stage::Begin | Stage::First => self.begin(text),
            Stage::One => self.first(text),
            Stage::Capabilities => self.capability(text),
            Stage::Refs => self.one(text),
        }
        .map(|()| false)
    }

    fn begin(&mut self, text: &[u8]) -> Outcome<()> {
        self.stage = match text {
            b"version 2" => Stage::Capabilities,
            b"version 1" => Stage::One,
            _ if text.starts_with(b"version ") => return Err(Some(Malformed::Version)),
            _ => return self.first(text),
        };
        Ok(())
    }

    /// The first ref has the capabilities behind it; where there is none, they have its place.
    fn first(&mut self, text: &[u8]) -> Outcome<()> {
        self.stage = Stage::Refs;
        let end = text.iter().position(|it| *it == 0).unwrap_or(text.len());
        let (one, capabilities) = text.split_at(end);
        for word in capabilities.split(|it| matches!(it, b' ' | 0)) {
            self.capability(word)?;
            self.note_symref(word);
        }
        self.one(one)
    }

    fn note_symref(&mut self, word: &[u8]) {
        let Some(both) = word.strip_prefix(b"symref=") else { return };
        let colon = both.iter().position(|it| *it == b':').unwrap_or(both.len());
        let (name, target) = both.split_at(colon);
        let target = target.strip_prefix(b":").and_then(name_of);
        if let (Some(name), Some(target)) = (name_of(name), target)
            && self.symrefs.len() < MOST_SYMREFS
        {
            self.symrefs.push((name, target));
        }
    }

    fn capability(&mut self, word: &[u8]) -> Outcome<()> {
        if let Some(format) = word.strip_prefix(b"object-format=") {
            self.format = match format {
                b"sha1" => ObjectFormat::Sha1,
                b"sha256" => ObjectFormat::Sha256,
                _ => return Err(None),
            };
        }
        Ok(())
    }

    fn one(&mut self, text: &[u8]) -> Outcome<()> {
        let (oid, name) = first_word(text).ok_or(None)?;
        // A server's clone may be shallow: that is its own affair.
        if oid == b"shallow" || name == b"capabilities^{}" {
            return Ok(());
        }
        if let Some(tag) = name.strip_suffix(b"^{}") {
            return self.peel(oid, tag);
        }
        if !self.keep.wants(name) {
            return Ok(());
        }
        let (oid, name) = (id_of(oid).ok_or(None)?, name_of(name).ok_or(None)?);
        let target = self.symrefs.iter().find(|(it, _)| *it == name);
        let symref_target = target.map(|(_, target)| target.clone());
        let one = RemoteRef { name, oid, peeled: None, symref_target };
        self.keep.keep(one).map_err(Some)
    }

    /// What a tag is made of follows the tag.
    fn peel(&mut self, oid: &[u8], tag: &[u8]) -> Outcome<()> {
        match self.keep.last() {
            Some(last) if last.name.as_bytes() == tag => {
                last.peeled = Some(id_of(oid).ok_or(None)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;

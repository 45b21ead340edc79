//! Where does one pkt-line end? Pieces of any size in, whole lines out, within a limit on all of
//! them together. A server that ignores prefixes sends a hundred thousand: a line costs no copy, and
//! few instructions.

use gix_packetline::PacketLineRef;

use super::{MOST_BYTES, Malformed};

/// The digits that say how long a line is, themselves included.
const PREFIX: usize = 4;
/// No line is longer.
const LONGEST: usize = 65_520;

/// The lines so far.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The beginning of a line whose end has not arrived.
    pub(super) pending: Vec<u8>,
    received: usize,
    count: usize,
    is_complete: bool,
}

impl Lines {
    /// Gives each line that is whole to `take`, with its number from 1, until that says that it
    /// was the last: then what follows of the piece is given back, unread.
    pub(crate) fn push<'b>(
        &mut self,
        piece: &'b [u8],
        mut take: impl FnMut(PacketLineRef<'_>, usize) -> Result<bool, Malformed>,
    ) -> Result<Option<&'b [u8]>, Malformed> {
        if self.is_complete {
            return Ok(Some(piece));
        }
        self.received = self.received.saturating_add(piece.len());
        if self.received > MOST_BYTES {
            return Err(Malformed::Long { most: MOST_BYTES });
        }
        let Some(mut rest) = self.finish_pending(piece, &mut take)? else { return Ok(None) };
        while !self.is_complete {
            let Some((line, behind)) = self.line(rest)? else {
                self.pending.extend_from_slice(rest);
                return Ok(None);
            };
            self.hand_over(line, &mut take)?;
            rest = behind;
        }
        Ok(Some(rest))
    }

    /// Takes as much of the piece as the line lacks that has begun. Nothing: it is not whole yet.
    fn finish_pending<'b>(
        &mut self,
        mut piece: &'b [u8],
        take: &mut impl FnMut(PacketLineRef<'_>, usize) -> Result<bool, Malformed>,
    ) -> Result<Option<&'b [u8]>, Malformed> {
        let mut held = std::mem::take(&mut self.pending);
        while !held.is_empty() {
            if let Some((line, _)) = self.line(&held)? {
                self.hand_over(line, take)?;
                held.clear();
                break;
            }
            let whole = length(&held).and_then(Result::ok).unwrap_or(PREFIX);
            let lacking = whole.saturating_sub(held.len());
            let (head, tail) = piece.split_at_checked(lacking).unwrap_or((piece, &[]));
            held.extend_from_slice(head);
            piece = tail;
            if head.len() < lacking {
                self.pending = held;
                return Ok(None);
            }
        }
        self.pending = held;
        Ok(Some(piece))
    }

    #[inline]
    fn hand_over(
        &mut self,
        line: PacketLineRef<'_>,
        take: &mut impl FnMut(PacketLineRef<'_>, usize) -> Result<bool, Malformed>,
    ) -> Result<(), Malformed> {
        self.count = self.count.saturating_add(1);
        self.is_complete = take(line, self.count)?;
        Ok(())
    }

    /// The first line, and what is behind it. Nothing: it is not whole.
    #[inline]
    fn line<'b>(
        &self,
        bytes: &'b [u8],
    ) -> Result<Option<(PacketLineRef<'b>, &'b [u8])>, Malformed> {
        let malformed = || Malformed::Line { line: self.count.saturating_add(1) };
        let Some(length) = length(bytes) else { return Ok(None) };
        let length = length.map_err(|NoLength| malformed())?;
        let Some((line, behind)) = bytes.split_at_checked(length.max(PREFIX)) else {
            return Ok(None);
        };
        let line = match length {
            0 => PacketLineRef::Flush,
            1 => PacketLineRef::Delimiter,
            2 => PacketLineRef::ResponseEnd,
            // A line without anything in it means nothing, and one of three bytes is none.
            3 | PREFIX => return Err(malformed()),
            _ => PacketLineRef::Data(line.get(PREFIX..).unwrap_or_default()),
        };
        Ok(Some((line, behind)))
    }

    /// Whether the last line has come.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.is_complete { Ok(()) } else { Err(Malformed::Truncated { lines: self.count }) }
    }
}

/// Four bytes that say no length.
struct NoLength;

/// What the first four bytes say; nothing while they are fewer.
#[inline]
fn length(bytes: &[u8]) -> Option<Result<usize, NoLength>> {
    let digits = bytes.first_chunk::<PREFIX>()?;
    let add = |sum: usize, digit: &u8| Some((sum << 4) | char::from(*digit).to_digit(16)? as usize);
    Some(digits.iter().try_fold(0, add).filter(|it| *it <= LONGEST).ok_or(NoLength))
}

//! Where does one pkt-line end? Pieces of any size in, whole lines out, within a limit on all of
//! them together.

use gix_packetline::{
    PacketLineRef,
    decode::{self, Stream},
};

use super::{MOST_BYTES, Malformed};

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
    /// was the last: then true, and what follows is not read.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        take: &mut dyn FnMut(PacketLineRef<'_>, usize) -> Result<bool, Malformed>,
    ) -> Result<bool, Malformed> {
        if self.is_complete {
            return Ok(true);
        }
        self.received = self.received.saturating_add(piece.len());
        if self.received > MOST_BYTES {
            return Err(Malformed::Long { most: MOST_BYTES });
        }
        // Most pieces end where a line does: only the rest of one is copied.
        let mut held = std::mem::take(&mut self.pending);
        if held.is_empty() {
            let rest = self.split(piece, take)?;
            held.extend_from_slice(rest);
        } else {
            held.extend_from_slice(piece);
            let rest = self.split(&held, take)?.len();
            held.drain(..held.len().saturating_sub(rest));
        }
        self.pending = held;
        Ok(self.is_complete)
    }

    fn split<'b>(
        &mut self,
        mut rest: &'b [u8],
        take: &mut dyn FnMut(PacketLineRef<'_>, usize) -> Result<bool, Malformed>,
    ) -> Result<&'b [u8], Malformed> {
        while !self.is_complete {
            let number = self.count.saturating_add(1);
            match decode::streaming(rest).map_err(|_| Malformed::Line { line: number })? {
                Stream::Incomplete { .. } => break,
                Stream::Complete { line, bytes_consumed } => {
                    self.count = number;
                    self.is_complete = take(line, number)?;
                    rest = rest.get(bytes_consumed..).unwrap_or_default();
                }
            }
        }
        Ok(rest)
    }

    /// Whether the last line has come.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.is_complete { Ok(()) } else { Err(Malformed::Truncated { lines: self.count }) }
    }
}

//! What does a server of version 1 say first? Its number, in a line of its own that gix does not
//! expect; without it, it is one of version 0.

use std::io::{self, Chain, Cursor, Read};

const NUMBER: &[u8] = b"000eversion 1\n";

/// Reads as `inner` does, but for the number after `opening`.
#[derive(Debug)]
pub(super) struct Lead<R> {
    /// Until the first byte is asked for.
    opening: Option<&'static [u8]>,
    inner: Chain<Cursor<Vec<u8>>, R>,
}

impl<R: Read> Lead<R> {
    pub(super) fn after(opening: &'static [u8], inner: R) -> Self {
        Self { opening: Some(opening), inner: Cursor::new(Vec::new()).chain(inner) }
    }

    /// Takes in as much as can be the number, and puts back what is something else.
    fn open(&mut self, opening: &[u8]) -> io::Result<()> {
        let expected = [opening, NUMBER].concat();
        let mut first = Vec::new();
        let (head, rest) = self.inner.get_mut();
        while first.len() < expected.len() && expected.starts_with(&first) {
            let mut piece = vec![0; expected.len().saturating_sub(first.len())];
            let count = rest.read(&mut piece)?;
            if count == 0 {
                break;
            }
            first.extend(piece.into_iter().take(count));
        }
        if first == expected {
            first.truncate(opening.len());
        }
        *head = Cursor::new(first);
        Ok(())
    }
}

impl<R: Read> Read for Lead<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(opening) = self.opening.take() {
            self.open(opening)?;
        }
        self.inner.read(into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that gives a byte at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = into.len().min(1);
            self.0.read(&mut into[..most])
        }
    }

    fn read(opening: &'static [u8], text: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        Lead::after(opening, text).read_to_end(&mut all).unwrap();
        let mut dripped = Vec::new();
        Lead::after(opening, Drip(text)).read_to_end(&mut dripped).unwrap();
        assert_eq!(all, dripped);
        all
    }

    #[test]
    fn the_number_is_left_out_and_nothing_else() {
        assert_eq!(read(b"", b"000eversion 1\n0000"), b"0000");
        assert_eq!(read(b"open", b"open000eversion 1\nrefs"), b"openrefs");
        for text in
            [&b"000eversion 2\nrefs"[..], b"", b"000", b"000eversion 1", b"x000eversion 1\n"]
        {
            assert_eq!(read(b"", text), text);
        }
        assert_eq!(read(b"open", b"000eversion 1\n"), b"000eversion 1\n");
    }
}

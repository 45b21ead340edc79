//! For how long may a connection say nothing, or not to the end? Bytes pass through; a caller that is slow
//! with its headers is told so and left, one that has nothing to say is left.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::heads::{Heads, Place};
use super::pulse::Pulse;

/// What HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI ";
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\n\
    content-length: 66\r\nconnection: close\r\n\r\n\
    {\"status\":\"error\",\"message\":\"the headers did not arrive in time\"}\n";
const TOO_MUCH: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
    content-length: 90\r\nretry-after: 10\r\nconnection: close\r\n\r\n\
    {\"status\":\"error\",\"message\":\"too much is going on here; nothing was accepted, try again\"}\n";

/// Bytes that are read at once: what buffers them grows with what comes at once.
const PIECE: usize = 16 << 10;

/// How long, and how many bytes, are still heard of who was told that it is enough.
const LINGER: Duration = Duration::from_secs(1);
const LINGERED: usize = 512 << 10;

/// How patient we are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the first byte of a request to the end of its headers.
    pub(super) headers: Duration,
    /// From the end of a request to the first byte of the next.
    pub(super) idle: Duration,
}

/// A stream whose other end may not be slower than we are patient.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    pulse: Arc<Pulse>,
    patience: Patience,
    heads: Heads,
    /// When the first byte came of what is no request yet; how many bytes that are, and their place.
    head: Option<Instant>,
    head_bytes: usize,
    place: Place,
    /// The requests that had begun when it came.
    begun: u64,
    begins_with: Begins,
    /// How many bytes were compared with the preface of HTTP/2.
    matched: usize,
    /// Once it is closed: how much more is heard.
    lingers: Option<usize>,
    timer: Pin<Box<Sleep>>,
}

/// Which protocol the caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    Unknown,
    WithHttp1,
    WithHttp2,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, pulse: Arc<Pulse>, patience: Patience, heads: Heads) -> Self {
        let timer = Box::pin(tokio::time::sleep(patience.headers));
        Self {
            stream,
            pulse,
            patience,
            heads,
            head: None,
            head_bytes: 0,
            place: Place::default(),
            begun: 0,
            begins_with: Begins::Unknown,
            matched: 0,
            lingers: None,
            timer,
        }
    }

    /// When there is nothing more to wait for; none while a request is served.
    fn ends_at(&mut self) -> Option<Instant> {
        let Some(idle_since) = self.pulse.idle_since() else {
            self.no_head();
            return None;
        };
        if self.begins_with == Begins::WithHttp2 && self.pulse.has_served() {
            // Its frames come between requests too.
            return Some(idle_since + self.patience.idle);
        }
        match self.head {
            Some(since) => Some(since + self.patience.headers),
            // Who has connected and says nothing is no better than who is slow.
            None if !self.pulse.has_served() => Some(idle_since + self.patience.headers),
            None => Some(idle_since + self.patience.idle),
        }
    }

    /// What came until now was a request's, or is none.
    fn no_head(&mut self) {
        self.head = None;
        self.head_bytes = 0;
        self.place = Place::default();
    }

    /// Whether there is room for what came.
    fn came(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes.iter().take(PREFACE.len().saturating_sub(self.matched)) {
            if self.begins_with == Begins::Unknown {
                self.matched += 1;
                self.begins_with = match PREFACE.get(self.matched - 1) {
                    Some(expected) if expected != byte => Begins::WithHttp1,
                    _ if self.matched == PREFACE.len() => Begins::WithHttp2,
                    _ => Begins::Unknown,
                };
            }
        }
        let begun = self.pulse.begun();
        if begun != self.begun {
            self.begun = begun;
            self.no_head();
        }
        if self.pulse.idle_since().is_none() || bytes.is_empty() {
            return true;
        }
        self.head.get_or_insert_with(Instant::now);
        self.head_bytes = self.head_bytes.saturating_add(bytes.len());
        self.heads.fits(&mut self.place, self.head_bytes)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Patient<S> {
    /// It is a courtesy: who does not read it is left all the same.
    fn tell(&mut self, context: &mut Context<'_>, answer: &[u8]) {
        if self.head.is_some() && self.begins_with != Begins::WithHttp2 {
            let _: Poll<_> = Pin::new(&mut self.stream).poll_write(context, answer);
            let _: Poll<_> = Pin::new(&mut self.stream).poll_flush(context);
        }
    }

    /// Reads no more than a piece.
    fn read_piece(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() <= PIECE {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(PIECE));
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut piece))?;
        let read = piece.filled().len();
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let polled = this.read_piece(context, buffer);
        let came = buffer.filled().get(before..).unwrap_or_default();
        if polled.is_ready() && !this.came(came) {
            this.tell(context, TOO_MUCH);
            return Poll::Ready(Err(io::Error::other("headers take too much room together")));
        }
        let Some(ends_at) = this.ends_at() else { return polled };
        // Bytes that trickle in do not make the headers come in time.
        if ends_at > Instant::now() {
            if polled.is_ready() {
                return polled;
            }
            if this.timer.deadline() != ends_at {
                this.timer.as_mut().reset(ends_at);
            }
            ready!(this.timer.as_mut().poll(context));
        }
        this.tell(context, TOO_SLOW);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing more was waited for")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Closes, and hears the rest out for a moment: else the other end would learn of what it sent in vain,
    /// and not of the answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingers.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            this.timer.as_mut().reset(Instant::now() + LINGER);
        }
        let mut left = this.lingers.unwrap_or(LINGERED);
        let mut trash = [0; 4096];
        while left > 0 {
            let mut buffer = ReadBuf::new(&mut trash);
            let polled = Pin::new(&mut this.stream).poll_read(context, &mut buffer);
            this.lingers = Some(left);
            match polled {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    left = left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => break,
                Poll::Pending => {
                    ready!(this.timer.as_mut().poll(context));
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

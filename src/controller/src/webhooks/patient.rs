//! For how long may a connection say nothing, or not to the end? Bytes pass through; a caller that is slow
//! with its headers is told so and left, one that has nothing to say is left.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI ";
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\n\
    content-length: 66\r\nconnection: close\r\n\r\n\
    {\"status\":\"error\",\"message\":\"the headers did not arrive in time\"}\n";

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

/// What a connection is doing, for those who look at it from outside.
#[derive(Debug)]
pub(super) struct Pulse {
    serving: AtomicUsize,
    has_served: AtomicBool,
    since: Mutex<Instant>,
}

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            serving: AtomicUsize::new(0),
            has_served: AtomicBool::new(false),
            since: Mutex::new(Instant::now()),
        })
    }

    /// A request has arrived, with all its headers.
    pub(super) fn begin(self: &Arc<Self>) -> Serving {
        self.serving.fetch_add(1, Ordering::SeqCst);
        Serving(Arc::clone(self))
    }

    /// Since when nothing is served; none while something is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let is_idle = self.serving.load(Ordering::SeqCst) == 0;
        is_idle.then(|| *self.since.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn has_served(&self) -> bool {
        self.has_served.load(Ordering::SeqCst)
    }
}

/// A request that is being served.
#[derive(Debug)]
pub(super) struct Serving(Arc<Pulse>);

impl Drop for Serving {
    fn drop(&mut self) {
        *self.0.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.has_served.store(true, Ordering::SeqCst);
        self.0.serving.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A stream whose other end may not be slower than we are patient.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    pulse: Arc<Pulse>,
    patience: Patience,
    /// When the first byte came of what is no request yet.
    head: Option<Instant>,
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
    pub(super) fn new(stream: S, pulse: Arc<Pulse>, patience: Patience) -> Self {
        let timer = Box::pin(tokio::time::sleep(patience.headers));
        Self {
            stream,
            pulse,
            patience,
            head: None,
            begins_with: Begins::Unknown,
            matched: 0,
            lingers: None,
            timer,
        }
    }

    /// When there is nothing more to wait for; none while a request is served.
    fn ends_at(&mut self) -> Option<Instant> {
        let Some(idle_since) = self.pulse.idle_since() else {
            self.head = None;
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

    fn came(&mut self, bytes: &[u8]) {
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
        if self.pulse.idle_since().is_some() && self.head.is_none() {
            self.head = Some(Instant::now());
        }
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
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        if polled.is_ready() {
            this.came(buffer.filled().get(before..).unwrap_or_default());
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
        if this.head.is_some() && this.begins_with != Begins::WithHttp2 {
            // It is a courtesy: who does not read it is left all the same.
            let _: Poll<_> = Pin::new(&mut this.stream).poll_write(context, TOO_SLOW);
            let _: Poll<_> = Pin::new(&mut this.stream).poll_flush(context);
        }
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

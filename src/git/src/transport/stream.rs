//! What do ssh and git:// give? A stream of bytes, counted, that `git-upload-pack` speaks at the
//! other end of.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Error, Traffic};

/// What `git-upload-pack` says, and hears.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why a stream failed: what the server says, where the stream knows it.
pub(crate) fn lost(host: &str, error: io::Error) -> Error {
    let host = host.to_owned();
    error.downcast::<Error>().unwrap_or_else(|source| Error::Connection { host, source })
}

/// The protocol that a server is asked for. One that is too old for it answers in its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// Refs are named before they are sent.
    Two,
    /// What every server speaks: it says all refs at once.
    #[cfg_attr(not(test), expect(dead_code, reason = "nobody has to ask for less than there is"))]
    Zero,
}

impl Version {
    /// The value of `GIT_PROTOCOL`; nothing is said for the oldest.
    pub(crate) fn asked_for(self) -> Option<&'static str> {
        match self {
            Self::Two => Some("version=2"),
            Self::Zero => None,
        }
    }
}

/// A stream whose bytes are counted.
pub(crate) struct Counted<S> {
    stream: S,
    traffic: Traffic,
    host: Arc<str>,
}

impl<S> Counted<S> {
    pub(crate) fn new(stream: S, traffic: Traffic, host: Arc<str>) -> Self {
        Self { stream, traffic, host }
    }
}

impl<S> fmt::Debug for Counted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").field("host", &self.host).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, into);
        let count = into.filled().len().saturating_sub(before);
        if count > 0 {
            self.traffic.received(&self.host, count);
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &outcome {
            self.traffic.sent(&self.host, *count);
        }
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

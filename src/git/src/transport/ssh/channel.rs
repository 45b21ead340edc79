//! What does `git-upload-pack` say at the other end? Its output as a stream; what it complains of,
//! or how it ended, becomes the error of a read.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt as _;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client::Msg};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};
use tokio_util::sync::ReusableBoxFuture;

use super::session::{Leased, Session};
use crate::{Error, Said, ls_refs::sanitise, transport::stream::Version};

/// How it ended follows at once.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A complaint is a few lines. The first of them say what is wrong.
const KEPT_COMPLAINT: usize = 1 << 10;
/// Nobody complains for so long.
const MOST_COMPLAINT: usize = 1 << 20;
/// What is complained about on the other stream than that of text has no meaning.
const STDERR: u32 = 1;
/// What a shell calls the end by SIGKILL; which signal it was matters to nobody.
const KILLED: u32 = 137;

type Next = ReusableBoxFuture<'static, (ChannelReadHalf, Option<ChannelMsg>)>;

/// A command that runs at the other end.
pub(super) struct Talk {
    host: Arc<str>,
    next: Next,
    /// Output that nobody has read yet.
    output: Bytes,
    complaint: Vec<u8>,
    complained: usize,
    ended: Ended,
    /// What the command ended with.
    status: Option<u32>,
    input: Pin<Box<dyn AsyncWrite + Send>>,
    is_input_over: bool,
    channel: ChannelWriteHalf<Msg>,
    session: Arc<Session>,
    permit: Option<OwnedSemaphorePermit>,
    /// Whether the next channel is to be opened in advance.
    next_is_expected: bool,
}

/// How far it is with the output.
enum Ended {
    No,
    /// There is no more output, and how the command ended is still to come.
    Output(Pin<Box<Sleep>>),
    All,
}

impl Talk {
    pub(super) async fn start(
        leased: Leased,
        host: Arc<str>,
        command: &[u8],
        version: Version,
    ) -> Result<Self, russh::Error> {
        let Leased { session, channel, permit } = leased;
        let (output, channel) = channel.split();
        // From here on the channel is closed whatever happens.
        let talk = Self {
            host,
            next: ReusableBoxFuture::new(next(output)),
            output: Bytes::new(),
            complaint: Vec::new(),
            complained: 0,
            ended: Ended::No,
            status: None,
            input: Box::pin(channel.make_writer()),
            is_input_over: false,
            channel,
            session,
            permit: Some(permit),
            next_is_expected: false,
        };
        if let Some(version) = version.asked_for() {
            // Many servers let no variable in; they answer in an older version.
            talk.channel.set_env(false, "GIT_PROTOCOL", version).await?;
        }
        talk.channel.exec(true, command).await?;
        Ok(talk)
    }

    /// Others will ask the same host in the same way: the next channel is opened when this one ends.
    pub(super) fn expect_another(&mut self) {
        self.next_is_expected = true;
    }

    /// Takes what the server says. True once it has ended.
    fn take(&mut self, message: Option<ChannelMsg>) -> io::Result<bool> {
        match message {
            Some(ChannelMsg::Data { data }) => self.output = data,
            Some(ChannelMsg::ExtendedData { data, ext }) => return self.hear(&data, ext),
            Some(ChannelMsg::Failure) => return Err(self.refused("no git-upload-pack here")),
            Some(ChannelMsg::Eof) => self.ended = Ended::Output(Box::pin(sleep(LAST_WORDS))),
            // More output may follow.
            Some(ChannelMsg::ExitStatus { exit_status }) => self.status = Some(exit_status),
            Some(ChannelMsg::ExitSignal { .. }) => self.status = Some(KILLED),
            None if matches!(self.ended, Ended::No) && self.status.is_none() => {
                return Err(self.lost());
            }
            Some(ChannelMsg::Close) | None => return self.finish(),
            Some(_) => {}
        }
        Ok(false)
    }

    fn hear(&mut self, words: &[u8], stream: u32) -> io::Result<bool> {
        self.complained = self.complained.saturating_add(words.len());
        if self.complained > MOST_COMPLAINT {
            return Err(self.refused("it complains without end"));
        }
        let room = KEPT_COMPLAINT.saturating_sub(self.complaint.len());
        if stream == STDERR {
            self.complaint.extend(words.iter().take(room));
        }
        Ok(false)
    }

    fn finish(&self) -> io::Result<bool> {
        match self.status {
            Some(0) => Ok(true),
            None if self.complaint.trim_ascii().is_empty() => Ok(true),
            None => Err(self.refused("")),
            Some(status) => {
                Err(self.refused(&format!("git-upload-pack ended with status {status}")))
            }
        }
    }

    /// The server's words, or ours where it says nothing.
    fn refused(&self, otherwise: &str) -> io::Error {
        let said = sanitise(&self.complaint);
        let message = if said.is_empty() { otherwise.to_owned() } else { said };
        io::Error::other(Error::Remote { host: self.host.to_string(), message })
    }

    fn lost(&self) -> io::Error {
        // It may have been open for long before it was of use.
        self.session.prepare_no_more();
        let source = Said::of(&russh::Error::Disconnect);
        io::Error::other(Error::Ssh { host: self.host.to_string(), source })
    }
}

async fn next(mut output: ChannelReadHalf) -> (ChannelReadHalf, Option<ChannelMsg>) {
    let message = output.wait().await;
    (output, message)
}

impl AsyncRead for Talk {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.output.is_empty() {
                let count = this.output.len().min(into.remaining());
                into.put_slice(&this.output.split_to(count));
                return Poll::Ready(Ok(()));
            }
            let is_late = match &mut this.ended {
                Ended::All => return Poll::Ready(Ok(())),
                Ended::Output(wait) => wait.as_mut().poll(context).is_ready(),
                Ended::No => false,
            };
            let outcome = if is_late {
                this.finish()
            } else {
                let (output, message) = ready!(this.next.poll(context));
                this.next.set(next(output));
                this.take(message)
            };
            if !matches!(outcome, Ok(false)) {
                this.ended = Ended::All;
            }
            outcome?;
        }
    }
}

impl AsyncWrite for Talk {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.input.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_input_over {
            ready!(self.input.as_mut().poll_shutdown(context))?;
            self.is_input_over = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // Closing only puts a word into the session's queue. Where that is full the session is
        // not used again, so that no channel is left open on it.
        if !matches!(self.channel.close().now_or_never(), Some(Ok(()))) {
            self.session.retire();
        }
        drop(self.permit.take());
        if self.next_is_expected {
            self.session.prepare();
        }
        self.session.touch();
    }
}

//! How is a check one round trip, where a channel must be open before it is of use? It is opened when
//! the check before it has ended: one at most, and none where a server does not like it.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex},
};

use futures::FutureExt as _;
use russh::{
    Channel,
    client::{Handle, Handler, Msg},
};

use super::slots::lock;

type Opening = Pin<Box<dyn Future<Output = Result<Channel<Msg>, russh::Error>> + Send>>;

/// The channel of a session that is opened before it is needed.
#[derive(Default)]
pub(super) struct Spares {
    spare: Mutex<Spare>,
}

#[derive(Default)]
enum Spare {
    #[default]
    None,
    Opening(Opening),
    /// The server has fewer channels than others, or ends those that are silent.
    Never,
}

impl Spares {
    /// The channel that was asked for, once the server has confirmed it.
    ///
    /// Who waits no longer may leave a channel behind, as with any that is being opened.
    pub(super) async fn take(&self) -> Option<Channel<Msg>> {
        let opening = {
            let mut spare = lock(&self.spare);
            match mem::take(&mut *spare) {
                Spare::Opening(it) => it,
                Spare::None => return None,
                Spare::Never => {
                    *spare = Spare::Never;
                    return None;
                }
            }
        };
        let channel = opening.await.ok();
        if channel.is_none() {
            self.give_up();
        }
        channel
    }

    /// Sends the question for a channel, unless there is one or there are to be none. Its answer is
    /// read by whoever takes the channel.
    pub(super) fn ask<H: Handler + 'static>(&self, handle: &Arc<Handle<H>>) {
        let mut spare = lock(&self.spare);
        if !matches!(*spare, Spare::None) {
            return;
        }
        let handle = Arc::clone(handle);
        let mut opening: Opening = Box::pin(async move { handle.channel_open_session().await });
        // Its first step puts the question into the session's queue.
        *spare = match opening.as_mut().now_or_never() {
            None => Spare::Opening(opening),
            Some(Ok(_) | Err(_)) => Spare::Never,
        };
    }

    pub(super) fn give_up(&self) {
        *lock(&self.spare) = Spare::Never;
    }
}

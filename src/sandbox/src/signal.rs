//! How do those who follow something hear that it moved? All of them, in the order in which they began
//! to wait: tokio's watch channel wakes them by lot, and a simulation must replay.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::sync::Notify;

/// Tells a number to whoever follows; dropped, that there will be no more.
#[derive(Debug)]
pub(crate) struct Bell(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    value: AtomicU64,
    rings: AtomicU64,
    is_over: AtomicBool,
    waiting: Notify,
}

/// The bell is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over;

impl Bell {
    pub(crate) fn new(value: u64) -> Self {
        Self(Arc::new(Shared {
            value: AtomicU64::new(value),
            rings: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            waiting: Notify::new(),
        }))
    }

    /// Tells this, also if it was told before.
    pub(crate) fn send_replace(&self, value: u64) {
        self.0.value.store(value, Ordering::Release);
        self.0.rings.fetch_add(1, Ordering::AcqRel);
        self.0.waiting.notify_waiters();
    }

    /// What was told last.
    pub(crate) fn value(&self) -> u64 {
        self.0.value.load(Ordering::Acquire)
    }

    /// Hears all that is told from now on.
    pub(crate) fn subscribe(&self) -> Ear {
        let heard = self.0.rings.load(Ordering::Acquire);
        Ear { bell: Arc::clone(&self.0), heard }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
        self.0.waiting.notify_waiters();
    }
}

/// Follows a bell.
#[derive(Debug, Clone)]
pub(crate) struct Ear {
    bell: Arc<Shared>,
    heard: u64,
}

impl Ear {
    /// What was told until now is known.
    pub(crate) fn mark_unchanged(&mut self) {
        self.heard = self.bell.rings.load(Ordering::Acquire);
    }

    /// Whether anything but nothing was told last.
    pub(crate) fn is_told(&self) -> bool {
        self.bell.value.load(Ordering::Acquire) != 0
    }

    /// Waits until that is so.
    pub(crate) async fn told(mut self) -> Result<(), Over> {
        while !self.is_told() {
            self.changed().await?;
        }
        Ok(())
    }

    /// Waits until something is told that is not known. Loses nothing when it is dropped.
    pub(crate) async fn changed(&mut self) -> Result<(), Over> {
        loop {
            let mut waiting = std::pin::pin!(self.bell.waiting.notified());
            // Before the look: what is told in between is not slept through.
            waiting.as_mut().enable();
            let rings = self.bell.rings.load(Ordering::Acquire);
            if rings != self.heard {
                self.heard = rings;
                return Ok(());
            }
            if self.bell.is_over.load(Ordering::Acquire) {
                return Err(Over);
            }
            waiting.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use tokio::task::JoinSet;

    use super::*;

    async fn hear(mut ear: Ear, order: Arc<Mutex<Vec<i32>>>, number: i32) {
        ear.changed().await.unwrap();
        order.lock().unwrap().push(number);
    }

    #[tokio::test]
    async fn all_hear_it_in_the_order_in_which_they_began_to_wait() {
        let bell = Bell::new(0);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = JoinSet::new();
        for number in 0..20 {
            waiting.spawn(hear(bell.subscribe(), Arc::clone(&order), number));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;

        bell.send_replace(7);
        while waiting.join_next().await.is_some() {}

        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!(bell.value(), 7);
    }

    #[tokio::test]
    async fn what_was_told_before_is_not_slept_through_and_an_end_is_heard() {
        let bell = Bell::new(0);
        let mut ear = bell.subscribe();

        bell.send_replace(1);
        bell.send_replace(2);

        assert_eq!(ear.changed().await, Ok(()));
        bell.send_replace(3);
        ear.mark_unchanged();
        drop(bell);
        assert_eq!(ear.changed().await, Err(Over));
    }
}

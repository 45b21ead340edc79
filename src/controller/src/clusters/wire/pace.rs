//! How fast do we ask one cluster? So many requests in flight, and so many a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// What may go out at once after a rest, in seconds' worth of the rate.
const BURST: u32 = 2;

/// The limits of one cluster.
#[derive(Debug)]
pub(super) struct Pace {
    slots: Arc<Semaphore>,
    /// Between two requests at an even pace; none where only those in flight are counted.
    interval: Option<Duration>,
    /// When the next request would leave at an even pace.
    next: Mutex<Instant>,
}

/// The right to have one request in flight.
#[derive(Debug)]
pub(super) struct Place {
    // The semaphore is never closed, so this is always some.
    _slot: Option<OwnedSemaphorePermit>,
}

impl Pace {
    pub(super) fn new(in_flight: u32, per_second: u32) -> Self {
        let interval = Some(Duration::from_secs(1) / per_second.max(1));
        Self { interval, ..Self::at_once(in_flight) }
    }

    /// So many in flight, and as many a second as are answered.
    pub(super) fn at_once(in_flight: u32) -> Self {
        let slots = usize::try_from(in_flight.max(1)).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            slots: Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))),
            interval: None,
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits for a slot and for its time, in the order of asking.
    pub(super) async fn enter(&self) -> Place {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        if let Some(interval) = self.interval {
            sleep_until(self.reserve(interval, Instant::now())).await;
        }
        Place { _slot: slot }
    }

    /// When a request that is asked for now may leave. Its time is spent whether or not it does.
    fn reserve(&self, interval: Duration, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let burst = Duration::from_secs(u64::from(BURST));
        let begin = (*next).max(now);
        *next = begin + interval;
        begin.checked_sub(burst).map_or(now, |at| at.max(now))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_pace() {
        let pace = Pace::new(1000, 10);
        let began = Instant::now();

        for _ in 0..21 {
            pace.enter().await;
        }
        let burst = began.elapsed();
        for _ in 0..100 {
            pace.enter().await;
        }

        assert!(burst < Duration::from_millis(10), "{burst:?}");
        let rest = began.elapsed().saturating_sub(burst);
        assert!(
            Duration::from_millis(9900) < rest && rest < Duration::from_millis(10_100),
            "{rest:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_cut_off_while_it_waits_keeps_no_place() {
        let pace = Pace::new(1, 1);
        let held = pace.enter().await;
        let mut queued = Box::pin(pace.enter());
        assert!(futures::poll!(queued.as_mut()).is_pending());
        drop(queued);
        drop(held);
        // Once the burst is used up, one waits for its time, with a place.
        for _ in 0..3 {
            drop(pace.enter().await);
        }
        let mut timed = Box::pin(pace.enter());
        assert!(futures::poll!(timed.as_mut()).is_pending());

        drop(timed);

        assert_eq!(pace.slots.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn where_only_those_in_flight_are_counted_nobody_waits_for_a_time() {
        let pace = Pace::at_once(2);
        let began = Instant::now();

        for _ in 0..10_000 {
            pace.enter().await;
        }

        assert_eq!(began.elapsed(), Duration::ZERO);
        let _held = [pace.enter().await, pace.enter().await];
        assert!(pace.enter().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_answered_holds_a_place_until_it_is_dropped() {
        let pace = Pace::new(2, 1000);
        let held = [pace.enter().await, pace.enter().await];

        assert!(pace.enter().now_or_never().is_none());
        drop(held);
        assert!(pace.enter().now_or_never().is_some());
    }
}

//! How much of a body is taken, and how long may it take? All of it is read before anything is answered,
//! and as little as possible of it is kept.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use ger_core::webhook::Verifier;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Answer;

/// What a body takes from the place of the small ones: pushes are smaller.
const SMALL: usize = 64 << 10;
/// What a body takes at first.
const FIRST: usize = 4 << 10;
/// What the first part of all bodies may have at once, and what the rest of the larger ones, in KiB: large
/// ones keep no small one out.
const ROOM_FOR_SMALL: usize = 128 << 10;
const ROOM_FOR_LARGE: usize = 96 << 10;

/// Takes bodies.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    largest: usize,
    timeout: Duration,
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// Whether a body is needed after it was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Yes,
    No,
}

/// A body that arrived, and the place that it takes.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    pub(super) bytes: Bytes,
    _room: Vec<OwnedSemaphorePermit>,
}

impl Bodies {
    pub(super) fn new(largest: usize, timeout: Duration) -> Self {
        Self::with_room(largest, timeout, (ROOM_FOR_SMALL, ROOM_FOR_LARGE))
    }

    fn with_room(largest: usize, timeout: Duration, (small, large): (usize, usize)) -> Self {
        let small = Arc::new(Semaphore::new(small));
        Self { largest, timeout, small, large: Arc::new(Semaphore::new(large)) }
    }

    /// Whether a request says itself that its body is too large.
    pub(super) fn is_too_large(&self, length: Option<u64>) -> bool {
        length.is_some_and(|it| usize::try_from(it).is_ok_and(|it| it > self.largest))
    }

    /// Reads a body to its end, piece by piece through the verifier.
    pub(super) async fn read(
        &self,
        body: Body,
        keep: Keep,
        verifier: Option<&mut Verifier>,
    ) -> Result<Arrived, Answer> {
        let reading = self.read_all(body, keep, verifier);
        tokio::time::timeout(self.timeout, reading)
            .await
            .unwrap_or_else(|_| Err(Answer::too_slow()))
    }

    async fn read_all(
        &self,
        body: Body,
        keep: Keep,
        mut verifier: Option<&mut Verifier>,
    ) -> Result<Arrived, Answer> {
        let mut pieces = body.into_data_stream();
        let (mut bytes, mut room) = (BytesMut::new(), Vec::new());
        let (mut length, mut paid) = (0_usize, 0_usize);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| Answer::broken_body())?;
            length = length.saturating_add(piece.len());
            if length > self.largest {
                return Err(Answer::too_large());
            }
            if let Some(verifier) = &mut verifier {
                verifier.update(&piece);
            }
            if keep == Keep::No {
                continue;
            }
            if length > paid {
                // Its length may be unknown: it pays twice as much each time, as its buffer grows.
                let until = length.max(paid.saturating_mul(2)).max(FIRST);
                self.pay(&mut room, paid..until)?;
                paid = until;
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Arrived { bytes: bytes.freeze(), _room: room })
    }

    fn pay(&self, room: &mut Vec<OwnedSemaphorePermit>, bytes: Range<usize>) -> Result<(), Answer> {
        let small = bytes.end.min(SMALL).saturating_sub(bytes.start);
        let large = bytes.end.saturating_sub(bytes.start.max(SMALL));
        for (place, bytes) in [(&self.small, small), (&self.large, large)] {
            let kilobytes = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
            if kilobytes > 0 {
                let taken = Arc::clone(place).try_acquire_many_owned(kilobytes);
                room.push(taken.map_err(|_| Answer::busy())?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    fn chunks(count: usize, size: usize) -> Body {
        let chunks = (0..count).map(move |_| Ok::<_, std::convert::Infallible>(vec![b'x'; size]));
        Body::from_stream(futures::stream::iter(chunks))
    }

    #[tokio::test]
    async fn a_body_arrives_whole_or_not_at_all() {
        let bodies = Bodies::new(100_000, Duration::from_secs(30));

        let whole = bodies.read(chunks(10, 10_000), Keep::Yes, None).await.unwrap();
        let longer = bodies.read(chunks(11, 10_000), Keep::Yes, None).await.unwrap_err();
        let dropped = bodies.read(chunks(10, 10_000), Keep::No, None).await.unwrap();

        assert_eq!(whole.bytes.len(), 100_000);
        assert_eq!(longer.code, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(dropped.bytes.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let bodies = Bodies::new(100, Duration::from_secs(30));
        let begun = tokio::time::Instant::now();
        let slow = futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::convert::Infallible>("x"), ()))
        });

        let told = bodies.read(Body::from_stream(slow), Keep::Yes, None).await.unwrap_err();

        assert_eq!(told.code, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test]
    async fn many_large_bodies_at_once_take_a_bounded_place_and_small_ones_always_fit() {
        let bodies = Bodies::new(3 << 20, Duration::from_secs(30));
        let mut held = Vec::new();
        while let Ok(arrived) = bodies.read(chunks(3, 1 << 20), Keep::Yes, None).await {
            held.push(arrived);
            assert!(held.len() < 100, "no end");
        }

        assert!(held.len() >= 24, "{}", held.len());
        assert!(bodies.read(chunks(1, SMALL), Keep::Yes, None).await.is_ok());
        held.clear();
        assert!(bodies.read(chunks(3, 1 << 20), Keep::Yes, None).await.is_ok());
    }

    #[tokio::test]
    async fn many_small_bodies_at_once_take_a_bounded_place_too() {
        let bodies = Bodies::with_room(3 << 20, Duration::from_secs(30), (256, 1024));
        let mut held = Vec::new();
        while let Ok(arrived) = bodies.read(chunks(1, 2000), Keep::Yes, None).await {
            held.push(arrived);
            assert!(held.len() < 1000, "no end");
        }

        assert_eq!(held.len(), 64, "4 KiB each");
        let told = bodies.read(chunks(1, 1), Keep::Yes, None).await.unwrap_err();
        assert_eq!(told.code, StatusCode::SERVICE_UNAVAILABLE);
        assert!(bodies.read(chunks(1, 2000), Keep::No, None).await.is_ok(), "nothing is kept");
        held.pop();
        assert!(bodies.read(chunks(1, 2000), Keep::Yes, None).await.is_ok());
    }
}

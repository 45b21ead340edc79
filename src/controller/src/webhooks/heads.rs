//! What may headers take? The first of each caller's nothing; what is longer takes its place from what all
//! share.

use std::sync::Arc;

use axum::http::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of all headers of a request together that are let in.
pub(super) const LARGEST: usize = 256 << 10;
/// What everybody's may have without asking: those of forges are shorter.
const FREE: usize = 16 << 10;
/// What all that is beyond may have at once, in KiB.
const SHARED: usize = 64 << 10;

/// Gives places to headers.
#[derive(Clone, Debug)]
pub(super) struct Heads {
    room: Arc<Semaphore>,
}

/// The place that somebody's headers take.
#[derive(Debug, Default)]
pub(super) struct Place {
    permits: Option<OwnedSemaphorePermit>,
}

impl Default for Heads {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(SHARED)) }
    }
}

impl Heads {
    /// Makes a place large enough for so many bytes; false where there is no room for that.
    pub(super) fn fits(&self, place: &mut Place, bytes: usize) -> bool {
        let has = place.permits.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.saturating_sub(FREE).div_ceil(1024).saturating_sub(has);
        if more == 0 {
            return true;
        }
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let Ok(taken) = Arc::clone(&self.room).try_acquire_many_owned(more) else { return false };
        match &mut place.permits {
            Some(permits) => permits.merge(taken),
            none => *none = Some(taken),
        }
        true
    }
}

pub(super) fn size_of(all: &HeaderMap) -> usize {
    // As they come over the wire: a colon, a space and a line's end between them.
    all.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_headers_always_fit_and_long_ones_share_a_bounded_place() {
        let heads = Heads::default();
        let mut held = Vec::new();
        loop {
            let mut place = Place::default();
            // As they grow, piece by piece.
            if !(1..=4).all(|it| heads.fits(&mut place, it * (64 << 10))) {
                break;
            }
            held.push(place);
            assert!(held.len() < 1000, "no end");
        }

        assert!(held.len() >= 200, "{}", held.len());
        let mut place = Place::default();
        assert!(heads.fits(&mut place, FREE));
        assert!(!heads.fits(&mut place, LARGEST));
        held.clear();
        assert!(heads.fits(&mut place, LARGEST));
    }
}

//! What happens to one request, and what of it comes before and after the API has seen it?

use std::time::Duration;

use serde_json::json;

use crate::{fault::Latency, random::Random, refusal::Refusal};

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mishap {
    /// It takes longer.
    Delayed(Latency),
    /// It fails, and nothing took effect.
    Refused(Failure),
    /// It takes effect, and the answer says that it failed.
    DoneButRefused(Failure),
    /// The connection breaks before the API sees it.
    Unconnected,
    /// It takes effect, and the connection breaks before its answer.
    DoneButUnheard,
}

/// An answer that says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    code: u16,
    retry_after: Option<u32>,
    message: Option<&'static str>,
}

impl Failure {
    /// A `Status` with this code, such as 429 or 503.
    pub fn code(code: u16) -> Self {
        Self { code, retry_after: None, message: None }
    }

    /// With `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// In these words: a quota's, or a policy's.
    #[must_use]
    pub fn message(self, message: &'static str) -> Self {
        Self { message: Some(message), ..self }
    }

    pub(crate) fn refusal(self) -> Refusal {
        // Without the details that some codes bring along: they advise when to try again.
        let refusal = Refusal::of_code(self.code).details(json!({}));
        let refusal = match self.message {
            Some(message) => refusal.saying(message),
            None => refusal,
        };
        match self.retry_after {
            Some(seconds) => refusal.retry_after(seconds),
            None => refusal,
        }
    }
}

/// All that is to happen to one request.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    pub(super) delay: Duration,
    pub(super) before: Option<Turn>,
    pub(super) after: Option<Turn>,
}

/// How a request ends otherwise than by the API's answer.
#[derive(Debug, Clone)]
pub(crate) enum Turn {
    Refused(Refusal),
    /// The connection breaks.
    Broken,
}

impl Fate {
    /// Whether a mishap would show, after what is to happen already.
    pub(super) fn has_room(&self, what: &Mishap) -> bool {
        match what {
            Mishap::Delayed(_) => true,
            Mishap::Refused(_) | Mishap::Unconnected => self.before.is_none(),
            Mishap::DoneButRefused(_) | Mishap::DoneButUnheard => {
                self.before.is_none() && self.after.is_none()
            }
        }
    }

    pub(super) fn add(&mut self, what: &Mishap, random: &mut Random) {
        match what {
            Mishap::Delayed(latency) => self.delay += latency.draw(random),
            Mishap::Refused(it) => self.before = Some(Turn::Refused(it.refusal())),
            Mishap::Unconnected => self.before = Some(Turn::Broken),
            Mishap::DoneButRefused(it) => self.after = Some(Turn::Refused(it.refusal())),
            Mishap::DoneButUnheard => self.after = Some(Turn::Broken),
        }
    }
}

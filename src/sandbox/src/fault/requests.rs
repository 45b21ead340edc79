//! Which requests does something happen to, and how often?

use crate::{
    auth::Attributes,
    fault::{FaultKind, Mishap},
    random::Random,
};

/// Some of the requests of a client: all of them until it is said which.
///
/// ```
/// use kube_sandbox::{Failure, Fault, Mishap, Requests};
///
/// let patches = Requests::all().verb("patch").resource("jobs").chance(1, 10);
/// let fault = Fault::of("one", patches.meet(Mishap::Refused(Failure::code(429).retry_after(5))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "requests meet nothing until it is said what"]
pub struct Requests {
    verb: Option<String>,
    resource: Option<String>,
    /// So many parts of so many.
    chance: (u32, u32),
    /// How often it may happen yet.
    times: Option<u32>,
}

impl Requests {
    /// Every request, each time.
    pub fn all() -> Self {
        Self { verb: None, resource: None, chance: (1, 1), times: None }
    }

    /// Only these: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or
    /// `deletecollection`.
    pub fn verb(mut self, verb: &str) -> Self {
        self.verb = Some(verb.to_owned());
        self
    }

    /// Only those for a resource, with its subresources (`jobs`), or for one of these
    /// (`jobs/status`).
    pub fn resource(mut self, plural: &str) -> Self {
        self.resource = Some(plural.to_owned());
        self
    }

    /// Only `parts` of each `of`, by the lot that [`Sandbox::seed_faults`](crate::Sandbox::seed_faults)
    /// casts.
    pub fn chance(mut self, parts: u32, of: u32) -> Self {
        self.chance = (parts, of);
        self
    }

    /// No more often than that.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// What they meet.
    pub fn meet(self, what: Mishap) -> FaultKind {
        FaultKind::Sometimes { on: self, what }
    }

    fn takes(&self, asked: &Attributes<'_>) -> bool {
        let resource = self.resource.as_deref().is_none_or(|it| {
            let (plural, subresource) = it.split_once('/').unwrap_or((it, ""));
            plural == asked.resource && (subresource.is_empty() || subresource == asked.subresource)
        });
        resource && self.verb.as_deref().is_none_or(|it| it == asked.verb)
    }

    /// Whether it happens to a request; counts it.
    pub(super) fn strike(&mut self, asked: &Attributes<'_>, random: &mut Random) -> bool {
        if self.times == Some(0) || !self.takes(asked) {
            return false;
        }
        let (parts, of) = self.chance;
        // What is certain needs no lot.
        if parts < of && random.below(of.into()) >= u64::from(parts) {
            return false;
        }
        self.times = self.times.map(|it| it - 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(verb: &'static str, subresource: &'static str) -> Attributes<'static> {
        Attributes { verb, resource: "jobs", subresource, ..Attributes::default() }
    }

    #[test]
    fn a_resource_means_its_subresources_too_unless_one_is_named() {
        let (jobs, status) =
            (Requests::all().resource("jobs"), Requests::all().resource("jobs/status"));

        assert!(jobs.takes(&asked("patch", "")) && jobs.takes(&asked("patch", "status")));
        assert!(!status.takes(&asked("patch", "")) && status.takes(&asked("patch", "status")));
        assert!(!jobs.clone().verb("get").takes(&asked("patch", "")));
    }

    #[test]
    fn a_chance_is_about_that_part_of_them() {
        let mut random = Random::seeded(7);
        let mut requests = Requests::all().chance(1, 4);

        let struck = (0..1000).filter(|_| requests.strike(&asked("get", ""), &mut random)).count();

        assert!((200..300).contains(&struck), "{struck}");
    }
}

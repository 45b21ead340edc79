//! How is a server asked for a commit? By its id; by its reference where ids are refused; and
//! through the reference's past where that has moved on.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use super::{
    Step, Want,
    pack::{Ask, Failed, Found, NotById, Store, What},
};
use crate::{
    Commit, Error, Reference, Remote, Said, Traffic,
    error::no_room,
    transport::{blocking::Way, budget::Budget},
};

/// How many generations are looked through for a commit that its branch has left behind.
const DEEPEST: u32 = 1000;
/// Each look goes so many times deeper than the one before.
const STRIDE: u32 = 4;

/// Does `work` within the budget's bytes and time.
pub(crate) fn guarded<T>(
    remote: &Remote,
    budget: Budget,
    traffic: Traffic,
    work: impl FnOnce(&Way, &AtomicBool) -> Result<T, Error>,
) -> Result<T, Error> {
    let way = Way::open(remote, budget, traffic)?;
    let interrupt = AtomicBool::new(false);
    let done = within(way.budget().remaining(), &interrupt, || {
        // gix asserts here and there what a hostile server need not respect.
        catch_unwind(AssertUnwindSafe(|| work(&way, &interrupt))).unwrap_or(Err(Error::Worker))
    });
    // gix takes an interruption for an end: whatever it says, not everything may be there.
    if interrupt.load(Ordering::Relaxed) {
        return Err(way.budget().slow());
    }
    done
}

/// Does `work`, and raises `interrupt` once the time is over.
fn within<T>(time: Duration, interrupt: &AtomicBool, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = mpsc::sync_channel::<()>(1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if is_done.recv_timeout(time) == Err(mpsc::RecvTimeoutError::Timeout) {
                interrupt.store(true, Ordering::Relaxed);
            }
        });
        let outcome = work();
        drop(done);
        outcome
    })
}

/// One commit on its way here.
pub(crate) struct Pull<'a> {
    pub(crate) way: &'a Way,
    pub(crate) interrupt: &'a AtomicBool,
    pub(crate) on_step: &'a dyn Fn(&Step),
}

impl fmt::Debug for Pull<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pull").field("way", &self.way).finish_non_exhaustive()
    }
}

impl Pull<'_> {
    pub(crate) fn tell(&self, step: &Step) {
        (self.on_step)(step);
    }

    /// Brings what is wanted into `store`.
    pub(crate) fn receive(&self, store: &mut Store, want: &Want) -> Result<Found, Error> {
        let reference = want.reference.as_ref();
        let by_id = want.commit.as_ref().or(match reference {
            Some(Reference::Commit(commit)) => Some(commit),
            _ => None,
        });
        let by_name = reference.and_then(|it| it.full_name().map(|name| (it, name)));
        if let Some(commit) = by_id {
            match self.ask(store, What::Id(commit), 1) {
                Err(error) if by_name.is_some() && may_be_asked_by_name(&error) => {
                    self.tell(&Step::NotById);
                }
                answer => return answer,
            }
        }
        let Some((reference, name)) = by_name else { return Err(Error::Nothing) };
        let found = self.ask(store, What::Name(&name), 1).map_err(|error| match error {
            Error::Nothing => Error::RefNotFound { reference: reference.clone() },
            error => error,
        })?;
        let Some(commit) = by_id.filter(|it| **it != found.name) else { return Ok(found) };
        self.look_back(store, &name, commit)?.ok_or_else(|| Error::Moved {
            host: self.way.remote().uri.host().to_owned(),
            reference: reference.clone(),
            commit: commit.clone(),
        })
    }

    /// Looks for the commit among those that the reference was at before.
    fn look_back(
        &self,
        store: &mut Store,
        name: &str,
        commit: &Commit,
    ) -> Result<Option<Found>, Error> {
        // A server that cannot cut the past off has sent all of it.
        let mut found = store.find(commit)?;
        let mut depth = 1_u32;
        while found.is_none() && depth < DEEPEST && store.is_shallow() {
            depth = depth.saturating_mul(STRIDE).min(DEEPEST);
            self.tell(&Step::Deepening { depth });
            self.ask(store, What::Name(name), depth)?;
            found = store.find(commit)?;
        }
        Ok(found)
    }

    fn explain(&self, error: &gix::Error) -> Error {
        let uri = &self.way.remote().uri;
        let host = uri.host().to_owned();
        if let Some(source) = no_room(error) {
            return Error::Full { host, source };
        }
        Error::Fetch { host, source: Said::by(error, uri) }
    }

    fn ask(&self, store: &mut Store, what: What<'_>, depth: u32) -> Result<Found, Error> {
        let host = || self.way.remote().uri.host().to_owned();
        if depth == 1 {
            self.tell(&Step::Asking { what: what.to_string() });
        }
        let ask = Ask { what, depth, budget: self.way.budget(), interrupt: self.interrupt };
        store.receive(self.way.connect()?, &ask).map_err(|failed| {
            // What we refused or missed ourselves says more than what gix made of it.
            self.way.budget().take_verdict().unwrap_or_else(|| match failed {
                Failed::Nothing => Error::Nothing,
                Failed::Ours(error) => error,
                Failed::Remote(message) => Error::Remote { host: host(), message },
                Failed::Gix(source) => self.explain(&source),
                Failed::NotById => Error::Fetch { host: host(), source: Said::of(&NotById) },
            })
        })
    }
}

/// A server that knows a commit but does not give it says so in git's protocol; anything else
/// would go wrong again.
fn may_be_asked_by_name(error: &Error) -> bool {
    matches!(error, Error::Fetch { .. } | Error::Remote { .. } | Error::Nothing)
}

//! How do replicas live? Each slot has one process at a time: it is started, dies or is asked to stop, and is
//! started again after a rest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ger_core::claim::Takeover;
use ger_core::names::MemberId;
use git_events_runner::clock::Clock;
use git_events_runner::config::{Action, Flags, Settings};
use git_events_runner::replica::{self, Pace, Parts};
use jiff::{SignedDuration, Timestamp};
use kube_sandbox::Sandbox;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::calm::Place;
use super::door::{Common, Door, Strike, Trap};
use super::forge::{Forge, Way};
use super::script::{Process, Script};
use crate::fleet::HOME;
use crate::reach::Routes;

/// A replica announces itself this soon after its start; production waits for ten seconds.
const ANNOUNCE_AFTER: Duration = Duration::from_secs(3);
/// Who dies without having been told for how long is up again after this.
const REST: Duration = Duration::from_secs(5);
const MOST_WRONG: SignedDuration = SignedDuration::from_secs(150);

/// What every process is made of.
#[derive(Debug)]
pub(super) struct Mould {
    pub(super) settings: Settings,
    pub(super) sandboxes: Vec<Sandbox>,
    pub(super) forge: Arc<Forge>,
    pub(super) common: Common,
    /// The true time when the simulation began.
    pub(super) start: Timestamp,
}

impl Mould {
    /// The settings of a script's replicas.
    pub(super) fn settings(script: &Script, shards: u16) -> Settings {
        let action = Action {
            max_running_jobs: script.max_running,
            job_waiting_timeout_seconds: script.waiting,
            ttl_seconds_after_finished: script.ttl,
            ..Action::default()
        };
        let flags = Flags { shards: Some(shards), action: Some(action), ..Flags::default() };
        Settings::from_flags(flags).expect("the settings of a script fit together")
    }
}

/// One machine for one replica.
#[derive(Debug)]
pub(super) struct Slot {
    number: usize,
    /// How wrong its clock is.
    skew: Mutex<SignedDuration>,
    /// How wrong it ever was.
    skews: Mutex<Vec<SignedDuration>>,
    /// The process that runs, and for how long to rest when it is gone.
    now: Mutex<Option<Running>>,
    rest: Mutex<Duration>,
}

/// A process.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) handle: replica::Handle,
    pub(super) door: Door,
    stop: CancellationToken,
    clock: Clock,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    pub(super) fn new(number: usize, skew: SignedDuration) -> Self {
        let (skews, skew) = (Mutex::new(vec![skew]), Mutex::new(skew));
        Self { number, skew, skews, now: Mutex::default(), rest: Mutex::new(REST) }
    }

    /// How wrong its clock ever was.
    pub(super) fn skews(&self) -> Vec<SignedDuration> {
        lock(&self.skews).clone()
    }

    /// The process, if one runs.
    pub(super) fn running(&self) -> Option<Running> {
        lock(&self.now).clone()
    }

    /// Something befalls the process, or the machine.
    pub(super) fn befall(&self, common: &Common, what: Process) {
        let now = common.timeline.now();
        if let Process::Clock(by) = what {
            let mut skew = lock(&self.skew);
            // No two clocks differ by more than five minutes and a little.
            let moved = *skew + by;
            let moved = moved.clamp(-MOST_WRONG, MOST_WRONG);
            let by = moved - std::mem::replace(&mut *skew, moved);
            lock(&self.skews).push(moved);
            common.troubles.span(Place::Fleet, now, now);
            if let Some(running) = self.running() {
                running.clock.jump(by);
            }
            return;
        }
        let Some(running) = self.running() else { return };
        match what {
            Process::Crash { at, rest } => {
                *lock(&self.rest) = rest;
                running.door.set(Trap { at, strikes: Strike::Death });
            }
            Process::Freeze { at, length } => running.door.set(Trap::sleep(at, length)),
            Process::Stop { rest } => {
                *lock(&self.rest) = rest;
                common.troubles.span(Place::Fleet, now, now);
                running.stop.cancel();
            }
            Process::Clock(_) => {}
        }
    }

    /// Keeps one process after the other running, for ever. Gives what ended one that should not have.
    pub(super) async fn keep(self: Arc<Self>, mould: Arc<Mould>, broken: Arc<Mutex<Vec<String>>>) {
        let timeline = &mould.common.timeline;
        for incarnation in 1_u32.. {
            let (running, mut task) = self.start(&mould, incarnation);
            timeline.tell(format!("replica {} starts as process {incarnation}", self.number));
            let now = timeline.now();
            mould.common.troubles.span(Place::Fleet, now, now);
            // A new process is not frozen, however long the last one would have been.
            mould.common.troubles.cut(&Place::Ear(self.number), now);
            *lock(&self.now) = Some(running.clone());
            let ended = task.join_next().await;
            *lock(&self.now) = None;
            // Whatever the process still has in hand must not outlive it.
            running.door.close();
            let why = match ended {
                Some(Err(error)) if error.is_panic() => Some(format!("a panic: {error}")),
                Some(Ok(Err(error))) => Some(format!("{:#}", anyhow::Error::new(error))),
                Some(Ok(Ok(()))) if !running.stop.is_cancelled() => Some("its own will".to_owned()),
                Some(Ok(Ok(())) | Err(_)) | None => None,
            };
            if let Some(why) = why {
                lock(&broken).push(format!("replica {} ended by {why}", self.number));
            }
            let rest = std::mem::replace(&mut *lock(&self.rest), REST);
            tokio::time::sleep(rest.max(Duration::from_millis(100))).await;
        }
    }

    fn start(
        &self,
        mould: &Arc<Mould>,
        incarnation: u32,
    ) -> (Running, JoinSet<Result<(), replica::Error>>) {
        let door = Door::new(self.number, &mould.common);
        let (shared, own) = (Arc::clone(mould), door.clone());
        let routes = Routes::new(move |cluster: &str| {
            let sandbox = shared.sandboxes.iter().find(|it| it.name() == cluster)?;
            Some(own.client(sandbox, HOME))
        });
        let elapsed = SignedDuration::try_from(mould.common.timeline.now()).unwrap_or_default();
        let wall = mould.start + elapsed + *lock(&self.skew);
        let clock = Clock::virtual_from(wall);
        let parts = Parts {
            settings: mould.settings.clone(),
            namespace: HOME.to_owned(),
            member: MemberId::new(format!("git-events-runner-{}-{incarnation}", self.number)),
            hub: routes.clients("hub").expect("every fleet has a hub"),
            connect: Arc::new(routes),
            remotes: Arc::new(Way { forge: Arc::clone(&mould.forge), door: door.clone() }),
            clock: clock.clone(),
            utility: None,
            webhooks: None,
            pace: Pace { announce_after: ANNOUNCE_AFTER },
            takeover: Takeover::Enabled,
            pod: None,
        };
        let stop = CancellationToken::new();
        let (handle, running) =
            replica::start(parts, stop.clone()).expect("metrics can be registered");
        let mut task = JoinSet::new();
        door.guards(task.spawn(running));
        (Running { handle, door, stop, clock }, task)
    }
}

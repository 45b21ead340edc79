//! Does everything hold for a whole fleet, whatever goes wrong? A life of hours in virtual time, decided by
//! one seed and lived again the same.
//!
//! ```text
//! seed ▶ script ─▶ acts ─▶ forge, hands, weather, slots ─▶ replicas ─ doors ─▶ sandboxes ◀─ yards
//!                    └─▶ truth, troubles ─▶ laws ◀─ witnesses ◀──────────────────────────────┘
//! ```

mod acts;
mod calm;
mod chance;
pub mod command;
mod door;
mod forge;
mod forger;
mod hands;
mod laws;
mod leases;
mod mutant;
mod report;
mod script;
mod sentry;
mod sizes;
mod slots;
mod timeline;
mod truth;
mod weather;
mod witness;
mod world;
mod yard;

use std::io::Write;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

pub use self::mutant::Mutant;
use self::mutant::Switched;
pub use self::report::Report;
pub use self::sizes::Sizes;
use self::witness::Broken;
use self::world::World;

/// Lives a seed's life on this thread.
pub fn live(seed: u64, sizes: &Sizes) -> Report {
    live_traced(seed, sizes, None)
}

/// The same, and writes down every request and every answer.
pub fn live_traced(seed: u64, sizes: &Sizes, trace: Option<Box<dyn Write + Send>>) -> Report {
    drop(rustls::crypto::ring::default_provider().install_default());
    let _switched = Switched::off(sizes.mutant);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime with a clock alone needs nothing");
    runtime.block_on(Box::pin(async {
        let world = World::new(seed, sizes, trace);
        Box::pin(world.live(sizes)).await;
        report(seed, sizes, &world)
    }))
}

fn report(seed: u64, sizes: &Sizes, world: &World) -> Report {
    let mut verdict = laws::judge(world, sizes.life);
    let ended = world.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let law = "a replica ends when it is asked to";
    verdict.broken.extend(ended.into_iter().map(|what| Broken { at: sizes.life, law, what }));
    let (tally, found) = (&world.common.tally, world.sentry.found());
    Report {
        seed,
        digest: world.common.timeline.digest(),
        figures: verdict.figures,
        requests: tally.requests.load(Ordering::Relaxed),
        checks: world.forge.asked(),
        absorbed: tally.absorbed.load(Ordering::Relaxed),
        crashes: tally.crashes.load(Ordering::Relaxed),
        freezes: tally.freezes.load(Ordering::Relaxed),
        unowned: found.longest,
        unowned_calm: found.longest_calm,
        broken: verdict.broken,
        timeline: world.common.timeline.lines(),
    }
}

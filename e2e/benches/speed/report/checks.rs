//! What do checks cost, as tables?

use std::fmt::Write as _;
use std::time::Duration;

use super::{time, verdict};
use crate::burst::{self, Burst};
use crate::checks::{Checks, Each};
use crate::process::Spent;
use crate::remotes::distance::ROUND_TRIP;
use crate::remotes::{FILES, HOSTS};

/// How many times less CPU a check shall take than `git ls-remote`.
const LEAST_OF_GIT: f64 = 50.0;
/// How many times less than a clone.
const LEAST_OF_CLONE: f64 = 500.0;
/// How many round trips a check shall take on the clock.
const MOST_ROUND_TRIPS: f64 = 1.1;

pub(crate) fn all(text: &mut String, checks: &Checks, clone: Option<Spent>) -> anyhow::Result<()> {
    cpu(text, &checks.each)?;
    far(text, &checks.each)?;
    rates(text, checks)?;
    many_files(text, checks, clone)
}

fn cpu(text: &mut String, each: &[Each]) -> anyhow::Result<()> {
    writeln!(text, "### CPU of one check\n")?;
    writeln!(text, "| server | refs | ours | `git ls-remote` | ratio | aim ≥ {LEAST_OF_GIT}× |")?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | --- |")?;
    for Each { kind, refs, ours, git } in each {
        let ratio = ratio(git.near.cpu, ours.near.cpu);
        let verdict = verdict(&LEAST_OF_GIT, &ratio);
        let (title, ours, git) = (kind.title(), time(ours.near.cpu), time(git.near.cpu));
        writeln!(text, "| {title} | {refs} | {ours} | {git} | {ratio:.0}× | {verdict} |")?;
    }
    Ok(())
}

fn far(text: &mut String, each: &[Each]) -> anyhow::Result<()> {
    let most = ROUND_TRIP.mul_f64(MOST_ROUND_TRIPS);
    let aim = most.as_millis();
    let trip = ROUND_TRIP.as_millis();
    writeln!(text, "\n### Time and bytes of one check, near and {trip} ms away\n")?;
    writeln!(
        text,
        "| server | refs | near | far | aim ≤ {aim} ms | round trips | `git ls-remote`, far | \
         bytes | `git ls-remote`, bytes |"
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |")?;
    for Each { kind, refs, ours, git } in each {
        let trips = ratio(ours.far.wall.saturating_sub(ours.near.wall), ROUND_TRIP);
        let verdict = verdict(&ours.far.wall, &most);
        let (near, distant, theirs) =
            (time(ours.near.wall), time(ours.far.wall), time(git.far.wall));
        let (title, bytes, more) = (kind.title(), ours.bytes, git.bytes);
        writeln!(
            text,
            "| {title} | {refs} | {near} | {distant} | {verdict} | {trips:.1} | {theirs} | \
             {bytes} | {more} |"
        )?;
    }
    Ok(())
}

fn rates(text: &mut String, checks: &Checks) -> anyhow::Result<()> {
    writeln!(text, "\n### Checks of one core\n")?;
    writeln!(text, "| server | refs | a second | a CPU second |")?;
    writeln!(text, "| --- | ---: | ---: | ---: |")?;
    for it in &checks.rates {
        let (title, refs) = (it.kind.title(), it.refs);
        let (second, cpu_second) = (it.per_second, it.per_cpu_second);
        writeln!(text, "| {title} | {refs} | {second:.0} | {cpu_second:.0} |")?;
    }
    Ok(())
}

fn many_files(text: &mut String, checks: &Checks, clone: Option<Spent>) -> anyhow::Result<()> {
    let versus = &checks.of_many_files;
    writeln!(text, "\n### A repository of {FILES} files behind `git http-backend`\n")?;
    writeln!(text, "| check | CPU | time | checks a CPU second | ours does | aim |")?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | --- |")?;
    let row = |spent: Spent| {
        let (cpu, wall) = (time(spent.cpu), time(spent.wall));
        format!("{cpu} | {wall} | {:.1}", 1.0 / spent.cpu.as_secs_f64())
    };
    writeln!(text, "| ours | {} | | |", row(versus.ours))?;
    let others = [
        ("`git ls-remote`", Some(versus.git), LEAST_OF_GIT),
        ("a clone by libgit2, as the original does", clone, LEAST_OF_CLONE),
    ];
    for (title, spent, least) in others {
        let Some(spent) = spent else { continue };
        let ratio = ratio(spent.cpu, versus.ours.cpu);
        let verdict = verdict(&least, &ratio);
        writeln!(text, "| {title} | {} | {ratio:.0}× | ≥ {least}×: {verdict} |", row(spent))?;
    }
    Ok(())
}

pub(crate) fn bursts(text: &mut String, bursts: &[Burst]) -> anyhow::Result<()> {
    let (triggers, limit) = (burst::TRIGGERS, burst::MOST_AT_ONE_HOST);
    let most = (HOSTS * limit) as u64;
    let trip = ROUND_TRIP.as_millis();
    writeln!(text, "\n### {triggers} triggers due at once, on {HOSTS} hosts {trip} ms away\n")?;
    writeln!(
        text,
        "| server | remotes | requests | connections | aim ≤ {HOSTS} × {limit} | all answered | \
         CPU of one |"
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: | --- | ---: | ---: |")?;
    for it in bursts {
        let (title, remotes) = (it.kind.title(), it.remotes);
        let (requests, connections) = (it.requests, it.connections);
        let verdict = verdict(&connections, &most);
        let (wall, each) = (time(it.spent.wall), time(it.spent.cpu / u32::try_from(triggers)?));
        writeln!(
            text,
            "| {title} | {remotes} | {requests} | {connections} | {verdict} | {wall} | {each} |"
        )?;
    }
    Ok(())
}

fn ratio(more: Duration, less: Duration) -> f64 {
    more.as_secs_f64() / less.as_secs_f64()
}

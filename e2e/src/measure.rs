//! What do we use? CPU time and memory of this process, and other processes so that theirs is not ours.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use tokio::time::Instant;

/// The fields of `/proc/self/stat` that follow the program's name, of which the 14th and 15th are the CPU
/// time of children that were waited for, in user and kernel mode.
const CHILDREN: [usize; 2] = [13, 14];

/// What something takes.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// Of this process, with all its threads and the children that have ended.
    pub cpu: Duration,
    /// On the clock.
    pub wall: Duration,
}

/// What some work takes.
pub fn spent_by(work: impl FnOnce()) -> Spent {
    let (before, began) = (cpu(), Instant::now());
    work();
    Spent { cpu: cpu().saturating_sub(before), wall: began.elapsed() }
}

/// CPU time that this process has used, with all its threads and the children that have ended.
pub fn cpu() -> Duration {
    own_cpu() + children_cpu()
}

fn own_cpu() -> Duration {
    let it = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(it.tv_sec), u32::try_from(it.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

/// The machine's clock that nobody sets: the same for all processes.
pub fn monotonic() -> Duration {
    let it = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(it.tv_sec), u32::try_from(it.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

/// Exact to one tick of 10 ms in all, however many children there were.
fn children_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map(|it| it.1).unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = CHILDREN.iter().filter_map(|it| fields.get(*it)?.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / clock_ticks_per_second())
}

/// Memory of this process that no file is behind, in bytes: what `RssAnon` says.
pub fn memory() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|it| it.strip_prefix("RssAnon:")).context("no RssAnon")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}

/// This program in another process and another role. It ends when its input does.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it with these arguments.
    pub fn start(role: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(role)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {role}"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self { child, input, output })
    }

    /// Ends it as a power failure does.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// The next thing that the process says: one line of JSON.
    pub fn hear(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the process said {line:?}"))
    }

    /// Says a line to it, and hears what it says to that.
    pub fn ask(&mut self, question: &str) -> anyhow::Result<Value> {
        let input = self.input.as_mut().context("no input")?;
        writeln!(input, "{question}")?;
        self.hear()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.input = None;
        // It ends by itself; one that hangs must not outlive the measurement.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says something to the process that started this one.
pub fn say(what: &Value) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{what}")?;
    Ok(output.flush()?)
}

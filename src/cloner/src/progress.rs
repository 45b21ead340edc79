//! How is a clone watched? A person at a terminal sees one line that changes; a Job's log gets a
//! line a step.

use std::{
    fmt::Write as _,
    io::Write,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{Builder, JoinHandle},
    time::Duration,
};

use ger_git::Meter;

/// Fast enough to look alive.
const BEAT: Duration = Duration::from_millis(100);
/// Back to the line's begin, which is empty then.
const CLEAR: &str = "\r\x1b[2K";
/// A line that breaks cannot be redrawn.
const LONGEST_STEP: usize = 50;

/// A line that a thread redraws, until it is dropped.
pub(crate) struct Drawn {
    step: Arc<Mutex<String>>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drawn {
    /// Begins to draw on `output`. Where no thread can be had, nothing is drawn.
    pub(crate) fn begin(mut output: impl Write + Send + 'static, meter: Meter) -> Self {
        let step = Arc::new(Mutex::new(String::new()));
        let (stop, stopped) = mpsc::channel();
        let shown = Arc::clone(&step);
        let draw = move || {
            while stopped.recv_timeout(BEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
                let line = line(&shown.lock().unwrap_or_else(PoisonError::into_inner), &meter);
                // A terminal that is gone watches nothing.
                let _ = write!(output, "{CLEAR}{line}");
                let _ = output.flush();
            }
            let _ = write!(output, "{CLEAR}");
            let _ = output.flush();
        };
        let thread = Builder::new().name("progress".to_owned()).spawn(draw).ok();
        Self { step, stop: Some(stop), thread }
    }

    pub(crate) fn step(&self, step: &dyn std::fmt::Display) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step.to_string();
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The step, and what has come so far.
fn line(step: &str, meter: &Meter) -> String {
    let mut line = step.chars().take(LONGEST_STEP).collect::<String>();
    if meter.objects() > 0 {
        let _ = write!(line, ", {} objects", meter.objects());
    }
    if meter.bytes() > 0 {
        let _ = write!(line, ", {}", size(meter.bytes()));
    }
    line
}

fn size(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    match bytes {
        0..KIB => format!("{bytes} B"),
        KIB..MIB => format!("{} KiB", bytes / KIB),
        MIB.. => format!("{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// What was drawn, told as it is.
    #[derive(Clone)]
    struct Screen(mpsc::Sender<String>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_line_is_redrawn_and_gone_at_the_end() {
        let (screen, seen) = mpsc::channel();
        let drawn = Drawn::begin(Screen(screen), Meter::default());

        drawn.step(&"asking for refs/heads/main");
        let found = seen.iter().any(|it| it.contains("asking for refs/heads/main"));
        drop(drawn);

        assert!(found);
        let last = seen.iter().last().unwrap_or_default();
        assert!(last.is_empty() || CLEAR.ends_with(&last), "{last:?}");
    }

    #[test]
    fn sizes_are_told_as_people_read_them() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (2048, "2 KiB"),
            (1 << 20, "1.0 MiB"),
            (1_600_000, "1.5 MiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_long_step_stays_on_its_line() {
        assert_eq!(line(&"x".repeat(1000), &Meter::default()).len(), LONGEST_STEP);
    }
}

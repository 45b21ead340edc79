//! On what does a story happen? In paused time with nothing real, or on sockets, git and real clocks.

use std::future::Future;
use std::io::Write as _;
use std::sync::mpsc;
use std::time::Duration;

/// By the machine's clock. Hours of virtual time take seconds.
const LONGEST: Duration = Duration::from_mins(10);

/// The ground of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// One thread, tokio's paused time, clusters and remotes in memory.
    Virtual,
    /// Threads, sockets, processes and the machine's clock.
    Real,
}

/// Tells a story on its ground.
///
/// ```ignore
/// #[test]
/// fn a_push_runs_once() {
///     story!(Virtual, async {
///         let fleet = Fleet::builder().start().await;
///     });
/// }
/// ```
#[macro_export]
macro_rules! story {
    ($ground:ident, $story:expr) => {
        $crate::ground::tell($crate::ground::Ground::$ground, Box::pin($story))
    };
}

/// Runs a story to its end.
pub fn tell(ground: Ground, story: impl Future<Output = ()>) {
    // A second installation is refused, and the first one is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut builder = match ground {
        Ground::Virtual => tokio::runtime::Builder::new_current_thread(),
        Ground::Real => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().start_paused(ground == Ground::Virtual).build();
    let (_told, telling) = mpsc::channel::<()>();
    std::thread::spawn(move || watch(&telling));
    runtime.expect("a runtime needs a few threads and a poller").block_on(story);
}

/// Paused time stands still while something is busy for ever, and with it every limit of a wait.
fn watch(telling: &mpsc::Receiver<()>) {
    if telling.recv_timeout(LONGEST) == Err(mpsc::RecvTimeoutError::Timeout) {
        let mut err = std::io::stderr().lock();
        drop(writeln!(err, "a story takes over {LONGEST:?}: is something busy for ever?"));
        std::process::abort();
    }
}

//! What does a person at the terminal see?

use std::io::Write as _;

/// Prints a text. A terminal that is gone has nobody to complain to.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

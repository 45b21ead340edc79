//! How many files may this process have open, and how many of them may be strangers' connections? The rest is
//! for those who probe it, for clusters and for Git.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are not connections of callers.
const OTHERS: u64 = 512;
/// However few files there may be, some callers are let in.
const SOME: u64 = 64;

/// Lets this process have as many files open as it may: the limit that a shell or a runtime sets is often
/// lower than what it allows.
pub fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => tracing::debug!(from = current, to = maximum, "more files may be open"),
        Err(error) => {
            tracing::warn!(limit = current, %error, "the limit of open files cannot be raised");
        }
    }
}

/// How many connections there may be, where so many are wanted.
pub(super) fn room_for(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let room = room_within(limit, wanted);
    if room < wanted {
        tracing::warn!(wanted, room, limit, "fewer webhook connections: so few files may be open");
    }
    room
}

fn room_within(limit: Option<u64>, wanted: usize) -> usize {
    let Some(limit) = limit else { return wanted };
    let room = limit.saturating_sub(OTHERS).max(SOME);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        assert_eq!(room_within(None, 4096), 4096);
        assert_eq!(room_within(Some(1_048_576), 4096), 4096);
        assert_eq!(room_within(Some(1024), 4096), 512);
        assert_eq!(room_within(Some(256), 4096), 64, "some, whatever happens");
        assert_eq!(room_within(Some(1024), 10), 10);
    }
}

//! How is something awaited? As a state, with a limit, and with what was seen when it did not come.

use std::time::Duration;

use tokio::time::Instant;

/// What is awaited is looked at this often.
const LOOK: Duration = Duration::from_millis(100);

/// So many seconds.
pub const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// So many minutes.
pub const fn mins(count: u64) -> Duration {
    Duration::from_mins(count)
}

/// So many hours.
pub const fn hours(count: u64) -> Duration {
    Duration::from_hours(count)
}

/// What `look` finds, unless `limit` passes first.
pub async fn look_until<T>(limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        tokio::time::sleep(LOOK).await;
    }
}

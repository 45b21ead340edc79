//! What carries a request? HTTP, pooled for checks and blocking for gix; other ways come beside it.

pub(crate) mod blocking;
pub(crate) mod budget;
pub(crate) mod git;
pub(crate) mod http;
mod lead;
pub(crate) mod pool;
pub(crate) mod ssh;
pub(crate) mod stream;

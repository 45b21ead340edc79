//! What carries a request? HTTP, pooled for checks and blocking for fetches; ssh and git:// as streams
//! of bytes, for both.

pub(crate) mod blocking;
pub(crate) mod budget;
pub(crate) mod git;
pub(crate) mod http;
mod lead;
pub(crate) mod pool;
pub(crate) mod ssh;
pub(crate) mod stream;

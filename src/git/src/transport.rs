//! What carries a request? HTTP, pooled for checks and blocking for gix; other ways come beside it.

pub(crate) mod http;
pub(crate) mod pool;

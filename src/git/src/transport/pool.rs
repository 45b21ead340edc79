//! Which HTTP client asks? One that verifies servers and one that does not, each keeping its
//! connections, so that a check is one request and seldom a handshake.

use std::{sync::OnceLock, time::Duration};

use http::{HeaderMap, header::RETRY_AFTER};
use reqwest::redirect::Policy;

use crate::{Error, Tls};

/// A host that takes longer to accept is down, whatever time a check has.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// A host that asks for more is asked again in an hour.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// The clients. The verifying one is made when first needed: it reads the system's certificates,
/// and a machine without any can still ask over http.
#[derive(Debug)]
pub(crate) struct Pool {
    verifying: OnceLock<reqwest::Client>,
    trusting: reqwest::Client,
}

impl Pool {
    pub(crate) fn new() -> Result<Self, Error> {
        let trusting = build(Tls::SkipVerify)?;
        Ok(Self { verifying: OnceLock::new(), trusting })
    }

    /// The client for a URL of this scheme. Only one that may meet TLS and must verify verifies.
    pub(crate) fn client(&self, scheme: &str, tls: Tls) -> Result<&reqwest::Client, Error> {
        if scheme == "http" || tls == Tls::SkipVerify {
            return Ok(&self.trusting);
        }
        if let Some(client) = self.verifying.get() {
            return Ok(client);
        }
        let client = build(Tls::Verify)?;
        Ok(self.verifying.get_or_init(|| client))
    }
}

fn build(tls: Tls) -> Result<reqwest::Client, Error> {
    choose_crypto();
    reqwest::Client::builder()
        .user_agent(crate::USER_AGENT)
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .tls_danger_accept_invalid_certs(tls == Tls::SkipVerify)
        .build()
        .map_err(|source| Error::Client { source })
}

/// reqwest panics when the process has chosen no cryptography; the first choice stands.
pub(crate) fn choose_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing the race means that somebody else has chosen: as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// `Retry-After` in seconds. The form with a date is rare and would need a clock.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

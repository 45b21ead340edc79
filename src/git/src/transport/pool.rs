//! Which HTTP client asks? One for each way of verifying servers, each keeping its connections, so
//! that a check is one request and seldom a handshake. And how many connections were opened.

mod counting;
mod wait;

use std::{
    collections::VecDeque,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use reqwest::{Client, redirect::Policy};

use self::counting::Counting;
pub(crate) use self::{counting::for_host, wait::retry_after};
use crate::{CaBundle, Error, Tls, Traffic};

/// A host that takes longer to accept is down, whatever time a check has.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// What a server may send over HTTP/2 before it hears that we have read: as much as all of 100,000
/// refs, so that a distant one does not wait for us in between. A check reads as fast as it comes.
const WINDOW: u32 = 8 << 20;
/// The same for all checks on one connection together.
const WINDOW_OF_ALL: u32 = 16 << 20;
/// Fewer and larger frames cost less than many.
const LONGEST_FRAME: u32 = 256 << 10;
/// Bundles are named by tenants. One that is forgotten costs a handshake.
const MOST_BUNDLES: usize = 64;

/// The clients. Those that verify are made when first needed: they read the system's certificates,
/// and a machine without any can still ask over http.
#[derive(Debug)]
pub(crate) struct Pool {
    trusting: Client,
    verifying: OnceLock<Client>,
    /// Those that trust a bundle too, the one that was needed last at the end.
    bundled: Mutex<VecDeque<(CaBundle, Client)>>,
    traffic: Traffic,
}

impl Pool {
    pub(crate) fn new(traffic: Traffic) -> Result<Self, Error> {
        let trusting = build(&Tls::SkipVerify, &traffic)?;
        let (verifying, bundled) = (OnceLock::new(), Mutex::default());
        Ok(Self { trusting, verifying, bundled, traffic })
    }

    /// The client for a URL of this scheme. Only one that may meet TLS and must verify verifies.
    pub(crate) fn client(&self, scheme: &str, tls: &Tls) -> Result<Client, Error> {
        match tls {
            _ if scheme == "http" => Ok(self.trusting.clone()),
            Tls::SkipVerify => Ok(self.trusting.clone()),
            Tls::Verify => self.verifying(),
            Tls::VerifyWith(bundle) => self.bundled(bundle, tls),
        }
    }

    fn verifying(&self) -> Result<Client, Error> {
        if let Some(client) = self.verifying.get() {
            return Ok(client.clone());
        }
        let client = build(&Tls::Verify, &self.traffic)?;
        Ok(self.verifying.get_or_init(|| client).clone())
    }

    fn bundled(&self, bundle: &CaBundle, tls: &Tls) -> Result<Client, Error> {
        let mut bundled = self.bundled.lock().unwrap_or_else(PoisonError::into_inner);
        let place = bundled.iter().position(|(it, _)| it == bundle);
        let known = place.and_then(|it| bundled.remove(it)).map(|(_, client)| client);
        let client = known.map_or_else(|| build(tls, &self.traffic), Ok)?;
        if bundled.len() >= MOST_BUNDLES {
            bundled.pop_front();
        }
        bundled.push_back((bundle.clone(), client.clone()));
        Ok(client)
    }
}

fn build(tls: &Tls, traffic: &Traffic) -> Result<Client, Error> {
    choose_crypto();
    let mut builder = Client::builder()
        .user_agent(crate::USER_AGENT)
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .http2_initial_stream_window_size(WINDOW)
        .http2_initial_connection_window_size(WINDOW_OF_ALL)
        .http2_max_frame_size(LONGEST_FRAME)
        .connector_layer(Counting::into(traffic.clone()))
        .tls_danger_accept_invalid_certs(*tls == Tls::SkipVerify);
    if let Tls::VerifyWith(bundle) = tls {
        let certificates = bundle.certificates().map_err(|source| Error::Client { source })?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|source| Error::Client { source })
}

/// reqwest panics when the process has chosen no cryptography; the first choice stands.
pub(crate) fn choose_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing the race means that somebody else has chosen: as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> CaBundle {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        CaBundle::parse(signed.cert.pem().as_bytes()).unwrap()
    }

    #[test]
    fn bundles_without_number_take_bounded_memory() {
        let pool = Pool::new(Traffic::default()).unwrap();
        let first = Tls::VerifyWith(bundle());

        pool.client("https", &first).unwrap();
        for _ in 0..MOST_BUNDLES {
            pool.client("https", &Tls::VerifyWith(bundle())).unwrap();
            pool.client("https", &first).unwrap();
        }

        let bundled = pool.bundled.lock().unwrap();
        assert_eq!(bundled.len(), MOST_BUNDLES);
        assert!(bundled.back().is_some_and(|(it, _)| first == Tls::VerifyWith(it.clone())));
    }

    #[test]
    fn http_needs_no_certificates() {
        let pool = Pool::new(Traffic::default()).unwrap();

        pool.client("http", &Tls::VerifyWith(bundle())).unwrap();

        assert!(pool.bundled.lock().unwrap().is_empty() && pool.verifying.get().is_none());
    }
}

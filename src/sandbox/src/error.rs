//! What can fail before the API answers anything: serving it.

use std::{io, net::SocketAddr};

/// Why a cluster cannot be served over TCP.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken or not ours.
    #[error("cannot listen on {addr}")]
    Listen {
        /// Where it was to listen.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },

    /// Keys or certificates could not be made.
    #[error("cannot issue the server's certificate")]
    Certificate {
        /// What the certificate library said.
        source: rcgen::Error,
    },

    /// TLS could not be set up with the certificate.
    #[error("cannot set up TLS")]
    Tls {
        /// What the TLS library said.
        source: rustls::Error,
    },
}

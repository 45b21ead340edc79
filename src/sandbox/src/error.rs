//! What can fail around the API and not in it: serving a cluster, saving it, loading it.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why a cluster cannot be served over TCP, saved or loaded.
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

    /// The folder or the disk does not take it; what was saved before is still there.
    #[error("cannot save the cluster to {path}")]
    Save {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The file is there but cannot be read.
    #[error("cannot read the saved cluster {path}")]
    Load {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// Nothing was saved there.
    #[error("no cluster was saved as {path}: begin with a new one")]
    Absent {
        /// What was to be read.
        path: PathBuf,
    },

    /// A later release wrote the file.
    #[error(
        "{path} has format {format}, and this release reads up to {known}: load it with the release \
         that saved it, or begin with a new cluster in another folder"
    )]
    Newer {
        /// What was read.
        path: PathBuf,
        /// What it says of itself.
        format: u64,
        /// What is known here.
        known: u64,
    },

    /// The file breaks off, or something else wrote to it.
    #[error(
        "{path} is not whole, as of line {line}: put a copy in its place, or remove it and begin \
         with a new cluster"
    )]
    Torn {
        /// What was read.
        path: PathBuf,
        /// The first line that is not as it should be.
        line: usize,
    },
}

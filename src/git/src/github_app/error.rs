//! Why is there no token? Says what to check; holds hosts, never a key, a token or a server's words.

use std::time::Duration;

/// An installation token that was not given.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Empty, too long, or with characters that no id has.
    #[error(
        "the id of the GitHub App is none: it is the number on the App's page, or its client id"
    )]
    AppId,
    /// Not a number.
    #[error(
        "the installation id of the GitHub App is none: it is the number at the end of the \
         installation's address"
    )]
    InstallationId,
    /// Not an address, or one with a login, a query or a fragment.
    #[error("the address of the GitHub API is none: it looks like https://host/api/v3")]
    ApiUrl,
    /// The repository is not on one of GitHub's own clouds, and nobody says where its API is.
    #[error(
        "the Secret has no apiUrl: a GitHub App of a server of your own needs the address of its API, \
         which looks like https://host/api/v3"
    )]
    NoApiUrl,
    /// Not PEM, encrypted, or not RSA.
    #[error(
        "the private key of the GitHub App cannot be read: it is RSA, PEM, unencrypted, of at least \
         2048 bits, as the App's page hands it out"
    )]
    Key,
    /// The key can be read, but it signs nothing.
    #[error("the private key of the GitHub App cannot sign")]
    Sign,
    /// No HTTP client for this way of TLS.
    #[error("cannot set up an http client")]
    Client {
        /// What is missing.
        source: Box<crate::Error>,
    },
    /// No connection, or none that held.
    #[error("cannot talk to {host}")]
    Talk {
        /// Who does not answer.
        host: String,
        /// What went wrong, without the address.
        source: reqwest::Error,
    },
    /// The time given is over.
    #[error("{host} did not answer within {limit:?}")]
    Slow {
        /// Who is slow.
        host: String,
        /// The time it had.
        limit: Duration,
    },
    /// Anything but a token.
    #[error("{host} gives no installation token, HTTP status {status}: {}", advice(*status))]
    Status {
        /// Who says so.
        host: String,
        /// The status.
        status: u16,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// Too long, not JSON, or without a token.
    #[error("{host} does not answer as the API of GitHub does: check apiUrl")]
    Answer {
        /// Who answers.
        host: String,
    },
}

fn advice(status: u16) -> &'static str {
    match status {
        401 => {
            "it does not know the App by this key; check appId and appPrivateKey, and that the clock \
             here is right"
        }
        403 => "the installation is suspended, or asks too often",
        404 => {
            "it knows no such installation; check installationId, and that the App is installed \
             where the repository is"
        }
        422 => {
            "the App has no permission to read contents; grant it, and accept it where it is installed"
        }
        300..=399 => "it redirects, and a key is shown to nobody else; check apiUrl",
        429 => "it is asked too often",
        500..=599 => "it has a problem of its own",
        _ => "check apiUrl",
    }
}

impl Error {
    /// What the Secret holds is wrong, missing or not enough: read it again.
    pub fn is_auth(&self) -> bool {
        match self {
            Self::AppId
            | Self::InstallationId
            | Self::ApiUrl
            | Self::NoApiUrl
            | Self::Key
            | Self::Sign => true,
            Self::Status { status, retry_after, .. } => {
                matches!(status, 401 | 404 | 422) || (*status == 403 && retry_after.is_none())
            }
            Self::Client { .. } | Self::Talk { .. } | Self::Slow { .. } | Self::Answer { .. } => {
                false
            }
        }
    }

    /// How long the API wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { status: 403 | 429 | 503, retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The same question may well get an answer later, with nothing mended on our side.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Talk { .. } | Self::Slow { .. } | Self::Answer { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            _ => false,
        }
    }
}

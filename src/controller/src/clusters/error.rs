//! What went wrong with a cluster? kube's errors end here.

use std::error::Error as _;
use std::time::Duration;

use kube::core::Status;

use super::state::{Reason, Trouble};
use super::wire::TooLarge;

/// A client that could not be made. Safe to show: it holds no credential.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot find out how to reach the hub")]
    Infer { source: Box<kube::config::InferConfigError> },

    #[error("cannot use the kubeconfig")]
    Configure { source: Box<kube::config::KubeconfigError> },

    #[error("cannot build a client")]
    Build { source: Box<kube::Error> },

    #[error("cannot resolve the server's name")]
    Resolve { source: std::io::Error },

    #[error("the server's name leads to a loopback or link-local address")]
    Local,
}

/// How long a text of somebody else's may be where it is shown.
const SHOWN: usize = 256;

/// An answer that was too large is asked for again after this.
const RELIST: Duration = Duration::from_mins(1);

/// What an error of kube means for the stream that met it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) trouble: Trouble,
    /// Whether the stream has to begin with a new list.
    pub(super) relist: bool,
    /// How long the server asked us to stay away.
    pub(super) retry_after: Option<Duration>,
    /// How many failures this one counts for.
    pub(super) weight: u32,
}

impl Fault {
    /// No answer in time: it took as long as several quick failures, and counts as them.
    pub(super) fn timed_out(what: &str, limit: Duration) -> Self {
        let text = format!("no answer to {what} within {} s", limit.as_secs());
        let trouble = Trouble { reason: Reason::Unreachable, text };
        Self { trouble, relist: false, retry_after: None, weight: super::state::PATIENCE }
    }

    /// An answer that makes no sense to go on with.
    pub(super) fn nonsense(text: &str) -> Self {
        let trouble = Trouble { reason: Reason::Unreachable, text: text.to_owned() };
        Self { trouble, relist: true, retry_after: None, weight: 1 }
    }

    pub(super) fn from_status(what: &str, status: &Status) -> Self {
        let (reason, relist) = match status.code {
            401 => (Reason::Unauthorized, true),
            403 => (Reason::Forbidden, true),
            404 => (Reason::CrdsMissing, true),
            // The versions we know are compacted away.
            410 => (Reason::Unreachable, true),
            _ => (Reason::Unreachable, false),
        };
        let seconds = status.details.as_ref().map_or(0, |it| it.retry_after_seconds);
        let retry_after = (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)));
        let said = if status.message.is_empty() { &status.reason } else { &status.message };
        let text = shorten(&format!("{what}: HTTP {}: {said}", status.code));
        Self { trouble: Trouble { reason, text }, relist, retry_after, weight: 1 }
    }

    pub(super) fn from_kube(what: &str, error: &kube::Error) -> Self {
        if let Some(too_large) = too_large(error) {
            let text = format!("too large: {what}: {too_large}");
            let trouble = Trouble { reason: Reason::TooLarge, text };
            return Self { trouble, relist: true, retry_after: Some(RELIST), weight: 1 };
        }
        match error {
            kube::Error::Api(status) => Self::from_status(what, status),
            // The same bytes would come again: only a new list leads past them.
            kube::Error::SerdeError(_) => {
                Self::nonsense(&format!("{what}: the answer is unreadable"))
            }
            other => {
                let (reason, why) = match handshake(other) {
                    Some((reason, why)) => (reason, format!("{why}: {}", chain(other))),
                    None => (Reason::Unreachable, chain(other)),
                };
                let text = shorten(&format!("{what}: {why}"));
                let trouble = Trouble { reason, text };
                Self { trouble, relist: false, retry_after: None, weight: 1 }
            }
        }
    }
}

/// Whether an answer was cut off because it is too large.
fn too_large(error: &kube::Error) -> Option<TooLarge> {
    causes(error).find_map(|it| it.downcast_ref::<TooLarge>().copied())
}

/// What a handshake that failed means to whoever wrote the kubeconfig.
fn handshake(error: &kube::Error) -> Option<(Reason, &'static str)> {
    use rustls::{AlertDescription as Alert, CertificateError as Wrong};

    match causes(error).find_map(tls)? {
        rustls::Error::InvalidCertificate(wrong) => {
            let why = match wrong {
                Wrong::UnknownIssuer | Wrong::BadSignature => OTHER_AUTHORITY,
                Wrong::Expired | Wrong::ExpiredContext { .. } => {
                    "the server's certificate has expired"
                }
                Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => {
                    "the server's certificate is not for this server's name"
                }
                _ => "the server's certificate is not accepted",
            };
            Some((Reason::Unreachable, why))
        }
        rustls::Error::AlertReceived(
            Alert::BadCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRequired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::UnsupportedCertificate
            | Alert::AccessDenied,
        ) => Some((Reason::Unauthorized, "the server ends the connection over our certificate")),
        _ => None,
    }
}

/// The error of TLS that an error is, or holds: what an io error holds is not its source.
fn tls<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut held = error;
    while let Some(inner) = held.downcast_ref().and_then(std::io::Error::get_ref) {
        held = inner;
    }
    held.downcast_ref()
}

/// Said of a server whose authority the kubeconfig does not have.
const OTHER_AUTHORITY: &str = "the server's certificate is of another authority than the kubeconfig's: if the \
     cluster has a new one, the Secret needs it in certificate-authority-data";

/// An error, and what caused it.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |it| (*it).source())
}

/// An error with its causes, each said once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        let next = it.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = it.source();
    }
    text
}

/// Cuts a text to what fits an Event.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

impl Error {
    /// The error with its causes, for a notice.
    pub(super) fn text(&self) -> String {
        self.source().map_or_else(|| self.to_string(), |_| shorten(&chain(self)))
    }
}

//! Why is there no answer? Safe to show: errors hold a host, never a URI or a credential.

use std::time::Duration;

use crate::{
    BadKey, Commit, Reference, RepoUri, TooLong,
    ls_refs::{Malformed, sanitise},
};

/// A remote that did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not one of http(s), where only that is spoken.
    #[error("{scheme}:// is not supported")]
    Transport {
        /// As in the URI.
        scheme: &'static str,
    },
    /// The credential has bytes that no header may have.
    #[error(
        "the credentials for {host} cannot be sent: control characters, or a colon in the username"
    )]
    Credentials {
        /// Who they were for.
        host: String,
    },
    /// No HTTP client could be made, most often for want of root certificates.
    #[error("cannot set up an http client")]
    Client {
        /// What is missing.
        source: reqwest::Error,
    },
    /// No connection, or none that held.
    #[error("cannot talk to {host}")]
    Talk {
        /// Who does not answer.
        host: String,
        /// What went wrong, without the URI.
        source: reqwest::Error,
    },
    /// No connection, or none that held, where no http is spoken.
    #[error("cannot talk to {host}")]
    Connection {
        /// Who does not answer.
        host: String,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The time given is over.
    #[error("{host} did not answer within {limit:?}")]
    Slow {
        /// Who is slow.
        host: String,
        /// The time it had.
        limit: Duration,
    },
    /// Anything but success.
    #[error("{host} answers with HTTP status {status}")]
    Status {
        /// Who says so.
        host: String,
        /// The status.
        status: u16,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// To another host, down to http, in circles, or to where no repository is.
    #[error("{host} redirects to where we do not follow")]
    Redirect {
        /// Who sent us away.
        host: String,
    },
    /// The server talks, but not git.
    #[error("{host} does not answer as a git server does")]
    Answer {
        /// Who answers.
        host: String,
        /// What is wrong with it.
        source: Malformed,
    },
    /// The server says no in git's own way.
    #[error("{host} refuses: {message}")]
    Remote {
        /// Who refuses.
        host: String,
        /// In its words, cut, and without control characters.
        message: String,
    },
    /// Neither v2 nor the older protocols gave an answer.
    #[error("{host} does not speak git in any version")]
    Older {
        /// Who was asked.
        host: String,
        /// What is wrong with its oldest answer.
        source: Malformed,
    },
    /// No ref can have this prefix.
    #[error("not a prefix of a ref")]
    Prefix,
    /// The remote has no such branch or tag.
    #[error("{reference} does not exist on the remote")]
    RefNotFound {
        /// What was looked for.
        reference: Reference,
    },
    /// The reference has moved on, and the server gives no commit by its id.
    #[error("{reference} is no longer at {commit}, and {host} does not give a commit by its id")]
    Moved {
        /// Who was asked.
        host: String,
        /// What was followed.
        reference: Reference,
        /// What was wanted.
        commit: Commit,
    },
    /// Neither a commit nor a reference was named.
    #[error("nothing to fetch: neither a commit nor a reference")]
    Nothing,
    /// The pack did not arrive or is broken.
    #[error("cannot fetch from {host}")]
    Fetch {
        /// Who was asked.
        host: String,
        /// What gix says.
        source: Said,
    },
    /// More than a source may have.
    #[error("the repository has more than {most} {what}")]
    Large {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        most: u64,
    },
    /// A path, or a link's target, that is not below the destination.
    #[error("the repository is refused: {path} {reason}")]
    Unsafe {
        /// In the repository, cut, and without control characters.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The files could not be taken out of the pack.
    #[error("cannot check out")]
    Checkout {
        /// What gix says.
        source: Said,
    },
    /// The directory to fetch into is not an empty one that we may write to.
    #[error("cannot use the destination")]
    Destination {
        /// Why not.
        source: std::io::Error,
    },
    /// The disk that it is written to, or our share of it, is used up.
    #[error("no room is left for what {host} sends")]
    Full {
        /// Who was asked; nothing is wrong there.
        host: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// ssh wants a private key, and there is none.
    #[error("no private key for {host}: ssh needs credentials of type ssh")]
    NoKey {
        /// Who would have been shown it.
        host: String,
    },
    /// The private key cannot be used as it is.
    #[error("cannot use the private key for {host}")]
    Key {
        /// Who would have been shown it.
        host: String,
        /// What is wrong with it, and what to do.
        source: BadKey,
    },
    /// The private key is encrypted, and the passphrase does not fit.
    #[error("the passphrase of the private key for {host} is {problem}")]
    Passphrase {
        /// Who would have been shown it.
        host: String,
        /// Missing, or wrong.
        problem: &'static str,
    },
    /// The user in the URI is none.
    #[error("the ssh user for {host} begins with a dash or has control characters")]
    Login {
        /// Where it was to log in.
        host: String,
    },
    /// The server knows neither the user nor the key, or not together.
    #[error("{host} lets {user} not in with the key {key}")]
    SshRefused {
        /// Who refuses.
        host: String,
        /// Who was to log in.
        user: String,
        /// The fingerprint of the public key.
        key: String,
    },
    /// More than a Secret can hold.
    #[error("cannot use the known_hosts for {host}")]
    KnownHosts {
        /// Who was to be asked.
        host: String,
        /// What is wrong with it.
        source: TooLong,
    },
    /// Nobody says which key the server has.
    #[error(
        "the host key of {host} is unknown: {fingerprint}; if it is the host's, add it to known_hosts"
    )]
    HostKeyUnknown {
        /// Who showed it.
        host: String,
        /// The key that it shows.
        fingerprint: String,
    },
    /// The server has another key than it had, or somebody is between us and the server.
    #[error("the host key of {host} has changed: known is {known}, shown is {presented}")]
    HostKeyChanged {
        /// Who showed it.
        host: String,
        /// The keys that it is known by.
        known: String,
        /// The key that it shows.
        presented: String,
    },
    /// Whoever shows this key has stolen it.
    #[error("the host key of {host} is revoked: {fingerprint}")]
    HostKeyRevoked {
        /// Who showed it.
        host: String,
        /// The key that it shows.
        fingerprint: String,
    },
    /// Only a certificate would be believed.
    #[error(
        "known_hosts names only a certificate authority for {host}, which is not supported: add the host's key {fingerprint} if it is the host's"
    )]
    HostKeyAuthority {
        /// Who showed it.
        host: String,
        /// The key that it shows.
        fingerprint: String,
    },
    /// The connection did not come about, or did not hold.
    #[error("cannot speak ssh with {host}")]
    Ssh {
        /// Who was asked.
        host: String,
        /// What went wrong.
        source: Said,
    },
    /// A thread of ours is gone: the process is going down.
    #[error("a worker thread ended early")]
    Worker,
}

/// The words of a library, which may repeat addresses and server's messages: one line of them,
/// cut, without the address and without control characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Said(String);

impl Said {
    pub(crate) fn of(error: &dyn std::error::Error) -> Self {
        Self::about(error, None)
    }

    /// Of a request to this remote, whose address is left out.
    pub(crate) fn by(error: &dyn std::error::Error, uri: &RepoUri) -> Self {
        Self::about(error, Some(uri))
    }

    fn about(error: &dyn std::error::Error, uri: Option<&RepoUri>) -> Self {
        let mut words = Vec::<String>::new();
        let mut cause = Some(error);
        while let Some(error) = cause {
            let text = error.to_string();
            // Some layers only repeat what they hold.
            if words.last().is_none_or(|last| !last.contains(&text)) {
                words.push(text);
            }
            cause = error.source();
        }
        let words = words.join(": ");
        let words =
            uri.map_or_else(|| words.clone(), |it| words.replace(&it.to_string(), it.host()));
        Self(sanitise(words.as_bytes()))
    }
}

impl Error {
    /// The credentials are wrong, missing or not enough: read the Secret again.
    pub fn is_auth(&self) -> bool {
        matches!(
            self,
            // One that says when to come back is busy, as some hosts are with this status.
            Self::Status { status: 401, .. }
                | Self::Status { status: 403, retry_after: None, .. }
                | Self::SshRefused { .. }
                | Self::Key { .. }
                | Self::Passphrase { .. }
        )
    }

    /// How long the server wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { status: 403 | 429 | 503, retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The same question may well get an answer later, with nothing mended on our side.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Talk { .. }
            | Self::Connection { .. }
            | Self::Slow { .. }
            | Self::Answer { .. }
            | Self::Fetch { .. }
            | Self::Older { .. }
            | Self::Moved { .. }
            | Self::Ssh { .. }
            | Self::Worker => true,
            Self::Status { status: 403, retry_after, .. } => retry_after.is_some(),
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Self::Remote { message, .. } => is_of_the_moment(message),
            Self::Transport { .. }
            | Self::Credentials { .. }
            | Self::Client { .. }
            | Self::Redirect { .. }
            | Self::Prefix
            | Self::RefNotFound { .. }
            | Self::Nothing
            | Self::Large { .. }
            | Self::Unsafe { .. }
            | Self::Checkout { .. }
            | Self::Destination { .. }
            | Self::Full { .. }
            | Self::NoKey { .. }
            | Self::Key { .. }
            | Self::Passphrase { .. }
            | Self::Login { .. }
            | Self::SshRefused { .. }
            | Self::KnownHosts { .. }
            | Self::HostKeyUnknown { .. }
            | Self::HostKeyChanged { .. }
            | Self::HostKeyRevoked { .. }
            | Self::HostKeyAuthority { .. } => false,
        }
    }
}

/// Whether a server that refuses in git's own way would take the same question later. GitLab answers
/// with success and such words when it has too much to do.
fn is_of_the_moment(message: &str) -> bool {
    let message = message.to_lowercase();
    ["due to load", "try again later", "temporarily unavailable"]
        .iter()
        .any(|it| message.contains(it))
}

/// What the system said, if that is that a disk is full, however deep in what gix says.
pub(crate) fn no_room(error: &gix::Error) -> Option<std::io::Error> {
    use std::io::{Error, ErrorKind};

    let kinds = error.iter_errors().filter_map(|it| {
        let mut causes = std::iter::successors(Some(it), |it| it.source());
        causes.find_map(|it| it.downcast_ref::<Error>().map(Error::kind))
    });
    let is_full = |it: &ErrorKind| matches!(it, ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    kinds.into_iter().find(is_full).map(Error::from)
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use super::*;

    #[test]
    fn a_server_with_too_much_to_do_may_answer_later() {
        let remote = |message: &str| Error::Remote { host: "h".into(), message: message.into() };

        let busy = "GitLab is currently unable to handle this request due to load.";
        assert!(remote(busy).is_transient());
        assert!(!remote("access denied or repository not exported: /app").is_transient());
    }

    #[test]
    fn a_full_disk_is_found_in_whatever_gix_makes_of_it() {
        let of = |kind: ErrorKind| gix::Error::from_error(io::Error::from(kind));
        let source = io::Error::from(ErrorKind::StorageFull);
        let wrapped = gix::Error::from_error(Error::Destination { source });

        assert!(no_room(&of(ErrorKind::StorageFull)).is_some());
        assert!(no_room(&of(ErrorKind::QuotaExceeded)).is_some());
        assert!(no_room(&wrapped).is_some());
        assert!(no_room(&of(ErrorKind::BrokenPipe)).is_none());
    }
}

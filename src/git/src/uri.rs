//! Which remotes may be asked at all? Judged here once; what is a `RepoUri` needs no second look.
//!
//! A URI never carries a secret past this point, never reads as an option of some program, and has
//! a scheme that git hosts use.

use std::{fmt, sync::Arc};

use url::Url;

const LONGEST: usize = 2048;

/// How a remote is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `https://`
    Https,
    /// `http://`
    Http,
    /// `ssh://`, and `user@host:path`
    Ssh,
    /// `git://`
    Git,
}

impl Scheme {
    /// As it is written in a URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Ssh => "ssh",
            Self::Git => "git",
        }
    }

    /// Where it is spoken if nobody says otherwise.
    fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
            Self::Ssh => 22,
            Self::Git => 9418,
        }
    }

    /// Whether git is spoken over a stream of bytes, not in requests.
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::Ssh | Self::Git)
    }
}

/// The address of a repository. Two that are equal are the same remote.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoUri {
    scheme: Scheme,
    /// Who logs in, over ssh alone.
    user: Option<String>,
    /// Shared with everything that counts by host.
    host: Arc<str>,
    path: String,
}

/// Why an address is refused. Never repeats the address: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Longer than 2048 bytes, or nothing at all.
    #[error("a repository URI has 1 to 2048 bytes")]
    Length,
    /// Some program would take it for an option.
    #[error("no part of a repository URI may begin with a dash")]
    Dash,
    /// Spaces, newlines and the like.
    #[error("a repository URI has no spaces or control characters")]
    Character,
    /// Not one of the schemes that are known.
    #[error("a repository URI is https://, http://, ssh://, git:// or user@host:path")]
    Scheme,
    /// Credentials belong in a Secret.
    #[error("a repository URI holds no credentials: name a Secret in authConfig")]
    Credentials,
    /// A query or fragment has no meaning to git, and often holds a token.
    #[error("a repository URI has no query and no fragment")]
    Query,
    /// No host, no path, or a port that is none.
    #[error("a repository URI names a host and a path")]
    Incomplete,
}

impl RepoUri {
    /// Takes an address as a user writes it.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        if text.is_empty() || text.len() > LONGEST {
            return Err(UriError::Length);
        }
        if text.starts_with('-') {
            return Err(UriError::Dash);
        }
        if text.chars().any(|it| it.is_control() || it.is_whitespace() || it == '\\') {
            return Err(UriError::Character);
        }
        if text.contains("://") { Self::parse_url(text) } else { Self::parse_scp_like(text) }
    }

    fn parse_url(text: &str) -> Result<Self, UriError> {
        let scheme = match text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()) {
            Some(scheme) if scheme == "https" => Scheme::Https,
            Some(scheme) if scheme == "http" => Scheme::Http,
            Some(scheme) if scheme == "ssh" => Scheme::Ssh,
            Some(scheme) if scheme == "git" => Scheme::Git,
            _ => return Err(UriError::Scheme),
        };
        let url = Url::parse(text).map_err(|_| UriError::Incomplete)?;

        let user = Some(url.username()).filter(|it| !it.is_empty());
        if url.password().is_some() || (user.is_some() && scheme != Scheme::Ssh) {
            return Err(UriError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(UriError::Query);
        }
        let host = url.host_str().filter(|it| !it.is_empty()).ok_or(UriError::Incomplete)?;
        // Only http has its hosts in lower case and its own ports left out already; what is limited
        // by host must be one host.
        let host = host.to_ascii_lowercase();
        let port = url.port().filter(|it| *it != scheme.port());
        let host = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        Self::of(scheme, user, &host, url.path())
    }

    fn parse_scp_like(text: &str) -> Result<Self, UriError> {
        let (login, path) = text.split_once(':').ok_or(UriError::Scheme)?;
        let (user, host) = login.split_once('@').ok_or(UriError::Scheme)?;
        let is_name = |it: char| it.is_alphanumeric() || matches!(it, '.' | '-' | '_');
        if user.is_empty() || host.is_empty() || !login.chars().all(|it| it == '@' || is_name(it)) {
            return Err(UriError::Scheme);
        }
        if host.contains('@') {
            return Err(UriError::Credentials);
        }
        // An absolute path reads the same in both forms: what only a URL escapes is escaped.
        if path.starts_with('/') {
            let escaped = path.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
            return Self::parse_url(&format!("ssh://{user}@{}{escaped}", host.to_lowercase()));
        }
        Self::of(Scheme::Ssh, Some(user), &host.to_lowercase(), path)
    }

    fn of(scheme: Scheme, user: Option<&str>, host: &str, path: &str) -> Result<Self, UriError> {
        let path = path.trim_end_matches('/');
        if path.is_empty() || path.starts_with(':') {
            return Err(UriError::Incomplete);
        }
        if host.starts_with('-')
            || path.starts_with('-')
            || user.is_some_and(|it| it.starts_with('-'))
        {
            return Err(UriError::Dash);
        }
        // ssh and git:// servers hear the path decoded.
        if scheme.is_stream() && decode(path).iter().any(u8::is_ascii_control) {
            return Err(UriError::Character);
        }
        let user = user.map(str::to_owned);
        let uri = Self { scheme, user, host: host.into(), path: path.to_owned() };
        // What is escaped is longer than what was written, and is read again by the cloner.
        if uri.to_contract().len() > LONGEST { Err(UriError::Length) } else { Ok(uri) }
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// `host`, or `host:port` where the port is not the scheme's own. Safe to show.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The same, shared.
    pub(crate) fn shared_host(&self) -> Arc<str> {
        Arc::clone(&self.host)
    }

    /// The host as a resolver takes it, and the port if it is not the scheme's own.
    pub(crate) fn address(&self) -> (&str, Option<u16>) {
        let port = |it: &str| it.parse::<u16>().ok();
        let (name, port) = match self.host.rsplit_once(':') {
            Some((name, text)) if !text.ends_with(']') => (name, port(text)),
            _ => (&*self.host, None),
        };
        let inner = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        (inner.unwrap_or(name), port)
    }

    /// The path as a server that is spoken to over a stream hears it: as git does, what a URL
    /// escapes is written out, and what the scp-like form holds is left alone. No control
    /// characters.
    pub(crate) fn decoded_path(&self) -> Vec<u8> {
        if self.path.starts_with('/') { decode(&self.path) } else { self.path.clone().into_bytes() }
    }

    /// Who logs in over ssh.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The repository on its host.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The address in full, as `parse` takes it: with the ssh user that `Display` leaves out.
    pub(crate) fn to_contract(&self) -> String {
        match &self.user {
            // Only the scp-like form has a path that begins at the user's home.
            Some(user) if !self.path.starts_with('/') => {
                format!("{user}@{}:{}", self.host, self.path)
            }
            Some(user) => format!("ssh://{user}@{}{}", self.host, self.path),
            None => self.to_string(),
        }
    }

    /// Where http requests about the repository go; none for other schemes.
    pub(crate) fn http_url(&self) -> Option<Url> {
        match self.scheme {
            Scheme::Http | Scheme::Https => Url::parse(&self.to_string()).ok(),
            Scheme::Ssh | Scheme::Git => None,
        }
    }
}

/// Writes out `%xx`; what is none stays.
pub(crate) fn decode(path: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits =
            after.get(..2).filter(|it| *first == b'%' && it.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|it| std::str::from_utf8(it).ok());
        if let Some(byte) = digits.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

impl fmt::Display for RepoUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.path.starts_with('/') { "" } else { "/" };
        write!(f, "{}://{}{slash}{}", self.scheme.as_str(), self.host, self.path)
    }
}

impl fmt::Debug for RepoUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepoUri({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_that_people_use_are_taken() {
        for (text, scheme, host, shown) in [
            (
                "https://git.example.org/team/app.git",
                Scheme::Https,
                "git.example.org",
                "https://git.example.org/team/app.git",
            ),
            (
                "HTTPS://Git.Example.org/a/",
                Scheme::Https,
                "git.example.org",
                "https://git.example.org/a",
            ),
            (
                "http://127.0.0.1:8080/app",
                Scheme::Http,
                "127.0.0.1:8080",
                "http://127.0.0.1:8080/app",
            ),
            ("https://[::1]:8443/app", Scheme::Https, "[::1]:8443", "https://[::1]:8443/app"),
            ("https://h:443/a", Scheme::Https, "h", "https://h/a"),
            ("ssh://git@h:2222/a.git", Scheme::Ssh, "h:2222", "ssh://h:2222/a.git"),
            (
                "git@github.com:team/app.git",
                Scheme::Ssh,
                "github.com",
                "ssh://github.com/team/app.git",
            ),
            ("git://h/a", Scheme::Git, "h", "git://h/a"),
            (
                "SSH://git@Git.Example.ORG:22/A",
                Scheme::Ssh,
                "git.example.org",
                "ssh://git.example.org/A",
            ),
            ("git://H:9/A", Scheme::Git, "h:9", "git://h:9/A"),
            ("git://H:9418/A", Scheme::Git, "h", "git://h/A"),
        ] {
            let uri = RepoUri::parse(text).unwrap();

            assert_eq!(
                (uri.scheme(), uri.host(), uri.to_string().as_str()),
                (scheme, host, shown),
                "{text}"
            );
        }
        assert_eq!(RepoUri::parse("git@github.com:a").unwrap().user(), Some("git"));
    }

    #[test]
    fn b1_addresses_that_lie_are_refused() {
        for (text, reason) in [
            ("", UriError::Length),
            ("--upload-pack=touch /tmp/x", UriError::Dash),
            ("-oProxyCommand=x@h:a", UriError::Dash),
            ("ssh://-oProxyCommand=x/a", UriError::Dash),
            ("ssh://-oProxyCommand=x@h/a", UriError::Dash),
            ("git@-h:a", UriError::Dash),
            ("git@h:-a", UriError::Dash),
            ("ext::sh -c true", UriError::Character),
            ("ext::sh", UriError::Scheme),
            ("file:///etc/passwd", UriError::Scheme),
            ("ftp://h/a", UriError::Scheme),
            ("/srv/git/a.git", UriError::Scheme),
            ("../a.git", UriError::Scheme),
            ("C:a", UriError::Scheme),
            ("git@h::a", UriError::Incomplete),
            ("https://user@h/a", UriError::Credentials),
            ("https://user:secret@h/a", UriError::Credentials),
            ("https://:secret@h/a", UriError::Credentials),
            ("ssh://git:secret@h/a", UriError::Credentials),
            ("https://h/a?private_token=x", UriError::Query),
            ("https://h/a#x", UriError::Query),
            ("https://h/", UriError::Incomplete),
            ("https:///", UriError::Incomplete),
            ("https://h:99999/a", UriError::Incomplete),
            ("https://h/a\nb", UriError::Character),
            ("https://h\\@evil/a", UriError::Character),
            ("git://h/a%00host=evil", UriError::Character),
            ("ssh://git@h/a%0Ab", UriError::Character),
        ] {
            assert_eq!(RepoUri::parse(text), Err(reason), "{text:?}");
        }
        assert_eq!(
            RepoUri::parse(&format!("https://h/{}", "a".repeat(2048))),
            Err(UriError::Length)
        );
    }

    #[test]
    fn a_server_hears_the_path_as_git_says_it() {
        for (text, address, path) in [
            ("git://h/team/%61pp%2.git", ("h", None), "/team/app%2.git"),
            ("git://[::1]:99/a", ("::1", Some(99)), "/a"),
            ("git://[::1]/a", ("::1", None), "/a"),
            ("ssh://git@h:22/~x/%C3%BC", ("h", None), "/~x/ü"),
            ("git@h:a%20b", ("h", None), "a%20b"),
            ("git@h:/a%20b?#", ("h", None), "/a%20b?#"),
        ] {
            let uri = RepoUri::parse(text).unwrap();

            assert_eq!(uri.address(), address, "{text}");
            assert_eq!(uri.decoded_path(), path.as_bytes(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_the_parser_panic(text in "\\PC{0,60}") {
            let _ = RepoUri::parse(&text);
        }

        #[test]
        fn a_password_is_never_shown(password in "[a-z]{9,12}", user in "[a-z]{1,4}") {
            for text in [
                format!("https://{user}:{password}@h/a"),
                format!("ssh://{user}:{password}@h/a"),
                format!("{user}:{password}@h:a"),
            ] {
                let parsed = RepoUri::parse(&text).map(|it| format!("{it} {it:?}"));
                let shown = format!("{parsed:?}");
                prop_assert!(!shown.contains(&password));
            }
        }
    }
}

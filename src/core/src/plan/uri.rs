//! Could this address be a repository's, and how is it spoken to? The rules that `ger-git` judges by
//! too, so that what is wrong is said of the object and not of each check.

use url::Url;

const LONGEST: usize = 2048;

/// How a remote is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Https,
    Http,
    Ssh,
    Git,
}

/// The scheme of an address that may be asked, else what to do about it. Never repeats the address:
/// it may hold a password.
pub(super) fn judge(text: &str) -> Result<Scheme, &'static str> {
    const DASH: &str = "no part of repoUri may begin with a dash";
    if text.is_empty() || text.len() > LONGEST {
        return Err("repoUri must have 1 to 2048 bytes");
    }
    if text.starts_with('-') {
        return Err(DASH);
    }
    if text.chars().any(|it| it.is_control() || it.is_whitespace() || it == '\\') {
        return Err("repoUri has spaces, control characters or backslashes: remove them");
    }
    let parts = if text.contains("://") { of_url(text)? } else { of_scp_like(text)? };
    let path = parts.path.trim_end_matches('/');
    if path.is_empty() || path.starts_with(':') {
        return Err(INCOMPLETE);
    }
    if [parts.user.as_str(), &parts.host, path].iter().any(|it| it.starts_with('-')) {
        return Err(DASH);
    }
    Ok(parts.scheme)
}

const SCHEMES: &str =
    "repoUri has none of the forms https://, http://, ssh://, git:// and user@host:path";
const CREDENTIALS: &str =
    "repoUri holds credentials: put them into a Secret and name it in authConfig";
const INCOMPLETE: &str = "repoUri must name a host and a path: use https://host/path";

struct Parts {
    scheme: Scheme,
    user: String,
    host: String,
    path: String,
}

fn of_url(text: &str) -> Result<Parts, &'static str> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let scheme = match scheme.as_deref() {
        Some("https") => Scheme::Https,
        Some("http") => Scheme::Http,
        Some("ssh") => Scheme::Ssh,
        Some("git") => Scheme::Git,
        _ => return Err(SCHEMES),
    };
    let url = Url::parse(text).map_err(|_| INCOMPLETE)?;
    let user = url.username().to_owned();
    if url.password().is_some() || (!user.is_empty() && scheme != Scheme::Ssh) {
        return Err(CREDENTIALS);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("repoUri has a query or a fragment, which mean nothing to git: remove them");
    }
    let host = url.host_str().filter(|it| !it.is_empty()).ok_or(INCOMPLETE)?.to_owned();
    Ok(Parts { scheme, user, host, path: url.path().to_owned() })
}

fn of_scp_like(text: &str) -> Result<Parts, &'static str> {
    let (login, path) = text.split_once(':').ok_or(SCHEMES)?;
    let (user, host) = login.split_once('@').ok_or(SCHEMES)?;
    let is_name = |it: char| it.is_alphanumeric() || matches!(it, '.' | '-' | '_' | '@');
    if user.is_empty() || host.is_empty() || !login.chars().all(is_name) {
        return Err(SCHEMES);
    }
    if host.contains('@') {
        return Err(CREDENTIALS);
    }
    let (user, host, path) = (user.to_owned(), host.to_owned(), path.to_owned());
    Ok(Parts { scheme: Scheme::Ssh, user, host, path })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_form_tells_its_scheme() {
        for (uri, scheme) in [
            ("https://git.test/app", Scheme::Https),
            ("HTTPS://git.test/app", Scheme::Https),
            ("http://127.0.0.1:8080/app", Scheme::Http),
            ("https://[::1]:8443/app", Scheme::Https),
            ("ssh://git@git.test:2222/app", Scheme::Ssh),
            ("ssh://git.test/~/app", Scheme::Ssh),
            ("git@git.test:team/app.git", Scheme::Ssh),
            ("git@git.test:~me/app.git", Scheme::Ssh),
            ("git://git.test/app", Scheme::Git),
        ] {
            assert_eq!(judge(uri), Ok(scheme), "{uri}");
        }
    }

    #[test]
    fn what_lies_or_is_half_is_refused() {
        for (uri, why) in [
            ("", "2048"),
            ("https://h/a?x=1", "query"),
            ("https://h/a#x", "query"),
            ("https://h", "a host and a path"),
            ("https:///", "a host and a path"),
            ("https://h:99999/a", "a host and a path"),
            ("git@h:", "a host and a path"),
            ("git@h::a", "a host and a path"),
            ("ssh://-oProxyCommand=x/a", "dash"),
            ("ssh://-x@h/a", "dash"),
            ("-x@h:a", "dash"),
            ("git@-h:a", "dash"),
            ("git@h:-a", "dash"),
            ("https://me@h/a", "credentials"),
            ("git://me:secret@h/a", "credentials"),
            ("ssh://me:secret@h/a", "credentials"),
            ("me:secret@h:a", "none of the forms"),
            ("file:///srv/a", "none of the forms"),
            ("/srv/a", "none of the forms"),
            ("C:a", "none of the forms"),
            ("ext::sh -c id", "spaces"),
            ("https://h\\@evil/a", "backslashes"),
            ("https://h/a\nb", "control"),
        ] {
            let refused = judge(uri).unwrap_err();

            assert!(refused.contains(why), "{uri}: {refused}");
        }
        assert!(judge(&format!("https://h/{}", "a".repeat(2048))).is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_the_judge_panic(text in "\\PC{0,60}") {
            let _ = judge(&text);
        }
    }
}

//! Where may a server send us? Elsewhere on itself, or up to https; never to somebody else.

use url::Url;

/// Hosts rename repositories; three moves in a row is nobody's habit.
pub(crate) const MOST: usize = 3;

/// The place that `location` names, if we go there.
///
/// The end of the path must stay: a repository may move, but what is asked of it may not become
/// something else.
pub(crate) fn follow(from: &Url, location: &str) -> Option<Url> {
    let to = from.join(location).ok()?;
    let is_same_origin = to.origin() == from.origin();
    let is_upgrade = from.scheme() == "http"
        && to.scheme() == "https"
        && to.host_str() == from.host_str()
        && to.port().is_none();
    let asks_the_same = last_part(&to) == last_part(from) && to.query() == from.query();
    let shows_nothing = to.username().is_empty() && to.password().is_none();
    ((is_same_origin || is_upgrade) && asks_the_same && shows_nothing).then_some(to)
}

fn last_part(url: &Url) -> Option<&str> {
    url.path().rsplit('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_host_is_followed_and_never_down() {
        let from = Url::parse("https://git.example.org/old/git-upload-pack").unwrap();
        for location in [
            "/new/git-upload-pack",
            "https://git.example.org/new/git-upload-pack",
            "git-upload-pack",
        ] {
            assert!(follow(&from, location).is_some(), "{location}");
        }
        for location in [
            "https://evil.example.org/old/git-upload-pack",
            "https://git.example.org:8443/old/git-upload-pack",
            "http://git.example.org/old/git-upload-pack",
            "http://169.254.169.254/old/git-upload-pack",
            "//evil.example.org/old/git-upload-pack",
            "file:///old/git-upload-pack",
            "https://u:p@git.example.org/old/git-upload-pack",
            "/login",
            "/old/git-upload-pack?x=1",
            "http://[",
        ] {
            assert_eq!(follow(&from, location), None, "{location}");
        }
    }

    #[test]
    fn http_may_become_https() {
        let from = Url::parse("http://git.example.org/a/git-upload-pack").unwrap();

        assert!(follow(&from, "https://git.example.org/a/git-upload-pack").is_some());
        assert!(follow(&from, "https://git.example.org:8443/a/git-upload-pack").is_none());
    }
}

//! Where does a symbolic link lead? Followed on paper, through other links, before one is made.

use std::collections::{BTreeMap, VecDeque};

use gix::bstr::{BStr, BString, ByteSlice as _};

/// The kernel gives up after as many. What it cannot follow leads nowhere.
const MOST_HOPS: usize = 40;

/// Whether following `target`, the content of the link at `path`, leaves the root at any moment.
pub(super) fn leads_out(path: &BStr, target: &BStr, links: &BTreeMap<BString, BString>) -> bool {
    let mut place = parts(path).collect::<Vec<_>>();
    place.pop();
    let mut ahead = parts(target).collect::<VecDeque<_>>();
    let mut hops = 0_usize;
    if is_absolute(target) {
        return true;
    }
    while let Some(part) = ahead.pop_front() {
        match part {
            b"" | b"." => continue,
            b".." => {
                if place.pop().is_none() {
                    return true;
                }
                continue;
            }
            part => place.push(part),
        }
        let Some(next) = links.get(&BString::from(place.join(&b'/'))) else { continue };
        hops = hops.saturating_add(1);
        if hops > MOST_HOPS {
            return false;
        }
        if is_absolute(next.as_bstr()) {
            return true;
        }
        place.pop();
        for part in parts(next.as_bstr()).rev() {
            ahead.push_front(part);
        }
    }
    false
}

fn is_absolute(target: &BStr) -> bool {
    target.starts_with(b"/")
}

fn parts(path: &BStr) -> impl DoubleEndedIterator<Item = &[u8]> {
    <[u8]>::split(path, |it| *it == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads_out_among(path: &str, links: &[(&str, &str)]) -> bool {
        let links = links.iter().map(|(from, to)| ((*from).into(), (*to).into()));
        let links = links.collect::<BTreeMap<BString, BString>>();
        leads_out(path.into(), links[BStr::new(path)].as_bstr(), &links)
    }

    #[test]
    fn links_within_are_fine() {
        for (path, target) in [
            ("a", "b"),
            ("a", "./b/../c"),
            ("a/b", "../c"),
            ("a/b/c", "../../d/e"),
            ("a", "a"),
            ("a", "."),
            ("a/b", ".."),
        ] {
            assert!(!leads_out_among(path, &[(path, target)]), "{path} -> {target}");
        }
    }

    #[test]
    fn links_out_are_found() {
        for (path, target) in [
            ("a", "/etc/passwd"),
            ("a", ".."),
            ("a", "../"),
            ("a", "./../x"),
            ("a/b", "../../x"),
            ("a/b", "c/../../../x"),
            ("a", "//x"),
        ] {
            assert!(leads_out_among(path, &[(path, target)]), "{path} -> {target}");
        }
    }

    #[test]
    fn a_link_through_a_link_is_followed() {
        // By the letters alone `deep/up/..` is `deep`; on disk it is above the root.
        assert!(leads_out_among("a", &[("a", "deep/up/.."), ("deep/up", "..")]));
        assert!(!leads_out_among("a", &[("a", "deep/up/x"), ("deep/up", "..")]));
        assert!(leads_out_among("a", &[("a", "b/c"), ("b", "/tmp")]));
    }

    #[test]
    fn links_in_a_circle_end() {
        assert!(!leads_out_among("a", &[("a", "b"), ("b", "a")]));
    }
}

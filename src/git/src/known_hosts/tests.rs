//! Which keys are believed, and which never.

use proptest::prelude::*;

use super::*;

const GITHUB: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
const GITLAB: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf";
/// The fingerprints that the hosts publish, in the order of the file.
const PUBLISHED: [(&str, &str, &str); 10] = [
    ("github.com", "ssh-ed25519", "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"),
    ("github.com", "ecdsa-sha2-nistp256", "SHA256:p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM"),
    ("github.com", "ssh-rsa", "SHA256:uNiVztksCsDhcc0u9e8BujQXVUpKZIDTMczCvj3tD2s"),
    ("gitlab.com", "ssh-ed25519", "SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8"),
    ("gitlab.com", "ecdsa-sha2-nistp256", "SHA256:HbW3g8zUjNSksFbqTiUWPWg2Bq1x8xdGUrliXFzSnUw"),
    ("gitlab.com", "ssh-rsa", "SHA256:ROQFvPThGrW4RuWLoL9tq9I9zJ42fK4XywyRtbOz/EQ"),
    ("bitbucket.org", "ssh-ed25519", "SHA256:ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM"),
    ("bitbucket.org", "ecdsa-sha2-nistp256", "SHA256:FC73VB6C4OQLSCrjEayhMp9UMxS97caD/Yyi2bhW/J0"),
    ("bitbucket.org", "ssh-rsa", "SHA256:46OSHA1Rmj8E8ERTC6xkNcmGOw9oFxYr0WF6zWW8l1E"),
    ("ssh.dev.azure.com", "ssh-rsa", "SHA256:ohD8VZEXGWo6Ez8GSEJQ9WpafgLFsOfLOtGGQCQo6Og"),
];

fn key(blob: &str) -> HostKey {
    HostKey::parse("ssh-ed25519", blob).unwrap()
}

fn judge(text: &str, host: &str, port: u16) -> Verdict {
    KnownHosts::parse(text.as_bytes()).unwrap().judge(host, port, &key(GITHUB))
}

#[test]
fn b6_the_pinned_keys_are_those_that_the_hosts_publish() {
    let pinned = KnownHosts::well_known();

    assert_eq!(pinned.lines.len(), PUBLISHED.len());
    for (line, (host, kind, fingerprint)) in pinned.lines.iter().zip(PUBLISHED) {
        assert!(line.hosts.name(&[host.to_owned()]), "{host}");
        assert_eq!((line.key.kind(), line.key.fingerprint().as_str()), (kind, fingerprint));
        assert_eq!(pinned.judge(host, 22, &line.key), Verdict::Trusted);
    }
    assert_eq!(pinned.judge("ssh.github.com", 443, &key(GITHUB)), Verdict::Trusted);
    assert!(matches!(pinned.judge("gitlab.com", 22, &key(GITHUB)), Verdict::Changed(_)));
    assert_eq!(pinned.judge("example.org", 22, &key(GITHUB)), Verdict::Unknown);
}

#[test]
fn hosts_are_named_in_every_way_that_ssh_knows() {
    for (hosts, host, port) in [
        ("h", "h", 22),
        ("H", "h", 22),
        ("h", "H", 22),
        ("a,h,b", "h", 22),
        ("[h]:22", "h", 22),
        ("[h]:2222", "h", 2222),
        ("[*]:2222", "h", 2222),
        ("h", "h", 2222),
        ("*", "h", 2222),
        ("*.example.org", "git.example.org", 22),
        ("g?t.*.org", "git.example.org", 22),
        ("*,!evil", "h", 22),
        ("::1", "::1", 22),
        ("[::1]:2222", "::1", 2222),
        // ssh-keygen -H of github.com, and of [h]:2222.
        ("|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=", "192.168.1.61", 22),
    ] {
        let text = format!("# a comment\n\n \t{hosts}\t ssh-ed25519  {GITHUB} me@here\r\n");

        assert_eq!(judge(&text, host, port), Verdict::Trusted, "{hosts}");
    }
}

#[test]
fn b6_hosts_that_are_not_named_are_unknown() {
    for (hosts, host, port) in [
        ("h", "hh", 22),
        ("[h]:2222", "h", 22),
        ("[h]:2222", "h", 2223),
        ("*,!h", "h", 22),
        ("*,![h]:22", "h", 22),
        ("!h", "h", 22),
        ("!h", "other", 22),
        ("*.example.org", "example.org", 22),
        ("?", "ab", 22),
        ("", "h", 22),
        (",", "h", 22),
        ("|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=", "192.168.1.62", 22),
        ("|2|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=", "192.168.1.61", 22),
    ] {
        let text = format!("{hosts} ssh-ed25519 {GITHUB}\n");

        assert_eq!(judge(&text, host, port), Verdict::Unknown, "{hosts}");
    }
}

#[test]
fn b6_an_empty_known_hosts_trusts_nobody() {
    for text in ["", "\n", "# h\n", "h\n", "h ssh-ed25519\n", "\0"] {
        assert_eq!(judge(text, "h", 22), Verdict::Unknown, "{text:?}");
        assert!(KnownHosts::parse(text.as_bytes()).unwrap().is_empty(), "{text:?}");
    }
}

#[test]
fn b6_lines_that_cannot_be_read_are_skipped_and_never_trusted() {
    let text = format!(
        "h ssh-rsa {GITHUB}\nh ssh-ed25519 {}\nh ssh-ed25519 !{GITHUB}\n@what h ssh-ed25519 {GITHUB}\n\
         h ssh-ed25519 {GITHUB}=\n@revoked\n{} ssh-ed25519 {GITHUB}\n",
        &GITHUB[..20],
        "h,".repeat(LONGEST_LINE / 2),
    );

    assert_eq!(judge(&text, "h", 22), Verdict::Unknown);
    assert_eq!(judge(&format!("{text}h ssh-ed25519 {GITHUB}"), "h", 22), Verdict::Trusted);
}

#[test]
fn b6_another_key_for_a_known_host_is_a_change() {
    let text = format!("h ssh-ed25519 {GITLAB}\n");

    assert_eq!(judge(&text, "h", 22), Verdict::Changed(vec![key(GITLAB).fingerprint()]));
    assert_eq!(judge(&text, "h", 2222), Verdict::Unknown, "known without the port only");
    assert_eq!(judge(&format!("{text}h ssh-ed25519 {GITHUB}"), "h", 22), Verdict::Trusted);
}

/// A host may be several servers, each on a port of its own.
#[test]
fn b6_a_port_with_keys_of_its_own_is_believed_by_these_alone() {
    let text = format!("h ssh-ed25519 {GITHUB}\n[h]:2222 ssh-ed25519 {GITLAB}\n");

    assert_eq!(judge(&text, "h", 2222), Verdict::Changed(vec![key(GITLAB).fingerprint()]));
    assert_eq!(judge(&text, "h", 2223), Verdict::Trusted);
}

#[test]
fn the_mark_of_an_editor_is_no_part_of_a_name() {
    assert_eq!(judge(&format!("\u{feff}h ssh-ed25519 {GITHUB}"), "h", 22), Verdict::Trusted);
}

#[test]
fn b6_a_revoked_key_is_never_trusted_again() {
    for host in ["h", "*", "[h]:2222"] {
        let text = format!("[h]:2222 ssh-ed25519 {GITHUB}\n@revoked {host} ssh-ed25519 {GITHUB}");

        assert_eq!(judge(&text, "h", 2222), Verdict::Revoked, "{host}");
    }
    let other = format!("h ssh-ed25519 {GITHUB}\n@revoked h ssh-ed25519 {GITLAB}");
    assert_eq!(judge(&other, "h", 22), Verdict::Trusted);
}

#[test]
fn b6_an_authority_trusts_nobody() {
    let text = format!("@cert-authority *.example.org ssh-ed25519 {GITHUB}\n");

    assert_eq!(judge(&text, "git.example.org", 22), Verdict::Authority);
    assert_eq!(judge(&text, "h", 22), Verdict::Unknown);
}

#[test]
fn what_is_known_says_which_keys_to_ask_for() {
    let text = format!("h ssh-ed25519 {GITHUB}\n[h]:2222 ssh-ed25519 {GITLAB}\n");
    let known = KnownHosts::parse(text.as_bytes()).unwrap();

    assert_eq!(known.kinds("h", 22), ["ssh-ed25519"]);
    assert_eq!(known.kinds("h", 99), ["ssh-ed25519"]);
    assert_eq!(known.kinds("other", 22), Vec::<&str>::new());
}

#[test]
fn a_file_without_end_is_refused() {
    assert_eq!(KnownHosts::parse(&vec![b'a'; LONGEST + 1]), Err(TooLong));
}

#[test]
fn patterns_of_stars_take_no_time() {
    let hosts = format!("{}b", "*a".repeat(2000));
    let text = format!("{hosts} ssh-ed25519 {GITHUB}\n").repeat(20);

    assert_eq!(judge(&text, &"a".repeat(4000), 22), Verdict::Unknown);
}

proptest! {
    #[test]
    fn nothing_makes_the_parser_panic(text in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = KnownHosts::parse(&text).unwrap().judge("h", 22, &key(GITHUB));
    }

    #[test]
    fn b6_nothing_is_trusted_that_is_not_written(
        text in "(@revoked |@cert-authority |#|)[h*?!,|1]{0,12} (ssh-ed25519|ssh-rsa) [A-Za-z0-9+/=]{0,80}",
    ) {
        prop_assume!(!text.contains(GITHUB));
        let verdict = judge(&text, "h", 22);
        prop_assert!(verdict != Verdict::Trusted);
    }

    #[test]
    fn keys_from_strangers_are_read_within_their_bounds(blob in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = HostKey::from_bytes(&blob).map(|it| it.fingerprint());
    }
}

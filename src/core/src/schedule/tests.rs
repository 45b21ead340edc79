//! Tables of instants, and what holds for any schedule.

use proptest::prelude::*;

use super::*;
use crate::names::{ClusterName, TriggerKind};

fn cron(text: &str) -> Schedule {
    parsed(text, None).unwrap()
}

fn parsed(text: &str, time_zone: Option<&str>) -> Result<Schedule, Invalid> {
    Schedule::parse(&api::Schedule::Cron(text.to_owned()), time_zone)
}

fn every(text: &str) -> Schedule {
    Schedule::parse(&api::Schedule::Interval(text.to_owned()), None).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn key(name: &str) -> TriggerKey {
    let (cluster, kind) = (ClusterName::hub(), TriggerKind::Schedule);
    TriggerKey { cluster, kind, namespace: "default".to_owned(), name: name.to_owned() }
}

/// The first `n` instants after one.
fn fires(schedule: &Schedule, after: &str, n: usize) -> Vec<String> {
    let mut at = time(after);
    let next = || {
        at = schedule.next(at);
        at.to_string()
    };
    std::iter::repeat_with(next).take(n).collect()
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn expressions_of_the_original_are_understood() {
    let now = "2026-03-10T12:34:56Z"; // A Tuesday.
    let table = [
        ("*/5 * * * *", "2026-03-10T12:35:00Z"),
        ("30 4 * * *", "2026-03-11T04:30:00Z"),
        ("15 30 4 * * *", "2026-03-11T04:30:15Z"),
        ("0 0 0 1 1 * 2030", "2030-01-01T00:00:00Z"),
        ("0 9 * * MON-FRI", "2026-03-11T09:00:00Z"),
        ("0 9 * * fri", "2026-03-13T09:00:00Z"),
        ("0 9 * JUL,AUG ?", "2026-07-01T09:00:00Z"),
        ("0 9 ? * 7", "2026-03-15T09:00:00Z"),
        ("0 0 L * *", "2026-03-31T00:00:00Z"),
        ("0 0 * * 5L", "2026-03-27T00:00:00Z"),
        ("0 0 * * 1#2", "2026-04-13T00:00:00Z"),
        ("0 0 15W * *", "2026-03-16T00:00:00Z"),
        ("@hourly", "2026-03-10T13:00:00Z"),
        ("@midnight", "2026-03-11T00:00:00Z"),
        ("@DAILY", "2026-03-11T00:00:00Z"),
        ("@weekly", "2026-03-15T00:00:00Z"),
        ("@monthly", "2026-04-01T00:00:00Z"),
        ("@annually", "2027-01-01T00:00:00Z"),
        ("TZ=Europe/Berlin 30 4 * * *", "2026-03-11T03:30:00Z"),
        ("tz=America/New_York  0 8 * * *", "2026-03-11T12:00:00Z"),
        ("TZ=Asia/Kolkata @daily", "2026-03-10T18:30:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
    ];

    for (text, expected) in table {
        assert_eq!(fires(&cron(text), now, 1), [expected], "{text}");
    }
}

#[test]
fn a_prefix_goes_before_the_triggers_zone() {
    let now = "2026-03-10T12:00:00Z";
    let berlin = parsed("0 0 * * *", Some("Europe/Berlin")).unwrap();
    let kolkata = parsed("TZ=Asia/Kolkata 0 0 * * *", Some("Europe/Berlin")).unwrap();

    assert_eq!(fires(&berlin, now, 1), ["2026-03-10T23:00:00Z"]);
    assert_eq!(fires(&kolkata, now, 1), ["2026-03-10T18:30:00Z"]);
}

#[test]
fn what_cannot_be_followed_is_refused_with_the_reason() {
    let table = [
        ("", "cannot be an empty string"),
        ("* * * *", "between 5 and 7 fields"),
        ("* * * * * * * *", "between 5 and 7 fields"),
        ("61 * * * *", "61"),
        ("x * * * *", "illegal character 'X'"),
        ("@reboot", "fields"),
        ("TZ=Europe/Atlantis 0 0 * * *", "no time zone is called \"Europe/Atlantis\""),
        ("TZ=Europe/Berlin", "fields"),
        ("0 0 13 * 5", "both restricted"),
        ("0 0 30 2 *", "never matches"),
        ("0 0 0 31 4 * 2030", "never matches"),
        ("\u{e9}\u{e9} * * * *", "illegal"),
    ];

    for (text, part) in table {
        let message = parsed(text, None).unwrap_err().message;
        assert!(message.contains(part), "{text}: {message}");
    }
    assert!(parsed("0 0 * * *", Some("Nowhere")).unwrap_err().message.contains("Nowhere"));
}

#[test]
fn a_cron_whose_years_have_passed_is_over() {
    let past = cron("0 0 0 1 1 * 2020");

    assert!(past.is_over(time("2026-01-01T00:00:00Z")));
    assert!(!past.is_over(time("2019-01-01T00:00:00Z")));
    assert!(!past.is_due(Some(time("2026-01-01T00:00:00Z")), time("2027-01-01T00:00:00Z")));
}

/// Europe/Berlin: 2026-03-29 02:00 → 03:00 (01:00Z), 2026-10-25 03:00 → 02:00 (01:00Z).
#[test]
fn a_time_that_does_not_exist_fires_at_the_next_that_does() {
    let berlin = |text| parsed(text, Some("Europe/Berlin")).unwrap();
    let before = "2026-03-29T00:50:00Z";
    let table: &[(&str, &[&str])] = &[
        ("30 2 * * *", &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
        ("0 2 * * *", &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]),
        ("0,30 2 * * *", &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]),
        ("30 2,3 * * *", &["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]),
        ("*/20 2 * * *", &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]),
        ("0 3 * * *", &["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"]),
        ("*/30 * * * *", &["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]),
        ("55 * * * *", &["2026-03-29T00:55:00Z", "2026-03-29T01:55:00Z"]),
        ("15 1 * * *", &["2026-03-29T23:15:00Z"]),
    ];

    for (text, expected) in table {
        assert_eq!(fires(&berlin(text), before, expected.len()), *expected, "{text}");
    }
}

#[test]
fn of_a_time_that_comes_twice_a_fixed_one_fires_once_and_a_wildcard_twice() {
    let berlin = |text| parsed(text, Some("Europe/Berlin")).unwrap();
    let before = "2026-10-24T23:50:00Z"; // 01:50 in Berlin.
    let table: &[(&str, &[&str])] = &[
        ("30 2 * * *", &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
        ("0,30 2 * * *", &["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:00:00Z"]),
        (
            "*/30 * * * *",
            &[
                "2026-10-25T00:00:00Z",
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:00:00Z",
            ],
        ),
        ("15 * * * *", &["2026-10-25T00:15:00Z", "2026-10-25T01:15:00Z", "2026-10-25T02:15:00Z"]),
        ("*/40 2 * * *", &["2026-10-25T00:00:00Z", "2026-10-25T00:40:00Z", "2026-10-25T01:00:00Z"]),
        ("0 3 * * *", &["2026-10-25T02:00:00Z", "2026-10-26T02:00:00Z"]),
    ];

    for (text, expected) in table {
        assert_eq!(fires(&berlin(text), before, expected.len()), *expected, "{text}");
    }
    // From within the second time, too.
    assert_eq!(fires(&berlin("30 2 * * *"), "2026-10-25T01:10:00Z", 1), ["2026-10-26T01:30:00Z"]);
    assert_eq!(fires(&berlin("*/30 * * * *"), "2026-10-25T01:10:00Z", 1), ["2026-10-25T01:30:00Z"]);
}

/// Lord Howe's jumps are half an hour long.
#[test]
fn a_jump_may_be_shorter_than_an_hour() {
    let zone = |text| parsed(text, Some("Australia/Lord_Howe")).unwrap();

    // 2026-10-04: 02:00 (+10:30) → 02:30 (+11), at 15:30Z the day before.
    assert_eq!(fires(&zone("15 2 * * *"), "2026-10-03T15:00:00Z", 1), ["2026-10-03T15:30:00Z"]);
    // 2026-04-05: 02:00 (+11) → 01:30 (+10:30), at 15:00Z the day before.
    assert_eq!(
        fires(&zone("*/15 * * * *"), "2026-04-04T14:45:00Z", 3),
        ["2026-04-04T15:00:00Z", "2026-04-04T15:15:00Z", "2026-04-04T15:30:00Z"],
    );
    assert_eq!(
        fires(&zone("45 1 * * *"), "2026-04-04T14:30:00Z", 2),
        ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"],
    );
}

#[test]
fn intervals_are_read_as_the_original_does() {
    assert_eq!(every("1h 30m").next(Timestamp::UNIX_EPOCH), time("1970-01-01T01:30:00Z"));
    for (text, part) in [("10", "10"), ("", ""), ("100ms", "under one second"), ("0s", "under")] {
        let parsed = Schedule::parse(&api::Schedule::Interval(text.to_owned()), None);
        let message = parsed.unwrap_err().message;
        assert!(message.contains(part), "{text}: {message}");
    }
    assert_eq!(every("500000years").next(time("2026-01-01T00:00:00Z")), Timestamp::MAX);
}

#[test]
fn the_first_check_of_a_new_trigger_comes_soon_and_at_its_own_phase() {
    let now = time("2026-01-01T00:00:00Z");
    let phase = |name| every("24h").first(&key(name), None, now).duration_since(now);

    assert!(phase("a") < SignedDuration::from_secs(10));
    assert_eq!(phase("a"), phase("a"));
    assert_ne!(phase("a"), phase("b"));
    assert!(every("2s").first(&key("a"), None, now) < now + secs(2));
    assert_eq!(cron("@yearly").first(&key("a"), None, now), now);
}

#[test]
fn a_takeover_checks_nothing_before_its_time() {
    let now = time("2026-01-01T12:00:00Z");
    let last = time("2026-01-01T11:59:30Z");

    let next = every("1m").first(&key("a"), Some(last), now);
    assert_eq!(next, time("2026-01-01T12:00:30Z"));
    assert!(!every("1m").is_due(Some(last), now));
    let hourly = cron("30 * * * *");
    assert_eq!(hourly.first(&key("a"), Some(last), now), time("2026-01-01T12:30:00Z"));
    assert!(!hourly.is_due(Some(last), now));
}

#[test]
fn what_was_missed_is_made_up_for_once() {
    let now = time("2026-01-01T12:00:00Z");
    let last = time("2026-01-01T08:10:00Z");
    let hourly = cron("30 * * * *");

    assert_eq!(hourly.first(&key("a"), Some(last), now), now);
    assert!(hourly.is_due(Some(last), now));
    assert_eq!(hourly.nominal(Some(last)), "2026-01-01T08:30:00Z");
    assert!(!hourly.is_due(Some(now), now));
    let overdue = every("1m").first(&key("a"), Some(last), now);
    assert!(now <= overdue && overdue < now + secs(2));
}

#[test]
fn what_was_missed_too_long_ago_is_not_made_up_for() {
    let (daily, minutely) = (cron("0 4 * * *"), cron("* * * * *"));
    let last = Some(time("2026-03-09T04:00:00Z"));
    let first = |schedule: &Schedule, now: &str, deadline: Option<u64>| {
        let within = (time(now), deadline.map(secs));
        schedule.first_within(&key("app"), last, within).to_string()
    };

    let now = "2026-03-10T05:00:00Z";
    assert_eq!(first(&daily, now, None), now);
    assert_eq!(first(&daily, now, Some(7200)), now);
    assert_eq!(first(&daily, now, Some(600)), "2026-03-11T04:00:00Z");
    // The last of many that were missed is not old.
    assert_eq!(first(&minutely, "2026-03-10T05:00:30Z", Some(60)), "2026-03-10T05:00:30Z");
    // What is not due yet is not missed, and an interval misses nothing.
    assert_eq!(first(&daily, "2026-03-09T05:00:00Z", Some(0)), "2026-03-10T04:00:00Z");
    let overdue = first(&every("1h"), now, Some(1));
    assert!(time(&overdue).duration_since(time(now)) <= SignedDuration::from_secs(2), "{overdue}");
}

#[test]
fn a_record_from_the_far_future_counts_as_now() {
    let now = time("2026-01-01T12:00:00Z");
    let (near, far) = (now + secs(240), now + secs(3600));

    assert_eq!(every("1m").first(&key("a"), Some(near), now), near + secs(60));
    assert_eq!(every("1m").first(&key("a"), Some(far), now), now + secs(60));
}

fn some_cron() -> impl Strategy<Value = String> {
    let field = |min: u8, max: u8| {
        prop_oneof![
            Just("*".to_owned()),
            (2..=20_u8).prop_map(|it| format!("*/{it}")),
            (min..=max).prop_map(|it| it.to_string()),
            (min..=max, min..=max).prop_map(|(a, b)| format!("{},{}", a.min(b), a.max(b))),
            (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        ]
    };
    (field(0, 59), field(0, 23), field(1, 28), field(1, 12))
        .prop_map(|(minute, hour, day, month)| format!("{minute} {hour} {day} {month} *"))
}

proptest! {
    #[test]
    fn the_next_instant_is_always_later(
        text in some_cron(),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo"]),
        second in 1_500_000_000_i64..1_900_000_000,
        nanos in 0_i32..1_000_000_000,
    ) {
        let schedule = parsed(&text, Some(zone)).unwrap();
        let mut at = Timestamp::new(second, nanos).unwrap();
        for _ in 0..5 {
            let next = schedule.next(at);
            prop_assert!(next > at, "{} after {}", next, at);
            prop_assert!(!schedule.is_due(Some(at), next - secs(1)) || next - secs(1) < at);
            prop_assert!(schedule.is_due(Some(at), next));
            at = next;
        }
    }

    /// Looking from anywhere in between finds the same instant.
    #[test]
    fn nothing_is_between_an_instant_and_the_next(
        text in some_cron(),
        zone in prop::sample::select(vec!["Europe/Berlin", "Australia/Lord_Howe"]),
        // Around the jumps of 2026.
        base in prop::sample::select(vec![1_774_746_000_i64, 1_792_890_000, 1_791_041_400, 1_775_314_800]),
        offset in -10_000_i64..10_000, share in 0.0..1.0_f64,
    ) {
        let schedule = parsed(&text, Some(zone)).unwrap();
        let at = Timestamp::from_second(base + offset).unwrap();
        let next = schedule.next(at);
        let between = at + next.duration_since(at).mul_f64(share);
        prop_assume!(between < next);

        prop_assert_eq!(schedule.next(between), next);
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,40}", digits in "[0-9*/,#LW?@ -]{0,30}") {
        drop(parsed(&text, None));
        drop(parsed(&digits, None));
    }
}

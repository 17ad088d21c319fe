use std::time::Duration;

use proptest::prelude::*;

use super::calendar::Date;
use super::{Cron, InvalidSchedule, Rate, Schedule};

fn unix(text: &str) -> i64 {
    let time = humantime::parse_rfc3339_weak(text).unwrap();
    i64::try_from(time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn cron(text: &str) -> Cron {
    text.parse().unwrap()
}

#[test]
fn crons_come_when_eventbridge_says() {
    let after = "2026-11-23 07:00:00";
    let table: &[(&str, &[&str])] = &[
        // The table of EventBridge's documentation.
        ("0 10 * * ? *", &["2026-11-23 10:00:00", "2026-11-24 10:00:00"]),
        ("15 12 * * ? *", &["2026-11-23 12:15:00"]),
        ("0 18 ? * MON-FRI *", &["2026-11-23 18:00:00", "2026-11-24 18:00:00"]),
        ("0 8 1 * ? *", &["2026-12-01 08:00:00", "2027-01-01 08:00:00"]),
        ("0/15 * * * ? *", &["2026-11-23 07:15:00", "2026-11-23 07:30:00"]),
        ("0/10 * ? * MON-FRI *", &["2026-11-23 07:10:00"]),
        ("0/5 8-17 ? * MON-FRI *", &["2026-11-23 08:00:00", "2026-11-23 08:05:00"]),
        ("0/30 20-2 ? * MON-FRI *", &["2026-11-23 20:00:00"]),
        ("0 17 ? * FRI#1 *", &["2026-12-04 17:00:00", "2027-01-01 17:00:00"]),
        (
            "15 10 ? * 6L 2026-2027",
            &["2026-11-27 10:15:00", "2026-12-25 10:15:00", "2027-01-29 10:15:00"],
        ),
        (
            "0 9 L * ? *",
            &[
                "2026-11-30 09:00:00",
                "2026-12-31 09:00:00",
                "2027-01-31 09:00:00",
                "2027-02-28 09:00:00",
            ],
        ),
        (
            "0 9 1W * ? *",
            &[
                "2026-12-01 09:00:00",
                "2027-01-01 09:00:00",
                "2027-02-01 09:00:00",
                "2027-03-01 09:00:00",
                "2027-04-01 09:00:00",
                "2027-05-03 09:00:00",
            ],
        ),
        ("0 9 31W 1,2 ? *", &["2027-01-29 09:00:00", "2027-02-26 09:00:00"]),
        ("0 0 29 FEB ? *", &["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("0 0 ? * L *", &["2026-11-28 00:00:00"]),
        (
            "0 0 ? * FRI-MON *",
            &[
                "2026-11-27 00:00:00",
                "2026-11-28 00:00:00",
                "2026-11-29 00:00:00",
                "2026-11-30 00:00:00",
                "2026-12-04 00:00:00",
            ],
        ),
        ("59 23 31 12 ? 2026", &["2026-12-31 23:59:00"]),
        ("0 12 * * * *", &["2026-11-23 12:00:00"]),
    ];
    for (text, times) in table {
        let cron = cron(text);
        let mut at = unix(after);
        for time in *times {
            at = cron.next(at).unwrap();
            assert_eq!(at, unix(time), "cron({text}): {time}");
        }
    }
    assert_eq!(cron("59 23 31 12 ? 2026").next(unix("2026-12-31 23:59:00")), None);
}

#[test]
fn what_is_no_schedule_says_what_would_be_one() {
    let table = [
        ("every 5 minutes", "rate(value unit)"),
        ("rate(0 minutes)", "number from 1"),
        ("rate(5)", "rate(5 minutes)"),
        ("rate(5 weeks)", "hour, day"),
        ("rate(-1 days)", "number from 1"),
        ("cron(* * * * *)", "5 fields, not 6"),
        ("cron(60 * * * ? *)", "minutes \"60\": 0-59"),
        ("cron(0 10 * * ? 1969)", "1970-2199"),
        ("cron(0 10 ? * ? *)", "day-of-week is \"?\""),
        ("cron(0 10 1 * MON *)", "day-of-week is \"?\""),
        ("cron(0 10 ? * MON#6 *)", "3#2"),
        ("cron(0 10 32W * ? *)", "3W"),
        ("cron(0 10 +1 * ? *)", "1-31"),
        ("cron(0/0 10 1 * ? *)", "0-59"),
        ("cron(0 0 30 FEB ? *)", "at no time"),
        ("cron(, 0 1 1 ? *)", "0-59"),
    ];
    for (text, expected) in table {
        let error = text.parse::<Schedule>().unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
    assert!(matches!("".parse::<Schedule>(), Err(InvalidSchedule::Kind(_))));
}

#[test]
fn a_clock_that_is_set_makes_neither_bursts_nor_repetitions() {
    let hourly = cron("0 * * * ? *");
    let noon = unix("2026-11-23 12:00:00");
    assert_eq!(hourly.next_after(None, noon - 1), Some(noon));
    // Set back by ten minutes after noon: not noon again.
    assert_eq!(hourly.next_after(Some(noon), noon - 600), Some(noon + 3600));
    // Set back by a year: it goes on from there.
    let year_before = unix("2025-11-23 11:30:00");
    assert_eq!(hourly.next_after(Some(noon), year_before), Some(unix("2025-11-23 12:00:00")));
    // Set forward: what lies between does not come.
    assert_eq!(hourly.next_after(Some(noon), noon + 36_001), Some(noon + 39_600));
    assert!(Cron::is_in_time(noon, noon) && Cron::is_in_time(noon, noon + 60));
    assert!(!Cron::is_in_time(noon, noon - 1) && !Cron::is_in_time(noon, noon + 61));
}

proptest! {
    #[test]
    fn dates_are_those_of_the_calendar(days in -200_000i64..200_000) {
        let date = Date::of_days(days);
        prop_assert_eq!(date.to_days(), days);
        prop_assert!((1..=date.days_in_month()).contains(&date.day));
        let tomorrow = Date::of_days(days + 1);
        prop_assert_eq!(tomorrow.weekday(), date.weekday() % 7 + 1);
        if days >= 0 {
            let time = std::time::UNIX_EPOCH + Duration::from_secs(u64::try_from(days).unwrap() * 86_400);
            let text = humantime::format_rfc3339_seconds(time).to_string();
            let expected = format!("{:04}-{:02}-{:02}", date.year, date.month, date.day);
            prop_assert!(text.starts_with(&expected), "{} {}", text, expected);
        }
    }

    /// A minute comes if and only if all its fields do: `next` skips none and makes up none.
    #[test]
    fn next_is_the_first_minute_that_matches(
        minutes in prop::collection::btree_set(0i64..60, 1..4),
        hours in prop::collection::btree_set(0i64..24, 1..4),
        weekdays in prop::collection::btree_set(1u8..8, 1..4),
        after in 0i64..2_000_000_000,
    ) {
        let list = |values: Vec<String>| values.join(",");
        let text = format!(
            "{} {} ? * {} *",
            list(minutes.iter().map(ToString::to_string).collect()),
            list(hours.iter().map(ToString::to_string).collect()),
            list(weekdays.iter().map(ToString::to_string).collect()),
        );
        let found = cron(&text).next(after).unwrap();
        let matches = |at: i64| {
            minutes.contains(&(at / 60 % 60))
                && hours.contains(&(at / 3600 % 24))
                && weekdays.contains(&Date::of_days(at / 86_400).weekday())
        };
        let expected = (after / 60 + 1..).map(|minute| minute * 60).find(|at| matches(*at));
        prop_assert_eq!(Some(found), expected);
    }

    #[test]
    fn a_rate_comes_once_in_each_period_wherever_one_begins_to_look(
        seconds in 1u32..1_000_000,
        now in 0u64..1_000_000_000_000,
        name in "[a-z]{1,9}",
    ) {
        let rate: Rate = format!("{seconds} seconds").parse().unwrap();
        let (period, now) = (Duration::from_secs(seconds.into()), Duration::from_millis(now));
        let next = rate.next(&name, now);
        prop_assert!(next > now && next <= now + period);
        prop_assert_eq!(rate.next(&name, next), next + period);
        prop_assert_eq!(rate.next(&name, next - Duration::from_millis(1)), next);
    }

    #[test]
    fn any_text_is_a_schedule_or_refused(text in "(cron|rate)\\([0-9A-Z*?/#, L-]{0,30}\\)") {
        let _ = text.parse::<Schedule>();
    }
}

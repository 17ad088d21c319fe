//! What `--time-window` takes: `BEGIN,END`, where one that is missing is now.

use std::time::{Duration, SystemTime};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    begin: SystemTime,
    pub end: SystemTime,
}

impl Window {
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_at(text, SystemTime::now())
    }

    pub fn holds(&self, time: SystemTime) -> bool {
        self.begin <= time && time <= self.end
    }

    fn parse_at(text: &str, now: SystemTime) -> Result<Self, String> {
        let (begin, end) = text.split_once(',').unwrap_or((text, ""));
        if begin.is_empty() && end.is_empty() {
            return Err("it takes the form BEGIN,END".to_owned());
        }
        Ok(Self { begin: moment(begin, now)?, end: moment(end, now)? })
    }
}

/// A time in UTC, or an offset from now.
fn moment(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    if text.is_empty() {
        return Ok(now);
    }
    let today = humantime::format_rfc3339_seconds(now).to_string();
    let today = today.split('T').next().unwrap_or_default();
    let digits =
        |range| text.get(range).filter(|part: &&str| part.bytes().all(|b| b.is_ascii_digit()));
    let full = match (digits(0..4), digits(4..6), digits(6..8)) {
        (Some(year), Some(month), Some(day)) if text.len() == 8 => {
            format!("{year}-{month}-{day}T00:00:00Z")
        }
        _ if text.len() == 10 && text.contains('-') => format!("{text}T00:00:00Z"),
        _ if text.get(2..3) == Some(":") => format!("{today}T{}Z", with_fraction(text)),
        _ => with_fraction(text),
    };
    match humantime::parse_rfc3339_weak(&full) {
        Ok(time) => Ok(time),
        Err(_) => offset(text, now).ok_or_else(|| {
            format!("{text:?} is neither a time such as 2026-01-31T08:00:00 nor an offset such as -2h15min")
        }),
    }
}

/// `HH:mm:ssSSS`: milliseconds that follow the seconds without a point.
fn with_fraction(text: &str) -> String {
    let bare = text.strip_suffix('Z').unwrap_or(text);
    match bare.rsplit_once(':') {
        Some((head, seconds))
            if seconds.len() == 5 && seconds.bytes().all(|b| b.is_ascii_digit()) =>
        {
            let (seconds, fraction) = seconds.split_at(2);
            format!("{head}:{seconds}.{fraction}")
        }
        _ => bare.to_owned(),
    }
}

/// `+1d-3h`, `-2h15min`: each number may have a sign, and takes the sign before it where it has none.
fn offset(text: &str, now: SystemTime) -> Option<SystemTime> {
    let (mut time, mut rest, mut back) = (now, text, false);
    while !rest.is_empty() {
        if let Some(unsigned) = rest.strip_prefix(['+', '-']) {
            back = rest.starts_with('-');
            rest = unsigned;
        }
        let number_end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let seconds = match unit {
            "d" | "day" | "days" => 86_400,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600,
            "m" | "min" | "mins" | "minute" | "minutes" => 60,
            "s" | "sec" | "secs" | "second" | "seconds" => 1,
            _ => return None,
        };
        let span = Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?);
        time = if back { time.checked_sub(span)? } else { time.checked_add(span)? };
        rest = tail;
    }
    Some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_offsets_are_read() {
        let at = |text: &str| humantime::parse_rfc3339(text).unwrap();
        let now = at("2026-01-31T12:00:00Z");
        for (text, expected) in [
            ("2020-06-30", "2020-06-30T00:00:00Z"),
            ("20200630", "2020-06-30T00:00:00Z"),
            ("15:30:45", "2026-01-31T15:30:45Z"),
            ("15:30:45123", "2026-01-31T15:30:45.123Z"),
            ("2020-06-30T15:30:45Z", "2020-06-30T15:30:45Z"),
            ("2020-06-30T15:30:45", "2020-06-30T15:30:45Z"),
            ("2020-06-30T15:30:45250", "2020-06-30T15:30:45.250Z"),
            ("-2h15min", "2026-01-31T09:45:00Z"),
            ("+1day-3hrs", "2026-02-01T09:00:00Z"),
            ("90s", "2026-01-31T12:01:30Z"),
            ("", "2026-01-31T12:00:00Z"),
        ] {
            assert_eq!(moment(text, now), Ok(at(expected)), "{text}");
        }
        for wrong in ["yesterday", "-2", "2h+", "é", "12:", "-99999999999999999999d", "2020-13-01"]
        {
            assert!(moment(wrong, now).is_err(), "{wrong}");
        }
        let window = Window::parse_at("-1h,+1h", now).unwrap();
        assert!(window.holds(now) && !window.holds(at("2026-01-31T13:00:01Z")));
        assert_eq!(Window::parse_at("-1h", now).unwrap().end, now);
        assert!(Window::parse_at(",", now).is_err());
    }
}

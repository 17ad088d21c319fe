//! Figures in at most five characters.

use std::time::Duration;

use crate::histogram::real;

pub fn count(count: u64) -> String {
    match count {
        0..=9_999 => count.to_string(),
        _ => scaled(real(count), 1000.0, ["", "k", "M", "G", "T", "P", "E"]),
    }
}

pub fn bytes(count: u64) -> String {
    match count {
        0 => "-".to_owned(),
        1..=999 => format!("{count}B"),
        _ => scaled(real(count), 1024.0, ["B", "K", "M", "G", "T", "P", "E"]),
    }
}

/// A rate or a percentage; `-` where there is none yet.
pub fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value < 99.95 => format!("{value:.1}"),
        Some(value) if value < 9_999.5 => format!("{value:.0}"),
        Some(value) => scaled(value, 1000.0, ["", "k", "M", "G", "T", "P", "E"]),
    }
}

pub fn duration(duration: Option<Duration>) -> String {
    let Some(duration) = duration else { return "-".to_owned() };
    if duration == Duration::MAX {
        return ">1ks".to_owned();
    }
    let seconds = duration.as_secs_f64();
    match seconds {
        0.0..0.000_999_5 => format!("{:.0}us", seconds * 1e6),
        0.000_999_5..0.009_95 => format!("{:.1}ms", seconds * 1e3),
        0.009_95..0.999_5 => format!("{:.0}ms", seconds * 1e3),
        0.999_5..9.95 => format!("{seconds:.1}s"),
        _ => format!("{seconds:.0}s"),
    }
}

fn scaled(mut value: f64, step: f64, units: [&str; 7]) -> String {
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = usize::from(value < 9.95);
    format!("{value:.digits$}{}", units.get(unit).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        for (given, text) in [(0, "0"), (9_999, "9999"), (10_000, "10k"), (1_500_000, "1.5M")] {
            assert_eq!(count(given), text);
        }
        for (given, text) in [
            (0, "-"),
            (512, "512B"),
            (1000, "1.0K"),
            (4 << 20, "4.0M"),
            (1000 << 20, "1.0G"),
            (u64::MAX, "16E"),
        ] {
            assert_eq!(bytes(given), text);
        }
        for (given, text) in
            [(0.04, "0.0"), (12.34, "12.3"), (99.96, "100"), (1234.4, "1234"), (12_345.0, "12k")]
        {
            assert_eq!(figure(Some(given)), text);
        }
        assert_eq!(figure(None), "-");
    }

    #[test]
    fn durations_have_a_unit_that_fits() {
        for (micros, text) in [
            (0, "0us"),
            (950, "950us"),
            (1_000, "1.0ms"),
            (3_140, "3.1ms"),
            (12_345, "12ms"),
            (999_499, "999ms"),
            (999_600, "1.0s"),
            (12_345_678, "12s"),
            (900_000_000, "900s"),
        ] {
            assert_eq!(duration(Some(Duration::from_micros(micros))), text);
        }
        assert_eq!(duration(None), "-");
        assert_eq!(duration(Some(Duration::MAX)), ">1ks");
    }
}

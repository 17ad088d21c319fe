//! What goes to the standard output: JSON for programs, text and tables for people.

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::failure::Failure;

#[derive(Debug)]
pub struct Output {
    pub json: bool,
}

impl Output {
    /// `data` as one JSON text, or what `people` makes of it.
    pub fn print<T: Serialize>(
        &self,
        data: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        match self.json {
            true => {
                let text = serde_json::to_string_pretty(data).map_err(io::Error::from);
                print(&text.map_err(Failure::Output)?)
            }
            false => print(&people(data)),
        }
    }
}

/// A line, or several.
pub fn print(text: &str) -> Result<(), Failure> {
    if text.is_empty() {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(Failure::Output)
}

/// Aligned columns without lines, so that `awk` can read them as well.
pub fn table<const N: usize>(heading: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(heading).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Milliseconds since 1970 as a date in UTC.
pub fn wall_clock(milliseconds: i64) -> String {
    let since = Duration::from_millis(milliseconds.try_into().unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

pub fn bytes(count: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match count {
        0 => "-".to_owned(),
        1..KIB => format!("{count} B"),
        KIB..MIB => format!("{} KiB", count / KIB),
        _ => format!("{}.{} MiB", count / MIB, count % MIB * 10 / MIB),
    }
}

/// Of CPU time.
pub fn seconds(microseconds: u64) -> String {
    let milliseconds = microseconds / 1000;
    format!("{}.{:03} s", milliseconds / 1000, milliseconds % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (count, text) in [
            (0, "-"),
            (512, "512 B"),
            (2048, "2 KiB"),
            (4 << 20, "4.0 MiB"),
            ((4 << 20) + (1 << 19), "4.5 MiB"),
            (u64::MAX, "17592186044415.9 MiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(wall_clock(1_800_000_000_000), "2027-01-15T08:00:00Z");
    }
}

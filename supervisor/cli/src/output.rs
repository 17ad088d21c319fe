//! What goes to the standard output: JSON for programs, text and tables for people.

use std::io::{self, Write};

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

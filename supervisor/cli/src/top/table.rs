//! Rows and columns, for a screen or a pipe.

use std::cmp::Ordering;

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    #[default]
    Plain,
    /// Not worth looking at.
    Faint,
    /// On its way.
    Passing,
    /// Something went wrong.
    Bad,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A column after the name.
#[derive(Debug)]
pub struct Column<R> {
    pub title: &'static str,
    /// Characters that it has in any case.
    pub width: usize,
    pub align: Align,
    /// Left out where the whole table is narrower.
    pub from: usize,
    pub text: fn(&R) -> String,
    pub tone: fn(&R) -> Tone,
    /// What comes first where rows are sorted by it.
    pub order: fn(&R, &R) -> Ordering,
}

pub trait Row: Sized + 'static {
    /// Of the names.
    const TITLE: &'static str;
    const COLUMNS: &'static [Column<Self>];
    fn name(&self) -> &str;
}

/// A piece of a line, as wide as its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub text: String,
    pub tone: Tone,
}

/// Names have what the other columns leave them, but so much in any case.
const NAME: usize = 12;

/// The heading, and a line for each row: as wide as the screen is, or as it takes. `note` stands beside the title of the
/// names.
pub fn lay_out<R: Row>(
    rows: &[&R],
    screen: Option<usize>,
    note: &str,
) -> (Vec<Cell>, Vec<Vec<Cell>>) {
    let columns =
        R::COLUMNS.iter().filter(|column| screen.is_none_or(|width| column.from <= width));
    let columns: Vec<(&Column<R>, Vec<String>)> = columns
        .map(|column| (column, rows.iter().map(|row| (column.text)(row)).collect()))
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .map(|(column, texts)| {
            let widest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
            widest.max(column.width).max(column.title.len())
        })
        .collect();
    let others: usize = widths.iter().map(|width| width + 1).sum();
    let name = match screen {
        Some(width) => width.saturating_sub(others),
        None => rows.iter().map(|row| row.name().chars().count()).max().unwrap_or(0),
    };
    let name = name.max(NAME);

    let plain = |text| Cell { text, tone: Tone::Plain };
    let mut heading = vec![plain(pad(&format!("{}{note}", R::TITLE), name, Align::Left))];
    heading.extend(columns.iter().zip(&widths).map(|((column, _), width)| {
        plain(format!(" {}", pad(column.title, *width, column.align)))
    }));
    let line = |(index, row): (usize, &&R)| {
        let mut line = vec![plain(pad(&shortened(row.name(), name), name, Align::Left))];
        line.extend(columns.iter().zip(&widths).map(|((column, texts), width)| {
            let text = texts.get(index).map_or("", String::as_str);
            Cell { text: format!(" {}", pad(text, *width, column.align)), tone: (column.tone)(row) }
        }));
        line
    };
    (heading, rows.iter().enumerate().map(line).collect())
}

fn pad(text: &str, width: usize, align: Align) -> String {
    match align {
        Align::Left => format!("{text:<width$}"),
        Align::Right => format!("{text:>width$}"),
    }
}

/// Names differ at their ends.
fn shortened(name: &str, width: usize) -> String {
    match name.chars().count().checked_sub(width) {
        None | Some(0) => name.to_owned(),
        Some(excess) => format!("~{}", name.chars().skip(excess + 1).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_its_end() {
        assert_eq!(shortened("com.example.Alarm", 17), "com.example.Alarm");
        assert_eq!(shortened("com.example.Alarm", 10), "~ple.Alarm");
    }
}

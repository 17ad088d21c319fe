//! What is drawn on, and in what a terminal can show.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use super::table::{Cell, Tone};

/// How the terminal may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    pub has_colours: bool,
    pub has_unicode: bool,
}

#[derive(Debug)]
pub struct Canvas<'b> {
    pub buffer: &'b mut Buffer,
    pub capabilities: Capabilities,
}

impl Canvas<'_> {
    pub fn width(&self) -> usize {
        self.buffer.area.width.into()
    }

    pub fn height(&self) -> usize {
        self.buffer.area.height.into()
    }

    /// As much of the text as there is room for. The result: the place after it.
    pub fn put(&mut self, x: usize, y: usize, text: &str, style: Style) -> usize {
        let room = self.width().saturating_sub(x);
        let (Ok(column), Ok(line)) = (u16::try_from(x), u16::try_from(y)) else { return x };
        if room == 0 || y >= self.height() {
            return x;
        }
        let text = self.printable(text);
        self.buffer.set_stringn(column, line, text, room, style).0.into()
    }

    pub fn cells(&mut self, y: usize, cells: &[Cell], style: Style) {
        let mut x = 0;
        for Cell { text, tone } in cells {
            x = self.put(x, y, text, style.patch(self.style(*tone)));
        }
    }

    pub fn style(&self, tone: Tone) -> Style {
        let colour = |colour| match self.capabilities.has_colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        };
        match tone {
            Tone::Plain => Style::new(),
            Tone::Faint => Style::new().add_modifier(Modifier::DIM),
            Tone::Passing => colour(Color::Yellow),
            Tone::Bad => colour(Color::Red).add_modifier(Modifier::BOLD),
        }
    }

    /// What components say may have anything in it.
    fn printable(&self, text: &str) -> String {
        let printable = |character: char| match character {
            '\t' => ' ',
            c if c.is_control() || (!c.is_ascii() && !self.capabilities.has_unicode) => '?',
            c => c,
        };
        text.chars().map(printable).collect()
    }

    /// For bars, the lowest first.
    pub fn levels(&self) -> &'static [char] {
        match self.capabilities.has_unicode {
            true => &[
                ' ', '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}',
                '\u{2587}', '\u{2588}',
            ],
            false => &['_', '.', '-', '=', '+', '*', '#'],
        }
    }
}

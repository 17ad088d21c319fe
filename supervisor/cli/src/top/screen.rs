//! The terminal, while it is drawn on.

use std::env;
use std::io::{self, Stdout, stdout};
use std::panic;

use crossterm::cursor::{MoveTo, Show};
use crossterm::execute;
use crossterm::terminal::{
    self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::canvas::Capabilities;
use super::paint::Painter;
use super::state::State;

/// What a serial line has that does not say.
const CONSOLE: Rect = Rect { x: 0, y: 0, width: 80, height: 24 };

/// Given back when dropped, and when the program panics.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    painter: Painter,
}

impl Screen {
    pub fn open() -> io::Result<Self> {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            restore();
            default(panic);
        }));
        enable_raw_mode()?;
        let open = || {
            execute!(stdout(), EnterAlternateScreen, Clear(ClearType::All))?;
            let viewport = match terminal::size()? {
                (0, _) | (_, 0) => Viewport::Fixed(CONSOLE),
                _ => Viewport::Fullscreen,
            };
            let backend = CrosstermBackend::new(stdout());
            Terminal::with_options(backend, TerminalOptions { viewport })
        };
        match open() {
            Ok(terminal) => {
                Ok(Self { terminal, painter: Painter::new(Capabilities::of_terminal()) })
            }
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    pub fn draw(&mut self, state: &mut State) -> io::Result<()> {
        let painter = &mut self.painter;
        let mut page = 0;
        self.terminal.draw(|frame| page = painter.draw(frame.buffer_mut(), state))?;
        state.page = page.max(1);
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Best effort: nothing is left to be told to. Terminals without a second screen are left empty.
fn restore() {
    let _ = execute!(stdout(), Clear(ClearType::All), MoveTo(0, 0), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

impl Capabilities {
    /// From the environment: `TERM`, the locale, and `NO_COLOR` (no-color.org).
    fn of_terminal() -> Self {
        Self::of(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let term = variable("TERM").unwrap_or_default();
        let is_simple = term == "linux" || term.starts_with("vt");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(&variable);
        let locale = locale.unwrap_or_default().to_lowercase();
        Self {
            has_colours: variable("NO_COLOR").is_none() && !term.starts_with("vt"),
            has_unicode: !is_simple && (locale.contains("utf-8") || locale.contains("utf8")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_what_it_can_show() {
        for (variables, has_colours, has_unicode) in [
            (&[("TERM", "xterm-256color"), ("LANG", "en_GB.UTF-8")][..], true, true),
            (&[("TERM", "xterm"), ("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")], true, false),
            (&[("TERM", "xterm"), ("LC_CTYPE", "C.utf8"), ("NO_COLOR", "1")], false, true),
            (&[("TERM", "linux"), ("LANG", "en_GB.UTF-8")], true, false),
            (&[("TERM", "vt220"), ("LANG", "en_GB.UTF-8")], false, false),
            (&[], true, false),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(
                Capabilities::of(variable),
                Capabilities { has_colours, has_unicode },
                "{variables:?}"
            );
        }
    }
}

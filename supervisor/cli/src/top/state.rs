//! What is on the screen, and how keys and news change it: no clock, no input or output.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::details::Details;
use super::figures::{ComponentFigures, Figures, FunctionFigures};
use super::list::List;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    Components,
    Functions,
}

#[derive(Debug)]
pub struct State {
    pub components: List<ComponentFigures>,
    pub functions: List<FunctionFigures>,
    pub pane: Pane,
    /// Part of a name, in any case.
    pub filter: String,
    /// Keys go to the filter.
    pub is_typing: bool,
    pub has_details: bool,
    /// The last that came; of another one than the selected, perhaps.
    pub details: Option<Details>,
    /// Why the figures are old, or not there.
    pub away: Option<String>,
    /// Rows that a page has: as last drawn.
    pub page: usize,
}

/// What comes from outside.
#[derive(Debug)]
pub enum Event {
    Key(KeyEvent),
    Figures(Figures),
    Details(Details),
    /// The daemon does not answer.
    Away(String),
}

/// What is to be done outside.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    Quit,
    /// Details are wanted of this component, or of none.
    Follow(Option<String>),
}

impl State {
    pub fn new() -> Self {
        Self {
            components: List::new("CPU%"),
            functions: List::new("INV/S"),
            pane: Pane::Components,
            filter: String::new(),
            is_typing: false,
            has_details: false,
            details: None,
            away: None,
            page: 10,
        }
    }

    pub fn step(&mut self, event: Event) -> Option<Action> {
        let before = self.followed();
        match event {
            Event::Key(key) if key.kind == KeyEventKind::Release => {}
            Event::Key(key) => {
                if self.press(key) {
                    return Some(Action::Quit);
                }
            }
            Event::Figures(Figures { components, functions }) => {
                self.away = None;
                (self.components.rows, self.functions.rows) = (components, functions);
            }
            Event::Details(details) => self.details = Some(details),
            Event::Away(why) => self.away = Some(why),
        }
        let now = self.followed();
        (now != before).then_some(Action::Follow(now))
    }

    /// How many components and functions the filter lets through.
    pub fn visible(&self) -> [usize; 2] {
        let Self { components, functions, filter, .. } = self;
        [components.visible(filter).len(), functions.visible(filter).len()]
    }

    /// The details, where they are wanted and of the selected one.
    pub fn shown_details(&self) -> Option<&Details> {
        let followed = self.followed()?;
        self.details.as_ref().filter(|details| details.name == followed)
    }

    fn followed(&self) -> Option<String> {
        let component = || Some(self.components.selected(&self.filter)?.properties.name.clone());
        let function = || Some(self.functions.selected(&self.filter)?.properties.name.clone());
        match (self.has_details, self.pane) {
            (false, _) => None,
            (true, Pane::Components) => component(),
            (true, Pane::Functions) => function(),
        }
    }

    /// Whether that was the end.
    fn press(&mut self, key: KeyEvent) -> bool {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if is_control => return true,
            code if self.is_typing => self.type_filter(code),
            KeyCode::Char('q') => return true,
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Tab | KeyCode::BackTab => self.turn(),
            KeyCode::Up | KeyCode::Char('k') => self.move_by(-1),
            KeyCode::Down | KeyCode::Char('j') => self.move_by(1),
            KeyCode::PageUp => self.move_by(-self.page.cast_signed()),
            KeyCode::PageDown | KeyCode::Char(' ') => self.move_by(self.page.cast_signed()),
            KeyCode::Home | KeyCode::Char('g') => self.move_by(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.move_by(isize::MAX),
            KeyCode::Left | KeyCode::Char('<') => self.sort_by_next(false),
            KeyCode::Right | KeyCode::Char('>') => self.sort_by_next(true),
            KeyCode::Char('r') => self.reverse(),
            KeyCode::Enter => self.has_details = !self.has_details,
            KeyCode::Esc if self.has_details => self.has_details = false,
            KeyCode::Esc => self.filter.clear(),
            _ => {}
        }
        false
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char(character) => self.filter.push(character),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.is_typing = false;
                self.filter.clear();
            }
            _ => {}
        }
    }

    fn turn(&mut self) {
        self.pane = match self.pane {
            Pane::Components => Pane::Functions,
            Pane::Functions => Pane::Components,
        };
    }

    fn move_by(&mut self, places: isize) {
        match self.pane {
            Pane::Components => self.components.move_by(places, &self.filter),
            Pane::Functions => self.functions.move_by(places, &self.filter),
        }
    }

    fn sort_by_next(&mut self, forwards: bool) {
        match self.pane {
            Pane::Components => self.components.sort_by_next(forwards),
            Pane::Functions => self.functions.sort_by_next(forwards),
        }
    }

    fn reverse(&mut self) {
        match self.pane {
            Pane::Components => self.components.reverse(),
            Pane::Functions => self.functions.reverse(),
        }
    }
}

#[cfg(test)]
#[path = "state/tests.rs"]
mod tests;

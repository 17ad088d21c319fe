//! The screen, drawn from the state.

use hedgerow_api::{ComponentState, FunctionHealth};
use ratatui::buffer::Buffer;
use ratatui::style::{Modifier, Style};

use super::canvas::{Canvas, Capabilities};
use super::details::{self, Fact};
use super::list::List;
use super::state::{Pane, State};
use super::table::{Row, Tone, lay_out};
use crate::units;

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const HEADING: Style = Style::new().add_modifier(Modifier::UNDERLINED);
const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Characters of the titles in the details, a space included.
const TITLE: usize = 11;

/// Lines that one fact may take.
const LONGEST: usize = 4;

#[derive(Debug)]
pub struct Painter {
    capabilities: Capabilities,
    /// Rows above the first that is shown, of components and of functions.
    above: [usize; 2],
}

/// Where a table is.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Of the heading.
    y: usize,
    rows: usize,
    /// It has the keys.
    is_focused: bool,
}

impl Painter {
    pub fn new(capabilities: Capabilities) -> Self {
        Self { capabilities, above: [0, 0] }
    }

    /// The result: rows of the table that has the keys, its page.
    pub fn draw(&mut self, buffer: &mut Buffer, state: &State) -> usize {
        let canvas = &mut Canvas { buffer, capabilities: self.capabilities };
        head(canvas, state);
        let page = match state.has_details {
            true => self.details(canvas, state),
            false => self.tables(canvas, state),
        };
        foot(canvas, state);
        page
    }

    fn tables(&mut self, canvas: &mut Canvas<'_>, state: &State) -> usize {
        let [components, functions] = state.visible();
        // Of the head and the foot, two headings and a line between the tables; or of one table.
        let has_functions = !state.functions.rows.is_empty();
        let room = canvas.height().saturating_sub(if has_functions { 5 } else { 3 });
        let (components, functions) = share(room, components, functions);
        let is_focused = state.pane == Pane::Components;
        let place = Place { y: 1, rows: components, is_focused };
        table(canvas, place, &state.components, &state.filter, &mut self.above[0]);
        if has_functions || !is_focused {
            let place = Place { y: components + 3, rows: functions, is_focused: !is_focused };
            table(canvas, place, &state.functions, &state.filter, &mut self.above[1]);
        }
        if is_focused { components } else { functions }
    }

    /// One of the tables, and what is to be said of the selected one.
    fn details(&mut self, canvas: &mut Canvas<'_>, state: &State) -> usize {
        let [components, functions] = state.visible();
        let most = canvas.height() / 3;
        let place = |rows: usize| Place { y: 1, rows: rows.min(most), is_focused: true };
        let asked = state.shown_details();
        let (rows, facts) = match state.pane {
            Pane::Components => {
                let place = place(components);
                table(canvas, place, &state.components, &state.filter, &mut self.above[0]);
                let selected = state.components.selected(&state.filter);
                let facts = |row| details::of_component(row, asked, canvas.levels());
                (place.rows, selected.map(|row| (row.name(), facts(row))))
            }
            Pane::Functions => {
                let place = place(functions);
                table(canvas, place, &state.functions, &state.filter, &mut self.above[1]);
                let selected = state.functions.selected(&state.filter);
                let facts = |row| details::of_function(row, canvas.levels());
                (place.rows, selected.map(|row| (row.name(), facts(row))))
            }
        };
        if let Some((name, facts)) = facts {
            canvas.put(0, rows + 3, name, BOLD);
            let y = facts.iter().fold(rows + 4, |y, fact| put_fact(canvas, y, fact));
            put_log(canvas, y, asked.map_or(&[], |details| &details.log));
        }
        rows
    }
}

fn head(canvas: &mut Canvas<'_>, state: &State) {
    match &state.away {
        Some(why) => canvas.put(0, 0, why, canvas.style(Tone::Bad)),
        None => canvas.put(0, 0, &summary(state), BOLD),
    };
}

fn foot(canvas: &mut Canvas<'_>, state: &State) {
    let order = match state.pane {
        Pane::Components => state.components.order(),
        Pane::Functions => state.functions.order(),
    };
    let filter = &state.filter;
    let text = match (state.is_typing, filter.is_empty()) {
        (true, _) => format!("names with: {filter}_   Enter: done  Esc: all"),
        (false, true) => {
            format!("q quit  Tab other table  <> sort: {order}  r reverse  / filter  Enter details")
        }
        (false, false) => {
            format!("names with: {filter}   Esc: all  / change  <> sort: {order}  Enter details")
        }
    };
    let y = canvas.height().saturating_sub(1);
    let blank = " ".repeat(canvas.width());
    canvas.put(0, y, &blank, Style::new());
    canvas.put(0, y, &text, canvas.style(Tone::Faint));
}

fn table<R: Row>(
    canvas: &mut Canvas<'_>,
    place: Place,
    list: &List<R>,
    filter: &str,
    above: &mut usize,
) {
    let Place { y, rows, is_focused } = place;
    let visible = list.visible(filter);
    let (selected, most) = (list.place(&visible), visible.len().saturating_sub(rows));
    // No further than it takes to have the selected one among them, nor than there are rows.
    *above = (*above).max((selected + 1).saturating_sub(rows)).min(selected).min(most);
    let note = match rows > 0 && most > 0 {
        true => format!(" {}-{}/{}", *above + 1, *above + rows, visible.len()),
        false => String::new(),
    };
    let shown: Vec<_> = visible.into_iter().skip(*above).take(rows).collect();
    let (heading, lines) = lay_out(&shown, Some(canvas.width()), &note);
    let style = if is_focused { HEADING.add_modifier(Modifier::BOLD) } else { HEADING };
    canvas.cells(y, &heading, style);
    for (index, cells) in lines.iter().enumerate() {
        let is_selected = is_focused && *above + index == selected;
        canvas.cells(y + 1 + index, cells, if is_selected { SELECTED } else { Style::new() });
    }
}

/// The result: the line after it.
fn put_fact(canvas: &mut Canvas<'_>, y: usize, fact: &Fact) -> usize {
    canvas.put(0, y, fact.title, canvas.style(Tone::Faint));
    let characters: Vec<char> = fact.text.chars().collect();
    let parts = characters.chunks(canvas.width().saturating_sub(TITLE).max(1));
    let parts: Vec<String> = parts.take(LONGEST).map(|part| part.iter().collect()).collect();
    for (index, part) in parts.iter().enumerate() {
        canvas.put(TITLE, y + index, part, canvas.style(fact.tone));
    }
    y + parts.len().max(1)
}

/// As many of the last lines as there is room for.
fn put_log(canvas: &mut Canvas<'_>, y: usize, log: &[String]) {
    let room = canvas.height().saturating_sub(y + 2);
    if room == 0 || log.is_empty() {
        return;
    }
    canvas.put(0, y, "its log", canvas.style(Tone::Faint));
    for (index, text) in log.iter().skip(log.len().saturating_sub(room)).enumerate() {
        canvas.put(0, y + 1 + index, without_date(text), Style::new());
    }
}

/// What was said today, mostly: the time is enough of `2026-11-23T08:00:00.000Z`.
fn without_date(line: &str) -> &str {
    match line.split_once('T') {
        Some((date, rest)) if date.len() == 10 && rest.contains('Z') => rest,
        _ => line,
    }
}

/// Of the lines that there is room for: each table has as many as it needs, and half where both need more.
fn share(room: usize, first: usize, second: usize) -> (usize, usize) {
    let half = room / 2;
    match (first <= half, second <= half) {
        _ if first + second <= room => (first, second),
        (true, _) => (first, room - first),
        (_, true) => (room - second, second),
        (false, false) => (room - half, half),
    }
}

pub fn summary(state: &State) -> String {
    let (components, functions) = (&state.components.rows, &state.functions.rows);
    let of = |is: &dyn Fn(ComponentState) -> bool| {
        components.iter().filter(|row| is(row.properties.state)).count()
    };
    let running = of(&|state| state == ComponentState::Running);
    let failed = of(&|state| matches!(state, ComponentState::Errored | ComponentState::Broken));
    let failing = functions.iter().filter(|row| row.properties.health == FunctionHealth::Failing);
    let memory = components.iter().map(|row| row.properties.memory).sum();
    let cpu = components.iter().filter_map(|row| row.cpu_percent).sum();
    let mut parts = vec![
        format!("CPU {}%", units::figure(Some(cpu))),
        format!("MEM {}", units::bytes(memory)),
        counted(components.len(), "component", &[(running, "running"), (failed, "failed")]),
    ];
    if !functions.is_empty() {
        parts.push(counted(functions.len(), "function", &[(failing.count(), "failing")]));
    }
    parts.join("   ")
}

/// With what they are, where some are.
fn counted(count: usize, what: &str, kinds: &[(usize, &str)]) -> String {
    let plural = if count == 1 { "" } else { "s" };
    let kinds = kinds.iter().filter(|(count, _)| *count > 0);
    let kinds: Vec<_> = kinds.map(|(count, kind)| format!("{count} {kind}")).collect();
    let colon = if kinds.is_empty() { "" } else { ": " };
    format!("{count} {what}{plural}{colon}{}", kinds.join(", "))
}

#[cfg(test)]
#[path = "paint/tests.rs"]
mod tests;

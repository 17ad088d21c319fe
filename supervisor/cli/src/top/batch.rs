//! The tables one after another, for what is no terminal.

use std::time::Duration;

use tokio::time::sleep;

use super::figures::{Figures, History};
use super::paint::summary;
use super::source;
use super::state::{Event, State};
use super::table::{Cell, Row, lay_out};
use crate::failure::Failure;
use crate::output::{Output, print};
use crate::session::Session;

/// With JSON, a line each time. Figures of a period need two looks: the first is not printed.
pub async fn run(
    mut session: Session,
    output: &Output,
    period: Duration,
    is_once: bool,
) -> Result<(), Failure> {
    let mut history = History::default();
    history.add(source::look(&mut session).await?);
    loop {
        sleep(period).await;
        match source::look(&mut session).await {
            Ok(look) => show(output, history.add(look))?,
            Err(failure) if is_once => return Err(failure),
            Err(failure) => eprintln!("hedgerow: {failure}"),
        }
        if is_once {
            return Ok(());
        }
    }
}

fn show(output: &Output, figures: Figures) -> Result<(), Failure> {
    if output.json {
        let text = serde_json::to_string(&figures).map_err(std::io::Error::from);
        return print(&text.map_err(Failure::Output)?);
    }
    let mut state = State::new();
    state.step(Event::Figures(figures));
    let mut lines = vec![summary(&state)];
    lines.extend(table(&state.components.visible("")));
    if !state.functions.rows.is_empty() {
        lines.extend(table(&state.functions.visible("")));
    }
    lines.push(String::new());
    print(&lines.join("\n"))
}

fn table<R: Row>(rows: &[&R]) -> Vec<String> {
    let (heading, lines) = lay_out(rows, None, "");
    let line = |cells: &Vec<Cell>| {
        let text: String = cells.iter().map(|cell| cell.text.as_str()).collect();
        text.trim_end().to_owned()
    };
    [heading].iter().chain(&lines).map(line).collect()
}

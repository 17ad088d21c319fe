use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::super::details::Details;
use super::super::fixture::figures;
use super::super::state::Event;
use super::*;

const ASCII: Capabilities = Capabilities { has_colours: false, has_unicode: false };

fn state(keys: &[KeyCode]) -> State {
    let mut state = State::new();
    state.step(Event::Figures(figures()));
    for code in keys {
        state.step(Event::Key(KeyEvent::new(*code, KeyModifiers::NONE)));
    }
    state
}

fn drawn(
    width: u16,
    height: u16,
    capabilities: Capabilities,
    state: &State,
) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| {
            Painter::new(capabilities).draw(frame.buffer_mut(), state);
        })
        .unwrap();
    terminal
}

fn lines(terminal: &Terminal<TestBackend>) -> Vec<String> {
    let buffer = terminal.backend().buffer();
    let line = |y| {
        let cells = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..buffer.area.height).map(line).collect()
}

#[test]
fn both_tables_fit_an_ordinary_terminal() {
    assert_eq!(
        lines(&drawn(80, 10, ASCII, &state(&[]))),
        [
            "CPU 25.0%   MEM 312M   3 components: 2 running, 1 failed   1 function",
            "COMPONENT                             STATE      CPU%   MEM TASKS RESTARTS   FOR",
            "~mple.industrial.gateway.ModbusReader RUNNING    25.0   12M     3        0    5m",
            "com.example.Classify                  RUNNING     0.0  300M     3        0    5m",
            "com.example.Broken                    BROKEN        -     -     0        3    5m",
            "",
            "FUNCTION            HEALTH   INV/S  ERR  THR COLD   P50   P99 QUEUE  AGE S/B/I/F",
            "~m.example.Classify READY      100    4    0    3 3.5ms  18ms    12  90s 0/1/0/2",
            "",
            "q quit  Tab other table  <> sort: CPU%  r reverse  / filter  Enter details",
        ]
    );
}

#[test]
fn a_wide_terminal_has_more_columns() {
    let lines = lines(&drawn(110, 10, ASCII, &state(&[])));
    assert!(lines[1].contains("VERSION") && lines[2].contains(" 1.0.0 "), "{lines:#?}");
    assert!(lines[6].contains("CPU%   MEM INV/S INVOC"), "{lines:#?}");
    assert!(lines[7].contains("0.0  300M   100   200"), "{lines:#?}");
    assert!(lines[7].starts_with("com.example.Classify "), "{lines:#?}");
}

#[test]
fn what_there_is_no_room_for_is_scrolled_to() {
    let shown = lines(&drawn(80, 7, ASCII, &state(&[])));
    assert!(shown[1].starts_with("COMPONENT 1-1/3 ") && shown[2].contains("ModbusReader"));
    let shown = lines(&drawn(80, 7, ASCII, &state(&[KeyCode::End])));
    assert!(shown[1].starts_with("COMPONENT 3-3/3 ") && shown[2].contains("Broken"), "{shown:#?}");
    for (width, height) in [(80, 1), (80, 3), (5, 24), (1, 1)] {
        drawn(width, height, ASCII, &state(&[]));
        drawn(width, height, ASCII, &state(&[KeyCode::Enter]));
    }
}

#[test]
fn details_say_what_went_wrong_in_what_the_terminal_can_show() {
    let mut state = state(&[KeyCode::End, KeyCode::Enter]);
    let log =
        ["one".to_owned(), "two\t\u{e9}".to_owned(), "2026-11-23T08:00:00.000Z three".to_owned()];
    let name = "com.example.Broken".to_owned();
    let limits = Some("memory 64.0 MiB".to_owned());
    state.step(Event::Details(Details { name, limits, log: log.to_vec() }));
    assert_eq!(
        lines(&drawn(80, 17, ASCII, &state))[6..],
        [
            "com.example.Broken",
            "version    1.0.0",
            "state      BROKEN for 5m",
            "restarts   3",
            "limits     memory 64.0 MiB",
            "error      step run: exited with status 1 ? ?[31mno such file",
            "codes      RUN_ERROR",
            "its log",
            "two ?",
            "08:00:00.000Z three",
            "q quit  Tab other table  <> sort: CPU%  r reverse  / filter  Enter details",
        ]
    );
    let unicode = Capabilities { has_unicode: true, ..ASCII };
    let shown = lines(&drawn(80, 17, unicode, &state));
    assert!(
        shown[11].contains("status 1 \u{2014} ?[31m") && shown[14] == "two \u{e9}",
        "{shown:#?}"
    );
}

#[test]
fn details_of_a_function_are_its_figures() {
    let shown = lines(&drawn(80, 20, ASCII, &state(&[KeyCode::Tab, KeyCode::Enter])));
    for line in [
        "code       python3.11 app.handler",
        "limits     3s and 128.0 MiB each, 10 instances",
        "instances  1 busy, 2 frozen of 10",
        "uses       0.0% CPU, 300M memory",
        "calls/s    # at most 100",
        "durations  4.0ms on average, p50 3.5ms, p90 4.8ms, p99 18ms",
    ] {
        assert!(shown.iter().any(|shown| shown == line), "{line}: {shown:#?}");
    }
}

#[test]
fn colours_are_for_what_is_worth_looking_at() {
    let colourful = Capabilities { has_colours: true, ..ASCII };
    let terminal = drawn(80, 10, colourful, &state(&[]));
    let buffer = terminal.backend().buffer();
    let coloured: String = (0..10)
        .flat_map(|y| (0..80).map(move |x| &buffer[(x, y)]))
        .filter(|cell| cell.fg != Color::Reset)
        .map(|cell| cell.symbol().to_owned())
        .collect();
    assert_eq!(coloured.split_whitespace().collect::<Vec<_>>(), ["BROKEN", "4"]);
    let plain = drawn(80, 10, ASCII, &state(&[]));
    assert!(plain.backend().buffer().content.iter().all(|cell| cell.fg == Color::Reset));
}

#[test]
fn a_daemon_that_is_away_is_said() {
    let mut state = state(&[]);
    state.step(Event::Away("no daemon answers".to_owned()));
    let shown = lines(&drawn(80, 10, ASCII, &state));
    assert!(shown[0] == "no daemon answers" && shown[3].contains("Classify"), "{shown:#?}");
}

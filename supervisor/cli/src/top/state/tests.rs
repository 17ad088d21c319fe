use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::fixture::figures;
use super::*;

const BROKEN: &str = "com.example.Broken";
const CLASSIFY: &str = "com.example.Classify";
const READER: &str = "com.example.industrial.gateway.ModbusReader";

fn state() -> State {
    let mut state = State::new();
    assert_eq!(state.step(Event::Figures(figures())), None);
    state
}

fn press(state: &mut State, code: KeyCode) -> Option<Action> {
    state.step(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn names(state: &State) -> Vec<&str> {
    state.components.visible(&state.filter).iter().map(|row| row.properties.name.as_str()).collect()
}

#[test]
fn rows_are_sorted_by_the_column_that_is_chosen() {
    let mut state = state();
    assert_eq!(names(&state), [READER, CLASSIFY, BROKEN], "by CPU; one without a fence has none");
    press(&mut state, KeyCode::Right);
    assert_eq!(state.components.order(), "MEM");
    assert_eq!(names(&state), [CLASSIFY, READER, BROKEN]);
    press(&mut state, KeyCode::Char('r'));
    assert_eq!(names(&state), [BROKEN, READER, CLASSIFY]);
    for _ in 0..4 {
        press(&mut state, KeyCode::Left);
    }
    assert_eq!(state.components.order(), "NAME");
    assert_eq!(names(&state), [BROKEN, CLASSIFY, READER]);
    press(&mut state, KeyCode::Left);
    assert_eq!(state.components.order(), "FOR");
}

#[test]
fn what_is_selected_stays_selected_where_it_moves() {
    let mut state = state();
    let selected = |state: &State| {
        state.components.selected(&state.filter).map(|row| row.properties.name.clone())
    };
    assert_eq!(selected(&state).as_deref(), Some(READER));
    press(&mut state, KeyCode::Down);
    assert_eq!(selected(&state).as_deref(), Some(CLASSIFY));
    press(&mut state, KeyCode::Right);
    assert_eq!(selected(&state).as_deref(), Some(CLASSIFY));
    press(&mut state, KeyCode::End);
    press(&mut state, KeyCode::PageDown);
    assert_eq!(selected(&state).as_deref(), Some(BROKEN));
    press(&mut state, KeyCode::Home);
    assert_eq!(selected(&state).as_deref(), Some(CLASSIFY));
}

#[test]
fn a_filter_is_typed_kept_and_given_up() {
    let mut state = state();
    for key in ['/', 'q', 'B', 'R'] {
        assert_eq!(press(&mut state, KeyCode::Char(key)), None, "q is a letter here");
    }
    assert_eq!(names(&state), [""; 0]);
    assert!(state.components.selected(&state.filter).is_none());
    for code in [KeyCode::Home, KeyCode::Backspace, KeyCode::Backspace, KeyCode::Backspace] {
        press(&mut state, code);
    }
    for code in [KeyCode::Char('B'), KeyCode::Char('r'), KeyCode::Char('o'), KeyCode::Enter] {
        press(&mut state, code);
    }
    assert_eq!(names(&state), [BROKEN]);
    press(&mut state, KeyCode::Esc);
    assert_eq!(names(&state).len(), 3);
}

#[test]
fn details_follow_what_is_selected() {
    let mut state = state();
    let follow = |name: &str| Some(Action::Follow(Some(name.to_owned())));
    assert_eq!(press(&mut state, KeyCode::Enter), follow(READER));
    assert_eq!(press(&mut state, KeyCode::Down), follow(CLASSIFY));
    let details = |name: &str| Details { name: name.to_owned(), limits: None, log: vec![] };
    state.step(Event::Details(details(READER)));
    assert_eq!(state.shown_details(), None, "they are of another one");
    state.step(Event::Details(details(CLASSIFY)));
    assert_eq!(state.shown_details(), Some(&details(CLASSIFY)));
    assert_eq!(press(&mut state, KeyCode::Tab), None, "the function of that name");
    assert_eq!(press(&mut state, KeyCode::Esc), Some(Action::Follow(None)));
}

#[test]
fn it_ends_when_told_to() {
    let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
    assert_eq!(press(&mut state(), KeyCode::Char('q')), Some(Action::Quit));
    assert_eq!(state().step(Event::Key(control('c'))), Some(Action::Quit));
    let mut state = state();
    press(&mut state, KeyCode::Char('/'));
    assert_eq!(state.step(Event::Key(control('c'))), Some(Action::Quit), "while typing as well");
}

#[test]
fn a_daemon_that_is_away_leaves_the_figures() {
    let mut state = state();
    state.step(Event::Away("gone".to_owned()));
    assert_eq!((state.away.as_deref(), names(&state).len()), (Some("gone"), 3));
    state.step(Event::Figures(figures()));
    assert_eq!(state.away, None);
}

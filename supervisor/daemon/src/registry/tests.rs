use super::*;

fn component(name: &str, state: State, tried: bool, needs: &[&str]) -> Status {
    Status {
        name: name.into(),
        version: "1.0.0".into(),
        digest: String::new(),
        goal: Goal::Run,
        state,
        changed: Moment::now(),
        paused: false,
        next_retry: None,
        pid: None,
        restarts: 0,
        begun: 0,
        tried,
        fault: None,
        fence: None,
        hard_dependencies: needs.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn registry(components: Vec<Status>) -> Arc<Registry> {
    let registry = Arc::new(Registry::default());
    for status in components {
        registry.insert(status, mpsc::channel(1).0);
    }
    registry
}

fn has_had_its_turn(registry: &Registry, name: &str) -> bool {
    registry.have_had_their_turn(&[name.to_owned()])
}

#[test]
fn a_turn_ends_with_the_first_attempt_or_when_none_is_to_be_expected() {
    let registry = registry(vec![
        component("starting", State::Startup, false, &[]),
        component("up", State::Running, true, &[]),
        component("failed", State::Opening(crate::lifecycle::Purpose::Start), true, &[]),
        component("waits", State::Installed, false, &["starting"]),
        component("held-up", State::Installed, false, &["failed"]),
        Status { goal: Goal::Stop, ..component("stopped", State::Finished, false, &[]) },
        component("round", State::Installed, false, &["about"]),
        component("about", State::Installed, false, &["round"]),
    ]);
    for (name, expected) in [
        ("starting", false),
        ("up", true),
        ("failed", true),
        ("waits", false),
        ("held-up", true),
        ("stopped", true),
        ("not there", true),
    ] {
        assert_eq!(has_had_its_turn(&registry, name), expected, "{name}");
    }
    // Dependencies in a circle are refused, but if there were some, nobody would wait for them for ever.
    assert!(has_had_its_turn(&registry, "round"));
}

/// Each of two needs both of the next two: there are more ways down than anybody could walk.
#[test]
fn many_ways_to_a_component_are_walked_once() {
    let mut ladder = vec![
        component("a60", State::Startup, false, &[]),
        component("b60", State::Startup, false, &[]),
    ];
    for rung in 0..60 {
        let next = [format!("a{}", rung + 1), format!("b{}", rung + 1)];
        let next = next.each_ref().map(String::as_str);
        for side in ["a", "b"] {
            let name = format!("{side}{rung}");
            ladder.push(component(&name, State::Installed, false, &next));
        }
    }
    assert!(!has_had_its_turn(&registry(ladder), "a0"));
}

#[test]
fn one_is_awaited_for_as_long_as_anybody_waits() {
    let registry = registry(vec![]);
    let one = registry.awaiting(["a".to_owned()]);
    let other = registry.awaiting(["a".to_owned(), "b".to_owned()]);
    drop(one);
    assert!(registry.is_awaited("a") && registry.is_awaited("b"));
    drop(other);
    assert!(!registry.is_awaited("a") && !registry.is_awaited("b"));
}

#[test]
fn a_request_is_overtaken_by_one_for_something_else() {
    let registry = registry(vec![component("a", State::Running, true, &[])]);
    let stop = registry.request("a", Goal::Stop);
    assert!(!registry.is_overtaken("a", stop, Goal::Stop));
    registry.request("a", Goal::Stop);
    assert!(!registry.is_overtaken("a", stop, Goal::Stop), "it wants the same");
    let start = registry.request("a", Goal::Run);
    assert!(registry.is_overtaken("a", stop, Goal::Stop));
    assert!(!registry.is_overtaken("a", start, Goal::Run));
}

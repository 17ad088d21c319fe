//! What goes wrong with components and functions.

use std::fmt;

use hedgerow_api::{ComponentProperties, FunctionHealth, FunctionProperties};
use serde::Serialize;

use crate::clock::Clock;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub component: String,
    /// What it is, and what to do about it.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.component, self.text)
    }
}

/// Of the component that is named, or of all.
pub fn problems(
    components: &[ComponentProperties],
    functions: &[FunctionProperties],
    name: Option<&str>,
) -> Vec<Problem> {
    let clock = Clock::now();
    let mut problems = Vec::new();
    for component in components.iter().filter(|one| name.is_none_or(|name| one.name == name)) {
        let function = functions.iter().find(|function| function.name == component.name);
        let texts = of_component(component, function, &clock)
            .into_iter()
            .chain(function.into_iter().flat_map(of_function));
        let component = &component.name;
        problems.extend(texts.map(|text| Problem { component: component.clone(), text }));
    }
    problems
}

/// That it does not run, or that its instances do not come up.
fn of_component(
    component: &ComponentProperties,
    function: Option<&FunctionProperties>,
    clock: &Clock,
) -> Option<String> {
    let ComponentProperties { name, state, last_error, next_retry, .. } = component;
    let failing = function.filter(|function| function.health == FunctionHealth::Failing);
    let (state, error, retry) = match failing {
        Some(failing) => (failing.health.as_str(), &failing.last_error, &failing.next_retry),
        None => (state.as_str(), last_error, next_retry),
    };
    if error.is_empty() {
        return None;
    }
    let retry = match clock.until(retry) {
        Some(wait) => format!("it is tried again in {wait}, or now by `hedgerow reset {name}`"),
        None => format!("`hedgerow logs {name}` may tell more"),
    };
    Some(format!("{state}: {error}; {retry}"))
}

/// What became of events and invocations since the daemon started.
fn of_function(function: &FunctionProperties) -> Vec<String> {
    let FunctionProperties {
        name,
        invocations,
        errors,
        timeouts,
        throttles,
        dead_lettered,
        queue_depth,
        max_instances,
        timeout,
        ..
    } = function;
    let seconds = timeout / 1000;
    [
        (*errors, format!("{errors} of {invocations} invocations failed: see `hedgerow logs {name}`")),
        (*timeouts, format!("{timeouts} invocations took longer than timeoutInSeconds {seconds}")),
        (
            *throttles,
            format!(
                "{throttles} invocations were refused: more at once than maxInstancesCount {max_instances} and \
                 its line hold, or more events than maxQueueSize"
            ),
        ),
        (
            *dead_lettered,
            format!(
                "{dead_lettered} events were given up: `hedgerow logs {name}` says why of each, and \
                 hedgerow.deadLetterTopic of its configuration gets them where it is set"
            ),
        ),
        (
            if function.health == FunctionHealth::Stopped { *queue_depth } else { 0 },
            format!("{queue_depth} events wait for `hedgerow start {name}`"),
        ),
    ]
    .into_iter()
    .filter_map(|(count, text)| (count > 0).then_some(text))
    .collect()
}

#[cfg(test)]
mod tests {
    use hedgerow_api::ComponentState;

    use super::*;
    use crate::top::fixture::{component, function};

    #[test]
    fn what_goes_wrong_is_said_with_what_to_do() {
        let fine = component("a", ComponentState::Running);
        let mut broken = component("b", ComponentState::Broken);
        broken.last_error = "step run: exit status 1".to_owned();
        let mut failing = function("f");
        failing.health = FunctionHealth::Failing;
        failing.last_error = "no python3.12 here: deploy io.hedgerow.runtime.python3.12".to_owned();
        (failing.invocations, failing.errors, failing.timeouts) = (10, 3, 1);
        (failing.throttles, failing.dead_lettered) = (2, 4);
        let of_function = component("f", ComponentState::Errored);
        let (components, functions) = ([fine, broken, of_function], [failing]);
        let texts = |name: Option<&str>| -> Vec<String> {
            problems(&components, &functions, name).iter().map(ToString::to_string).collect()
        };
        let all = texts(None);
        let begins = [
            "b: BROKEN: step run: exit status 1; `hedgerow logs b`",
            "f: FAILING: no python3.12 here: deploy io.hedgerow.runtime.python3.12; ",
            "f: 3 of 10 invocations failed: ",
            "f: 1 invocations took longer than timeoutInSeconds 3",
            "f: 2 invocations were refused: ",
            "f: 4 events were given up: ",
        ];
        assert_eq!(all.len(), begins.len(), "{all:#?}");
        for (text, begin) in all.iter().zip(begins) {
            assert!(text.starts_with(begin), "{text}");
        }
        assert_eq!(texts(Some("a")), [""; 0]);
        assert_eq!(texts(Some("f")), all[1..]);
    }
}

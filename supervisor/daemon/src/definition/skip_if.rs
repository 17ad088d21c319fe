//! `Skipif`: finding out inside the fence whether a step counts as absent (inventory 1.5).

use hedgerow_component::recipe::{Condition, ConditionTest};

/// Program and arguments that end with 0 where the test is true, whether it is negated or not.
pub fn argv(condition: &Condition) -> Vec<String> {
    let script = match condition.test {
        ConditionTest::OnPath => "command -v -- \"$1\" > /dev/null 2>&1",
        ConditionTest::Exists => {
            "case $1 in '~' | '~/'*) set -- \"$HOME${1#'~'}\" ;; esac; test -e \"$1\""
        }
    };
    ["sh", "-c", script, "skipif", &condition.argument].map(str::to_owned).into()
}

/// Whether the step is to be skipped, from how the test ended.
pub fn is_met(condition: &Condition, success: bool) -> bool {
    success != condition.negated
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use ConditionTest::{Exists, OnPath};

    use super::*;

    fn condition(test: ConditionTest, argument: &str) -> Condition {
        Condition { test, negated: false, argument: argument.to_owned() }
    }

    fn ask(condition: &Condition) -> bool {
        let argv = argv(condition);
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).env("HOME", "/usr").current_dir("/");
        command.status().expect("a shell").success()
    }

    #[test]
    fn the_shell_answers_it() {
        for (test, expected) in [
            (condition(OnPath, "cat"), true),
            (condition(OnPath, "no-such-program"), false),
            (condition(OnPath, "; true"), false),
            (condition(Exists, "/bin/sh"), true),
            (condition(Exists, "bin"), true),
            (condition(Exists, "~"), true),
            (condition(Exists, "~/bin"), true),
            (condition(Exists, "~bin"), false),
            (condition(Exists, "/nothing here"), false),
            (condition(Exists, "$(echo /bin)"), false),
        ] {
            assert_eq!(ask(&test), expected, "{test:?}");
        }
    }

    #[test]
    fn an_exclamation_mark_turns_it_round() {
        let test = condition(OnPath, "cat");
        assert!(is_met(&test, true) && !is_met(&test, false));
        let negated = Condition { negated: true, ..test };
        assert!(!is_met(&negated, true) && is_met(&negated, false));
    }
}

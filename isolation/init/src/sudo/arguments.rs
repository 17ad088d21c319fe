//! The command line of sudo(8), as far as it means something in a fence.

use serde::{Deserialize, Serialize};

/// What is to be run.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// `None`: root.
    pub user: Option<String>,
    pub group: Option<String>,
    /// Empty only with a shell.
    pub command: Vec<String>,
    /// NAME=value before the command.
    pub variables: Vec<(String, String)>,
    pub shell: Shell,
    /// HOME, USER and LOGNAME stay the caller's.
    pub keeps_home: bool,
    pub background: bool,
    pub directory: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shell {
    #[default]
    None,
    Plain,
    Login,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Run(Order),
    /// Nothing to do: `-v`, `-k`, `-K`.
    Nothing,
    List,
    Version,
    Usage,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    #[error("no command")]
    NoCommand,
    #[error("option {0} takes a value")]
    NoValue(String),
    #[error("option {0} is not provided inside a fence")]
    Unknown(String),
}

/// Short options with a value that nothing depends on here: prompt, timeout, SELinux, host …
const IGNORED_WITH_VALUE: &str = "pCTrtU";
/// Of these, `-k` may stand without a command.
const IGNORED: &str = "AknSPHBN";

pub fn parse(arguments: &[String]) -> Result<Wanted, Misuse> {
    let mut order = Order::default();
    let mut left = arguments.iter();
    let mut command = None;
    while let Some(argument) = left.next() {
        if argument == "--" {
            break;
        } else if let Some(long) = argument.strip_prefix("--") {
            if let Some(other) = order.take_long(long, &mut left)? {
                return Ok(other);
            }
        } else if let Some(short) = argument.strip_prefix('-').filter(|short| !short.is_empty()) {
            if let Some(other) = order.take_short(short, &mut left)? {
                return Ok(other);
            }
        } else if let Some((name, value)) = variable(argument) {
            order.variables.push((name.to_owned(), value.to_owned()));
        } else {
            command = Some(argument);
            break;
        }
    }
    // Variables may follow "--" as well.
    let mut rest = command.into_iter().chain(left).peekable();
    while let Some((name, value)) = rest.peek().and_then(|argument| variable(argument)) {
        order.variables.push((name.to_owned(), value.to_owned()));
        rest.next();
    }
    order.command = rest.cloned().collect();
    if !order.command.is_empty() || order.shell != Shell::None {
        return Ok(Wanted::Run(order));
    }
    match arguments {
        [only] if only == "-k" || only == "--reset-timestamp" => Ok(Wanted::Nothing),
        _ => Err(Misuse::NoCommand),
    }
}

impl Order {
    fn take_short<'a>(
        &mut self,
        letters: &str,
        left: &mut impl Iterator<Item = &'a String>,
    ) -> Result<Option<Wanted>, Misuse> {
        for (index, letter) in letters.char_indices() {
            let attached = &letters[index + letter.len_utf8()..];
            let mut value = || {
                let attached = (!attached.is_empty()).then(|| attached.to_owned());
                attached
                    .or_else(|| left.next().cloned())
                    .ok_or_else(|| Misuse::NoValue(format!("-{letter}")))
            };
            match letter {
                'u' => self.user = Some(value()?),
                'g' => self.group = Some(value()?),
                'D' => self.directory = Some(value()?),
                'E' => self.keeps_home = true,
                'i' => self.shell = Shell::Login,
                's' => self.shell = Shell::Plain,
                'b' => self.background = true,
                'v' | 'K' => return Ok(Some(Wanted::Nothing)),
                'l' => return Ok(Some(Wanted::List)),
                'V' => return Ok(Some(Wanted::Version)),
                'h' => return Ok(Some(Wanted::Usage)),
                _ if IGNORED.contains(letter) => {}
                _ if IGNORED_WITH_VALUE.contains(letter) => drop(value()?),
                _ => return Err(Misuse::Unknown(format!("-{letter}"))),
            }
            if "ugD".contains(letter) || IGNORED_WITH_VALUE.contains(letter) {
                break;
            }
        }
        Ok(None)
    }

    fn take_long<'a>(
        &mut self,
        text: &str,
        left: &mut impl Iterator<Item = &'a String>,
    ) -> Result<Option<Wanted>, Misuse> {
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let keeps = |list: &str| list.split(',').any(|name| name == "HOME");
        let mut value = || {
            let next = attached.clone().or_else(|| left.next().cloned());
            next.ok_or_else(|| Misuse::NoValue(format!("--{name}")))
        };
        match name {
            "user" => self.user = Some(value()?),
            "group" => self.group = Some(value()?),
            "chdir" => self.directory = Some(value()?),
            "preserve-env" => self.keeps_home |= attached.is_none_or(|list| keeps(&list)),
            "login" => self.shell = Shell::Login,
            "shell" => self.shell = Shell::Plain,
            "background" => self.background = true,
            "validate" | "remove-timestamp" => return Ok(Some(Wanted::Nothing)),
            "list" => return Ok(Some(Wanted::List)),
            "version" => return Ok(Some(Wanted::Version)),
            "help" => return Ok(Some(Wanted::Usage)),
            "askpass" | "non-interactive" | "stdin" | "preserve-groups" | "set-home" | "bell"
            | "reset-timestamp" | "no-update" => {}
            "prompt" | "close-from" | "command-timeout" | "role" | "type" | "other-user" => {
                drop(value()?);
            }
            _ => return Err(Misuse::Unknown(format!("--{name}"))),
        }
        Ok(None)
    }
}

/// NAME=value with a name that a shell would take.
fn variable(argument: &str) -> Option<(&str, &str)> {
    let (name, value) = argument.split_once('=')?;
    let good = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty();
    good.then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(line: &str) -> Result<Wanted, Misuse> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn order(line: &str) -> Order {
        match wanted(line) {
            Ok(Wanted::Run(order)) => order,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn what_recipes_write_is_understood() {
        let command = |words: &str| Order {
            command: words.split_whitespace().map(str::to_owned).collect(),
            ..Order::default()
        };
        let root = command("apt-get install -y x");
        for line in [
            "apt-get install -y x",
            "-n apt-get install -y x",
            "-H -n apt-get install -y x",
            "-Sn -p prompt apt-get install -y x",
            "-nHS -- apt-get install -y x",
            "-k apt-get install -y x",
        ] {
            assert_eq!(order(line), root, "{line}");
        }
        let user = Some("ggc_user".to_owned());
        for line in [
            "-u ggc_user id -u",
            "-uggc_user id -u",
            "--user=ggc_user id -u",
            "--user ggc_user id -u",
            "-nu ggc_user id -u",
        ] {
            assert_eq!(order(line), Order { user: user.clone(), ..command("id -u") }, "{line}");
        }
        let kept = Order { keeps_home: true, ..command("pip3 install x") };
        for line in [
            "-E pip3 install x",
            "--preserve-env pip3 install x",
            "-HE pip3 install x",
            "--preserve-env=PATH,HOME pip3 install x",
        ] {
            assert_eq!(order(line), kept, "{line}");
        }
        assert_eq!(order("--preserve-env=PATH true"), command("true"));
        let variables = vec![("A".to_owned(), "1=2".to_owned()), ("B_2".to_owned(), String::new())];
        let expected = Order { variables, ..command("env -x =y") };
        assert_eq!(order("A=1=2 B_2= env -x =y"), expected);
        assert_eq!(order("-E A=1=2 -- B_2= env -x =y"), Order { keeps_home: true, ..expected });
        assert_eq!(order("-i").shell, Shell::Login);
        assert_eq!(order("-s echo a"), Order { shell: Shell::Plain, ..command("echo a") });
    }

    #[test]
    fn what_runs_nothing_and_what_is_wrong() {
        for (line, expected) in [
            ("-v", Wanted::Nothing),
            ("-k", Wanted::Nothing),
            ("-K", Wanted::Nothing),
            ("-l", Wanted::List),
            ("-nl x", Wanted::List),
            ("-V", Wanted::Version),
        ] {
            assert_eq!(wanted(line), Ok(expected), "{line}");
        }
        assert_eq!(wanted(""), Err(Misuse::NoCommand));
        assert_eq!(wanted("-n"), Err(Misuse::NoCommand));
        assert_eq!(wanted("-u"), Err(Misuse::NoValue("-u".into())));
        assert_eq!(wanted("-e file"), Err(Misuse::Unknown("-e".into())));
        assert_eq!(wanted("--é"), Err(Misuse::Unknown("--é".into())));
        assert_eq!(wanted("-é"), Err(Misuse::Unknown("-é".into())));
    }
}

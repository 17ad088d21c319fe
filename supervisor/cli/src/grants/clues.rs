//! What a component's log says of things that it missed: the messages of C libraries, shells and the usual languages.

use std::collections::BTreeSet;

/// Nothing of it is checked against the machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Clues {
    /// Absolute paths that could not be used.
    pub paths: BTreeSet<String>,
    /// Ports of the loopback at which nobody answered.
    pub ports: BTreeSet<u16>,
}

/// A line is about something missing where one of these stands in it.
const MISSED: [&str; 10] = [
    "no such file",
    "no such device",
    "not found",
    "permission denied",
    "operation not permitted",
    "could not open",
    "cannot open",
    "does not exist",
    "enoent",
    "eacces",
];

const REFUSED: [&str; 2] = ["connection refused", "econnrefused"];

const LOOPBACK: [&str; 3] = ["localhost:", "127.0.0.1:", "[::1]:"];

impl Clues {
    pub fn of(log: &str) -> Self {
        let mut clues = Self::default();
        for line in log.lines() {
            let lower = line.to_lowercase();
            if MISSED.iter().any(|word| lower.contains(word)) {
                clues.paths.extend(paths(line).map(str::to_owned));
            }
            if REFUSED.iter().any(|word| lower.contains(word)) {
                clues.ports.extend(LOOPBACK.iter().flat_map(|address| ports(&lower, address)));
            }
        }
        clues
    }
}

fn paths(line: &str) -> impl Iterator<Item = &str> {
    let part_of_a_path = |c: char| c.is_alphanumeric() || "/._+-@:".contains(c);
    line.split(move |c| !part_of_a_path(c))
        .filter_map(|word| word.get(word.find('/')?..))
        .map(|word| word.trim_end_matches(['.', ':', '/']))
        .filter(|word| word.len() > 1 && !word.starts_with("//"))
}

fn ports<'a>(line: &'a str, address: &'a str) -> impl Iterator<Item = u16> {
    line.split(address).skip(1).filter_map(|after| {
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        after.get(..end)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_read_from_the_usual_messages() {
        let log = "\
cat: /srv/data/table.csv: No such file or directory
FileNotFoundError: [Errno 2] No such file or directory: '/var/run/docker.sock'
serial.serialutil.SerialException: [Errno 2] could not open port /dev/ttyUSB0: [Errno 2] No such file
Error: ENOENT: no such file or directory, open '/home/pi/model.bin'
sh: 1: gpioset: not found
read /usr/share/zoneinfo/UTC
dial tcp 127.0.0.1:1883: connect: connection refused
curl: (7) Failed to connect to http://localhost:8086/ping: Connection refused
connect to 192.0.2.1:99: Connection refused
see https://example.com/a: not found.
";
        let clues = Clues::of(log);
        let paths =
            ["/dev/ttyUSB0", "/home/pi/model.bin", "/srv/data/table.csv", "/var/run/docker.sock"];
        assert_eq!(clues.paths.iter().map(String::as_str).collect::<Vec<_>>(), paths);
        assert_eq!(clues.ports, BTreeSet::from([1883, 8086]));
    }
}

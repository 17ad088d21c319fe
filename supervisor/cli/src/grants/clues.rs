//! What a component's log says of things that it missed: the messages of C libraries, shells and the usual languages.

use std::collections::BTreeSet;

/// Nothing of it is checked against the machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Clues {
    /// Absolute paths that could not be used.
    pub paths: BTreeSet<String>,
    /// Ports of the loopback at which nobody answered.
    pub ports: BTreeSet<u16>,
    /// Whether it looked for the host's system bus.
    pub bus: bool,
    /// What the host's root has, and that of a fence has not.
    pub capabilities: BTreeSet<&'static str>,
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

/// A line is about a right that is missing where one of these stands in it.
const NOT_PERMITTED: [&str; 5] = [
    "operation not permitted",
    "permission denied",
    "must be superuser",
    "read-only file system",
    "eperm",
];

/// What programs say who need a capability of the host's root.
const PRIVILEGES: [(&str, &str); 10] = [
    ("could not insert", "CAP_SYS_MODULE"),
    ("modprobe:", "CAP_SYS_MODULE"),
    ("insmod:", "CAP_SYS_MODULE"),
    ("rmmod:", "CAP_SYS_MODULE"),
    ("cannot set date", "CAP_SYS_TIME"),
    ("settime", "CAP_SYS_TIME"),
    ("hwclock:", "CAP_SYS_TIME"),
    ("mount:", "CAP_SYS_ADMIN"),
    ("losetup:", "CAP_SYS_ADMIN"),
    ("sysctl:", "CAP_SYS_ADMIN"),
];

/// What they set without a call of their own.
const KERNEL_SETTINGS: [&str; 2] = ["/proc/sys/", "/sys/"];

const REFUSED: [&str; 2] = ["connection refused", "econnrefused"];

/// The system bus: with all of it, its socket would let the component do what any user of the host may.
const BUS: [&str; 2] = ["/run/dbus/system_bus_socket", "/var/run/dbus/system_bus_socket"];

const LOOPBACK: [&str; 3] = ["localhost:", "127.0.0.1:", "[::1]:"];

impl Clues {
    pub fn of(log: &str) -> Self {
        let mut clues = Self::default();
        for line in log.lines() {
            let lower = line.to_lowercase();
            if MISSED.iter().any(|word| lower.contains(word)) {
                let (bus, others) = paths(line).partition::<Vec<_>, _>(|path| BUS.contains(path));
                clues.bus |= !bus.is_empty();
                clues.paths.extend(others.into_iter().map(str::to_owned));
            }
            if NOT_PERMITTED.iter().any(|word| lower.contains(word)) {
                let told = PRIVILEGES.iter().filter(|(word, _)| lower.contains(word));
                clues.capabilities.extend(told.map(|(_, capability)| capability));
                let is_setting =
                    |path: &str| KERNEL_SETTINGS.iter().any(|tree| path.starts_with(tree));
                clues.capabilities.extend(paths(line).any(is_setting).then_some("CAP_SYS_ADMIN"));
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
modprobe: ERROR: could not insert 'can_raw': Operation not permitted
date: cannot set date: Operation not permitted
sh: 1: cannot create /sys/class/gpio/export: Read-only file system
mount: nothing to do
Failed to connect to socket /run/dbus/system_bus_socket: No such file or directory
open /srv/data/table.csv: permission denied
";
        let clues = Clues::of(log);
        let paths =
            ["/dev/ttyUSB0", "/home/pi/model.bin", "/srv/data/table.csv", "/var/run/docker.sock"];
        assert_eq!(clues.paths.iter().map(String::as_str).collect::<Vec<_>>(), paths);
        assert_eq!(clues.ports, BTreeSet::from([1883, 8086]));
        assert!(clues.bus && !Clues::of("Permission denied").bus);
        let capabilities = ["CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_TIME"];
        assert_eq!(clues.capabilities, BTreeSet::from(capabilities));
    }
}

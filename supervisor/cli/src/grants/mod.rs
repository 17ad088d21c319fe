//! `hedgerow grants suggest`: the grant that a component misses, by what it was denied when it was observed, and by what its
//! log says and the host has.

mod clues;
mod observation;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Output, print};
use crate::session::Session;
use clues::Clues;
use observation::{HostPath, Remedy};

pub use observation::Observation;

#[derive(Debug, Subcommand)]
pub enum GrantsCommand {
    /// Print the grant that a component misses, judging by its last observation (`hedgerow observe`) and the last 1000
    /// lines of its log.
    Suggest {
        name: String,
        /// Write it into `hedgerow.toml.d`, which takes root.
        #[arg(long)]
        write: bool,
    },
}

/// Lines of the log that are looked at.
const LINES: u32 = 1000;

/// How long a program of the host may take to answer.
const ANSWER: Duration = Duration::from_secs(1);

/// What every fence has, or nobody is to have of the host.
const NOT_GRANTED: [&str; 12] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/greengrass",
    "/lib",
    "/opt",
    "/proc",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr",
];

/// Where devices have names that stay.
const STABLE: [&str; 4] =
    ["/dev/serial/by-id", "/dev/v4l/by-id", "/dev/input/by-id", "/dev/disk/by-id"];

pub async fn run(
    session: &Session,
    output: &Output,
    command: GrantsCommand,
) -> Result<(), Failure> {
    let GrantsCommand::Suggest { name, write } = command;
    let component = session.component(&name).await?;
    let observation = Observation::of(&component).await?;
    let stream = component.open_log(false, LINES).await?;
    let mut log = Vec::new();
    File::from(OwnedFd::from(stream)).read_to_end(&mut log).map_err(Failure::Stream)?;
    let mut grant = Suggestion::of(&name, &String::from_utf8_lossy(&log));
    observation.iter().flat_map(|one| &one.findings).for_each(|found| grant.add(&found.remedy));
    if grant.is_empty() {
        return output.print(&grant, |_| match observation {
            Some(_) => format!("nothing that {name} was denied can be granted"),
            None => format!(
                "nothing in the log of {name} asks for a grant; what it does not log, `hedgerow observe {name}` finds"
            ),
        });
    }
    output.print(&grant, Suggestion::toml)?;
    if !write {
        return Ok(());
    }
    let path = grant.write(session.root())?;
    // The daemon reads that one when it starts.
    let also = if grant.host_network {
        "; the host's network comes with the daemon's next start"
    } else {
        ""
    };
    print(&format!("\nwritten to {}: `hedgerow restart {name}`{also}", path.display()))
}

/// A `[[grant]]`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Suggestion {
    component: String,
    ports: BTreeSet<String>,
    devices: BTreeSet<String>,
    host_paths: BTreeSet<HostPath>,
    host_network: bool,
    host_dbus: bool,
    /// Capabilities of the host's root.
    real_root: BTreeSet<String>,
}

impl Suggestion {
    /// What the component lacked by its log and the host has.
    pub fn of(name: &str, log: &str) -> Self {
        let clues = Clues::of(log);
        let (devices, others): (Vec<_>, Vec<_>) =
            clues.paths.into_iter().partition(|path| path.starts_with("/dev/"));
        let granted =
            |path: &String| !NOT_GRANTED.iter().any(|tree| Path::new(path).starts_with(tree));
        let answers =
            |port| TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), ANSWER).is_ok();
        // To be read; a log does not say that it was to be written.
        let to_read = |path| HostPath { path, access: "ro".to_owned(), target: None };
        let found = others.into_iter().filter(granted).filter(|p| Path::new(p).exists());
        Self {
            component: name.to_owned(),
            ports: BTreeSet::new(),
            devices: devices.into_iter().filter(|path| is_device(path)).collect(),
            host_paths: found.map(to_read).collect(),
            host_network: clues.ports.into_iter().any(answers),
            host_dbus: clues.bus,
            real_root: clues.capabilities.into_iter().map(str::to_owned).collect(),
        }
    }

    fn add(&mut self, remedy: &Remedy) {
        match remedy {
            Remedy::Device(path) => drop(self.devices.insert(path.clone())),
            Remedy::HostPath(wanted) => self.add_path(wanted.clone()),
            Remedy::HostNetwork => self.host_network = true,
            Remedy::Port(port) => drop(self.ports.insert(port.clone())),
            Remedy::RealRoot(capability) => drop(self.real_root.insert(capability.clone())),
            Remedy::HostBus => self.host_dbus = true,
            Remedy::Other(_) => {}
        }
    }

    /// One mount for what is in one another: a path within a granted one needs no grant.
    fn add_path(&mut self, wanted: HostPath) {
        let reaches = |outer: &HostPath, inner: &HostPath| {
            let access = outer.access == "rw" || inner.access == outer.access;
            access
                && Path::new(inner.inside()).starts_with(outer.inside())
                && outer.target.is_none()
        };
        if !self.host_paths.iter().any(|path| reaches(path, &wanted)) {
            self.host_paths.retain(|path| !reaches(&wanted, path));
            self.host_paths.insert(wanted);
        }
    }

    pub fn is_empty(&self) -> bool {
        let lists_are =
            self.ports.is_empty() && self.devices.is_empty() && self.host_paths.is_empty();
        lists_are && self.real_root.is_empty() && !self.host_network && !self.host_dbus
    }

    pub fn toml(&self) -> String {
        let mut lines = vec!["[[grant]]".to_owned(), format!("component = {:?}", self.component)];
        if !self.ports.is_empty() {
            lines.push(format!("ports = {:?}", Vec::from_iter(&self.ports)));
        }
        for device in &self.devices {
            if let Some(name) = stable(device) {
                lines.push(format!("# {device} is {name:?} too, whatever is plugged in first"));
            }
        }
        if !self.devices.is_empty() {
            lines.push(format!("devices = [{}]", quoted_list(&self.devices)));
        }
        if !self.host_paths.is_empty() {
            let paths: Vec<_> = self.host_paths.iter().map(HostPath::toml).collect();
            lines.push(format!("host-paths = [{}]", paths.join(", ")));
        }
        if self.host_network {
            lines.push("host-network = true".to_owned());
        }
        if self.host_dbus {
            lines.push(
                "# with the names that it is to reach, as \"org.freedesktop.NetworkManager\":"
                    .to_owned(),
            );
            lines.push("host-dbus = { talk = [] }".to_owned());
        }
        if !self.real_root.is_empty() {
            lines.push("# for privileged steps and sudo; whoever gets hold of them gets hold of the device".to_owned());
            lines.push(format!("real-root = {:?}", Vec::from_iter(&self.real_root)));
        }
        lines.join("\n")
    }

    /// Never over a file that is there.
    fn write(&self, root: Option<&Path>) -> Result<PathBuf, Failure> {
        let etc = root.map_or_else(|| PathBuf::from("/etc/hedgerow"), |root| root.join("etc"));
        let directory = etc.join("hedgerow.toml.d");
        let path = directory.join(format!("50-grant-{}.toml", self.component));
        fs::create_dir_all(&directory)
            .and_then(|()| File::create_new(&path))
            .and_then(|mut file| {
                std::io::Write::write_all(&mut file, format!("{}\n", self.toml()).as_bytes())
            })
            .map_err(|error| Failure::Settings { path: path.clone(), reason: error.to_string() })?;
        Ok(path)
    }
}

fn is_device(path: &str) -> bool {
    fs::metadata(path).is_ok_and(|found| {
        found.file_type().is_char_device() || found.file_type().is_block_device()
    })
}

/// Another name of a device, that stays when another is plugged in first.
fn stable(path: &str) -> Option<String> {
    let names =
        STABLE.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
    let same = |name: &PathBuf| fs::canonicalize(name).is_ok_and(|to| to == Path::new(path));
    names.map(|entry| entry.path()).find(same).map(|name| name.display().to_string())
}

/// As TOML has it: a path may have any character.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn quoted_list(texts: &BTreeSet<String>) -> String {
    texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")
}

impl HostPath {
    /// Where it is in the fence.
    fn inside(&self) -> &str {
        self.target.as_ref().unwrap_or(&self.path)
    }

    fn toml(&self) -> String {
        let target = self.target.as_ref().map(|target| format!(", target = {}", quoted(target)));
        let (path, access) = (quoted(&self.path), quoted(&self.access));
        format!("{{ path = {path}, access = {access}{} }}", target.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str, access: &str) -> HostPath {
        HostPath { path: path.to_owned(), access: access.to_owned(), target: None }
    }

    #[test]
    fn what_was_denied_becomes_one_grant() {
        let mut grant = Suggestion::of("a", "");
        assert!(grant.is_empty());
        let socket = HostPath { target: Some("/dev/log".into()), ..path("/run/log", "ro") };
        for remedy in [
            Remedy::Port("80:80/tcp".into()),
            Remedy::Device("/dev/i2c-1".into()),
            Remedy::HostPath(path("/srv/x/table", "ro")),
            Remedy::HostPath(path("/srv/x", "ro")),
            Remedy::HostPath(path("/srv/x/other \"\n", "ro")),
            Remedy::HostPath(path("/srv/x/out", "rw")),
            Remedy::HostPath(socket),
            Remedy::HostBus,
            Remedy::RealRoot("CAP_SYS_TIME".into()),
            Remedy::RealRoot("CAP_SYS_TIME".into()),
            Remedy::Other(serde_json::json!("none")),
        ] {
            grant.add(&remedy);
        }
        let text = grant.toml();
        let lines = [
            "ports = [\"80:80/tcp\"]",
            "devices = [\"/dev/i2c-1\"]",
            "host-dbus = { talk = [] }",
            "real-root = [\"CAP_SYS_TIME\"]",
            "host-paths = [{ path = \"/run/log\", access = \"ro\", target = \"/dev/log\" }, \
             { path = \"/srv/x\", access = \"ro\" }, { path = \"/srv/x/out\", access = \"rw\" }]",
        ];
        for line in lines {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("host-network"), "{text}");
        let odd = path("/srv/\"\n", "ro").toml();
        assert_eq!(
            toml::from_str::<toml::Table>(&format!("a = {odd}")).unwrap()["a"]["path"].as_str(),
            Some("/srv/\"\n")
        );
    }
}

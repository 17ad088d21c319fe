//! `hedgerow grants suggest`: the grant that a component seems to miss, from what its log says and what the host has.

mod clues;

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

#[derive(Debug, Subcommand)]
pub enum GrantsCommand {
    /// Print the grant that a component seems to miss, judging by the last 1000 lines of its log.
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
    let stream = session.component(&name).await?.open_log(false, LINES).await?;
    let mut log = Vec::new();
    File::from(OwnedFd::from(stream)).read_to_end(&mut log).map_err(Failure::Stream)?;
    let grant = Suggestion::of(&name, &String::from_utf8_lossy(&log));
    if grant.is_empty() {
        return output.print(&grant, |_| format!("nothing in the log of {name} asks for a grant"));
    }
    output.print(&grant, Suggestion::toml)?;
    if !write {
        return Ok(());
    }
    let path = grant.write(session.root())?;
    print(&format!("\nwritten to {}: `hedgerow restart {name}`", path.display()))
}

/// A `[[grant]]`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Suggestion {
    component: String,
    devices: BTreeSet<String>,
    /// To be read; writing is for the administrator to say.
    host_paths: BTreeSet<String>,
    host_network: bool,
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
        Self {
            component: name.to_owned(),
            devices: devices
                .iter()
                .filter(|path| is_device(path))
                .map(|path| stable(path))
                .collect(),
            host_paths: others
                .into_iter()
                .filter(granted)
                .filter(|p| Path::new(p).exists())
                .collect(),
            host_network: clues.ports.into_iter().any(answers),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.host_paths.is_empty() && !self.host_network
    }

    pub fn toml(&self) -> String {
        let mut lines = vec!["[[grant]]".to_owned(), format!("component = {:?}", self.component)];
        if !self.devices.is_empty() {
            lines.push(format!("devices = {:?}", Vec::from_iter(&self.devices)));
        }
        if !self.host_paths.is_empty() {
            let paths: Vec<_> = self
                .host_paths
                .iter()
                .map(|p| format!("{{ path = {p:?}, access = \"ro\" }}"))
                .collect();
            lines.push(format!("host-paths = [{}]", paths.join(", ")));
        }
        if self.host_network {
            lines.push("host-network = true".to_owned());
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

/// The name of a device that stays when another is plugged in first, where it has one.
fn stable(path: &str) -> String {
    let names =
        STABLE.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
    let same = |name: &PathBuf| fs::canonicalize(name).is_ok_and(|to| to == Path::new(path));
    let found = names.map(|entry| entry.path()).find(same);
    found.map_or_else(|| path.to_owned(), |name| name.display().to_string())
}

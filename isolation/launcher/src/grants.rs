//! What the administrator grants beyond the ordinary: `hedgerow.toml` and `hedgerow.toml.d/*.toml`.
//!
//! ```toml
//! [[grant]]
//! component = "com.example.*"
//! host-network = true
//! ```
//!
//! The files are read at each use. One that somebody other than root could have written is refused, and with it
//! every grant.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use hedgerow_isolation::protocol::{Error, ErrorKind};
use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;
use serde::Deserialize;

const FILE: &str = "hedgerow.toml";
const DIRECTORY: &str = "hedgerow.toml.d";
const MAX_FILE: u64 = 1 << 20;

/// The configuration directory, open; the path is for messages.
#[derive(Debug)]
pub struct Grants {
    directory: OwnedFd,
    path: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
struct Document {
    #[serde(default)]
    grant: Vec<Grant>,
    // The daemon's own settings lie in the same files.
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Grant {
    component: String,
    #[serde(default)]
    host_network: bool,
}

#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error("{0}: must belong to root and be writable by root only")]
    NotRoots(PathBuf),
    #[error("{0}: larger than {MAX_FILE} bytes")]
    TooLarge(PathBuf),
    #[error("{0}: {1}")]
    Malformed(PathBuf, toml::de::Error),
}

impl Grants {
    pub fn new(directory: OwnedFd, path: PathBuf) -> Self {
        Self { directory, path }
    }

    /// Succeeds where a grant lets `component` use the host's network.
    pub fn host_network(&self, component: &str) -> Result<(), Error> {
        let granted = self.read().map(|grants| {
            grants.iter().any(|grant| grant.host_network && matches(&grant.component, component))
        });
        match granted {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::new(
                ErrorKind::NotGranted,
                format!(
                    "{component} asks for the host's network, which no grant allows. To allow it, write into \
                     {}: [[grant]] component = {component:?} host-network = true (each on a line)",
                    self.path.join(FILE).display()
                ),
            )),
            Err(unusable) => Err(Error::new(
                ErrorKind::NotGranted,
                format!(
                    "{component} asks for the host's network, and the grants cannot be read: {unusable}"
                ),
            )),
        }
    }

    fn read(&self) -> Result<Vec<Grant>, Unusable> {
        owned_by_root(self.directory.as_fd(), &self.path)?;
        let mut grants = Vec::new();
        read_file(self.directory.as_fd(), FILE, &self.path, &mut grants)?;

        let path = self.path.join(DIRECTORY);
        let directory = match open(self.directory.as_fd(), DIRECTORY, OFlags::DIRECTORY) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Ok(grants),
            Err(errno) => return Err(Unusable::File(path, errno.into())),
        };
        owned_by_root(directory.as_fd(), &path)?;
        let failed = |e: Errno| Unusable::File(path.clone(), e.into());
        let mut names: Vec<String> = Dir::read_from(&directory)
            .map_err(failed)?
            .filter_map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned()))
            .filter(|name| name.ends_with(".toml"))
            .collect();
        names.sort();
        for name in names {
            read_file(directory.as_fd(), &name, &path, &mut grants)?;
        }
        Ok(grants)
    }
}

fn open(at: BorrowedFd<'_>, name: &str, more: OFlags) -> Result<OwnedFd, Errno> {
    // A fifo must not keep the launcher waiting.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | more;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

fn read_file(
    at: BorrowedFd<'_>,
    name: &str,
    directory: &Path,
    grants: &mut Vec<Grant>,
) -> Result<(), Unusable> {
    let path = directory.join(name);
    let file = match open(at, name, OFlags::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(Unusable::File(path, errno.into())),
    };
    owned_by_root(file.as_fd(), &path)?;
    let mut text = String::new();
    let read = File::from(file).take(MAX_FILE + 1).read_to_string(&mut text);
    let length = read.map_err(|e| Unusable::File(path.clone(), e))?;
    if length as u64 > MAX_FILE {
        return Err(Unusable::TooLarge(path));
    }
    let document: Document = toml::from_str(&text).map_err(|e| Unusable::Malformed(path, e))?;
    grants.extend(document.grant);
    Ok(())
}

fn owned_by_root(file: BorrowedFd<'_>, path: &Path) -> Result<(), Unusable> {
    let found = rustix::fs::fstat(file).map_err(|e| Unusable::File(path.to_owned(), e.into()))?;
    let writable = Mode::from_raw_mode(found.st_mode).intersects(Mode::WGRP | Mode::WOTH);
    if found.st_uid == 0 && !writable { Ok(()) } else { Err(Unusable::NotRoots(path.to_owned())) }
}

/// `*` stands for any characters, everything else for itself.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(i, _)| i)
                .chain([rest.len()])
                .any(|i| rest.get(i..).is_some_and(|rest| matches(after, rest)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_anything_and_nothing_else_does() {
        let cases = [
            ("com.example.A", "com.example.A", true),
            ("com.example.*", "com.example.A", true),
            ("com.example.*", "com.example.", true),
            ("*.A", "com.example.A", true),
            ("c*m*A", "com.example.A", true),
            ("*", "", true),
            ("com.example.*", "com.exampleX", false),
            ("com?example.A", "com.example.A", false),
            ("", "a", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}

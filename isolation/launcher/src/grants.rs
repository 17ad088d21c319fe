//! What the administrator grants beyond the ordinary: `hedgerow.toml` and `hedgerow.toml.d/*.toml`.
//!
//! The files are read at each use. One that somebody other than root could have written is refused, and with it
//! every grant.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use hedgerow_isolation::grants::{Grant, HostDbusSettings, Lack, granted};
use hedgerow_isolation::network::{NetworkSettings, Port};
use hedgerow_isolation::plan::Needs;
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

/// What the launcher takes of these files; the rest is the daemon's.
#[derive(Debug, Default, Deserialize)]
struct Document {
    #[serde(default)]
    grant: Vec<Grant>,
    network: Option<NetworkSettings>,
    #[serde(rename = "host-dbus")]
    host_dbus: Option<HostDbusSettings>,
}

/// What a component may have.
#[derive(Debug)]
pub struct Granted {
    pub grant: Grant,
    /// Ports that lead to other components.
    pub elsewhere: Vec<Port>,
    pub host_dbus: HostDbusSettings,
    /// `None`: there is no telling.
    pub network: Option<NetworkSettings>,
    /// Why there is no telling.
    unusable: Option<Unusable>,
}

#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error("{0}: must belong to root and be writable by root only")]
    NotRoots(PathBuf),
    #[error("{0}: larger than {MAX_FILE} bytes")]
    TooLarge(PathBuf),
    #[error("{0}: {1}")]
    Malformed(PathBuf, toml::de::Error),
}

impl Unusable {
    /// Whether it is not the file's fault: the machine lacks something at this moment.
    fn passes(&self) -> bool {
        match self {
            Self::File(_, error) => matches!(
                error.raw_os_error(),
                Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EIO)
            ),
            Self::NotRoots(_) | Self::TooLarge(_) | Self::Malformed(..) => false,
        }
    }
}

impl Grants {
    pub fn new(directory: OwnedFd, path: PathBuf) -> Self {
        Self { directory, path }
    }

    /// What is granted to `component`. Where the files cannot be used as they are, that is nothing; where they could not be
    /// read this time, nothing can be said: a fence without what it is granted, or with more of the network than
    /// configuration leaves it, would be the wrong one.
    pub fn of(&self, component: &str) -> Result<Granted, Error> {
        match self.read() {
            Ok(all) => {
                let grant = granted(&all.grant, component);
                let published = all.grant.iter().flat_map(|grant| &grant.ports);
                let elsewhere = published.filter(|port| !grant.ports.contains(port));
                let elsewhere = elsewhere.copied().collect();
                let host_dbus = all.host_dbus.unwrap_or_default();
                let network = Some(all.network.unwrap_or_default());
                Ok(Granted { grant, elsewhere, host_dbus, network, unusable: None })
            }
            Err(unusable) if unusable.passes() => Err(Error::new(
                ErrorKind::System,
                format!(
                    "what is granted to {component} cannot be read now: {unusable}: try again later"
                ),
            )),
            Err(unusable) => {
                say!("nothing is granted to {component}: {unusable}");
                let grant = granted(&[], component);
                let (elsewhere, host_dbus) = (Vec::new(), HostDbusSettings::default());
                Ok(Granted { grant, elsewhere, host_dbus, network: None, unusable: Some(unusable) })
            }
        }
    }

    /// Why nothing is granted to anybody, where the files cannot be used.
    pub fn unusable(&self) -> Option<Unusable> {
        self.read().err()
    }

    /// The refusal of what `granted` does not allow; `line` is what to write.
    pub fn refusal(&self, granted: &Granted, what: &str, line: &str) -> Error {
        let component = &granted.grant.component;
        let message = match &granted.unusable {
            Some(unusable) => {
                format!("{component} asks for {what}, and the grants cannot be read: {unusable}")
            }
            None => format!(
                "{component} asks for {what}, which no grant allows. To allow it, write into {}:\n\
                 [[grant]]\ncomponent = {component:?}\n{line}",
                self.path.join(FILE).display()
            ),
        };
        Error::new(ErrorKind::NotGranted, message)
    }

    /// Refuses what a plan needs of the host and no grant gives.
    pub fn ensure(&self, granted: &Granted, needs: &Needs) -> Result<(), Error> {
        if let Some(Lack { what, line }) = granted.grant.lacks(needs).first() {
            return Err(self.refusal(granted, what, line));
        }
        // A grant for all devices of a kind holds where there is none; who needs one does not start without it.
        let devices = needs.devices.iter().map(PathBuf::as_path);
        let paths = needs.host_paths.iter().map(|wanted| wanted.path.as_path());
        match devices.chain(paths).find(|path| !path.exists()) {
            None => Ok(()),
            Some(path) => Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "{} needs {} of the host, which is not there",
                    granted.grant.component,
                    path.display()
                ),
            )),
        }
    }

    pub fn network(&self) -> Result<NetworkSettings, Unusable> {
        Ok(self.read()?.network.unwrap_or_default())
    }

    fn read(&self) -> Result<Document, Unusable> {
        owned_by_root(self.directory.as_fd(), &self.path)?;
        let mut all = Document::default();
        read_file(self.directory.as_fd(), FILE, &self.path, &mut all)?;

        let path = self.path.join(DIRECTORY);
        let directory = match open(self.directory.as_fd(), DIRECTORY, OFlags::DIRECTORY) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Ok(all),
            Err(errno) => return Err(Unusable::File(path, errno.into())),
        };
        owned_by_root(directory.as_fd(), &path)?;
        let failed = |e: Errno| Unusable::File(path.clone(), e.into());
        let mut names: Vec<String> = Dir::read_from(&directory)
            .map_err(failed)?
            .map(|entry| Ok(entry?.file_name().to_str().map(str::to_owned).ok()))
            .filter_map(|name| name.map_err(failed).transpose())
            .filter(|name| name.as_ref().map_or(true, |name| name.ends_with(".toml")))
            .collect::<Result<_, Unusable>>()?;
        names.sort();
        for name in names {
            read_file(directory.as_fd(), &name, &path, &mut all)?;
        }
        Ok(all)
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
    all: &mut Document,
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
    all.grant.extend(document.grant);
    all.network = document.network.or(all.network.take());
    all.host_dbus = document.host_dbus.or(all.host_dbus.take());
    Ok(())
}

fn owned_by_root(file: BorrowedFd<'_>, path: &Path) -> Result<(), Unusable> {
    let found = rustix::fs::fstat(file).map_err(|e| Unusable::File(path.to_owned(), e.into()))?;
    let writable = Mode::from_raw_mode(found.st_mode).intersects(Mode::WGRP | Mode::WOTH);
    if found.st_uid == 0 && !writable { Ok(()) } else { Err(Unusable::NotRoots(path.to_owned())) }
}

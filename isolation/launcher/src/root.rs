//! What is the same in every fence's root, made once in this launcher's own mount namespace: directories, links, and
//! the files that are not the host's. [`crate::view`] lays it over the host's trees for each fence.
//!
//! Users and groups are synthetic. Nothing is there of the host's `/root`, `/home`, `/run`, `/boot` and most of `/var`.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use hedgerow_isolation::plan::User;
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::fs::{CWD, FileType, Mode};
use rustix::mount::MountAttrFlags;

use crate::choice;
use crate::mount::{self, Reach};
use crate::network::resolver;

/// Trees of the host: its programs, its configuration, and what its package manager knows. Of these a fence sees
/// what a user without privileges may read, see [`crate::view`]. The links of a merged `/usr` stay links.
pub const TREES: [&str; 14] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/etc",
    "/var/lib/dpkg",
    "/var/lib/apt",
    "/var/lib/opkg",
    "/var/lib/rpm",
    "/var/lib/pacman",
];

/// Those of [`TREES`] that hold programs and nothing of which a program must think that it is root's.
pub const PROGRAMS: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Parts of what [`Root::copy`] copies: the root itself, with what lies over the host's trees; which
/// trees are shown, see [`choice`]; and nothing.
pub const BASE: &str = "base";
pub const CHOICE: &str = "choice";
pub const EMPTY: &str = "empty";

/// The one directory of [`CHOICE`].
pub const CHOSEN: &str = "chosen";

/// Directories of the root: mount points of each fence, and what programs expect to exist.
const DIRECTORIES: &[&str] = &[
    "proc",
    "sys",
    "dev",
    "tmp",
    "run",
    "greengrass",
    "home",
    "media",
    "mnt",
    "root",
    "srv",
    "var",
    "var/cache",
    "var/cache/apt",
    "var/cache/apt/archives",
    "var/cache/apt/archives/partial",
    "var/cache/debconf",
    "var/lang",
    "var/lib",
    "var/log",
    "var/log/apt",
    "var/runtime",
    "var/spool",
    "var/task",
];

/// Where components write logs of their own, as which the builder links it: in the fence's layer. What is kept of what
/// they say is elsewhere.
pub const LOGS: &str = "/var/log/greengrass";

/// Where functions find their layers: a mount point, on hosts without such a directory too.
const LAYERS: &str = "opt";

/// Of `ggc_user`.
const HOME: &str = "home/ggc_user";

const LINKS: [(&str, &str); 7] = [
    ("var/tmp", "/tmp"),
    ("var/run", "/run"),
    ("var/lock", "/run/lock"),
    ("etc/mtab", "/proc/self/mounts"),
    // The fence's own name, whatever it is.
    ("etc/hostname", "/proc/sys/kernel/hostname"),
    ("usr/bin/sudo", hedgerow_isolation::control::SUDO),
    // Stays the first in PATH where a package brings the other.
    ("usr/local/bin/sudo", hedgerow_isolation::control::SUDO),
];

/// Directories of the host that get something of ours.
const ABOVE: [&str; 6] = [
    "usr/bin",
    "usr/local/bin",
    "etc/security",
    "var/lib/apt/lists",
    "var/lib/dpkg/triggers",
    "var/lib/rpm",
];

/// Not there for a fence: what the administrator grants, which is nobody's business inside; what was in files that are
/// others inside; and files which everybody may see but not write or read, and which tools would trip over instead of making
/// their own.
const HIDDEN: [&str; 17] = [
    "etc/hedgerow",
    "etc/.pwd.lock",
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "etc/security/opasswd",
    "etc/sudoers",
    "etc/sudoers.d",
    "var/lib/apt/lists/lock",
    "var/lib/apt/lists/partial",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock",
    "var/lib/rpm/.rpm.lock",
];

const FILES: [(&str, &str, u32); 3] =
    [("shadow", SHADOW, 0o640), ("gshadow", "root:*::\n", 0o640), ("hosts", HOSTS, 0o644)];

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
ggc_user:x:1000:1000:Greengrass component:/home/ggc_user:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";

/// Where `useradd` made the user it made a group of the same name, so recipes say `chown ggc_user:ggc_user` too.
const GROUP: &str = "\
root:x:0:
tty:x:5:
ggc_group:x:1000:
ggc_user:x:1000:
nogroup:x:65534:
";

/// The host's users and groups below this are its packages', which expect them; those from here on are people's.
const FIRST_PERSON: u32 = 1000;

const SHADOW: &str = "\
root:*:19000:0:99999:7:::
ggc_user:*:19000:0:99999:7:::
";

const HOSTS: &str = "\
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
";

const RESOLV: &str = "resolv.conf";

/// Of the file system that it is in, at most.
pub const SIZE: &str = "16m";

/// Largest file that is copied.
const MAX_FILE: u64 = 1 << 20;

/// The host's "nobody": whoever is not otherwise mentioned.
pub const UNPRIVILEGED: u32 = 65_534;

#[derive(Debug)]
pub struct Root {
    /// Its mount, writable.
    tree: OwnedFd,
    /// The way to it through the descriptor.
    directory: PathBuf,
}

impl Root {
    /// Makes it and mounts it on `directory`, which must exist and be this process's alone to see: see
    /// [`crate::setup`] for the mount namespace.
    pub fn make(directory: &Path) -> io::Result<Self> {
        let tree = mount::tmpfs(SIZE)?;
        let target = rustix::fs::open(
            directory,
            rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        mount::attach(tree.as_fd(), target.as_fd())?;
        // From here on not by the path: a directory on it may be the daemon's, who could put a link in its place
        // and have root write elsewhere.
        let directory = PathBuf::from(format!("/proc/self/fd/{}", tree.as_raw_fd()));
        let root = Self { tree, directory };
        root.fill()?;
        Ok(root)
    }

    /// A detached copy for one fence, nothing of it writable.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        let copy = mount::copy(self.tree.as_fd(), "", Reach::One)?;
        mount::restrict(copy.as_fd(), restrictions(), Reach::One)?;
        Ok(copy)
    }

    /// Brings up to date what changes while the machine runs: the name servers, see [`resolver`].
    pub fn refresh(&self, name_servers: &[IpAddr]) -> io::Result<()> {
        let Some(found) = read(&Path::new("/etc").join(RESOLV)) else { return Ok(()) };
        let found = resolver::for_fences(&String::from_utf8_lossy(&found), name_servers);
        let copy = self.directory.join(BASE).join("etc").join(RESOLV);
        if fs::read(&copy).is_ok_and(|old| old == found.as_bytes()) {
            return Ok(());
        }
        // In place: a running fence goes on with the file that it has seen, whatever a rename puts there.
        fs::write(&copy, found)?;
        fs::set_permissions(copy, fs::Permissions::from_mode(0o644))
    }

    fn fill(&self) -> io::Result<()> {
        let base = self.directory.join(BASE);
        for directory in DIRECTORIES {
            fs::create_dir_all(base.join(directory))?;
        }
        let (home, logs) = (base.join(HOME), base.join(LOGS.trim_start_matches('/')));
        for (directory, mode) in [(&base.join("root"), 0o700), (&home, 0o755), (&logs, 0o1777)] {
            fs::create_dir_all(directory)?;
            fs::set_permissions(directory, fs::Permissions::from_mode(mode))?;
        }
        chown(home, Some(User::GGC.uid), Some(User::GGC.gid))?;
        for path in TREES {
            let target = base.join(path.trim_start_matches('/'));
            match fs::symlink_metadata(path) {
                Ok(found) if found.is_symlink() => symlink(fs::read_link(path)?, target)?,
                Ok(found) if found.is_dir() => fs::create_dir(target)?,
                _ => {}
            }
        }
        if fs::symlink_metadata(base.join(LAYERS)).is_err() {
            fs::create_dir(base.join(LAYERS))?;
        }
        lay_over(&base)?;
        fs::create_dir(self.directory.join(EMPTY))?;
        choice::make(&self.directory.join(CHOICE), &base)
    }
}

/// What is ours in the host's trees.
fn lay_over(base: &Path) -> io::Result<()> {
    // Where the host has no such tree, there is nothing to lie over.
    let is_there = |path: &str| {
        let mut trees = TREES.iter().map(|tree| Path::new(tree.trim_start_matches('/')));
        trees.all(|tree| !Path::new(path).starts_with(tree) || base.join(tree).exists())
    };
    for directory in ABOVE.into_iter().filter(|path| is_there(path)) {
        fs::create_dir_all(base.join(directory))?;
    }
    for (link, target) in LINKS {
        symlink(target, base.join(link))?;
    }
    let etc = base.join("etc");
    for (name, text, mode) in FILES {
        let file = etc.join(name);
        fs::write(&file, text)?;
        fs::set_permissions(file, fs::Permissions::from_mode(mode))?;
    }
    for (name, ours) in [("passwd", PASSWD), ("group", GROUP)] {
        let hosts = read(&Path::new("/etc").join(name)).unwrap_or_default();
        fs::write(etc.join(name), accounts(ours, &String::from_utf8_lossy(&hosts)))?;
    }
    for path in HIDDEN.into_iter().filter(|path| is_there(path)) {
        // An overlay's "whiteout".
        rustix::fs::mknodat(CWD, base.join(path), FileType::CharacterDevice, Mode::empty(), 0)?;
    }
    Ok(())
}

/// Of every tree that comes from the host.
pub fn restrictions() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
}

/// Does something with the file system rights of a user without any: setfsuid(2) drops the capabilities that override
/// permissions too, so that the kernel decides what may be seen.
pub fn unprivileged<T>(act: impl FnOnce() -> T) -> T {
    let (gid, uid) = (setfsgid(Gid::from_raw(UNPRIVILEGED)), setfsuid(Uid::from_raw(UNPRIVILEGED)));
    let result = act();
    setfsuid(uid);
    setfsgid(gid);
    result
}

/// A file of the host as everybody may read it.
fn read(path: &Path) -> Option<Vec<u8>> {
    unprivileged(|| {
        let found = fs::metadata(path).ok()?;
        let small = found.is_file() && found.len() <= MAX_FILE;
        small.then(|| fs::read(path).ok()).flatten()
    })
}

/// passwd(5) or group(5): ours, and the host's system accounts where they are not ours.
fn accounts(ours: &str, hosts: &str) -> String {
    let name = |line: &str| line.split(':').next().map(str::to_owned);
    let id = |line: &str| line.split(':').nth(2).and_then(|id| id.parse::<u32>().ok());
    let is_taken =
        |line: &str| ours.lines().any(|own| name(own) == name(line) || id(own) == id(line));
    let system = |line: &&str| id(line).is_some_and(|id| id < FIRST_PERSON) && !is_taken(line);
    let mut text = ours.to_owned();
    for line in hosts.lines().filter(system) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_packages_find_their_users_and_its_people_are_not_there() {
        let hosts = "root:x:0:0:Operator:/:/bin/zsh\nsshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n\
            ann:x:1000:1000:Ann:/home/ann:/bin/sh\nggc_user:x:998:998::/:/bin/sh\nbroken\n+::::::\n";
        let expected = format!("{PASSWD}sshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n");
        assert_eq!(accounts(PASSWD, hosts), expected);
        assert_eq!(
            accounts(GROUP, "ssl-cert:x:114:postgres\nann:x:1000:\n"),
            format!("{GROUP}ssl-cert:x:114:postgres\n")
        );
    }
}

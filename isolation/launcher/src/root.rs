//! The root directory of every fence: made once, in this launcher's own mount namespace, and shared read-only.
//!
//! The host's programs are mounted from the host. What a program needs of `/etc` is copied into memory, as a user
//! without privileges reads it: a file that the host keeps from its users is not there. Users and groups are
//! synthetic. Nothing is there of `/root`, `/home`, `/var/lib`, `/run` and `/boot`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::mount::MountAttrFlags;

use crate::mount::{self, Reach};
use crate::network::resolver;

/// Trees of the host's programs; the links of a merged `/usr` stay links.
const PROGRAMS: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt"];

/// Empty directories: mount points of each fence, and what programs expect to exist.
const DIRECTORIES: &[&str] = &[
    "proc",
    "sys",
    "dev",
    "tmp",
    "run",
    "greengrass",
    "etc",
    "home",
    "media",
    "mnt",
    "root",
    "srv",
    "var",
    "var/cache",
    "var/lib",
    "var/log",
    "var/spool",
];

const LINKS: [(&str, &str); 5] = [
    ("var/tmp", "/tmp"),
    ("var/run", "/run"),
    ("var/lock", "/run/lock"),
    ("etc/mtab", "/proc/self/mounts"),
    // The fence's own name, whatever it is.
    ("etc/hostname", "/proc/sys/kernel/hostname"),
];

/// What is taken of the host's `/etc`, where it exists. A directory is taken with everything below.
const ETC: &[&str] = &[
    // Finding libraries.
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld-musl-aarch64.path",
    "ld-musl-x86_64.path",
    "alternatives",
    // Trusting servers.
    "ssl/certs",
    "ssl/cert.pem",
    "ssl/openssl.cnf",
    "ca-certificates",
    "ca-certificates.conf",
    "pki/tls/certs",
    "pki/tls/cert.pem",
    "pki/ca-trust/extracted",
    "crypto-policies",
    "gnutls/config",
    // Names, services and networks.
    "nsswitch.conf",
    "resolv.conf",
    "host.conf",
    "gai.conf",
    "protocols",
    "services",
    "networks",
    "rpc",
    "ethertypes",
    "netconfig",
    // Time, language, terminal.
    "localtime",
    "timezone",
    "locale.alias",
    "locale.conf",
    "default/locale",
    "inputrc",
    "terminfo",
    // What the system is.
    "os-release",
    "debian_version",
    "lsb-release",
    "issue",
    // Languages and formats.
    "python3",
    "python3.9",
    "python3.10",
    "python3.11",
    "python3.12",
    "python3.13",
    "python3.14",
    "perl",
    "mime.types",
    "magic",
];

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
ggc_user:x:1000:1000:Greengrass component:/tmp:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";

const GROUP: &str = "\
root:x:0:
tty:x:5:
ggc_group:x:1000:
nogroup:x:65534:
";

const HOSTS: &str = "\
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
";

/// Largest file that is copied, and most files and links, so that a strange `/etc` cannot fill memory.
const MAX_FILE: u64 = 4 << 20;
const MAX_ENTRIES: usize = 20_000;

/// The host's "nobody": whoever is not otherwise mentioned.
const UNPRIVILEGED: u32 = 65_534;

#[derive(Debug)]
pub struct Root {
    /// The tree's topmost mount, writable.
    tree: OwnedFd,
    /// The way to it through the descriptor.
    directory: PathBuf,
}

/// What an unprivileged user finds at a path of `/etc`.
enum Found {
    Directory(Vec<OsString>),
    Link(PathBuf),
    File(Vec<u8>, u32),
}

impl Root {
    /// Makes the tree and mounts it on `directory`, which must exist and be this process's alone to see: see
    /// [`crate::setup`] for the mount namespace.
    pub fn make(directory: &Path) -> io::Result<Self> {
        let tree = mount::tmpfs("64m")?;
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
        let copy = mount::copy(self.tree.as_fd(), "", Reach::Tree)?;
        mount::restrict(copy.as_fd(), restrictions(), Reach::Tree)?;
        Ok(copy)
    }

    /// Brings up to date what changes while the machine runs: the name servers, see [`resolver`].
    pub fn refresh(&self, name_servers: &[IpAddr]) -> io::Result<()> {
        let name = Path::new("resolv.conf");
        match find(name) {
            Some(Found::File(bytes, mode)) => {
                let text = resolver::for_fences(&String::from_utf8_lossy(&bytes), name_servers);
                let same = fs::read(self.etc().join(name)).is_ok_and(|old| old == text.as_bytes());
                if same { Ok(()) } else { self.write(name, text.as_bytes(), mode) }
            }
            _ => Ok(()),
        }
    }

    fn etc(&self) -> PathBuf {
        self.directory.join("etc")
    }

    fn fill(&self) -> io::Result<()> {
        let at = |path: &str| self.directory.join(path.trim_start_matches('/'));
        for directory in DIRECTORIES {
            fs::create_dir(at(directory))?;
        }
        fs::set_permissions(at("root"), fs::Permissions::from_mode(0o700))?;
        for (link, target) in LINKS {
            symlink(target, at(link))?;
        }
        for (file, text) in [("passwd", PASSWD), ("group", GROUP), ("hosts", HOSTS)] {
            fs::write(at("etc").join(file), text)?;
        }

        let mut left = MAX_ENTRIES;
        for name in ETC.iter().map(Path::new).filter(|name| Path::new("/etc").join(name).exists()) {
            name.parent().map_or(Ok(()), |parent| fs::create_dir_all(self.etc().join(parent)))?;
            self.take(name, &mut left)?;
        }

        for path in PROGRAMS {
            match fs::symlink_metadata(path) {
                Ok(found) if found.is_symlink() => symlink(fs::read_link(path)?, at(path))?,
                Ok(found) if found.is_dir() => self.mount_programs(path, &at(path))?,
                _ => {}
            }
        }
        Ok(())
    }

    fn mount_programs(&self, path: &str, target: &Path) -> io::Result<()> {
        fs::create_dir(target)?;
        let programs = mount::copy_path(path, Reach::Tree)?;
        mount::restrict(programs.as_fd(), restrictions(), Reach::Tree)?;
        mount::attach_path(programs.as_fd(), target.to_str().ok_or(io::ErrorKind::InvalidInput)?)
    }

    /// Takes one entry of `/etc`, and everything below a directory. What cannot be read is left out.
    fn take(&self, name: &Path, left: &mut usize) -> io::Result<()> {
        let Some(found) = find(name) else { return Ok(()) };
        let Some(fewer) = left.checked_sub(1) else { return Ok(()) };
        *left = fewer;
        let target = self.etc().join(name);
        match found {
            Found::Link(to) => symlink(to, target),
            Found::File(bytes, mode) => self.write(name, &bytes, mode),
            Found::Directory(children) => {
                fs::create_dir_all(target)?;
                children.iter().try_for_each(|child| self.take(&name.join(child), left))
            }
        }
    }

    /// Written aside and renamed: a running fence sees the old file or the new one.
    fn write(&self, name: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let aside = self.etc().join(".new");
        fs::write(&aside, bytes)?;
        fs::set_permissions(&aside, fs::Permissions::from_mode(mode | 0o444))?;
        fs::rename(&aside, self.etc().join(name))
    }
}

fn restrictions() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
}

/// Looks with the file system rights of a user without any (setfsuid(2) drops the capabilities that override
/// permissions too), so that the kernel decides what may be seen.
fn find(name: &Path) -> Option<Found> {
    let (uid, gid) = (setfsuid(Uid::from_raw(UNPRIVILEGED)), setfsgid(Gid::from_raw(UNPRIVILEGED)));
    let found = look(&Path::new("/etc").join(name)).ok();
    setfsuid(uid);
    setfsgid(gid);
    found
}

fn look(path: &Path) -> io::Result<Found> {
    let kind = fs::symlink_metadata(path)?;
    if kind.is_symlink() && !leaves_the_view(path) {
        return Ok(Found::Link(fs::read_link(path)?));
    }
    if kind.is_dir() {
        let children = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name()));
        return Ok(Found::Directory(children.collect::<io::Result<_>>()?));
    }
    let file = fs::metadata(path)?;
    if !file.is_file() || file.len() > MAX_FILE {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(Found::File(fs::read(path)?, file.permissions().mode() & 0o755))
}

/// Whether a link (of `resolv.conf`, say) leads to what a fence does not have: then its content is taken.
fn leaves_the_view(link: &Path) -> bool {
    let in_view =
        |target: &Path| PROGRAMS.iter().chain(&["/etc"]).any(|tree| target.starts_with(tree));
    // Most are plain, and there may be thousands: the full resolution is for the others.
    let plain = |target: &Path| !target.components().any(|c| c == Component::ParentDir);
    if fs::read_link(link).is_ok_and(|target| plain(&target) && in_view(&target)) {
        return false;
    }
    fs::canonicalize(link).is_ok_and(|target| !in_view(&target) && target.is_file())
}

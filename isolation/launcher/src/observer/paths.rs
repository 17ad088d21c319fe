//! Calls that name a file: whether they would fail for what the fence does not have, and the host has.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use hedgerow_isolation::grants::{HostAccess, HostPath, PlainPath};
use hedgerow_isolation::observation::{MAX_SUBJECT, Remedy};
use hedgerow_isolation::plan::IdRange;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::tracee::Tracee;
use crate::rights::as_user;

/// Looked for by C libraries in every program, and not missed.
const NOT_MISSED: [&str; 8] = [
    "/greengrass",
    "/proc",
    "/run/nscd",
    "/run/setrans",
    "/run/systemd/machines",
    "/run/systemd/userdb",
    "/sys/fs/cgroup",
    "/var/run/nscd",
];

/// Of what is below [`NOT_MISSED`], the kernel's settings are.
const SETTINGS: &str = "/proc/sys";

/// For nobody: what the host's users and services prove themselves with.
const SECRET: [&str; 9] = [
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/hedgerow",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/ssh",
    "/root/.ssh",
    "/run/hedgerow",
    "/var/lib/hedgerow",
];

/// What a bind mount does not change.
const KERNELS: [&str; 2] = ["/proc", "/sys"];

const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";

/// What is to be done with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Absolute, as the fence calls it.
    pub path: PathBuf,
    pub act: Act,
    pub follows: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Find,
    Read,
    Write,
    Execute,
    Create,
    /// As unix(7) sockets are.
    Connect,
}

impl Wanted {
    /// `None` where the call asks for nothing that could be missed.
    pub fn of(tracee: &Tracee, call: &str, arguments: [u64; 6]) -> io::Result<Option<Self>> {
        let [a, b, c, d, _, _] = arguments;
        let here = libc::AT_FDCWD as u64;
        let no_follow = |flags: u64| flags & libc::AT_SYMLINK_NOFOLLOW as u64 == 0;
        let opened = |flags: u64| (of_flags(flags), flags & libc::O_NOFOLLOW as u64 == 0);
        let (directory, path, (act, follows)) = match call {
            "open" => (here, a, opened(b)),
            "openat" => (a, b, opened(c)),
            // struct open_how begins with the flags.
            "openat2" => (a, b, opened(word(&tracee.bytes(c, 8)?))),
            "creat" | "mkdir" => (here, a, (Act::Create, true)),
            "mkdirat" => (a, b, (Act::Create, true)),
            "access" => (here, a, (of_mode(b), true)),
            "faccessat" => (a, b, (of_mode(c), true)),
            "faccessat2" => (a, b, (of_mode(c), no_follow(d))),
            "stat" | "stat64" => (here, a, (Act::Find, true)),
            "lstat" | "lstat64" => (here, a, (Act::Find, false)),
            "newfstatat" | "fstatat64" => (a, b, (Act::Find, no_follow(d))),
            "statx" => (a, b, (Act::Find, no_follow(c))),
            "execve" => (here, a, (Act::Execute, true)),
            "execveat" => (a, b, (Act::Execute, true)),
            "chdir" => (here, a, (Act::Execute, true)),
            "inotify_add_watch" => (here, b, (Act::Read, true)),
            _ => return Ok(None),
        };
        let named = tracee.path(path)?;
        if named.as_os_str().is_empty() {
            // An open file, which is there.
            return Ok(None);
        }
        let path = absolute(tracee, directory as i32, &named)?;
        Ok(Some(Self { path, act, follows }))
    }
}

/// Lexically: a link before ".." may lead elsewhere.
pub fn absolute(tracee: &Tracee, directory: i32, path: &Path) -> io::Result<PathBuf> {
    let mut plain = PathBuf::from("/");
    let base = if path.is_absolute() { PathBuf::new() } else { tracee.base(directory)? };
    for part in base.components().chain(path.components()) {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => drop(plain.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(plain)
}

fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |&word| u64::from_ne_bytes(word))
}

fn of_flags(flags: u64) -> Act {
    let has = |flag: i32| flags & flag as u64 != 0;
    if has(libc::O_CREAT) {
        Act::Create
    } else if has(libc::O_PATH) {
        Act::Find
    } else if has(libc::O_WRONLY) || has(libc::O_RDWR) {
        Act::Write
    } else {
        Act::Read
    }
}

fn of_mode(mode: u64) -> Act {
    let has = |flag: i32| mode & flag as u64 != 0;
    if has(libc::W_OK) {
        Act::Write
    } else if has(libc::X_OK) {
        Act::Execute
    } else if has(libc::R_OK) {
        Act::Read
    } else {
        Act::Find
    }
}

/// What would give it, where it is denied.
pub fn judge(tracee: &Tracee, wanted: &Wanted, ids: IdRange) -> Option<Remedy> {
    let is_below = |trees: &[&str]| trees.iter().any(|tree| wanted.path.starts_with(tree));
    if is_below(&NOT_MISSED) && !wanted.path.starts_with(SETTINGS) {
        return None;
    }
    let why = in_fence(tracee, wanted, ids).err()?;
    let (path, act) = match (why, wanted.act) {
        (Errno::NOENT | Errno::NOTDIR, Act::Create) if on_host(&wanted.path).is_none() => {
            (wanted.path.parent()?, Act::Create)
        }
        (Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::PERM | Errno::ROFS, act) => {
            (wanted.path.as_path(), act)
        }
        // A loop, a name too long: the same anywhere.
        _ => return None,
    };
    let host = on_host(path)?;
    let writes = matches!(act, Act::Write | Act::Create);
    let is_roots = host.about.st_uid == 0 || host.about.st_gid == 0;
    let kind = FileType::from_raw_mode(host.about.st_mode);
    let is_device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
    if writes && is_roots && !is_device && matches!(why, Errno::ACCESS | Errno::PERM) {
        // Users without rights may not on the host either.
        return None;
    }
    Some(host.remedy(path, writes, is_roots, is_device))
}

/// Whether the fence has it for this user.
fn in_fence(tracee: &Tracee, wanted: &Wanted, ids: IdRange) -> Result<(), Errno> {
    // Who cannot be looked at any more does not wait for an answer.
    let Ok(root) = tracee.root() else { return Ok(()) };
    let who = &tracee.credentials;
    let reach = |path: &Path| {
        as_user(who.uid, who.gid, &who.groups, || {
            let file = find(&root, path, wanted.follows)?;
            let mode = match wanted.act {
                Act::Find => return Ok(()),
                Act::Read => libc::R_OK,
                Act::Execute => libc::X_OK,
                Act::Write | Act::Create | Act::Connect => libc::W_OK,
            };
            permits(&file, mode)
        })
    };
    let reached = match (reach(&wanted.path), wanted.path.parent()) {
        (Err(Errno::NOENT), Some(parent)) if wanted.act == Act::Create => reach(parent),
        (reached, _) => reached,
    };
    let overrides = || {
        let file = find(&root, &wanted.path, wanted.follows)
            .or_else(|_| find(&root, wanted.path.parent().unwrap_or(&wanted.path), true));
        let owner = file.and_then(rustix::fs::fstat).map(|about| about.st_uid);
        who.overrides_permissions() && owner.is_ok_and(|owner| ids.contains(owner))
    };
    match reached {
        Err(Errno::ACCESS) if overrides() => Ok(()),
        reached => reached,
    }
}

fn find(root: &OwnedFd, path: &Path, follows: bool) -> Result<OwnedFd, Errno> {
    let nofollow = if follows { OFlags::empty() } else { OFlags::NOFOLLOW };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC | nofollow;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
}

/// faccessat(2) with the effective rights.
fn permits(file: &OwnedFd, mode: i32) -> Result<(), Errno> {
    let flags = libc::AT_EACCESS | libc::AT_EMPTY_PATH;
    // SAFETY: the path is a text that ends with a NUL.
    let result =
        unsafe { libc::syscall(libc::SYS_faccessat2, file.as_raw_fd(), c"".as_ptr(), mode, flags) };
    if result == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO))
}

struct OnHost {
    /// Without a link on the way.
    real: PathBuf,
    about: Stat,
}

fn on_host(path: &Path) -> Option<OnHost> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve).ok()?;
    let about = rustix::fs::fstat(&found).ok()?;
    let real = std::fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd())).ok()?;
    Some(OnHost { real, about })
}

impl OnHost {
    fn remedy(self, path: &Path, writes: bool, is_roots: bool, is_device: bool) -> Remedy {
        let is_below = |trees: &[&str]| trees.iter().any(|tree| self.real.starts_with(tree));
        let grantable = |path: &Path| {
            let is_short = path.as_os_str().len() <= MAX_SUBJECT && path.to_str().is_some();
            PlainPath::try_from(path.to_owned()).ok().filter(|_| is_short)
        };
        if self.real == Path::new(SYSTEM_BUS) {
            return Remedy::HostBus;
        }
        let (Some(real), Some(target)) = (grantable(&self.real), grantable(path)) else {
            return Remedy::None;
        };
        if is_device {
            let below_dev = path.starts_with("/dev");
            return if below_dev { Remedy::Device(target) } else { Remedy::None };
        }
        let is_refused = writes && is_roots;
        if is_below(&SECRET) || is_below(&KERNELS) || is_refused {
            return Remedy::None;
        }
        let access = if writes { HostAccess::ReadWrite } else { HostAccess::ReadOnly };
        let target = (real != target).then_some(target);
        Remedy::HostPath(HostPath { path: real, access, target })
    }
}

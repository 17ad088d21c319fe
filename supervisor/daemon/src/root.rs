//! `--root DIR`: everything of one Hedgerow below a directory, with a launcher of its own.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{Gid, Uid, User, geteuid, setgid, setgroups, setuid};

use crate::layout::Layout;

/// Whose identity the daemon takes: the first of these that this machine has. `daemon` is the unprivileged user
/// that the Linux Standard Base has every system keep; dbus-daemon refuses a uid without a name.
const USERS: [&str; 2] = ["hedgerow", "daemon"];

/// How long the launcher keeps the fences without a daemon, in seconds.
const LINGER: u32 = 60;

#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    #[error("--root needs root: fences are made of mounts and cgroups. Run it with sudo")]
    NotRoot,
    #[error("this machine has neither of the users {}: add one", USERS.join(", "))]
    NoUser,
    #[error("{what} {}: {source}", path.display())]
    Path { what: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot become the unprivileged user {user}: {source}")]
    Drop { user: u32, source: nix::Error },
    #[error(
        "user {user} cannot reach {}: make every directory above it searchable by others, or choose another",
        path.display()
    )]
    Unreachable { user: u32, path: PathBuf },
    #[error("cannot start {program}: {source}")]
    Spawn { program: String, source: io::Error },
}

/// The user that the daemon runs as.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
}

impl Identity {
    fn choose() -> Result<Self, PrivateError> {
        let found = USERS.iter().find_map(|name| User::from_name(name).ok().flatten());
        let user = found.ok_or(PrivateError::NoUser)?;
        Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
    }
}

/// As root: makes the directories, and the launcher where none of an earlier daemon is left.
pub fn prepare(root: &Path, launcher: &Path) -> Result<(Layout, Identity), PrivateError> {
    if !geteuid().is_root() {
        return Err(PrivateError::NotRoot);
    }
    let identity = Identity::choose()?;
    make_directory(root, 0o755)?;
    let root = root.canonicalize().map_err(|source| path_error("cannot use", root, source))?;
    let layout = Layout::below(&root);
    make_directory(&layout.config, 0o755)?;
    for directory in [&layout.state, &layout.runtime] {
        make_directory(directory, 0o755)?;
        chown(directory, Some(identity.uid), Some(identity.gid))
            .map_err(|source| path_error("cannot give away", directory, source))?;
    }
    open_to_others(&root)?;
    if has_launcher(&layout) {
        tracing::info!("the launcher of an earlier daemon is still there");
    } else {
        start_launcher(launcher, &layout, identity)?;
    }
    Ok((layout, identity))
}

/// Whether a launcher holds its lock. It is not connected to: the newest connection takes the launcher from the daemon
/// that has it, which would be one that runs already.
fn has_launcher(layout: &Layout) -> bool {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let lock = layout.launcher_lock();
    let Ok(file) = File::options().read(true).custom_flags(flags.bits()).open(lock) else {
        return false;
    };
    let mut held = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as nix::libc::c_short,
        l_whence: nix::libc::SEEK_SET as nix::libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let asked = fcntl(&file, FcntlArg::F_GETLK(&mut held));
    asked.is_ok() && held.l_type != nix::libc::F_UNLCK as nix::libc::c_short
}

/// From root to the daemon's user, for good: no capability is left after setuid(2) (capabilities(7)).
pub fn drop_privileges(layout: &Layout, identity: Identity) -> Result<(), PrivateError> {
    let dropped = setgroups(&[])
        .and_then(|()| setgid(Gid::from_raw(identity.gid)))
        .and_then(|()| setuid(Uid::from_raw(identity.uid)));
    dropped.map_err(|source| PrivateError::Drop { user: identity.uid, source })?;
    if fs::read_dir(&layout.state).is_err() {
        let path = layout.state.clone();
        return Err(PrivateError::Unreachable { user: identity.uid, path });
    }
    Ok(())
}

fn start_launcher(program: &Path, layout: &Layout, identity: Identity) -> Result<(), PrivateError> {
    let log = layout.runtime.join("launch.log");
    // Root opens it in a directory of the daemon's, who may have put a link there.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = File::options().append(true).create(true).custom_flags(flags.bits()).open(&log);
    let file = file.map_err(|source| path_error("cannot write", &log, source))?;
    let errors = file.try_clone().map_err(|source| path_error("cannot write", &log, source))?;
    let spawned = Command::new(program)
        .arg("respawn")
        .arg("--state")
        .arg(&layout.state)
        .arg("--runtime")
        .arg(&layout.runtime)
        .arg("--config")
        .arg(&layout.config)
        .arg("--image")
        .arg(layout.image.artifacts())
        .args(["--daemon-uid", &identity.uid.to_string()])
        .args(["--linger", &LINGER.to_string()])
        // It outlives the daemon, so it must not be in reach of a signal to the daemon's group.
        .process_group(0)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .spawn();
    match spawned {
        Ok(_child) => Ok(()),
        Err(source) => Err(PrivateError::Spawn { program: program.display().to_string(), source }),
    }
}

fn make_directory(path: &Path, mode: u32) -> Result<(), PrivateError> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|source| path_error("cannot make", path, source))
}

/// The daemon's user must get through to what is its own.
fn open_to_others(path: &Path) -> Result<(), PrivateError> {
    let opened = fs::metadata(path).and_then(|metadata| {
        let mode = metadata.permissions().mode();
        fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o011))
    });
    opened.map_err(|source| path_error("cannot open to others", path, source))
}

fn path_error(what: &'static str, path: &Path, source: io::Error) -> PrivateError {
    PrivateError::Path { what, path: path.to_owned(), source }
}

//! What the resident launcher prepares before it serves.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::fs::{FlockOperation, Gid, MemfdFlags, Mode, OFlags, Uid};
use rustix::mount::{MountPropagationFlags, UnmountFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::cgroup;
use crate::descriptors;
use crate::options::Options;
use crate::root::Root;
use crate::seal;
use crate::source::LAUNCH;

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}: {1}")]
    Path(PathBuf, io::Error),
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    #[error("{0}: another launcher serves this runtime directory")]
    Taken(PathBuf),
    #[error("{0}: must belong to root and be writable by root only")]
    NotRoots(PathBuf),
    #[error(transparent)]
    Descriptors(#[from] descriptors::Error),
    #[error("cgroups: {0}")]
    Cgroups(#[from] cgroup::Error),
    #[error("the seccomp filter cannot be made")]
    Filter,
}

/// The launcher's own directory below the runtime directory, and its socket.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    /// The way to what is in it, through its descriptor: whoever owns the runtime directory could put another
    /// directory in its place, and have root write there.
    inside: PathBuf,
    _open: OwnedFd,
    /// Locked for as long as this launcher lives.
    _lock: OwnedFd,
    socket: PathBuf,
    pub listener: OwnedFd,
}

const LOCK: &str = "lock";

/// Where the fences' root is mounted, for this process only.
const ROOT: &str = "root";

impl Files {
    pub fn make(options: &Options) -> Result<Self, Failure> {
        let (directory, open, lock) = launch_directory(&options.runtime)?;
        let inside = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
        let socket = options.socket.clone().unwrap_or_else(|| inside.join("launch.sock"));
        let listener =
            listen(&socket, options.daemon_uid).map_err(|e| Failure::Path(socket.clone(), e))?;
        Ok(Self { directory, inside, _open: open, _lock: lock, socket, listener })
    }

    /// FNV-1a of the directory: tells launchers apart, not more.
    pub fn hash(&self) -> u32 {
        let bytes = self.directory.as_os_str().as_encoded_bytes();
        bytes.iter().fold(0x811c_9dc5, |hash, &b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193))
    }

    pub fn make_root(&self) -> Result<Root, Failure> {
        let mount_point = self.inside.join(ROOT);
        create_directory(&mount_point)?;
        Root::make(&mount_point).map_err(|e| Failure::Path(mount_point, e))
    }

    /// For an orderly end. (After any other, the next launcher takes over what is there.)
    pub fn remove(self) {
        let root = self.inside.join(ROOT);
        let _ = rustix::mount::unmount(&root, UnmountFlags::DETACH);
        let _ = fs::remove_dir(root);
        let _ = fs::remove_file(&self.socket);
        let _ = fs::remove_file(self.inside.join(LOCK));
        let _ = fs::remove_dir(&self.directory);
    }
}

pub fn watch_signals() -> Result<SignalFd, Failure> {
    let mut watched = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
        watched.add(signal);
    }
    let failed = |e: nix::Error| Failure::System("cannot watch for signals", e.into());
    watched.thread_block().map_err(failed)?;
    SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)
}

/// Makes this process the one that everything of its fences belongs to.
pub fn become_supervisor() -> Result<(), Failure> {
    // Whatever a fence leaves behind becomes this process's child, and is reaped.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|e| Failure::System("cannot become subreaper", e.into()))?;
    rustix::thread::set_thread_groups(&[])
        .map_err(|e| Failure::System("cannot drop groups", e.into()))?;
    rustix::process::chdir("/")
        .map_err(|e| Failure::System("cannot leave the directory", e.into()))?;
    // What is mounted for fences is seen here only, and vanishes with this process however it ends.
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|e| Failure::System("cannot make a mount namespace", e.into()))?;
    let propagation = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", propagation)
        .map_err(|e| Failure::System("cannot detach the mount namespace", e.into()))
}

/// A program that runs in fences, or beside them; they cannot write to it.
pub fn open_program(path: &Path) -> Result<OwnedFd, Failure> {
    path.to_str()
        .ok_or(io::Error::from(io::ErrorKind::InvalidInput))
        .and_then(seal::sealed_file)
        .map_err(|e| Failure::Path(path.to_owned(), e))
}

/// `<runtime>/launch`, root's own and locked. The runtime directory itself may be the daemon's.
fn launch_directory(runtime: &Path) -> Result<(PathBuf, OwnedFd, OwnedFd), Failure> {
    let runtime = fs::canonicalize(runtime).map_err(|e| Failure::Path(runtime.to_owned(), e))?;
    let directory = runtime.join(LAUNCH);
    create_directory(&directory)?;
    let opened = open_directory(&directory)?;
    let found =
        rustix::fs::fstat(&opened).map_err(|e| Failure::Path(directory.clone(), e.into()))?;
    if found.st_uid != 0 || found.st_mode & 0o022 != 0 {
        return Err(Failure::NotRoots(directory));
    }
    // Of the process, not of the descriptor: a child that has not yet executed its program does not hold it.
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let lock = rustix::fs::openat(&opened, LOCK, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|e| Failure::Path(directory.join(LOCK), e.into()))?;
    rustix::fs::fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| Failure::Taken(directory.clone()))?;
    Ok((directory, opened, lock))
}

fn create_directory(path: &Path) -> Result<(), Failure> {
    match fs::create_dir(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            Err(Failure::Path(path.to_owned(), e))
        }
        _ => Ok(()),
    }
}

pub fn open_directory(path: &Path) -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .map_err(|e| Failure::Path(path.to_owned(), e.into()))
}

/// A socket that only root and the daemon may connect to.
fn listen(path: &Path, daemon_uid: u32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    // Left by a launcher that was killed: the lock says that it is no more.
    let _ = fs::remove_file(path);
    let old = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = rustix::net::bind(&socket, &SocketAddrUnix::new(path)?);
    rustix::process::umask(old);
    bound?;
    rustix::fs::chown(path, Some(Uid::from_raw(daemon_uid)), None::<Gid>)?;
    rustix::net::listen(&socket, 8)?;
    Ok(socket)
}

/// Which seccomp filter.
#[derive(Debug, Clone, Copy)]
pub enum Filter {
    /// Decides by itself.
    Ordinary,
    /// Asks [`crate::observer`].
    Observing,
}

/// `hedgerow-builder`, by its descriptor.
pub fn run_builder(program: &OwnedFd, order: &str) -> Command {
    let mut builder = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    builder.arg0("hedgerow-builder").arg(order).env_clear();
    builder
}

/// The seccomp filter while it is compiled: in a process of its own, whose memory goes with it, and at the same
/// time as everything else here.
#[derive(Debug)]
pub struct Compilation {
    file: OwnedFd,
    compiler: Child,
}

impl Compilation {
    pub fn begin(builder: &OwnedFd, filter: Filter) -> Result<Self, Failure> {
        let argument = match filter {
            Filter::Ordinary => "filter",
            Filter::Observing => "observing-filter",
        };
        let failed = |e: io::Error| Failure::System("cannot make the seccomp filter", e);
        let file = rustix::fs::memfd_create("seccomp-filter", MemfdFlags::CLOEXEC)
            .map_err(|e| failed(e.into()))?;
        let compiler = run_builder(builder, argument)
            .stdin(Stdio::null())
            .stdout(File::from(file.try_clone().map_err(failed)?))
            .spawn()
            .map_err(failed)?;
        Ok(Self { file, compiler })
    }

    /// Read-only: no init may change it for the others.
    pub fn finish(mut self) -> Result<OwnedFd, Failure> {
        let failed = |e: io::Error| Failure::System("cannot make the seccomp filter", e);
        if !self.compiler.wait().map_err(failed)?.success() {
            return Err(Failure::Filter);
        }
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).map_err(|e| failed(e.into()))
    }
}

//! Protects this executable from the fences it makes (CVE-2019-5736).
//!
//! A process that shares a namespace with the launcher's builder could reach the builder's executable through
//! `/proc/PID/exe` and, once it is no longer running, write to it. So the launcher executes itself anew from a
//! detached read-only mount of its own file: through such a `/proc/PID/exe` every write is refused (EROFS).
//! Unlike a copy in a sealed memfd this costs no memory.

use std::env;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::StatVfsMountFlags;
use rustix::mount::MountAttrFlags;

use crate::mount::{self, Reach};

/// Tells the sealed launcher where its file lies: `/proc/self/exe` no longer does.
const HOME: &str = "HEDGEROW_LAUNCH_HOME";

/// Returns, once sealed, the directory of this program's file. The first call executes the program anew.
pub fn seal() -> io::Result<PathBuf> {
    match env::var_os(HOME) {
        None => {
            forget_inherited_descriptors()?;
            Err(execute_sealed()?)
        }
        Some(home) if is_sealed()? => Ok(home.into()),
        Some(_) => Err(io::Error::other("this program's file is writable through /proc/self/exe")),
    }
}

/// Whatever the caller left open ends with the next exec: it must reach no fence, and the builder's descriptors
/// must get the numbers that they have been promised.
fn forget_inherited_descriptors() -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC.cast_signed();
    // SAFETY: marks descriptors close-on-exec (close_range(2)); none is closed here.
    let result = unsafe { libc::close_range(3, libc::c_uint::MAX, flags) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A read-only copy of the mount of one file, to execute.
pub fn sealed_file(path: &str) -> io::Result<OwnedFd> {
    let file = mount::copy_path(path, Reach::One)?;
    mount::restrict(file.as_fd(), MountAttrFlags::MOUNT_ATTR_RDONLY, Reach::One)?;
    Ok(file)
}

fn is_sealed() -> io::Result<bool> {
    Ok(rustix::fs::statvfs("/proc/self/exe")?.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Returns only what kept it from doing so.
fn execute_sealed() -> io::Result<io::Error> {
    let home = env::current_exe()?.parent().map(PathBuf::from).unwrap_or_default();
    let program = sealed_file("/proc/self/exe")?;
    let arguments = env::args_os().map(c_string).collect::<io::Result<Vec<_>>>()?;
    let variables = env::vars_os()
        .chain([(HOME.into(), home.into_os_string())])
        .map(|(name, value)| c_string([name, value].join(&OsString::from("="))))
        .collect::<io::Result<Vec<_>>>()?;
    let Err(errno) = nix::unistd::fexecve(&program, &arguments, &variables);
    Ok(errno.into())
}

fn c_string(text: OsString) -> io::Result<CString> {
    Ok(CString::new(text.as_bytes())?)
}

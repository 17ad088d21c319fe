//! The mount calls that work on descriptors (open_tree(2), move_mount(2), mount_setattr(2)): a path may be
//! changed by someone else between check and use, a descriptor not.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

/// How far a change reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The mount itself.
    One,
    /// The mount and everything mounted below it.
    Tree,
}

/// A detached copy of what is mounted at `path`, or of the descriptor itself where `path` is empty.
pub fn copy(at: BorrowedFd<'_>, path: &str, reach: Reach) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if path.is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    if reach == Reach::Tree {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(open_tree(at, path, flags)?)
}

/// Like [`copy`] with an absolute path.
pub fn copy_path(path: &str, reach: Reach) -> io::Result<OwnedFd> {
    copy(CWD, path, reach)
}

/// Adds restrictions to a mount.
pub fn restrict(mount: BorrowedFd<'_>, attributes: MountAttrFlags, reach: Reach) -> io::Result<()> {
    let change = libc::mount_attr {
        attr_set: u64::from(attributes.bits()),
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let recursive = if reach == Reach::Tree { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the kernel reads an empty string and `change`, both of which outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            &change,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts a detached mount onto a directory or file that is already open.
pub fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, "", target, "", flags)?)
}

/// Puts a detached mount onto a path.
pub fn attach_path(mount: BorrowedFd<'_>, target: &str) -> io::Result<()> {
    Ok(move_mount(mount, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// A new detached tmpfs, its root directory of mode 0755; `size` as in tmpfs(5).
pub fn tmpfs(size: &str) -> io::Result<OwnedFd> {
    tmpfs_with(size, MountAttrFlags::MOUNT_ATTR_NODEV)
}

/// One whose device nodes are devices.
pub fn tmpfs_for_devices() -> io::Result<OwnedFd> {
    tmpfs_with("64k", MountAttrFlags::empty())
}

fn tmpfs_with(size: &str, more: MountAttrFlags) -> io::Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", "hedgerow")?;
    fsconfig_set_string(context.as_fd(), "mode", "0755")?;
    fsconfig_set_string(context.as_fd(), "size", size)?;
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | more;
    Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Directories that are seen as one (overlayfs), by absolute paths of at most 255 bytes in all.
#[derive(Debug, Clone, Copy)]
pub struct Overlay<'a> {
    /// Topmost first, at least two where there is no `upper`.
    pub lower: &'a [String],
    /// The directory that takes writes, and an empty one beside it that the kernel works in.
    pub upper: Option<[&'a str; 2]>,
}

impl Overlay<'_> {
    /// A detached mount, `nosuid` and `nodev` and as `more` says. It sees its layers with the rights of this process
    /// at this moment.
    pub fn mount(self, more: MountAttrFlags) -> io::Result<OwnedFd> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let lower = self.lower.join(":");
        let mut options = vec![("source", "hedgerow"), ("lowerdir", lower.as_str())];
        // Directories can be renamed; a change of owner or mode does not copy what is in a file.
        options.push(("metacopy", "on"));
        match self.upper {
            Some([upper, work]) => {
                options.extend([("redirect_dir", "on"), ("upperdir", upper), ("workdir", work)])
            }
            None => options.push(("redirect_dir", "follow")),
        }
        for (name, value) in options {
            fsconfig_set_string(context.as_fd(), name, value)?;
        }
        fsconfig_create(context.as_fd())?;
        let attributes =
            MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | more;
        Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
    }
}

/// A detached mount of the unified cgroup hierarchy.
pub fn cgroup2() -> io::Result<OwnedFd> {
    let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(context.as_fd())?;
    Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}

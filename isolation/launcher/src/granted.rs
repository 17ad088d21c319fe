//! Devices and paths of the host that a grant puts into a fence. Where one is not there, the fence does without, and
//! the launcher's log says so: a device may be plugged in later.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, chown};
use std::path::{Path, PathBuf};

use hedgerow_isolation::grants::{DevicePattern, Grant, HostAccess, HostPath};
use hedgerow_isolation::pattern;
use hedgerow_isolation::plan::{IdRange, User};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::mount::MountAttrFlags;

use crate::idmap::IdMap;
use crate::mount::{self, Reach};

/// What is to be bound into the fence, and how.
#[derive(Debug)]
pub struct Granted {
    pub source: PathBuf,
    pub target: PathBuf,
    pub options: &'static str,
}

/// A path of the host, as it is to be seen.
#[derive(Debug)]
pub struct Opened {
    tree: OwnedFd,
    is_directory: bool,
    target: PathBuf,
}

/// To be called while the host's own paths are seen.
pub fn open(grant: &Grant, ids: IdRange) -> io::Result<Vec<Opened>> {
    let mut opened = Vec::new();
    for wanted in &grant.host_paths {
        match open_path(wanted, ids) {
            Ok(tree) => opened.push(tree),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                say!("{:?} is granted and does not exist", wanted.path.as_path());
            }
            Err(error) => {
                let path = wanted.path.as_path().display();
                return Err(io::Error::new(error.kind(), format!("host path {path}: {error}")));
            }
        }
    }
    Ok(opened)
}

fn open_path(wanted: &HostPath, ids: IdRange) -> io::Result<Opened> {
    // Whoever owns a directory on the way could lead root elsewhere by a link.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let how = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(CWD, wanted.path.as_path(), flags, Mode::empty(), how)?;
    let about = rustix::fs::fstat(&found)?;
    // A program that is given root's group is as dangerous as root's own.
    let root = about.st_uid == 0 || about.st_gid == 0;
    let mut restrictions = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    match wanted.access {
        HostAccess::ReadOnly => restrictions |= MountAttrFlags::MOUNT_ATTR_RDONLY,
        HostAccess::ReadWrite if root => {
            let message = "belongs to root or to root's group: give it to others (chown USER:GROUP), or grant access = \"ro\"";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        HostAccess::ReadWrite => {}
    }
    let tree = mount::copy(found.as_fd(), "", Reach::One)?;
    mount::restrict(tree.as_fd(), restrictions, Reach::One)?;
    // A file system that cannot shows its files as nobody's.
    IdMap::owner(found.as_fd(), User::GGC, ids)?.apply(tree.as_fd())?;
    let is_directory = FileType::from_raw_mode(about.st_mode) == FileType::Directory;
    Ok(Opened { tree, is_directory, target: wanted.target().to_owned() })
}

/// Places them, and nodes of the devices, below `stage`.
pub fn place(
    stage: &Path,
    opened: Vec<Opened>,
    grant: &Grant,
    ids: IdRange,
) -> io::Result<Vec<Granted>> {
    let mut placed = Vec::new();
    for (index, path) in opened.into_iter().enumerate() {
        let source = stage.join(format!("granted-{index}"));
        if path.is_directory { fs::create_dir(&source) } else { fs::write(&source, "") }?;
        mount::attach_path(path.tree.as_fd(), text(&source)?)?;
        placed.push(Granted { source, target: path.target, options: "rbind,nosuid,nodev" });
    }
    if grant.devices.is_empty() {
        return Ok(placed);
    }
    let nodes = stage.join("devices");
    fs::create_dir(&nodes)?;
    mount::attach_path(mount::tmpfs_for_devices()?.as_fd(), text(&nodes)?)?;
    for (index, target) in grant.devices.iter().flat_map(devices).enumerate() {
        let source = nodes.join(index.to_string());
        make_node(&source, &target, ids)?;
        placed.push(Granted { source, target, options: "bind,nosuid,noexec" });
    }
    Ok(placed)
}

fn text(path: &Path) -> io::Result<&str> {
    path.to_str().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn devices(granted: &DevicePattern) -> Vec<PathBuf> {
    let Some((directory, names)) = granted.parts() else { return Vec::new() };
    let is_meant = |name: &OsString| name.to_str().is_some_and(|n| pattern::matches(names, n));
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name()).filter(is_meant))
        .map(|name| directory.join(name))
        .filter(|path| fs::metadata(path).is_ok_and(|m| is_device(m.file_type())))
        .collect();
    found.sort();
    if found.is_empty() {
        say!("{:?} is granted and no device has such a name", directory.join(names));
    }
    found
}

fn is_device(kind: fs::FileType) -> bool {
    kind.is_char_device() || kind.is_block_device()
}

/// A node of its own: the host's belongs to groups that the fence does not know.
fn make_node(node: &Path, device: &Path, ids: IdRange) -> io::Result<()> {
    let found = fs::metadata(device)?;
    let kind = FileType::from_raw_mode(found.mode());
    rustix::fs::mknodat(CWD, node, kind, Mode::from_raw_mode(0o660), found.rdev())?;
    chown(node, ids.host(User::ROOT.uid), ids.host(User::GGC.gid))?;
    fs::set_permissions(node, std::os::unix::fs::PermissionsExt::from_mode(0o660))
}

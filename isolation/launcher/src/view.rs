//! The root of one fence: overlays of the host's trees, with the fence's own layer on top.
//!
//! ```text
//!  what the component writes         layer/usr/upper      (or nothing: then it is read-only)
//!  what is not the host's            skeleton/usr
//!  what everybody may read of it     guard: an overlay made by nobody
//!  the host's tree, read-only,       idmap(/usr)
//!    root's files shown as the fence's root's
//! ```
//!
//! The id-mapping makes the fence's root the owner of the host's files, so that it may replace them (in its layer).
//! It would also make it the reader of what only the host's root may read. Therefore the guard: an overlay looks into
//! its lower layers with the rights of whoever mounted it, and the one below is mounted by a user without any. So the
//! kernel itself refuses what an unprivileged user of the host could not read, at each access.
//!
//! Where the kernel or the file system cannot map ids, the host's files are shown as nobody's: their permissions for
//! others hold, nothing of them is hidden from whom it need not be, and nothing can be replaced.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use hedgerow_isolation::plan::{Access, Dependency, IdRange, Mount, User};
use rustix::mount::MountAttrFlags;

use crate::idmap::IdMap;
use crate::mount::{self, Overlay, Reach};
use crate::root::{self, BASE, EMPTY, TREES};

/// A tree of the host for one fence.
#[derive(Debug)]
pub struct Tree {
    path: &'static str,
    mount: OwnedFd,
    is_mapped: bool,
}

/// Where everything is while a fence is made: below a directory of the builder's own mount namespace.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Short: the kernel takes 255 bytes for the names of an overlay's layers.
    pub stage: &'a str,
    pub has_layer: bool,
    pub ids: IdRange,
}

/// Directory names below the stage.
pub const SKELETON: &str = "skeleton";
pub const LAYER: &str = "layer";
const TREE: &str = "tree";
const GUARD: &str = "guard";

/// The host's trees, mapped for a fence. In the mount namespace in which they are.
pub fn trees(map: &IdMap) -> io::Result<Vec<Tree>> {
    let mut trees = Vec::new();
    for path in TREES {
        if !fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
            continue;
        }
        let mount = mount::copy_path(path, Reach::One)?;
        mount::restrict(mount.as_fd(), root::restrictions(), Reach::One)?;
        let is_mapped = map.apply(mount.as_fd())?;
        trees.push(Tree { path, mount, is_mapped });
    }
    Ok(trees)
}

impl Place<'_> {
    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.stage)
    }

    /// A new directory below the stage, with `mount` on it.
    pub fn attach(&self, name: &str, mount: &OwnedFd) -> io::Result<()> {
        fs::create_dir(self.at(name))?;
        mount::attach_path(mount.as_fd(), &self.at(name))
    }

    /// The whole root, at `root` below the stage.
    pub fn make_root(&self, trees: &[Tree]) -> io::Result<()> {
        let lower =
            [self.at(&format!("{SKELETON}/{BASE}")), self.at(&format!("{SKELETON}/{EMPTY}"))];
        let root = self.overlay(&lower, "root", User::ROOT)?;
        self.attach("root", &root)?;
        for directory in [TREE, GUARD] {
            fs::create_dir(self.at(directory))?;
        }
        trees.iter().try_for_each(|tree| self.add(tree))
    }

    fn add(&self, tree: &Tree) -> io::Result<()> {
        let name = tree.path.trim_start_matches('/').replace('/', "-");
        let (bare, guard) = (format!("{TREE}/{name}"), format!("{GUARD}/{name}"));
        let empty = self.at(&format!("{SKELETON}/{EMPTY}"));
        self.attach(&bare, &tree.mount)?;
        let host = if tree.is_mapped {
            let lower = [empty.clone(), self.at(&bare)];
            let overlay = Overlay { lower: &lower, upper: None };
            let mount = root::unprivileged(|| overlay.mount(MountAttrFlags::MOUNT_ATTR_RDONLY))?;
            self.attach(&guard, &mount)?;
            self.at(&guard)
        } else {
            self.at(&bare)
        };
        let above = self.at(&format!("{SKELETON}{}", tree.path));
        let above = if Path::new(&above).exists() { above } else { empty };
        let mount = self.overlay(&[above, host], &name, User::ROOT)?;
        mount::attach_path(mount.as_fd(), &self.at(&format!("root{}", tree.path)))
    }

    /// `name`: of the part of the layer that takes the writes; its topmost directory is `owner`'s.
    fn overlay(&self, lower: &[String], name: &str, owner: User) -> io::Result<OwnedFd> {
        if !self.has_layer {
            return Overlay { lower, upper: None }.mount(MountAttrFlags::MOUNT_ATTR_RDONLY);
        }
        let part = self.at(&format!("{LAYER}/{name}"));
        let (upper, work) = (format!("{part}/upper"), format!("{part}/work"));
        if !Path::new(&work).exists() {
            fs::create_dir_all(&upper)?;
            let id = |inside| self.ids.host(inside).ok_or(io::ErrorKind::InvalidInput);
            chown(&upper, Some(id(owner.uid)?), Some(id(owner.gid)?))?;
            fs::set_permissions(&upper, fs::Permissions::from_mode(0o755))?;
            // Last: it says that the rest is there.
            fs::create_dir(&work)?;
        }
        Overlay { lower, upper: Some([&upper, &work]) }.mount(MountAttrFlags::empty())
    }

    /// A mount with [`Access::Layered`], made of the detached `source`.
    pub fn layered(&self, index: usize, mount: &Mount, source: OwnedFd) -> io::Result<OwnedFd> {
        let bare = format!("layered-{index}");
        self.attach(&bare, &source)?;
        let lower = [self.at(&bare), self.at(&format!("{SKELETON}/{EMPTY}"))];
        self.overlay(&lower, &part_name(&mount.target), mount.owner.unwrap_or(User::ROOT))
    }

    /// A mount of a dependency: what it has changed, above the detached `source`.
    pub fn foreign(
        &self,
        index: usize,
        mount: &Mount,
        source: OwnedFd,
        changes: Option<OwnedFd>,
    ) -> io::Result<OwnedFd> {
        match (mount.access, changes) {
            (Access::Layered, Some(changes)) => {
                let (above, below) = (format!("changes-{index}"), format!("changed-{index}"));
                self.attach(&above, &changes)?;
                self.attach(&below, &source)?;
                let lower = [self.at(&above), self.at(&below)];
                Overlay { lower: &lower, upper: None }.mount(MountAttrFlags::MOUNT_ATTR_RDONLY)
            }
            (Access::Layered | Access::ReadOnly | Access::ReadWrite, _) => Ok(source),
        }
    }
}

/// What a dependency has changed in a layered mount, where that is anything; `layer` is its layer's directory.
pub fn changes(
    layer: Option<&OwnedFd>,
    mount: &Mount,
    dependency: &Dependency,
    ids: IdRange,
) -> io::Result<Option<OwnedFd>> {
    let Some(layer) = layer else { return Ok(None) };
    let upper = format!("{}/upper", part_name(&mount.target));
    let mount = match mount::copy(layer.as_fd(), &upper, Reach::One) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        copied => copied?,
    };
    IdMap::fence(dependency.ids, ids)?.apply(mount.as_fd())?;
    Ok(Some(mount))
}

/// Of the layer, for a mount there: short whatever the target is called (FNV-1a).
fn part_name(target: &Path) -> String {
    let bytes = target.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("mount-{hash:016x}")
}

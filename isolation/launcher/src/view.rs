//! The root of one fence: an overlay of the host's own trees, with the fence's own layer on top.
//!
//! ```text
//!  what the component writes         layer/root/upper     (or nothing: then it is read-only)
//!  what is not the host's            skeleton/base
//!  what everybody may read of it     guard/chosen: an overlay made by nobody
//!    which trees of it                 skeleton/choice
//!    the host's `/`, read-only,        idmap(/)
//!      root's files shown as the fence's root's
//! ```
//!
//! A layer of an overlay ends where something else is mounted. So a tree that is, or lies on, a file system of its own
//! gets overlays of its own, made the same way and mounted over the root's.
//!
//! The id-mapping makes the fence's root the owner of the host's files, so that it may replace them (in its layer).
//! It would also make it the reader of what only the host's root may read. Therefore the guard: an overlay looks into
//! its lower layers with the rights of whoever mounted it, and the one below is mounted by a user without any. So the
//! kernel itself refuses what an unprivileged user of the host could not read, at each access.
//!
//! A fence in which nothing is written and that needs no mount points has no overlays over the host's programs: they are
//! mounted as they are, over the root, and strangers' permissions hold.
//!
//! Where the kernel or the file system cannot map ids, the host's files are shown as nobody's: their permissions for
//! others hold, nothing of them is hidden from whom it need not be, and nothing can be replaced. Then there is no guard,
//! and every tree is on its own.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use hedgerow_isolation::plan::{Access, Dependency, IdRange, Mount, User};
use rustix::mount::MountAttrFlags;

use crate::choice;
use crate::idmap::IdMap;
use crate::mount::{self, Overlay, Reach};
use crate::root::{self, BASE, CHOICE, CHOSEN, EMPTY, PROGRAMS, TREES};

/// The host's trees for one fence.
#[derive(Debug)]
pub struct Host {
    /// `/`, mapped, for all trees that it shows.
    whole: Option<OwnedFd>,
    /// Those that it does not show, or not as they are to be shown.
    apart: Vec<Tree>,
}

#[derive(Debug)]
struct Tree {
    path: &'static str,
    mount: OwnedFd,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    /// As the fence's, behind a guard.
    Mapped,
    /// As nobody's.
    Unmapped,
    /// As nobody's, and with nothing over it.
    Plain,
}

/// Where everything is while a fence is made: below a directory of the builder's own mount namespace.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Short: the kernel takes 255 bytes for the names of an overlay's layers.
    pub stage: &'a str,
    pub upper: Upper,
    pub ids: IdRange,
}

/// What takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upper {
    /// The fence's layer.
    Layer,
    /// Memory, for as long as [`crate::points`] makes mount points.
    Points,
    Nothing,
}

/// Directory names below the stage.
pub const SKELETON: &str = "skeleton";
pub const LAYER: &str = "layer";
const POINTS: &str = "points";
const WHOLE: &str = "whole";
const GUARD: &str = "guard";
/// Directories of the trees that are apart.
const TREE: &str = "tree";
const GUARDS: &str = "guards";

/// The host's trees, mapped for a fence; `has_plain_programs`: the [`PROGRAMS`] as they are. In the mount namespace in
/// which they are.
pub fn host(map: &IdMap, skeleton: &OwnedFd, has_plain_programs: bool) -> io::Result<Host> {
    let copy = |path| {
        let mount = mount::copy_path(path, Reach::One)?;
        mount::restrict(mount.as_fd(), root::restrictions(), Reach::One)?;
        io::Result::Ok(mount)
    };
    let whole = copy("/")?;
    let whole = map.apply_to_layer(whole.as_fd())?.then_some(whole);
    let is_shown = |tree| whole.as_ref().is_some_and(|whole| choice::shows(skeleton, whole, tree));
    let mut apart = Vec::new();
    for path in TREES {
        let is_tree = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
        let is_plain = has_plain_programs && PROGRAMS.contains(&path);
        if is_tree && (is_plain || !is_shown(path)) {
            let mount = copy(path)?;
            let shown = match is_plain {
                true => Shown::Plain,
                false if map.apply_to_layer(mount.as_fd())? => Shown::Mapped,
                false => Shown::Unmapped,
            };
            apart.push(Tree { path, mount, shown });
        }
    }
    Ok(Host { whole, apart })
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
    pub fn make_root(&self, host: &Host) -> io::Result<()> {
        let base = self.skeleton(BASE);
        let below = match &host.whole {
            Some(whole) => {
                self.attach(WHOLE, whole)?;
                self.attach(GUARD, &guard([self.skeleton(CHOICE), self.at(WHOLE)])?)?;
                self.at(&format!("{GUARD}/{CHOSEN}"))
            }
            None => self.skeleton(EMPTY),
        };
        let root = self.overlay(&[base, below], "root", User::ROOT)?;
        self.attach("root", &root)?;
        for directory in [TREE, GUARDS] {
            fs::create_dir(self.at(directory))?;
        }
        host.apart.iter().try_for_each(|tree| self.add(tree))
    }

    /// A tree that is not the root's.
    fn add(&self, tree: &Tree) -> io::Result<()> {
        let above = self.at(&format!("{SKELETON}/{BASE}{}", tree.path));
        if !Path::new(&above).is_dir() {
            // It came after the launcher.
            return Ok(());
        }
        let place = self.at(&format!("root{}", tree.path));
        let name = tree.path.trim_start_matches('/').replace('/', "-");
        let bare = format!("{TREE}/{name}");
        let host = match tree.shown {
            Shown::Plain => return mount::attach_path(tree.mount.as_fd(), &place),
            Shown::Unmapped => {
                self.attach(&bare, &tree.mount)?;
                self.at(&bare)
            }
            Shown::Mapped => {
                self.attach(&bare, &tree.mount)?;
                let guarded = format!("{GUARDS}/{name}");
                self.attach(&guarded, &guard([self.skeleton(EMPTY), self.at(&bare)])?)?;
                self.at(&guarded)
            }
        };
        let mount = self.overlay(&[above, host], &name, User::ROOT)?;
        mount::attach_path(mount.as_fd(), &place)
    }

    fn skeleton(&self, part: &str) -> String {
        self.at(&format!("{SKELETON}/{part}"))
    }

    /// `name`: of the part of the layer that takes the writes; its topmost directory is `owner`'s.
    fn overlay(&self, lower: &[String], name: &str, owner: User) -> io::Result<OwnedFd> {
        let directory = match self.upper {
            Upper::Layer => LAYER,
            Upper::Points => POINTS,
            Upper::Nothing => {
                return Overlay { lower, upper: None }.mount(MountAttrFlags::MOUNT_ATTR_RDONLY);
            }
        };
        let part = self.at(&format!("{directory}/{name}"));
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

    /// What is to be seen at one target, made of the detached `sources` of its mounts, and how it may be used.
    pub fn mount(
        &self,
        index: usize,
        mounts: &[Mount],
        mut sources: Vec<OwnedFd>,
    ) -> io::Result<(OwnedFd, Access)> {
        let (Some(mount), Some(last)) = (mounts.first(), sources.pop()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        match mount.access {
            Access::ReadOnly | Access::ReadWrite => Ok((last, mount.access)),
            // Nothing is laid over it, and nothing under it.
            Access::Layered if self.upper != Upper::Layer && sources.is_empty() => {
                Ok((last, Access::ReadOnly))
            }
            Access::Layered => {
                sources.push(last);
                Ok((self.layered(index, mount, &sources)?, self.access()))
            }
        }
    }

    fn layered(&self, index: usize, mount: &Mount, sources: &[OwnedFd]) -> io::Result<OwnedFd> {
        let mut lower = vec![self.skeleton(EMPTY)];
        for (number, source) in sources.iter().enumerate() {
            let bare = format!("l{index}-{number}");
            self.attach(&bare, source)?;
            lower.insert(0, self.at(&bare));
        }
        self.overlay(&lower, &part_name(&mount.target), mount.owner.unwrap_or(User::ROOT))
    }

    /// Of what is layered.
    fn access(&self) -> Access {
        match self.upper {
            Upper::Layer => Access::Layered,
            Upper::Points | Upper::Nothing => Access::ReadOnly,
        }
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

/// What anybody may read of directories: the kernel looks into them with the rights of a user without any.
fn guard(lower: [String; 2]) -> io::Result<OwnedFd> {
    let overlay = Overlay { lower: &lower, upper: None };
    root::unprivileged(|| overlay.mount(MountAttrFlags::MOUNT_ATTR_RDONLY))
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
    IdMap::fence(dependency.ids, ids)?.apply_to_layer(mount.as_fd())?;
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

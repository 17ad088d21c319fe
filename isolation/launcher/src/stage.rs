//! What a fence's configuration refers to, in a mount namespace of the builder's own.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use hedgerow_isolation::control::descriptor;
use hedgerow_isolation::plan::{Access, IdRange, Mount, Network, Plan, User};
use nix::sched::CloneFlags;
use rustix::mount::{MountAttrFlags, MountPropagationFlags};

use crate::builder::Blueprint;
use crate::bus;
use crate::granted::{self, Granted};
use crate::greengrass;
use crate::idmap::{IdMap, Owners};
use crate::layer;
use crate::mount::{self, Reach};
use crate::points;
use crate::skeleton;
use crate::view::{self, LAYER, Place, SKELETON, Upper};

/// Directory over which the builder mounts its own tmpfs. Every parent must be open to all: the fence's root, who is
/// nobody on the host, resolves paths below it.
pub const STAGE: &str = "/tmp";

/// The descriptors beside a [`Blueprint`].
pub struct Materials {
    pub control: OwnedFd,
    pub filter: OwnedFd,
    pub init: OwnedFd,
    skeleton: OwnedFd,
    bus: Option<OwnedFd>,
    layer: Option<OwnedFd>,
    mounts: Vec<OwnedFd>,
    dependencies: Vec<(Option<OwnedFd>, Vec<OwnedFd>)>,
}

impl Materials {
    /// `None` where there are too few or too many, or the inherited ones have other numbers than promised.
    pub fn sort(blueprint: &Blueprint, descriptors: Vec<OwnedFd>) -> Option<Self> {
        let plan = &blueprint.plan;
        let mut left = descriptors.into_iter();
        let sorted = Self {
            control: left.next().filter(|d| d.as_raw_fd() == descriptor::CONTROL)?,
            filter: left.next().filter(|d| d.as_raw_fd() == descriptor::FILTER)?,
            init: left.next()?,
            skeleton: left.next()?,
            bus: take(&mut left, blueprint.grant.host_dbus.is_some())?,
            layer: take(&mut left, plan.layer.is_some())?,
            mounts: take_all(&mut left, plan.mounts.len())?,
            dependencies: plan
                .dependencies
                .iter()
                .map(|dependency| {
                    let layer = take(&mut left, dependency.layer.is_some())?;
                    Some((layer, take_all(&mut left, dependency.mounts.len())?))
                })
                .collect::<Option<_>>()?,
        };
        left.next().is_none().then_some(sorted)
    }
}

fn take(from: &mut impl Iterator<Item = OwnedFd>, wanted: bool) -> Option<Option<OwnedFd>> {
    if wanted { from.next().map(Some) } else { Some(None) }
}

fn take_all(from: &mut impl Iterator<Item = OwnedFd>, count: usize) -> Option<Vec<OwnedFd>> {
    let taken: Vec<_> = from.take(count).collect();
    (taken.len() == count).then_some(taken)
}

pub struct Stage {
    pub root: PathBuf,
    /// One for each of the plan's [`Plan::places`], in order.
    pub mounts: Vec<PathBuf>,
    /// One for each mount of the plan's dependencies, in order.
    pub dependencies: Vec<PathBuf>,
    pub granted: Vec<Granted>,
    pub greengrass: PathBuf,
    pub sudo: PathBuf,
    pub sys: Option<PathBuf>,
}

/// Detached mounts, mapped for the fence, and what goes above some of them.
struct Prepared {
    skeleton: OwnedFd,
    host: view::Host,
    mounts: Vec<OwnedFd>,
    dependencies: Vec<(OwnedFd, Option<OwnedFd>)>,
}

impl Stage {
    pub fn make(blueprint: &Blueprint, materials: &Materials) -> io::Result<Self> {
        let plan = &blueprint.plan;
        // Before the mount namespace: what is to be copied is in the launcher's.
        let users = blueprint.grant.users(plan.ids);
        let opened = granted::open(&blueprint.grant, users)?;
        let upper = match &plan.layer {
            Some(_) => Upper::Layer,
            None if opened.is_empty() => Upper::Nothing,
            None => Upper::Points,
        };
        let has_plain_programs = upper == Upper::Nothing && !blueprint.grant.real_root.is_granted();
        let prepared = prepare(plan, users, has_plain_programs, materials)?;
        nix::sched::unshare(CloneFlags::CLONE_NEWNS)?;
        rustix::mount::mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )?;
        neutralize_cgroups(blueprint.unified)?;
        let sys = match plan.network {
            Network::Host => Some(mount::copy_path("/sys", Reach::One)?),
            Network::None | Network::Nat => None,
        };
        mount::attach_path(mount::tmpfs("1m")?.as_fd(), STAGE)?;

        let place = Place { stage: STAGE, upper, ids: users };
        place.attach(SKELETON, &prepared.skeleton)?;
        if let Some(layer) = &materials.layer {
            place.attach(LAYER, layer)?;
            let quota = plan.layer.as_ref().and_then(|layer| layer.quota);
            let within = quota.map(|quota| layer::measure(layer.as_fd(), &c".".to_owned(), quota));
            within.transpose().map_err(io::Error::other)?;
        }
        place.make_root(&prepared.host)?;
        let mut sources = prepared.mounts.into_iter();
        let mounts = plan.places().enumerate().map(|(index, wanted)| {
            let sources: Vec<_> = sources.by_ref().take(wanted.len()).collect();
            let (mount, access) = place.mount(index, wanted, sources)?;
            restricted(&place, &format!("mount-{index}"), mount, access)
        });
        let foreign = plan.dependencies.iter().flat_map(|d| &d.mounts);
        let foreign = foreign.zip(prepared.dependencies).enumerate();
        let dependencies = foreign.map(|(index, (wanted, (source, changes)))| {
            let mount = place.foreign(index, wanted, source, changes)?;
            restricted(&place, &format!("foreign-{index}"), mount, Access::ReadOnly)
        });
        let root = Path::new(STAGE).join("root");
        let mut granted = granted::place(Path::new(STAGE), opened, &blueprint.grant, users)?;
        if upper == Upper::Points {
            points::make(&root, &granted, users)?;
        }
        if let Some(bus) = &materials.bus {
            place.attach("bus", bus)?;
            let (source, target) = (Path::new(STAGE).join("bus"), bus::DIRECTORY.into());
            granted.push(Granted { source, target, options: "rbind,nosuid,nodev,noexec,ro" });
        }
        Ok(Self {
            root,
            mounts: mounts.collect::<io::Result<_>>()?,
            dependencies: dependencies.collect::<io::Result<_>>()?,
            granted,
            greengrass: greengrass::make(&place, users)?,
            sudo: attach_file(&materials.init)?,
            sys: sys
                .map(|tree| place.attach("sys", &tree).map(|()| Path::new(STAGE).join("sys")))
                .transpose()?,
        })
    }
}

/// `users`: the host's ids of the fence's users, which own things by the plan's ids.
fn prepare(
    plan: &Plan,
    users: IdRange,
    has_plain_programs: bool,
    materials: &Materials,
) -> io::Result<Prepared> {
    let map = IdMap::host(users)?;
    let skeleton = skeleton::for_fence(&materials.skeleton, &map, users)?;
    let host = view::host(&map, &skeleton, has_plain_programs)?;

    let mut owners = Owners::default();
    let mut show_to_owner = |mount: &Mount, source: &OwnedFd| {
        let owner = mount.owner.unwrap_or(User::ROOT);
        owners.map(source.as_fd(), owner, users)?.apply_to_layer(source.as_fd())
    };
    let own = (users != plan.ids).then(|| IdMap::exchanged(plan.ids, users)).transpose()?;
    if let (Some(own), Some(layer)) = (&own, &materials.layer) {
        show(layer, own)?;
    }
    let mut mounts = Vec::new();
    for (wanted, source) in plan.mounts.iter().zip(&materials.mounts) {
        let source = source.try_clone()?;
        match &own {
            _ if wanted.access == Access::Layered => drop(show_to_owner(wanted, &source)?),
            Some(own) if wanted.owner.is_some() => show(&source, own)?,
            Some(_) | None => {}
        }
        mounts.push(source);
    }
    let mut dependencies = Vec::new();
    for (dependency, (layer, sources)) in plan.dependencies.iter().zip(&materials.dependencies) {
        for (wanted, source) in dependency.mounts.iter().zip(sources) {
            let source = source.try_clone()?;
            let changes = if wanted.access == Access::Layered {
                show_to_owner(wanted, &source)?;
                view::changes(layer.as_ref(), wanted, dependency, users)?
            } else {
                IdMap::fence(dependency.ids, users)?.apply(source.as_fd())?;
                None
            };
            dependencies.push((source, changes));
        }
    }
    Ok(Prepared { skeleton, host, mounts, dependencies })
}

/// What is the fence's own, to a fence whose root is the host's: there is no doing without.
fn show(mount: &OwnedFd, own: &IdMap) -> io::Result<()> {
    if own.apply_to_layer(mount.as_fd())? {
        return Ok(());
    }
    let message = "real-root needs id-mapped mounts (Linux 5.19), and a file system below the state directory that has them: ext4, btrfs, xfs, f2fs, tmpfs (Linux 6.3)";
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

fn restricted(
    place: &Place<'_>,
    name: &str,
    mount: OwnedFd,
    access: Access,
) -> io::Result<PathBuf> {
    let always = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let restrictions = match access {
        Access::ReadOnly => always | MountAttrFlags::MOUNT_ATTR_RDONLY,
        Access::ReadWrite | Access::Layered => always,
    };
    mount::restrict(mount.as_fd(), restrictions, Reach::One)?;
    place.attach(name, &mount)?;
    Ok(Path::new(STAGE).join(name))
}

/// The init's program once more, under the name by which components call it.
fn attach_file(program: &OwnedFd) -> io::Result<PathBuf> {
    let path = Path::new(STAGE).join("sudo");
    fs::write(&path, "")?;
    mount::attach_path(program.as_fd(), &format!("{STAGE}/sudo"))?;
    Ok(path)
}

/// The launcher has put this process into its cgroups, and only it writes there. libcontainer insists on joining
/// one as well: let it find the root of the unified hierarchy (every kernel can mount it, also where the
/// controllers are elsewhere), and let its write go nowhere.
fn neutralize_cgroups(unified: bool) -> io::Result<()> {
    if !unified {
        mount::attach_path(mount::cgroup2()?.as_fd(), "/sys/fs/cgroup")?;
    }
    let nowhere = mount::copy_path("/dev/null", Reach::One)?;
    mount::attach_path(nowhere.as_fd(), "/sys/fs/cgroup/cgroup.procs")
}

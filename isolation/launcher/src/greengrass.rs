//! `/greengrass`: memory of the fence's own, in which its mounts are, and links from where recipes expect things to
//! where they are.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use hedgerow_isolation::plan::IdRange;
use rustix::mount::MountAttrFlags;

use crate::mount::{self, Reach};
use crate::root::LOGS;
use crate::view::Place;

const NAME: &str = "greengrass";

/// Of which there are mount points and links.
const SIZE: &str = "64k";

/// Greengrass has its socket beside the directory that here is mounted, and logs where here nothing can be kept.
const LINKS: [(&str, &str); 2] = [("ipc.socket", "ipc/ipc.socket"), ("logs", LOGS)];

/// Makes it, the fence's root's, below the stage.
pub fn make(place: &Place<'_>, ids: IdRange) -> io::Result<PathBuf> {
    let memory = mount::tmpfs(SIZE)?;
    let always = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    mount::restrict(memory.as_fd(), always, Reach::One)?;
    place.attach(NAME, &memory)?;
    let top = Path::new(place.stage).join(NAME);
    let root = top.join("v2");
    fs::create_dir(&root)?;
    for directory in [&top, &root] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    }
    let give = |path: &Path| lchown(path, Some(ids.first), Some(ids.first));
    for (name, target) in LINKS {
        let link = root.join(name);
        symlink(target, &link)?;
        give(&link)?;
    }
    give(&root)?;
    give(&top)?;
    Ok(top)
}

//! The files of a version's directory that its recipe does not name. Greengrass's local deployments take the whole
//! directory, and many recipes rely on it: their scripts use `{artifacts:path}/main.py` and they list no artifact.

use std::io;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{SFlag, fstatat};

use super::beneath::{NotOpened, open_directory};
use super::delivery::Delivery;
use super::error::{ArtifactFault, Failure, ImportError};
use crate::recipe::{Access, Artifact, Permission, Unarchive};

impl Delivery<'_> {
    /// What lies there beside the artifacts that are `listed`, as artifacts whose file names are paths below the
    /// version's directory, in order. Left out: links, whatever is no file, and what not every user may read.
    pub fn beside(&self, listed: &[Artifact]) -> Result<Vec<Artifact>, ImportError> {
        let root = self.root();
        let found = self.walk(&root).map_err(|failure| failure.of("directory", &root))?;
        let is_listed = |name: &str| listed.iter().any(|artifact| artifact.file_name == name);
        Ok(found.into_iter().filter(|artifact| !is_listed(&artifact.file_name)).collect())
    }

    fn walk(&self, root: &Path) -> Result<Vec<Artifact>, Failure> {
        let (mut found, mut open) = (Vec::new(), vec![PathBuf::new()]);
        let mut entries = 0;
        while let Some(below) = open.pop() {
            let mut directory = match open_directory(self.source, &root.join(&below)) {
                Ok(directory) => Dir::from_fd(directory).map_err(io::Error::from)?,
                // There is none, or it went meanwhile, or it is closed to us.
                Err(NotOpened::Missing | NotOpened::SymbolicLink | NotOpened::NotPublic) => {
                    continue;
                }
                Err(NotOpened::Device(Errno::EACCES)) => continue,
                Err(reason) => return Err(reason.into()),
            };
            let names: Vec<_> = directory
                .iter()
                .map(|entry| entry.map(|entry| entry.file_name().to_owned()))
                .collect::<Result<_, _>>()
                .map_err(io::Error::from)?;
            for name in names {
                entries += 1;
                if entries > self.limits.entries {
                    return Err(ArtifactFault::TooManyEntries { limit: self.limits.entries }.into());
                }
                let Ok(text) = name.to_str() else { continue };
                if matches!(text, "." | "..") {
                    continue;
                }
                let status = fstatat(&directory, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
                let Ok(status) = status else { continue };
                let path = below.join(text);
                let kind = status.st_mode & SFlag::S_IFMT.bits();
                if kind == SFlag::S_IFDIR.bits() {
                    open.push(path);
                } else if kind == SFlag::S_IFREG.bits() && status.st_mode & 0o004 != 0 {
                    found.extend(path.to_str().map(|path| as_artifact(path, status.st_mode)));
                }
            }
        }
        found.sort_by(|a, b| a.file_name.cmp(&b.file_name));
        Ok(found)
    }
}

fn as_artifact(path: &str, mode: u32) -> Artifact {
    let execute = if mode & 0o111 == 0 { Access::None } else { Access::All };
    Artifact {
        uri: format!("file:{path}"),
        file_name: path.to_owned(),
        unarchive: Unarchive::None,
        permission: Permission { read: Access::All, execute },
        digest: None,
    }
}

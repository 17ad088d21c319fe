//! The guest's kernel, initrd and root file system, kept in a cache under a key of what they are made from.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result};

/// What the image is made from. A change of any of it makes another image.
const SOURCES: [(&str, &str); 5] = [
    ("build.sh", include_str!("../image/build.sh")),
    ("guest-tests.service", include_str!("../image/guest-tests.service")),
    ("init", include_str!("../image/init")),
    ("packages", include_str!("../image/packages")),
    ("run-tests", include_str!("../image/run-tests")),
];

/// A guest image: a directory in the cache.
#[derive(Debug, Clone)]
pub struct Image {
    directory: PathBuf,
}

impl Image {
    /// The image that belongs to the sources this was compiled with, made or not, in `cache`.
    pub fn in_cache(cache: &Path) -> Image {
        // Stable within one toolchain, which is all that a cache needs.
        let mut hasher = DefaultHasher::new();
        SOURCES.hash(&mut hasher);
        Image { directory: cache.join(format!("guest-{:016x}", hasher.finish())) }
    }

    pub fn exists(&self) -> bool {
        // Written last by `build.sh`, and the directory gets its name only after that.
        self.directory.join("release").is_file()
    }

    /// Makes the image: `run_as_root` is given the command that builds it (mmdebstrap and file owners need
    /// root). Other images in the same cache are removed: each takes about 400 MB.
    pub fn build(&self, run_as_root: impl FnOnce(&[&Path]) -> Result<()>) -> Result<()> {
        let cache = self.directory.parent().context("the cache has no parent directory")?;
        fs::create_dir_all(cache)?;
        for entry in fs::read_dir(cache)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("guest-") {
                remove(&entry.path())?;
            }
        }
        let unfinished = self.directory.with_extension("unfinished");
        fs::create_dir_all(unfinished.join("sources"))?;
        for (name, text) in SOURCES {
            fs::write(unfinished.join("sources").join(name), text)?;
        }
        let script = unfinished.join("sources/build.sh");
        run_as_root(&[Path::new("sh"), &script, &unfinished])?;
        fs::rename(&unfinished, &self.directory)?;
        Ok(())
    }

    pub(crate) fn kernel(&self) -> PathBuf {
        self.directory.join("vmlinuz")
    }

    pub(crate) fn initrd(&self) -> PathBuf {
        self.directory.join("initrd.img")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.join("root.ext4")
    }
}

/// Makes an ext4 image at `disk` holding what lies in `files`, with a quarter more and 64 MiB of room.
pub(crate) fn disk_from(files: &Path, disk: &Path) -> Result<()> {
    remove(disk)?;
    let mebibytes = size_of(files)?.div_ceil(1 << 20) * 5 / 4 + 64;
    let output = Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-O", "^resize_inode", "-E", "root_owner=0:0", "-d"])
        .arg(files)
        .arg(disk)
        .arg(format!("{mebibytes}M"))
        .output()
        .context("mke2fs (package e2fsprogs)")?;
    anyhow::ensure!(output.status.success(), "mke2fs: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn size_of(path: &Path) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    fs::read_dir(path)?.map(|entry| size_of(&entry?.path())).sum()
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

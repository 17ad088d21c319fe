//! A small file system of its own for the state, in a file, that nobody else sees. Needs root, `mke2fs` and `mount`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::hedgerow::Hedgerow;

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    pub image: PathBuf,
    pub directory: PathBuf,
}

impl Disk {
    /// Gives this thread, and all that it starts, mounts of their own: nobody else is to see the disk, or to wait for it.
    pub fn take_mounts_apart() -> Result<()> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        Ok(())
    }

    /// Makes a file that holds an empty file system of so many bytes.
    pub fn format(image: &Path, bytes: u64) -> Result<()> {
        fs::File::create(image)?.set_len(bytes)?;
        run("mke2fs", &["-q", "-t", "ext4", "-m", "0"], image)
    }

    /// Mounts the file system in `image` where the Hedgerow has its state. Only after [`Disk::take_mounts_apart`].
    pub fn insert(image: &Path, hedgerow: &Hedgerow) -> Result<Disk> {
        let directory = hedgerow.root().join("state");
        fs::create_dir_all(&directory)?;
        let image_name = image.to_string_lossy();
        run("mount", &["-o", "loop", &image_name], &directory)?;
        Ok(Disk { image: image.to_owned(), directory })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, for the case that a failed test has left something that uses it.
        let _ = run("umount", &["-l"], &self.directory);
    }
}

fn run(program: &str, options: &[&str], path: &Path) -> Result<()> {
    let mut command = Command::new(program);
    let output = command.args(options).arg(path).output().context(program.to_owned())?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

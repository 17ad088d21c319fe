//! The directories of a deployment: passed open, or named by their path.
//!
//! A descriptor shows that its caller could open the directory. A path shows nothing, and the daemon can read
//! files that its callers cannot; so a path is walked only where every user may go, and the reader
//! of such a deployment skips what not every user may read ([`crate::deployment::Request::public_only`]).

use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use hedgerow_api::Error;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat};

/// `fd`, where it is a directory.
pub fn passed(option: &str, fd: OwnedFd) -> Result<OwnedFd, Error> {
    let stat = fstat(&fd).map_err(|errno| refuse(option, errno.desc()))?;
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => Ok(fd),
        _ => Err(refuse(option, "it is not a directory")),
    }
}

/// The directory of an absolute path that every user could list.
pub async fn named(option: &'static str, path: String) -> Result<OwnedFd, Error> {
    tokio::task::spawn_blocking(move || walk(option, Path::new(&path)))
        .await
        .map_err(|error| Error::Internal(error.to_string()))?
}

fn walk(option: &str, path: &Path) -> Result<OwnedFd, Error> {
    if !path.is_absolute() {
        return Err(refuse(option, "it is not an absolute path"));
    }
    let path = path.canonicalize().map_err(|error| refuse(option, &error.to_string()))?;
    let step = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let failed = |errno: Errno| refuse(option, errno.desc());
    let mut directory = open("/", step, Mode::empty()).map_err(failed)?;
    for component in path.components() {
        if let Component::Normal(name) = component {
            demand(option, &directory, Mode::S_IXOTH)?;
            directory = openat(&directory, name, step, Mode::empty()).map_err(failed)?;
        }
    }
    demand(option, &directory, Mode::S_IXOTH | Mode::S_IROTH)?;
    let list = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(&directory, ".", list, Mode::empty()).map_err(failed)
}

fn demand(option: &str, directory: &OwnedFd, needed: Mode) -> Result<(), Error> {
    let stat = fstat(directory).map_err(|errno| refuse(option, errno.desc()))?;
    match Mode::from_bits_truncate(stat.st_mode).contains(needed) {
        true => Ok(()),
        false => Err(refuse(
            option,
            "not every user may read it; pass it open (recipe-dir, artifact-dir) instead",
        )),
    }
}

fn refuse(option: &str, why: &str) -> Error {
    Error::InvalidArgument(format!("option {option}: {why}"))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_path_is_followed_only_where_every_user_may_go() {
        let base = tempfile::tempdir().unwrap();
        let mode = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let (open, closed) = (base.path().join("open"), base.path().join("closed"));
        let inner = closed.join("inner");
        for directory in [&open, &closed, &inner] {
            create_dir(directory).unwrap();
            mode(directory, 0o755);
        }
        symlink(&inner, open.join("link")).unwrap();
        std::fs::write(open.join("file"), "").unwrap();
        mode(base.path(), 0o755);
        mode(&closed, 0o750);

        assert!(walk("o", &open).is_ok());
        for refused in
            [&inner, &open.join("link"), &open.join("file"), &open.join("absent"), Path::new("tmp")]
        {
            let answer = walk("o", refused);
            assert!(matches!(answer, Err(Error::InvalidArgument(_))), "{refused:?}: {answer:?}");
        }
        mode(&open, 0o751);
        assert!(walk("o", &open).is_err(), "searchable is not listable");
    }
}

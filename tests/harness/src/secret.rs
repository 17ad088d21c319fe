use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use anyhow::{Context, Result};
use nix::unistd::User;

/// Makes it a file of the user that the daemon becomes with `--root`, which no other can read.
pub fn give_to_the_daemon(path: &Path) -> Result<()> {
    let user = match User::from_name("hedgerow")? {
        Some(user) => user,
        None => User::from_name("daemon")?.context("neither hedgerow nor daemon is a user")?,
    };
    chown(path, Some(user.uid.as_raw()), None)?;
    fs::set_permissions(path, Permissions::from_mode(0o400))?;
    Ok(())
}

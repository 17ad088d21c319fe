//! The name of a file's content.

use std::fmt;

use crate::recipe::{Access, Permission};

/// A content with a mode: hard links of one file share both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Blob {
    pub sha256: [u8; 32],
    pub mode: u32,
}

impl Blob {
    /// Whether its owner may read it.
    pub fn is_readable(self) -> bool {
        self.mode & 0o400 != 0
    }
}

impl fmt::Display for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:03o}", hex(&self.sha256), self.mode)
    }
}

/// The mode of a file with this permission. Who may see a file is decided by which fence its tree is mounted into,
/// so that `OWNER` and `ALL` need not differ; what nobody may read is closed to all but the fence's root.
pub(super) fn mode(permission: Permission, is_executable: bool) -> u32 {
    match (permission.read, is_executable || permission.execute != Access::None) {
        (Access::None, false) => 0o000,
        (Access::Owner | Access::All, false) => 0o644,
        (Access::None | Access::Owner | Access::All, true) => 0o755,
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

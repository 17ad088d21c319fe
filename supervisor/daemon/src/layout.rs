//! Where everything is, on the host and inside a fence.

use std::path::{Path, PathBuf};

/// `{kernel:rootPath}`: where Greengrass's layout stands inside every fence.
pub const ROOT_PATH: &str = "/greengrass/v2";

/// The host's directories. Paths carry a component's slot number, never its name: a name may be 128
/// characters long and the address of a socket 108 bytes (unix(7)).
#[derive(Debug, Clone)]
pub struct Layout {
    /// What survives a reboot.
    pub state: PathBuf,
    /// What does not.
    pub runtime: PathBuf,
    /// `hedgerow.toml` and `hedgerow.toml.d/`.
    pub config: PathBuf,
    /// The journal's native socket, where one listens.
    pub journal: PathBuf,
    pub image: Image,
}

/// What the operating system's image brings.
#[derive(Debug, Clone)]
pub struct Image {
    /// `/usr/lib/hedgerow`.
    pub directory: PathBuf,
}

impl Image {
    /// The deployment document, where there is one.
    pub fn document(&self) -> PathBuf {
        self.directory.join("deployment.json")
    }

    pub fn recipes(&self) -> PathBuf {
        self.directory.join("components/recipes")
    }

    pub fn artifacts(&self) -> PathBuf {
        self.directory.join("components/artifacts")
    }
}

impl Layout {
    pub fn system() -> Self {
        Self {
            state: "/var/lib/hedgerow".into(),
            runtime: "/run/hedgerow".into(),
            config: "/etc/hedgerow".into(),
            journal: "/run/systemd/journal/socket".into(),
            image: Image { directory: "/usr/lib/hedgerow".into() },
        }
    }

    /// Everything below one directory, so that several run side by side.
    pub fn below(root: &Path) -> Self {
        Self {
            state: root.join("state"),
            runtime: root.join("run"),
            config: root.join("etc"),
            journal: root.join("run/journal.sock"),
            image: Image { directory: root.join("usr/lib/hedgerow") },
        }
    }

    pub fn database(&self) -> PathBuf {
        self.state.join("state.redb")
    }

    /// Events of functions that wait.
    pub fn event_queue(&self) -> PathBuf {
        self.state.join("queue.redb")
    }

    pub fn log_directory(&self) -> PathBuf {
        self.state.join("logs")
    }

    pub fn log(&self, component: &str) -> PathBuf {
        self.log_directory().join(format!("{component}.log"))
    }

    pub fn packages(&self) -> PathBuf {
        self.state.join("packages")
    }

    pub fn ipc_socket(&self, slot: u32) -> PathBuf {
        self.runtime.join(ipc_directory(slot)).join("ipc.socket")
    }

    pub fn launcher_socket(&self) -> PathBuf {
        self.runtime.join("launch/launch.sock")
    }

    /// Locked (fcntl(2)) for as long as the launcher lives.
    pub fn launcher_lock(&self) -> PathBuf {
        self.runtime.join("launch/lock")
    }

    pub fn bus_socket(&self) -> PathBuf {
        self.runtime.join("bus.sock")
    }
}

/// Relative to [`Layout::runtime`]. The directory is what a fence sees: a bound socket *file* would be dead
/// once a restarted daemon had made it anew.
pub fn ipc_directory(slot: u32) -> PathBuf {
    format!("ipc/c{slot}").into()
}

/// A directory in which nothing is. Relative to [`Layout::runtime`].
pub fn nothing() -> PathBuf {
    "nothing".into()
}

/// Relative to [`Layout::state`].
pub fn work_directory(slot: u32) -> PathBuf {
    work_directories().join(format!("c{slot}"))
}

/// Relative to [`Layout::state`].
pub fn work_directories() -> PathBuf {
    "work".into()
}

/// What one version of a component writes outside its work directory. Relative to [`Layout::state`].
pub fn layer(slot: u32, version: &str) -> PathBuf {
    layers().join(format!("c{slot}-{version}"))
}

/// Relative to [`Layout::state`].
pub fn layers() -> PathBuf {
    "layers".into()
}

/// Paths of one component inside its fence.
pub mod inside {
    use super::ROOT_PATH;

    /// Of `ggc_user`, by its name in passwd(5) too. The work directory by another name: what is kept there outlives
    /// a version, as in Greengrass.
    pub const HOME: &str = "/home/ggc_user";

    pub const IPC_DIRECTORY: &str = "/greengrass/v2/ipc";
    pub const IPC_SOCKET: &str = "/greengrass/v2/ipc/ipc.socket";

    pub fn artifacts(name: &str, version: &str) -> String {
        format!("{ROOT_PATH}/packages/artifacts/{name}/{version}")
    }

    pub fn unarchived(name: &str, version: &str) -> String {
        format!("{ROOT_PATH}/packages/artifacts-unarchived/{name}/{version}")
    }

    pub fn work(name: &str) -> String {
        format!("{ROOT_PATH}/work/{name}")
    }
}

//! A Debian guest with systemd and cgroup v2 under QEMU, for what a developer's machine cannot show: units
//! started by systemd, a system bus with its policy, a delegated cgroup subtree, memory limits that kill.
//!
//! ```text
//!  image/build.sh ──► vmlinuz, initrd.img, root.ext4          made once, kept in the user's cache
//!  a directory with an executable `run` ──► tests disk ──► run ──► its lines, its exit status, its logs
//! ```
//!
//! Its disk lasts for one run, in which it may reboot and lose its power; nothing inside reaches a network.
#![forbid(unsafe_code)]

mod boot;
mod image;
mod machine;

pub use image::Image;
pub use machine::{Outcome, run};

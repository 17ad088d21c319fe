//! What the running kernel can do, where only its release tells (uname(2)).

use std::fmt;

use nix::sys::utsname::uname;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(u32, u32);

/// mount_setattr(2) restricts everything that a fence sees.
const NEEDED: Release = Release(5, 12);

/// Overlays take id-mapped layers. An earlier kernel maps their ids, and then refuses the overlay.
const MAPPED_LAYERS: Release = Release(5, 19);

#[derive(Debug, thiserror::Error)]
#[error("this is Linux {0}; fences need Linux {NEEDED} or later, for mount_setattr(2)")]
pub struct TooOld(Release);

pub fn check() -> Result<(), TooOld> {
    match running() {
        Some(release) if release < NEEDED => Err(TooOld(release)),
        _ => Ok(()),
    }
}

pub fn takes_mapped_layers() -> bool {
    running().is_none_or(|release| release >= MAPPED_LAYERS)
}

/// `None` where it has another form than Linux's: then what it can do shows when it is asked.
fn running() -> Option<Release> {
    Release::parse(uname().ok()?.release().to_str()?)
}

impl Release {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        Some(Self(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_as_kernels_say_them() {
        for (text, release) in [
            ("6.1.0-18-cloud-amd64", Some(Release(6, 1))),
            ("5.15.147-yocto-standard", Some(Release(5, 15))),
            ("5.4", Some(Release(5, 4))),
            ("10.0-rc1", Some(Release(10, 0))),
            ("linux", None),
        ] {
            assert_eq!(Release::parse(text), release, "{text}");
        }
        assert!(Release(5, 15) < MAPPED_LAYERS && Release(6, 1) > MAPPED_LAYERS);
    }
}

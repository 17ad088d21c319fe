//! Which operating system this is: another image may lack what an install step put there.

use std::fs;
use std::path::Path;

/// The lines of os-release(5) that tell one image from another.
const KEYS: [&str; 5] = ["ID", "VERSION_ID", "IMAGE_ID", "IMAGE_VERSION", "BUILD_ID"];

/// The identity of the running system's image, as text. Empty where the system does not say.
pub fn identity(os_release: &Path) -> String {
    let text = fs::read_to_string(os_release).unwrap_or_default();
    let mut lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.split_once('=').is_some_and(|(key, _)| KEYS.contains(&key)))
        .collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_tells_images_apart_counts() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = "NAME=\"Poky\"\nVERSION_ID=5.0.4\nID=poky\nPRETTY_NAME=x\nBUILD_ID=42\n";
        fs::write(file.path(), text).expect("written");
        assert_eq!(identity(file.path()), "BUILD_ID=42\nID=poky\nVERSION_ID=5.0.4");
        assert_eq!(identity(Path::new("/nonexistent")), "");
    }
}

//! What packages ship beside the binaries, made by the program that it is about: manual pages and shell completions.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{output, quietly};
use crate::parts::Part;

/// Shell, and where below `share` its completions of a program are.
const COMPLETIONS: [(&str, &str, &str, &str); 6] = [
    ("hedgerow", "bash", "bash-completion/completions", "hedgerow"),
    ("hedgerow", "zsh", "zsh/site-functions", "_hedgerow"),
    ("hedgerow", "fish", "fish/vendor_completions.d", "hedgerow.fish"),
    ("greengrass-cli", "bash", "bash-completion/completions", "greengrass-cli"),
    ("greengrass-cli", "zsh", "zsh/site-functions", "_greengrass-cli"),
    ("greengrass-cli", "fish", "fish/vendor_completions.d", "greengrass-cli.fish"),
];

/// Writes `share/` beside the binaries, as it is installed below `/usr`.
pub fn make(part: &Part, binaries: &Path) -> Result<()> {
    let (program, share) = (binaries.join("hedgerow"), binaries.join("share"));
    let mut manual = Command::new(&program);
    manual.arg("manual").arg(share.join("man/man1"));
    quietly(part, "manual", manual)?;
    for (name, shell, directory, file) in COMPLETIONS {
        let mut completions = Command::new(&program);
        completions.args(["completions", shell, "--program", name]);
        let directory = share.join(directory);
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        fs::write(directory.join(file), output(completions)?)?;
    }
    Ok(())
}

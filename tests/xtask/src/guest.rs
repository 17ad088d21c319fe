//! The booted guest, as tasks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hedgerow_guest::Image;

use crate::command::{as_root, quietly};
use crate::needs::Purpose;
use crate::parts::{Part, Parts};
use crate::tree::copy_tree;
use crate::{build, examples, setup, workspace};

/// Until a whole run of the cases is ended. Everything is emulated: some ten times slower than the host.
const CASES_LIMIT: Duration = Duration::from_secs(1200);

/// The guest's image, from the cache or else made.
pub fn image(parts: &mut Parts) -> Result<Image> {
    setup::install(parts, &[Purpose::Guest])?;
    cached_image(parts)
}

fn cached_image(parts: &mut Parts) -> Result<Image> {
    let image = Image::in_cache(&workspace::cache()?);
    if !image.exists() {
        parts.run("make the guest's image", |part| {
            image.build(|words| {
                let mut command = as_root("env");
                command.args(words);
                quietly(part, "guest-image", command)
            })
        })?;
    }
    Ok(image)
}

/// Boots and runs one script; its failure is ours.
pub fn run_script(parts: &mut Parts, script: &Path, with: Option<&Path>, limit: u64) -> Result<()> {
    let image = image(parts)?;
    parts.run("run in the guest", |part| {
        let disk = tempfile::tempdir()?;
        install(script, &disk.path().join("run"))?;
        if let Some(with) = with {
            copy_tree(with, &disk.path().join("with"))?;
        }
        boot(part, &image, disk.path(), Duration::from_secs(limit))
    })
}

/// Boots once and runs the cases whose names contain `name`, one after the other.
pub fn cases(parts: &mut Parts, name: Option<&str>) -> Result<()> {
    setup::install(parts, &[Purpose::Demo, Purpose::Guest])?;
    let image = cached_image(parts)?;
    let binaries = build::release(parts)?;
    let examples = examples::lay_out(parts)?;
    parts.run("the booted guest", |part| {
        let disk = tempfile::tempdir()?;
        let source = workspace::root().join("tests/guest");
        for file in ["run", "lib.sh", "install"] {
            install(&source.join(file), &disk.path().join(file))?;
        }
        fs::create_dir(disk.path().join("cases"))?;
        let mut chosen = 0;
        for entry in fs::read_dir(source.join("cases"))? {
            let case = entry?.path();
            let file = case.file_name().context("a case without a name")?;
            if name.is_none_or(|name| file.to_string_lossy().contains(name)) {
                install(&case, &disk.path().join("cases").join(file))?;
                chosen += 1;
            }
        }
        ensure!(chosen > 0, "no case of tests/guest/cases has such a name");
        copy_tree(&binaries, &disk.path().join("bin"))?;
        copy_tree(&workspace::root().join("packaging"), &disk.path().join("packaging"))?;
        copy_tree(&examples.recipes, &disk.path().join("examples/recipes"))?;
        copy_tree(&examples.artifacts, &disk.path().join("examples/artifacts"))?;
        // Not deployed there, and large.
        fs::remove_dir_all(disk.path().join("examples/artifacts/com.example.onnxruntime"))?;
        let components = workspace::root().join("tests/components");
        copy_tree(&components, &disk.path().join("components"))?;
        boot(part, &image, disk.path(), CASES_LIMIT)
    })
}

fn boot(part: &Part, image: &Image, disk: &Path, limit: Duration) -> Result<()> {
    let out = workspace::target().join("guest");
    let outcome = hedgerow_guest::run(image, disk, &out, limit, |line| part.say(line))?;
    part.say(&format!("journal and logs: {}", out.join("logs").display()));
    ensure!(outcome.status == 0, "the script in the guest ended with status {}", outcome.status);
    Ok(())
}

/// Copies an executable.
fn install(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

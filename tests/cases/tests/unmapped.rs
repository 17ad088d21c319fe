//! A host whose file system cannot map ids, as an overlay cannot: what components can still do, and who says what they
//! cannot. Kernels before Linux 5.19 are the same to them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, eventually};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Puts a read-only overlay of itself over each of the host's trees, for this thread and all that it starts.
fn cover_host_trees() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let empty = tempfile::tempdir()?;
    for tree in ["/usr", "/etc", "/opt", "/var/lib/dpkg", "/var/lib/apt"] {
        if Path::new(tree).is_dir() {
            let options = format!("lowerdir={tree}:{}", empty.path().display());
            mount(
                Some("overlay"),
                tree,
                Some("overlay"),
                MsFlags::MS_RDONLY,
                Some(options.as_str()),
            )
            .context(tree)?;
        }
    }
    Ok(())
}

#[test]
fn without_mapped_ids_programs_run_and_new_files_are_written() -> Result<()> {
    cover_host_trees()?;
    let hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let secret = Path::new("/etc/shadow");
    ensure!(fs::metadata(secret).is_ok(), "nothing on this host to hide");
    let lifecycle = "\
install: |-
  set -e
  sudo useradd --system pump
  sudo sh -c 'mkdir /opt/pump && chown pump /opt/pump && echo value > /etc/pump.conf'
  sudo -u pump touch /opt/pump/state
run: |-
  echo $(stat -c %U /usr/bin/env) has it, $(stat -c %U /opt/pump/state) sees $(cat /etc/pump.conf)
  sudo sh -c 'echo > /usr/bin/env' || echo nothing is replaced
  sudo grep -c ^daemon: /etc/shadow || echo nothing is read
  python3 -c 'print(\"python runs\")' && exec sleep 1000";
    draft.component("test.system", "1.0.0", "", lifecycle)?;
    hedgerow.deploy(&draft.source(), &["test.system=1.0.0"])?;
    eventually("it has tried everything", PATIENCE, || {
        Ok(hedgerow.log("test.system")?.contains("python runs").then_some(()))
    })?;
    let log = hedgerow.log("test.system")?;
    for line in ["nobody has it, pump sees value", "nothing is replaced", "nothing is read"] {
        ensure!(log.contains(line), "{line:?} is not in {log}");
    }
    let doctor = hedgerow.run(&["doctor"])?;
    ensure!(doctor.contains("id-mapped mounts need Linux 5.19"), "{doctor}");
    hedgerow.finish()
}

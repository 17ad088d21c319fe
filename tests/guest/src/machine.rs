//! One boot of the guest, from power-on to power-off.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::image::{Image, disk_from};

/// Kernel parameters: quiet, quick under emulation, and the unified cgroup hierarchy.
const CMDLINE: &str = "console=ttyS0 quiet loglevel=3 panic=-1 reboot=t mitigations=off random.trust_cpu=on \
     tsc=reliable no_timer_check cryptomgr.notests systemd.show_status=0 \
     systemd.unified_cgroup_hierarchy=1 net.ifnames=0 audit=0 selinux=0 apparmor=0";

/// How a run ended that got as far as `run`'s exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Exit status of `run`, as a shell gives it (128 and more for a signal).
    pub status: i32,
}

/// Boots the guest with a disk made of `files`, whose executable `run` is started as root once the system bus
/// is up, and gives `line` each line of its output as it comes.
///
/// `out` (made where missing) receives `output.txt`, `console.txt`, and under `logs/` the journal, the kernel's
/// messages and whatever `run` left in `$TEST_LOGS`.
///
/// Fails when the guest does not start, or does not finish within `limit`; what it said until then is in `out`.
/// Emulated by TCG unless `HEDGEROW_GUEST_ACCEL` names another accelerator of QEMU (`kvm`): nested KVM is often
/// offered and does not work, and that shows only as a guest that hangs.
pub fn run(
    image: &Image,
    files: &Path,
    out: &Path,
    limit: Duration,
    mut line: impl FnMut(&str),
) -> Result<Outcome> {
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    fs::create_dir_all(out.join("logs"))?;
    disk_from(files, &out.join("tests.ext4"))?;

    let mut qemu = Command::new("timeout")
        .args(["--kill-after=5", &limit.as_secs().to_string(), "qemu-system-x86_64"])
        .args(arguments(image, out))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(out.join("qemu.txt"))?)
        .spawn()
        .context("timeout (package coreutils)")?;
    let mut transcript = fs::File::create(out.join("output.txt"))?;
    let stdout = qemu.stdout.take().context("no pipe to QEMU")?;
    for bytes in BufReader::new(stdout).split(b'\n') {
        let text = String::from_utf8_lossy(&bytes?).into_owned();
        writeln!(transcript, "{text}")?;
        line(&text);
    }
    let ended = qemu.wait()?;
    fs::remove_file(out.join("tests.ext4"))?;
    unpack_logs(out)?;

    if ended.code() == Some(124) || ended.code() == Some(137) {
        bail!("the guest did not finish within {} s; see {}", limit.as_secs(), out.display());
    }
    ensure!(ended.success(), "QEMU: {}", fs::read_to_string(out.join("qemu.txt"))?);
    let status = fs::read_to_string(out.join("status"))?;
    let status = status.trim().parse().with_context(|| {
        format!("the guest went down without reporting an exit status; see {}", out.display())
    })?;
    Ok(Outcome { status })
}

fn arguments(image: &Image, out: &Path) -> Vec<OsString> {
    let accelerator =
        std::env::var("HEDGEROW_GUEST_ACCEL").unwrap_or_else(|_| "tcg,thread=multi".to_owned());
    let mut arguments: Vec<OsString> = Vec::new();
    let mut option = |name: &str, value: OsString| {
        arguments.push(name.into());
        arguments.push(value);
    };
    option("-machine", "q35".into());
    option("-accel", accelerator.into());
    for (name, value) in [("-cpu", "max"), ("-smp", "2"), ("-m", "1024"), ("-display", "none")] {
        option(name, value.into());
    }
    option("-kernel", image.kernel().into());
    option("-initrd", image.initrd().into());
    option("-append", CMDLINE.into());
    option("-serial", value("file:", &out.join("console.txt")));
    // The root first: the initrd mounts the first disk.
    let root = "format=raw,if=none,id=root,snapshot=on,cache=unsafe,file=";
    option("-drive", value(root, &image.root()));
    option("-device", "virtio-blk-pci,drive=root,serial=root".into());
    let tests = "format=raw,if=none,id=tests,cache=unsafe,file=";
    option("-drive", value(tests, &out.join("tests.ext4")));
    option("-device", "virtio-blk-pci,drive=tests,serial=tests".into());
    option("-device", "virtio-serial-pci".into());
    // Not QEMU's stdio: that closes the port, and blocks its writer, once our standard input is at its end.
    option("-chardev", "file,id=output,path=/dev/stdout".into());
    option("-chardev", value("file,id=status,path=", &out.join("status")));
    option("-chardev", value("file,id=logs,path=", &out.join("logs.tar")));
    for port in ["output", "status", "logs"] {
        option("-device", format!("virtserialport,chardev={port},name={port}").into());
    }
    option("-device", "virtio-rng-pci".into());
    arguments.extend(["-nodefaults", "-no-user-config", "-no-reboot"].map(OsString::from));
    arguments
}

/// `prefix`, the path with QEMU's separator doubled.
fn value(prefix: &str, path: &Path) -> OsString {
    format!("{prefix}{}", path.to_string_lossy().replace(',', ",,")).into()
}

fn unpack_logs(out: &Path) -> Result<()> {
    let archive = out.join("logs.tar");
    if fs::metadata(&archive)?.len() > 0 {
        Command::new("tar")
            .args(["--no-same-owner", "-xf"])
            .arg(&archive)
            .arg("-C")
            .arg(out.join("logs"))
            .status()
            .context("tar")?;
    }
    fs::remove_file(archive)?;
    Ok(())
}

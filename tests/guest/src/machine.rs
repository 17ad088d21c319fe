//! The guest from the first power-on of a fresh disk to its last power-off. In between it may go down and come back, with
//! the same disk, as it asks for.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::boot::{Boot, End};
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
/// `run` is started again where it went down as announced by one of these lines of its output:
///
/// - `guest: reboots`: it reboots;
/// - `guest: cut the power in N ms`: N milliseconds later QEMU is killed. The disk has then what was flushed,
///   and whatever else happened to be written.
///
/// Before each boot `files/said` is written: what `run` has said in the boots before.
///
/// `out` (made where missing) receives `output.txt`, `console.txt`, and under `logs/` the journal, the kernel's
/// messages and whatever `run` left in `$TEST_LOGS`.
///
/// Fails when the guest does not start, does not finish within `limit`, or leaves a file system with errors; what it
/// said until then is in `out`. Emulated by TCG unless `HEDGEROW_GUEST_ACCEL` names another accelerator of QEMU
/// (`kvm`): nested KVM is often offered and does not work, and that shows only as a guest that hangs.
pub fn run(
    image: &Image,
    files: &Path,
    out: &Path,
    limit: Duration,
    mut line: impl FnMut(&str),
) -> Result<Outcome> {
    let deadline = Instant::now() + limit;
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    fs::create_dir_all(out.join("logs"))?;
    let machine = Machine { image, out };
    machine.make_root()?;
    let mut said = String::new();
    loop {
        fs::write(files.join("said"), &said)?;
        disk_from(files, &machine.tests())?;
        let mut transcript = fs::File::create(out.join("output.txt"))?;
        transcript.write_all(said.as_bytes())?;
        let mut say = |text: &str| {
            line(text);
            said.push_str(text);
            said.push('\n');
            writeln!(transcript, "{text}")
        };
        match Boot::start(machine.arguments(), &out.join("qemu.txt"))?.follow(deadline, &mut say)? {
            // With a status `run` has ended before it could go down.
            End::Asked if !machine.has_status()? => say("guest: boots again")?,
            End::Asked | End::PoweredOff => break,
            End::Late => {
                bail!(
                    "the guest did not finish within {} s; see {}",
                    limit.as_secs(),
                    out.display()
                )
            }
        }
    }
    machine.finish()
}

struct Machine<'a> {
    image: &'a Image,
    out: &'a Path,
}

impl Machine<'_> {
    fn root(&self) -> PathBuf {
        self.out.join("root.ext4")
    }

    fn tests(&self) -> PathBuf {
        self.out.join("tests.ext4")
    }

    fn status(&self) -> PathBuf {
        self.out.join("status")
    }

    fn has_status(&self) -> Result<bool> {
        Ok(fs::metadata(self.status())?.len() > 0)
    }

    /// A disk of its own, which outlives QEMU.
    fn make_root(&self) -> Result<()> {
        let mut copy = Command::new("cp");
        copy.args(["--sparse=always", "--reflink=auto"]).arg(self.image.root()).arg(self.root());
        run_to_end(copy).map(drop)
    }

    fn finish(&self) -> Result<Outcome> {
        unpack_logs(self.out)?;
        let status = fs::read_to_string(self.status())?;
        let status = status.trim().parse().with_context(|| {
            format!(
                "the guest went down without reporting an exit status; see {}",
                self.out.display()
            )
        })?;
        let mut check = Command::new("e2fsck");
        check.args(["-f", "-n"]).arg(self.root());
        run_to_end(check).context("the guest's file system")?;
        fs::remove_file(self.root())?;
        fs::remove_file(self.tests())?;
        Ok(Outcome { status })
    }

    /// QEMU's.
    fn arguments(&self) -> Vec<OsString> {
        let accelerator =
            std::env::var("HEDGEROW_GUEST_ACCEL").unwrap_or_else(|_| "tcg,thread=multi".to_owned());
        let mut arguments: Vec<OsString> = Vec::new();
        let mut option = |name: &str, value: OsString| {
            arguments.push(name.into());
            arguments.push(value);
        };
        option("-machine", "q35".into());
        option("-accel", accelerator.into());
        for (name, value) in [("-cpu", "max"), ("-smp", "2"), ("-m", "1024"), ("-display", "none")]
        {
            option(name, value.into());
        }
        option("-kernel", self.image.kernel().into());
        option("-initrd", self.image.initrd().into());
        option("-append", CMDLINE.into());
        let console = value("file,id=console,append=on,path=", &self.out.join("console.txt"));
        option("-chardev", console);
        option("-serial", "chardev:console".into());
        // The root first: the initrd mounts the first disk. What the guest flushes is in the file however QEMU ends.
        option("-drive", value("format=raw,if=none,id=root,cache=writeback,file=", &self.root()));
        option("-device", "virtio-blk-pci,drive=root,serial=root".into());
        option("-drive", value("format=raw,if=none,id=tests,cache=unsafe,file=", &self.tests()));
        option("-device", "virtio-blk-pci,drive=tests,serial=tests".into());
        option("-device", "virtio-serial-pci".into());
        // Not QEMU's stdio: that closes the port, and blocks its writer, once our standard input is at its end.
        option("-chardev", "file,id=output,path=/dev/stdout".into());
        option("-chardev", value("file,id=status,path=", &self.status()));
        option("-chardev", value("file,id=logs,path=", &self.out.join("logs.tar")));
        for port in ["output", "status", "logs"] {
            option("-device", format!("virtserialport,chardev={port},name={port}").into());
        }
        option("-device", "virtio-rng-pci".into());
        arguments.extend(["-nodefaults", "-no-user-config", "-no-reboot"].map(OsString::from));
        arguments
    }
}

/// `prefix`, the path with QEMU's separator doubled.
fn value(prefix: &str, path: &Path) -> OsString {
    format!("{prefix}{}", path.to_string_lossy().replace(',', ",,")).into()
}

fn unpack_logs(out: &Path) -> Result<()> {
    let archive = out.join("logs.tar");
    if fs::metadata(&archive)?.len() > 0 {
        let mut tar = Command::new("tar");
        tar.args(["--no-same-owner", "-xf"]).arg(&archive).arg("-C").arg(out.join("logs"));
        run_to_end(tar)?;
    }
    fs::remove_file(archive)?;
    Ok(())
}

fn run_to_end(mut command: Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
    Ok(())
}

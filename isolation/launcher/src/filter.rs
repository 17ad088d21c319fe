//! The seccomp filter of steps.
//!
//! A call that is not listed answers ENOSYS, as a kernel would that does not have it: programs then fall back.
//! What would reach outside the fence answers EPERM.

use std::os::fd::AsFd;

use libseccomp::error::SeccompError;
use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
};

/// New namespaces, see clone(2).
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// personality(2) values that change nothing that matters: none, 32 bits, either without randomisation, ask.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Writes the filter to `file` as `struct sock_filter`s.
pub fn write(file: impl AsFd) -> Result<(), SeccompError> {
    filter()?.export_bpf(file)
}

fn filter() -> Result<ScmpFilterContext, SeccompError> {
    let mut filter = ScmpFilterContext::new(ScmpAction::Errno(libc::ENOSYS))?;
    for &other in other_architectures() {
        filter.add_arch(other)?;
    }
    // What else there may be (x32, say) does not exist here.
    filter.set_act_badarch(ScmpAction::Errno(libc::ENOSYS))?;
    // A binary tree instead of a list of comparisons.
    filter.set_ctl_optimize(2)?;
    let denied = ScmpAction::Errno(libc::EPERM);
    for name in include_str!("filter/allowed.txt").split_whitespace() {
        // A name that this library does not know is a call that this machine does not have.
        if let Ok(call) = ScmpSyscall::from_name(name) {
            filter.add_rule(ScmpAction::Allow, call)?;
        }
    }
    for name in include_str!("filter/denied.txt").split_whitespace() {
        if let Ok(call) = ScmpSyscall::from_name(name) {
            filter.add_rule(denied, call)?;
        }
    }
    add_clone(&mut filter, denied)?;
    add_arguments(&mut filter, denied)?;
    Ok(filter)
}

/// New processes and threads, but no new namespaces. (clone3 hides its flags from a filter: ENOSYS makes the C
/// libraries use clone.)
fn add_clone(filter: &mut ScmpFilterContext, denied: ScmpAction) -> Result<(), SeccompError> {
    let clone = ScmpSyscall::from_name("clone")?;
    let namespaces = NAMESPACES.map(|flag| u64::from(flag.cast_unsigned()));
    let all = namespaces.iter().sum();
    let argument = if cfg!(target_arch = "s390x") { 1 } else { 0 };
    let none = ScmpArgCompare::new(argument, ScmpCompareOp::MaskedEqual(all), 0);
    filter.add_rule_conditional(ScmpAction::Allow, clone, &[none])?;
    for flag in namespaces {
        let set = ScmpArgCompare::new(argument, ScmpCompareOp::MaskedEqual(flag), flag);
        filter.add_rule_conditional(denied, clone, &[set])?;
    }
    Ok(())
}

fn add_arguments(filter: &mut ScmpFilterContext, denied: ScmpAction) -> Result<(), SeccompError> {
    let personality = ScmpSyscall::from_name("personality")?;
    for value in PERSONALITIES {
        let same = ScmpArgCompare::new(0, ScmpCompareOp::Equal, value);
        filter.add_rule_conditional(ScmpAction::Allow, personality, &[same])?;
    }
    // Sockets of any family but the host's side of virtual machines.
    let socket = ScmpSyscall::from_name("socket")?;
    let vsock = libc::AF_VSOCK as u64;
    let other = ScmpArgCompare::new(0, ScmpCompareOp::NotEqual, vsock);
    filter.add_rule_conditional(ScmpAction::Allow, socket, &[other])?;
    let same = ScmpArgCompare::new(0, ScmpCompareOp::Equal, vsock);
    filter.add_rule_conditional(denied, socket, &[same])?;
    Ok(())
}

/// The other system call tables that a 64-bit kernel serves on this processor.
fn other_architectures() -> &'static [ScmpArch] {
    if cfg!(target_arch = "x86_64") {
        &[ScmpArch::X86]
    } else if cfg!(target_arch = "aarch64") {
        &[ScmpArch::Arm]
    } else {
        &[]
    }
}

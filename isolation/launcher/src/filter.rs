//! The seccomp filter of steps.
//!
//! A call that is not listed answers ENOSYS, as a kernel would that does not have it: programs then fall back.
//! What would reach outside the fence answers EPERM.
//!
//! That of an observed fence lets through and refuses the same, and has [`crate::observer`] asked first where that may
//! tell what a component misses.

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

/// What answers EPERM, whatever its arguments.
const DENIED: &str = include_str!("filter/denied.txt");

/// Allowed, and of interest to the observer.
const WATCHED: &str = include_str!("filter/watched.txt");

/// Writes the filter to `file` as `struct sock_filter`s.
pub fn write(file: impl AsFd, is_observed: bool) -> Result<(), SeccompError> {
    filter(is_observed)?.export_bpf(file)
}

/// Whether a call that the observer is asked about is to be refused: it has namespaces to make, where it is clone.
pub fn refuses(call: &str) -> bool {
    call == "clone" || DENIED.split_whitespace().any(|name| name == call)
}

fn filter(is_observed: bool) -> Result<ScmpFilterContext, SeccompError> {
    let asked = |otherwise| if is_observed { ScmpAction::Notify } else { otherwise };
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
        let is_watched = WATCHED.split_whitespace().any(|watched| watched == name);
        let action = if is_watched { asked(ScmpAction::Allow) } else { ScmpAction::Allow };
        // A name that this library does not know is a call that this machine does not have.
        if let Ok(call) = ScmpSyscall::from_name(name) {
            filter.add_rule(action, call)?;
        }
    }
    for name in DENIED.split_whitespace() {
        if let Ok(call) = ScmpSyscall::from_name(name) {
            filter.add_rule(asked(denied), call)?;
        }
    }
    add_clone(&mut filter, asked(denied))?;
    add_personality(&mut filter)?;
    add_socket(&mut filter, asked(ScmpAction::Allow), denied)?;
    add_multicast(&mut filter, asked(ScmpAction::Allow))?;
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

fn add_personality(filter: &mut ScmpFilterContext) -> Result<(), SeccompError> {
    let personality = ScmpSyscall::from_name("personality")?;
    for value in PERSONALITIES {
        let same = ScmpArgCompare::new(0, ScmpCompareOp::Equal, value);
        filter.add_rule_conditional(ScmpAction::Allow, personality, &[same])?;
    }
    Ok(())
}

/// Sockets of any family but the host's side of virtual machines.
fn add_socket(
    filter: &mut ScmpFilterContext,
    allowed: ScmpAction,
    denied: ScmpAction,
) -> Result<(), SeccompError> {
    let socket = ScmpSyscall::from_name("socket")?;
    let vsock = libc::AF_VSOCK as u64;
    let other = ScmpArgCompare::new(0, ScmpCompareOp::NotEqual, vsock);
    filter.add_rule_conditional(allowed, socket, &[other])?;
    let same = ScmpArgCompare::new(0, ScmpCompareOp::Equal, vsock);
    filter.add_rule_conditional(denied, socket, &[same])?;
    Ok(())
}

/// `setsockopt`, with `joining` for that of ip(7) by which one joins a multicast group.
fn add_multicast(filter: &mut ScmpFilterContext, joining: ScmpAction) -> Result<(), SeccompError> {
    let call = ScmpSyscall::from_name("setsockopt")?;
    let (level, option) = (libc::IPPROTO_IP as u64, libc::IP_ADD_MEMBERSHIP as u64);
    let argument = ScmpArgCompare::new;
    let ip = argument(1, ScmpCompareOp::Equal, level);
    let other_level = argument(1, ScmpCompareOp::NotEqual, level);
    let other_option = argument(2, ScmpCompareOp::NotEqual, option);
    filter.add_rule_conditional(ScmpAction::Allow, call, &[other_level])?;
    filter.add_rule_conditional(ScmpAction::Allow, call, &[ip, other_option])?;
    let join = [ip, argument(2, ScmpCompareOp::Equal, option)];
    filter.add_rule_conditional(joining, call, &join).map(drop)
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

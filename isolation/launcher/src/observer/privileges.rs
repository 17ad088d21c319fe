//! Calls that a fence refuses to its own root, and what the host's root needs for them: capabilities(7).

use hedgerow_isolation::grants::Capability;
use hedgerow_isolation::observation::Remedy;

use super::tracee::Tracee;

/// What would give a refused call to `thread`. To a user who is not root nothing would: its steps have no capability
/// with that grant either.
pub fn judge(thread: u32, call: &str) -> Remedy {
    let is_root = Tracee::of(thread).is_ok_and(|it| it.credentials.overrides_permissions());
    let needed = needs(call).filter(|_| is_root).map(str::to_owned);
    let capability = needed.and_then(|name| Capability::try_from(name).ok());
    capability.map_or(Remedy::None, Remedy::RealRoot)
}

fn needs(call: &str) -> Option<&'static str> {
    let capability = match call {
        "init_module" | "finit_module" | "delete_module" => "CAP_SYS_MODULE",
        "clock_settime" | "clock_settime64" | "settimeofday" | "stime" => "CAP_SYS_TIME",
        "reboot" | "kexec_load" | "kexec_file_load" => "CAP_SYS_BOOT",
        "ioperm" | "iopl" => "CAP_SYS_RAWIO",
        "acct" => "CAP_SYS_PACCT",
        "syslog" => "CAP_SYSLOG",
        "bpf" => "CAP_BPF",
        "perf_event_open" => "CAP_PERFMON",
        "vhangup" => "CAP_SYS_TTY_CONFIG",
        "fsconfig" | "fsmount" | "fsopen" | "fspick" | "mount" | "mount_setattr" | "move_mount"
        | "open_tree" | "pivot_root" | "quotactl" | "quotactl_fd" | "setdomainname"
        | "sethostname" | "setns" | "swapoff" | "swapon" | "umount" | "umount2" | "unshare" => {
            "CAP_SYS_ADMIN"
        }
        // What debuggers call, and what nobody needs.
        _ => return None,
    };
    Some(capability)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_needs_a_capability_that_there_is() {
        let refused = include_str!("../filter/denied.txt").split_whitespace();
        let named: Vec<_> = refused.filter_map(needs).collect();
        assert!(named.len() > 20);
        assert!(named.iter().all(|name| Capability::try_from((*name).to_owned()).is_ok()));
        assert_eq!(needs("ptrace"), None);
    }
}

//! Whether this host passes packets on: net.ipv4.ip_forward.
//!
//! The switch is one for the whole host. Where it was off, the host is no router and must not become one for its
//! neighbours: a table of its own drops what neither comes from a fence nor goes to one.
//! That table is also the note that the switch was ours to turn on, for whichever launcher leaves last.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::netlink::{Netlink, attributes};
use super::nftables::{Batch, GET_TABLE, INET};
use super::rules;

const SWITCH: &str = "/proc/sys/net/ipv4/ip_forward";
/// Locked while the switch is looked at and turned. Nobody but root may open it: whoever could, could keep every launcher
/// waiting by locking it (flock(2)), as is so with the switch itself.
const LOCK: &str = "/run/hedgerow-forwarding.lock";
const GUARD: &str = "hedgerow-forwarding";

/// How the names of launchers' tables begin, the guard's too.
pub const TABLES: &str = "hedgerow-";

/// Why it cannot be turned on, where it is off.
pub fn check() -> io::Result<()> {
    if is_on()? { Ok(()) } else { File::options().write(true).open(SWITCH).map(drop) }
}

/// What the host does with the packets of others where it was off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    Dropped,
    /// Passed on, as configuration wants it.
    Forwarded,
}

/// Turns it on where it is off; whether that was so.
pub fn turn_on(netfilter: &Netlink, others: Others) -> io::Result<bool> {
    let _alone = lock()?;
    if is_on()? {
        return Ok(false);
    }
    guard(netfilter, others)?;
    fs::write(SWITCH, "1")?;
    Ok(true)
}

fn guard(netfilter: &Netlink, others: Others) -> io::Result<()> {
    let mut batch = Batch::new();
    match others {
        Others::Dropped => rules::guard(&mut batch, GUARD),
        Others::Forwarded => batch.ensure_table(GUARD),
    }
    Ok(netfilter.run(&batch.finish())?)
}

/// Puts the guard back where somebody has removed it, and tells whether the launcher's own table is still there.
pub fn mend(netfilter: &Netlink, guarded: Option<Others>, table: &str) -> io::Result<bool> {
    let _alone = lock()?;
    let tables = tables(netfilter)?;
    if let Some(others) = guarded
        && !tables.iter().any(|table| table == GUARD)
    {
        guard(netfilter, others)?;
    }
    Ok(tables.iter().any(|found| found == table))
}

/// Turns it off where a launcher turned it on, and none is left that needs it.
pub fn turn_off(netfilter: &Netlink) -> io::Result<()> {
    let _alone = lock()?;
    let tables = tables(netfilter)?;
    if tables.iter().any(|table| table == GUARD) && tables.len() == 1 {
        fs::write(SWITCH, "0")?;
        let mut batch = Batch::new();
        batch.delete_table(GUARD);
        netfilter.run(&batch.finish())?;
    }
    Ok(())
}

fn is_on() -> io::Result<bool> {
    Ok(fs::read_to_string(SWITCH)?.trim() != "0")
}

/// Against other launchers: there may be several, each for a directory of its own.
fn lock() -> io::Result<File> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(LOCK)?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Names of the tables of all launchers, the guard's too.
fn tables(netfilter: &Netlink) -> Result<Vec<String>, Errno> {
    let mut found = Vec::new();
    netfilter.dump(GET_TABLE, &INET, |table| {
        found.extend(name(table).filter(|name| name.starts_with(TABLES)));
    })?;
    Ok(found)
}

/// Of a table, as the kernel describes it.
pub fn name(table: &[u8]) -> Option<String> {
    const NAME: u16 = 1;
    let (_, value) = attributes(table.get(INET.len()..)?).find(|(kind, _)| *kind == NAME)?;
    Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned())
}

//! A thread that waits for its call to be answered: what it has in its memory, and what rights it has.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::net::SocketType;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};

/// The path of the kernel's `PATH_MAX`, with the NUL.
const MAX_PATH: usize = 4096;

/// A page of memory, at least: the rest of it can be read where its first byte can.
const PAGE: u64 = 4096;

const CAP_DAC_OVERRIDE: u64 = 1 << 1;
const CAP_NET_RAW: u64 = 1 << 13;

#[derive(Debug)]
pub struct Tracee {
    /// `/proc/<thread>`: says nothing any more once the thread is gone, whoever has its number then.
    directory: OwnedFd,
    pub credentials: Credentials,
}

/// With the host's numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    pub process: i32,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    capabilities: u64,
}

impl Tracee {
    /// The caller makes sure afterwards that it still waits.
    pub fn of(thread: u32) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, format!("/proc/{thread}"), flags, Mode::empty())?;
        let mut status = String::new();
        open(&directory, "status")?.read_to_string(&mut status)?;
        let credentials = Credentials::of(&status).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { directory, credentials })
    }

    /// A file of proc(5).
    pub fn text(&self, name: &str) -> io::Result<String> {
        let mut text = String::new();
        open(&self.directory, name)?.read_to_string(&mut text)?;
        Ok(text)
    }

    pub fn root(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.directory, "root", flags, Mode::empty())?)
    }

    pub fn bytes(&self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        open(&self.directory, "mem")?.read_exact_at(&mut bytes, address)?;
        Ok(bytes)
    }

    /// A text that ends with a NUL, as a path.
    pub fn path(&self, mut address: u64) -> io::Result<PathBuf> {
        let memory = open(&self.directory, "mem")?;
        let mut text = Vec::new();
        while text.len() < MAX_PATH {
            let rest = PAGE - address % PAGE;
            let mut page = vec![0; usize::try_from(rest).unwrap_or(0)];
            memory.read_exact_at(&mut page, address)?;
            if let Some(end) = page.iter().position(|&byte| byte == 0) {
                text.extend(page.drain(..end));
                return Ok(OsString::from_vec(text).into());
            }
            text.append(&mut page);
            address = address.checked_add(rest).ok_or(io::ErrorKind::InvalidData)?;
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// Where a relative path begins, as the fence calls it. `directory` as in openat(2).
    pub fn base(&self, directory: i32) -> io::Result<PathBuf> {
        let name = match directory {
            libc::AT_FDCWD => "cwd".to_owned(),
            number => format!("fd/{number}"),
        };
        let target = rustix::fs::readlinkat(&self.directory, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// Of what kind one of its sockets is.
    pub fn socket_type(&self, number: i32) -> io::Result<SocketType> {
        let process = Pid::from_raw(self.credentials.process).ok_or(io::ErrorKind::InvalidData)?;
        let process = rustix::process::pidfd_open(process, PidfdFlags::empty())?;
        // The same process as before, if this one still says anything.
        self.text("comm")?;
        let socket = rustix::process::pidfd_getfd(&process, number, PidfdGetfdFlags::empty())?;
        Ok(rustix::net::sockopt::socket_type(&socket)?)
    }
}

impl Credentials {
    /// From `/proc/<pid>/status`.
    fn of(status: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(|rest| rest.trim_start_matches(':').split_whitespace())
        };
        // Real, effective, saved, file system.
        let file_system = |name| field(name)?.nth(3)?.parse().ok();
        Some(Self {
            process: field("Tgid")?.next()?.parse().ok()?,
            uid: file_system("Uid")?,
            gid: file_system("Gid")?,
            groups: field("Groups")?.filter_map(|group| group.parse().ok()).collect(),
            capabilities: u64::from_str_radix(field("CapEff")?.next()?, 16).ok()?,
        })
    }

    /// Over what belongs to the users of its fence.
    pub fn overrides_permissions(&self) -> bool {
        self.capabilities & CAP_DAC_OVERRIDE != 0
    }

    pub fn may_send_raw(&self) -> bool {
        self.capabilities & CAP_NET_RAW != 0
    }
}

fn open(directory: impl AsFd, name: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, Path::new(name), flags, Mode::empty())?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_for_files() {
        let status = "Name:\tpython3\nTgid:\t70\nPid:\t71\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n\
                      Groups:\t9 10 \nCapPrm:\t0\nCapEff:\t0000000000002002\n";
        let found = Credentials::of(status).unwrap();
        let expected =
            Credentials { process: 70, uid: 4, gid: 8, groups: vec![9, 10], capabilities: 0x2002 };
        assert_eq!(found, expected);
        assert!(found.overrides_permissions() && found.may_send_raw());
        assert_eq!(Credentials::of("Name:\tx\n"), None);
    }

    #[test]
    fn memory_is_read_to_the_end_of_a_text_and_not_beyond() {
        let own =
            Tracee::of(rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()).unwrap();
        let text = [b"/a".repeat(2000), vec![0, b'x']].concat();
        let address = text.as_ptr() as u64;
        assert_eq!(own.path(address).unwrap().as_os_str().len(), 4000);
        assert_eq!(own.bytes(address, 2).unwrap(), b"/a");
        own.path(8).unwrap_err();
        assert!(own.base(libc::AT_FDCWD).unwrap().is_absolute());
        own.base(-7).unwrap_err();
    }
}

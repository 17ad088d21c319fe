//! Unpacking a ZIP archive whose author is not trusted.
//!
//! Entries are read one after another; the archive's directory is never held in memory.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::syncfs;
use rawzip::{
    CompressionMethod, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ZipArchive, ZipFileHeaderRecord,
};

use super::Limits;
use super::error::{ArtifactFault, EntryFault, Failure};
use super::import::permissions;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    pub directory: PathBuf,
    /// Files and directories made.
    pub entries: u64,
    /// Of all files.
    pub bytes: u64,
}

const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const SYMBOLIC_LINK: u32 = 0o120_000;

/// Unpacks into `root`, which does not exist yet, and has it on disk before returning.
pub(super) fn unarchive(
    file: File,
    file_bytes: u64,
    root: &Path,
    executable: bool,
    limits: &Limits,
) -> Result<Unpacked, Failure> {
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let archive = ZipArchive::from_file(file, &mut buffer).map_err(unsound)?;
    let by_ratio = file_bytes.saturating_mul(limits.ratio).max(Limits::ALWAYS_UNPACKED);
    let mut tree = Tree {
        root: root.to_owned(),
        entries: 0,
        bytes: 0,
        max_entries: limits.entries,
        max_bytes: limits.unpacked_bytes.min(by_ratio),
    };
    make_directory(root)?;
    let mut entries = archive.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(unsound)? {
        let (name, path) = path_of(&entry)?;
        let fault = |why| Failure::from(ArtifactFault::Entry { entry: name.clone(), why });
        match kind(&entry).map_err(&fault)? {
            Kind::Directory => tree.directories(&path).map_err(|e| blame(e, &fault))?,
            Kind::File { mode_executable } => {
                let data = archive.get_entry(entry.wayfinder()).map_err(unsound)?;
                let stored = data.reader();
                let content: Box<dyn Read> = match entry.compression_method() {
                    CompressionMethod::STORE => Box::new(data.verifying_reader(stored)),
                    CompressionMethod::DEFLATE => {
                        Box::new(data.verifying_reader(flate2::read::DeflateDecoder::new(stored)))
                    }
                    method => return Err(fault(EntryFault::Method(method.to_string()))),
                };
                let mode = permissions(executable || mode_executable);
                tree.file(&path, content, mode, &fault).map_err(|e| blame(e, &fault))?;
            }
        }
    }
    // One flush of the file system costs less than one for each of thousands of files.
    syncfs(File::open(root)?).map_err(io::Error::from)?;
    Ok(Unpacked { directory: root.to_owned(), entries: tree.entries, bytes: tree.bytes })
}

enum Kind {
    Directory,
    File { mode_executable: bool },
}

fn kind(entry: &ZipFileHeaderRecord<'_>) -> Result<Kind, EntryFault> {
    if entry.flags().is_encrypted() {
        return Err(EntryFault::Encrypted);
    }
    let mode = entry.mode().value();
    match mode & TYPE {
        SYMBOLIC_LINK => Err(EntryFault::SymbolicLink),
        // A directory by its name, whatever its mode.
        _ if entry.is_dir() => Ok(Kind::Directory),
        DIRECTORY => Ok(Kind::Directory),
        REGULAR | 0 => Ok(Kind::File { mode_executable: mode & 0o111 != 0 }),
        _ => Err(EntryFault::Special),
    }
}

/// An entry's name, and the same as a path that stays beneath the archive's directory.
fn path_of(entry: &ZipFileHeaderRecord<'_>) -> Result<(String, PathBuf), Failure> {
    let raw = entry.file_path();
    let name = String::from_utf8_lossy(raw.as_bytes()).into_owned();
    let fault = |why| Failure::from(ArtifactFault::Entry { entry: name.clone(), why });
    let text = std::str::from_utf8(raw.as_bytes()).map_err(|_| fault(EntryFault::Name))?;
    if text.contains('\0') {
        return Err(fault(EntryFault::Name));
    }
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return Err(fault(EntryFault::Escapes));
    }
    let parts = text.split('/').filter(|part| !part.is_empty() && *part != ".");
    let path: PathBuf = parts.collect();
    if path.as_os_str().is_empty() && !entry.is_dir() {
        return Err(fault(EntryFault::Name));
    }
    Ok((name, path))
}

/// What has been made of an archive so far.
struct Tree {
    root: PathBuf,
    entries: u64,
    bytes: u64,
    max_entries: u64,
    max_bytes: u64,
}

impl Tree {
    /// Makes a directory and those it lies in. None of them can be a symbolic link: none is made.
    fn directories(&mut self, path: &Path) -> Result<(), Failure> {
        let mut directory = self.root.clone();
        for part in path {
            directory.push::<&OsStr>(part);
            if !fs::symlink_metadata(&directory).is_ok_and(|m| m.is_dir()) {
                self.count()?;
                make_directory(&directory)?;
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &Path,
        content: impl Read,
        mode: Permissions,
        fault: &impl Fn(EntryFault) -> Failure,
    ) -> Result<(), Failure> {
        self.directories(path.parent().unwrap_or(Path::new("")))?;
        self.count()?;
        let target = self.root.join(path);
        // Of two entries with one name the last wins, as with other programs.
        let mut output = OpenOptions::new().write(true).create(true).truncate(true).open(target)?;
        self.copy(content, &mut output, fault)?;
        output.set_permissions(mode)?;
        Ok(())
    }

    fn copy(
        &mut self,
        mut content: impl Read,
        output: &mut File,
        fault: &impl Fn(EntryFault) -> Failure,
    ) -> Result<(), Failure> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = content
                .read(&mut buffer)
                .map_err(|error| fault(EntryFault::Damaged(error.to_string())))?;
            if read == 0 {
                return Ok(());
            }
            self.bytes += read as u64;
            if self.bytes > self.max_bytes {
                return Err(ArtifactFault::UnpacksTooLarge { limit: self.max_bytes }.into());
            }
            output.write_all(buffer.get(..read).unwrap_or_default())?;
        }
    }

    fn count(&mut self) -> Result<(), ArtifactFault> {
        self.entries += 1;
        if self.entries > self.max_entries {
            return Err(ArtifactFault::TooManyEntries { limit: self.max_entries });
        }
        Ok(())
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

/// Of the system's answers, those that an entry's name brought about are the author's matter.
fn blame(failure: Failure, fault: &impl Fn(EntryFault) -> Failure) -> Failure {
    match failure {
        Failure::Write(error) => match error.kind() {
            io::ErrorKind::InvalidFilename => fault(EntryFault::Name),
            io::ErrorKind::AlreadyExists
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory => fault(EntryFault::Clash),
            _ => Failure::Write(error),
        },
        Failure::Fault(_) => failure,
    }
}

fn unsound(error: rawzip::Error) -> Failure {
    ArtifactFault::NotAnArchive(error.to_string()).into()
}

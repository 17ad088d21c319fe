//! Unpacking a ZIP archive whose author is not trusted.
//!
//! Entries are read one after another; the archive's directory is never held in memory.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rawzip::{
    CompressionMethod, FileReader, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ZipArchive,
    ZipArchiveEntryWayfinder, ZipFileHeaderRecord,
};
use sha2::{Digest, Sha256};

use super::Limits;
use super::blob::{Blob, mode};
use super::delivery::Content;
use super::error::{ArtifactFault, EntryFault, Failure};
use super::staging::Staging;
use crate::recipe::Permission;

/// Of an entry, what is kept in memory until it is known whether the store has it.
const IN_MEMORY: usize = 1024 * 1024;

const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const SYMBOLIC_LINK: u32 = 0o120_000;

type Archive = ZipArchive<FileReader>;

/// What an archive says that it unpacks to.
pub(super) fn unpacked_bytes(file: File) -> Result<u64, Failure> {
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let archive = ZipArchive::from_file(file, &mut buffer).map_err(unsound)?;
    let mut entries = archive.entries(&mut buffer);
    let mut bytes: u64 = 0;
    while let Some(entry) = entries.next_entry().map_err(unsound)? {
        bytes = bytes.saturating_add(entry.uncompressed_size_hint());
    }
    Ok(bytes)
}

/// Unpacks an archive into `root`, which does not exist yet.
pub(super) fn unarchive(
    content: &Content<'_>,
    file: File,
    root: &Path,
    staging: &mut Staging<'_>,
) -> Result<(), Failure> {
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let archive = ZipArchive::from_file(file, &mut buffer).map_err(unsound)?;
    let Limits { unpacked_bytes, ratio, entries: max_entries, .. } = *content.delivery.limits;
    let by_ratio = content.bytes.saturating_mul(ratio).max(Limits::ALWAYS_UNPACKED);
    let max_bytes = unpacked_bytes.min(by_ratio);
    let permission = content.artifact.permission;
    let (root, watch) = (root.to_owned(), content.delivery.watch);
    let mut unpacking = Unpacking {
        root,
        staging,
        permission,
        watch,
        entries: 0,
        bytes: 0,
        max_entries,
        max_bytes,
    };
    unpacking.directories(Path::new(""))?;
    let mut entries = archive.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(unsound)? {
        let (name, path) = path_of(&entry)?;
        let fault = |why| Failure::from(ArtifactFault::Entry { entry: name.clone(), why });
        match kind(&entry).map_err(&fault)? {
            Kind::Directory => unpacking.directories(&path).map_err(|e| blame(e, &fault))?,
            Kind::File { is_executable } => {
                let packed = Packed {
                    archive: &archive,
                    place: entry.wayfinder(),
                    method: entry.compression_method(),
                    fault: &fault,
                };
                unpacking.file(&path, &packed, is_executable).map_err(|e| blame(e, &fault))?;
            }
        }
    }
    Ok(())
}

enum Kind {
    Directory,
    File { is_executable: bool },
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
        REGULAR | 0 => Ok(Kind::File { is_executable: mode & 0o111 != 0 }),
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

/// A file of the archive.
struct Packed<'a> {
    archive: &'a Archive,
    place: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    fault: &'a dyn Fn(EntryFault) -> Failure,
}

impl Packed<'_> {
    fn read(&self) -> Result<Box<dyn Read + '_>, Failure> {
        let entry = self.archive.get_entry(self.place).map_err(unsound)?;
        match self.method {
            CompressionMethod::STORE => Ok(Box::new(entry.verifying_reader(entry.reader()))),
            CompressionMethod::DEFLATE => {
                let inflated = flate2::read::DeflateDecoder::new(entry.reader());
                Ok(Box::new(entry.verifying_reader(inflated)))
            }
            method => Err((self.fault)(EntryFault::Method(method.to_string()))),
        }
    }
}

/// What has been made of an archive so far.
struct Unpacking<'a, 's> {
    root: PathBuf,
    staging: &'a mut Staging<'s>,
    permission: Permission,
    watch: &'a dyn Fn(u64) -> ControlFlow<()>,
    entries: u64,
    bytes: u64,
    max_entries: u64,
    max_bytes: u64,
}

impl Unpacking<'_, '_> {
    /// Makes a directory and those it lies in. None of them can be a symbolic link: none is made.
    fn directories(&mut self, path: &Path) -> Result<(), Failure> {
        let mut directory = self.root.clone();
        if !directory.is_dir() {
            self.staging.make_directory(&directory)?;
        }
        for part in path {
            directory.push::<&OsStr>(part);
            if !fs::symlink_metadata(&directory).is_ok_and(|m| m.is_dir()) {
                self.count()?;
                self.staging.make_directory(&directory)?;
            }
        }
        Ok(())
    }

    /// What the store has is not written again; which content it is is known only after it was unpacked once.
    fn file(&mut self, path: &Path, packed: &Packed<'_>, executable: bool) -> Result<(), Failure> {
        self.directories(path.parent().unwrap_or(Path::new("")))?;
        self.count()?;
        let target = self.root.join(path);
        let mut start = Start(Vec::new());
        let (sha256, bytes) = self.copy(packed, &mut start)?;
        self.bytes += bytes;
        let blob = Blob { sha256, mode: mode(self.permission, executable) };
        if self.staging.share(blob, &target)? {
            return Ok(());
        }
        let mut output = self.staging.create(&target)?;
        if start.0.len() as u64 == bytes {
            output.write_all(&start.0)?;
        } else {
            self.copy(packed, &mut output)?;
        }
        Ok(self.staging.written(&output, &target, blob)?)
    }

    fn copy(
        &self,
        packed: &Packed<'_>,
        output: &mut dyn Write,
    ) -> Result<([u8; 32], u64), Failure> {
        let mut input = packed.read()?;
        let mut hasher = Sha256::new();
        let mut buffer = [0; 16 * 1024];
        let mut bytes = 0;
        loop {
            let damaged = |error: io::Error| (packed.fault)(EntryFault::Damaged(error.to_string()));
            let read = input.read(&mut buffer).map_err(damaged)?;
            if read == 0 {
                return Ok((hasher.finalize().into(), bytes));
            }
            bytes += read as u64;
            if self.bytes + bytes > self.max_bytes {
                return Err(ArtifactFault::UnpacksTooLarge { limit: self.max_bytes }.into());
            }
            let read = buffer.get(..read).unwrap_or_default();
            hasher.update(read);
            output.write_all(read)?;
            if (self.watch)(read.len() as u64).is_break() {
                return Err(Failure::Canceled);
            }
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

/// Keeps the first bytes of what is written to it.
struct Start(Vec<u8>);

impl Write for Start {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = IN_MEMORY.saturating_sub(self.0.len()).min(bytes.len());
        self.0.extend_from_slice(bytes.get(..room).unwrap_or_default());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
        Failure::Fault(_) | Failure::Canceled => failure,
    }
}

fn unsound(error: rawzip::Error) -> Failure {
    ArtifactFault::NotAnArchive(error.to_string()).into()
}

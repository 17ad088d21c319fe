//! A directory as an archive.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use rawzip::{CompressionMethod, ZipArchiveWriter, ZipDataWriter};

use crate::failure::Failure;

/// What is in the directory, in the order of the names and without times: the same content makes the same archive.
/// Symbolic links to files are packed as those files; an archive has no place for other ones.
pub fn pack(directory: &Path, archive: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::Write { path: archive.to_owned(), error };
    let mut writer = ZipArchiveWriter::new(BufWriter::new(File::create(archive).map_err(failed)?));
    for name in files(directory)? {
        let path = directory.join(&name);
        add(&mut writer, &name, &path).map_err(|error| Failure::Open { path, error })?;
    }
    let mut file = writer.finish().map_err(|error| failed(io::Error::other(error)))?;
    file.flush().map_err(failed)
}

fn add<W: Write>(
    writer: &mut ZipArchiveWriter<W>,
    name: &Path,
    path: &Path,
) -> Result<(), io::Error> {
    let is_executable = fs::metadata(path)?.permissions().mode() & 0o111 != 0;
    let name = name.to_str().ok_or_else(|| io::Error::other("its name is not UTF-8"))?;
    let (mut entry, config) = writer
        .new_file(name)
        .compression_method(CompressionMethod::DEFLATE)
        .unix_permissions(if is_executable { 0o755 } else { 0o644 })
        .start()
        .map_err(io::Error::other)?;
    let encoder = DeflateEncoder::new(&mut entry, Compression::default());
    let mut data = config.wrap(encoder);
    io::copy(&mut File::open(path)?, &mut data)?;
    let (encoder, descriptor) = ZipDataWriter::finish(data).map_err(io::Error::other)?;
    encoder.finish()?;
    entry.finish(descriptor).map_err(io::Error::other)?;
    Ok(())
}

/// What is to be done with what is no file.
fn unpackable(path: &Path) -> Option<&'static str> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => None,
        Ok(found) if found.is_dir() => {
            Some("a symbolic link to a directory; put a copy of the directory in its place")
        }
        Ok(_) => Some("no regular file; leave it out"),
        Err(_) => Some("a symbolic link that leads nowhere; leave it out"),
    }
}

/// Of all files below, the path from there, in order.
fn files(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut open = vec![PathBuf::new()];
    let mut files = Vec::new();
    while let Some(directory) = open.pop() {
        let path = root.join(&directory);
        let failed = |error| Failure::Open { path: path.clone(), error };
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = directory.join(entry.file_name());
            if entry.file_type().map_err(failed)?.is_dir() {
                open.push(name);
                continue;
            }
            match unpackable(&entry.path()) {
                None => files.push(name),
                Some(why) => return Err(Failure::Code { path: entry.path(), why }),
            }
        }
    }
    files.sort();
    Ok(files)
}

//! A log file rotated by size.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// One log file and its predecessors: `NAME.log`, `NAME.log.1` …, the newest first.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    max_size: u64,
    files: u32,
    open: Option<(File, u64)>,
}

impl LogFile {
    /// Nothing is made before something is written.
    pub fn new(path: PathBuf, max_size: u64, files: u32) -> Self {
        Self { path, max_size: max_size.max(4096), files: files.max(1), open: None }
    }

    /// Whole lines, which stay together in one file.
    pub fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let (mut file, size) = match self.open.take() {
            Some(open) => open,
            None => open_to_append(&self.path)?,
        };
        let length = text.len() as u64;
        if size > 0 && size + length > self.max_size {
            drop(file);
            self.rotate()?;
            (file, _) = open_to_append(&self.path)?;
            file.write_all(text)?;
            self.open = Some((file, length));
        } else {
            file.write_all(text)?;
            self.open = Some((file, size + length));
        }
        Ok(())
    }

    fn rotate(&self) -> io::Result<()> {
        if self.files == 1 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.files - 1).rev() {
            rename_if_there(&self.numbered(number), &self.numbered(number + 1))?;
        }
        rename_if_there(&self.path, &self.numbered(1))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        numbered(&self.path, number)
    }
}

fn open_to_append(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The last lines of a log and, where that is short, of its predecessors. Empty where there is none.
pub fn last_lines(path: &Path, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for path in with_predecessors(path) {
        let Ok(bytes) = fs::read(&path) else { break };
        let text = String::from_utf8_lossy(&bytes);
        let mut older: Vec<String> =
            text.lines().rev().take(count - lines.len()).map(str::to_owned).collect();
        older.reverse();
        older.append(&mut lines);
        lines = older;
        if lines.len() >= count {
            break;
        }
    }
    lines
}

/// The current file first, then older and older ones; without end.
fn with_predecessors(path: &Path) -> impl Iterator<Item = PathBuf> {
    (0..).map(|number| match number {
        0 => path.to_owned(),
        number => numbered(path, number),
    })
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{number}"));
    name.into()
}

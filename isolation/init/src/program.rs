//! Why a program that is there cannot be executed (execve(2) says the same of several faults).

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;

use crate::regular;
use crate::step::Directory;

/// Bytes of a file's beginning that the kernel looks at (BINPRM_BUF_SIZE).
const BEGINNING: u64 = 256;

/// What to do, in parentheses; nothing where the error says all. A name without a directory was looked up in PATH.
pub fn advice(program: &Path, directory: Directory<'_>, errno: Errno) -> String {
    let Directory::Path(directory) = directory else { return String::new() };
    if !program.as_os_str().as_bytes().contains(&b'/') {
        return String::new();
    }
    match (errno, beginning(&directory.join(program))) {
        (Errno::NOENT, Some(beginning)) => match beginning.strip_prefix(b"#!") {
            Some(rest) => missing_interpreter(rest),
            None => {
                " (it is there; the loader that it names is not: it was built for another system)"
                    .into()
            }
        },
        (Errno::ACCESS, Some(_)) => " (it may not be executed: chmod +x)".into(),
        (Errno::NOEXEC, Some(_)) => {
            " (it is no program for this machine, and does not begin with \"#!\")".into()
        }
        _ => String::new(),
    }
}

fn missing_interpreter(rest: &[u8]) -> String {
    let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let interpreter = line.split([' ', '\t']).find(|word| !word.is_empty()).unwrap_or_default();
    match interpreter.strip_suffix('\r') {
        Some(_) => " (it is there; its first line ends with a carriage return: write its lines as Unix does)".into(),
        None => format!(" (it is there; its interpreter {interpreter:?} is not)"),
    }
}

fn beginning(path: &Path) -> Option<Vec<u8>> {
    let file = regular::open(File::options().read(true), path).ok()?;
    let mut beginning = Vec::new();
    file.take(BEGINNING).read_to_end(&mut beginning).ok()?;
    Some(beginning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_program_is_said() {
        let home = std::env::temp_dir().join(format!("hedgerow-program-{}", std::process::id()));
        std::fs::create_dir(&home).unwrap();
        let said = |text: &str, errno| {
            std::fs::write(home.join("bootstrap"), text).unwrap();
            advice(Path::new("./bootstrap"), Directory::Path(&home), errno)
        };
        let table = [
            ("#!/bin/sh\r\necho\r\n", Errno::NOENT, "ends with a carriage return"),
            ("#! /usr/bin/nosuch -x\n", Errno::NOENT, "its interpreter \"/usr/bin/nosuch\" is not"),
            ("\x7fELF", Errno::NOENT, "the loader that it names is not"),
            ("#!/bin/sh\n", Errno::ACCESS, "chmod +x"),
            ("echo\n", Errno::NOEXEC, "no program for this machine"),
        ];
        for (text, errno, expected) in table {
            assert!(said(text, errno).contains(expected), "{expected}");
        }
        assert_eq!(said("", Errno::NOMEM), "");
        let missing = advice(Path::new("./missing"), Directory::Path(&home), Errno::NOENT);
        assert_eq!(missing, "");
        std::fs::remove_dir_all(&home).unwrap();
    }
}

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use proptest::prelude::*;
use rawzip::{CompressionMethod, ZipArchiveWriter};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::error::Failure;
use super::*;
use crate::recipe::{Access, Artifact, Permission, Unarchive};

/// An artifact directory and a place to import to.
struct Bench {
    directory: TempDir,
}

/// Name, Unix mode with its type (0 for none), content.
type Entry<'a> = (&'a str, u32, &'a [u8]);

impl Bench {
    fn new() -> Self {
        let bench = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir_all(bench.source().join("com.example.A/1.0.0")).unwrap();
        bench
    }

    fn source(&self) -> PathBuf {
        self.directory.path().join("source")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.source().join("com.example.A/1.0.0").join(name)
    }

    fn imported(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn import(&self, artifact: &Artifact, limits: &Limits) -> Result<Imported, ImportError> {
        let (files, unarchived) =
            (self.imported("deep/artifacts"), self.imported("deep/unarchived"));
        let destination = Destination { artifacts: &files, unarchived: &unarchived };
        let (name, version) = ("com.example.A".parse().unwrap(), "1.0.0".parse().unwrap());
        let source = File::open(self.source()).unwrap();
        import(
            Source { directory: source.as_fd(), public_only: false },
            &name,
            &version,
            artifact,
            destination,
            limits,
        )
    }

    fn unpack(&self, entries: &[Entry<'_>]) -> Result<Imported, ImportError> {
        fs::write(self.file("a.zip"), zip(entries, CompressionMethod::DEFLATE)).unwrap();
        self.import(&artifact("a.zip", Unarchive::Zip), &Limits::default())
    }

    /// Every file that an import left, relative to the destination.
    fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        let mut open = vec![self.imported("deep")];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten() {
                let path = entry.unwrap().path();
                match fs::symlink_metadata(&path).unwrap().is_dir() {
                    true => open.push(path),
                    false => left.push(path.display().to_string()),
                }
            }
        }
        left
    }
}

fn artifact(file: &str, unarchive: Unarchive) -> Artifact {
    Artifact {
        uri: format!("s3://bucket/{file}"),
        file_name: file.to_owned(),
        unarchive,
        permission: Permission::default(),
        digest: None,
    }
}

fn plain(file: &str) -> Artifact {
    artifact(file, Unarchive::None)
}

fn zip(entries: &[Entry<'_>], method: CompressionMethod) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = ZipArchiveWriter::new(&mut bytes);
    for (name, mode, content) in entries {
        let path = rawzip::path::EntryPath::verbatim(name.as_bytes().to_vec());
        let builder = archive.new_file(path).compression_method(method).unix_permissions(*mode);
        let (mut entry, config) = builder.start().unwrap();
        let descriptor = if method == CompressionMethod::DEFLATE {
            let level = flate2::Compression::default();
            let mut writer = config.wrap(flate2::write::DeflateEncoder::new(&mut entry, level));
            writer.write_all(content).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            descriptor
        } else {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(content).unwrap();
            writer.finish().unwrap().1
        };
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    bytes
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn fault(result: Result<Imported, ImportError>) -> ArtifactFault {
    match result {
        Err(ImportError::Artifact { fault, artifact, .. }) => {
            assert!(artifact.starts_with("s3://bucket/"));
            fault
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_is_copied_with_its_digest_and_mode() {
    let bench = Bench::new();
    fs::write(bench.file("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(bench.file("run.sh"), fs::Permissions::from_mode(0o4777)).unwrap();
    let sha256: [u8; 32] = Sha256::digest(b"#!/bin/sh\n").into();

    let as_declared = bench.import(&plain("run.sh"), &Limits::default()).unwrap();
    assert_eq!((as_declared.sha256, as_declared.bytes, as_declared.unpacked), (sha256, 10, None));
    assert_eq!(fs::read(&as_declared.file).unwrap(), b"#!/bin/sh\n");
    assert_eq!(mode(&as_declared.file), 0o644);
    assert_eq!(mode(as_declared.file.parent().unwrap()), 0o755);

    let permission = Permission { read: Access::All, execute: Access::All };
    let executable = Artifact { permission, digest: Some(sha256), ..plain("run.sh") };
    let again = bench.import(&executable, &Limits::default()).unwrap();
    assert_eq!(mode(&again.file), 0o755);
    assert_eq!(bench.left().len(), 1);
}

#[test]
fn what_is_not_a_file_of_the_directory_is_refused_by_name() {
    let bench = Bench::new();
    fs::write(bench.directory.path().join("secret"), "secret").unwrap();
    symlink("../../../secret", bench.file("link")).unwrap();
    symlink("/etc/passwd", bench.file("absolute")).unwrap();
    fs::write(bench.file("beside"), "x").unwrap();
    symlink("beside", bench.file("inside")).unwrap();
    fs::create_dir(bench.file("directory")).unwrap();
    nix::unistd::mkfifo(&bench.file("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o600))
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(bench.file("socket")).unwrap();
    for (file, expected) in [
        ("none", ArtifactFault::Missing),
        ("link", ArtifactFault::SymbolicLink),
        ("absolute", ArtifactFault::SymbolicLink),
        ("inside", ArtifactFault::SymbolicLink),
        ("directory", ArtifactFault::NotAFile),
        ("pipe", ArtifactFault::NotAFile),
        ("socket", ArtifactFault::NotAFile),
    ] {
        let error = bench.import(&plain(file), &Limits::default()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&format!("s3://bucket/{file}: com.example.A/1.0.0/{file}: ")),
            "{text}"
        );
        assert_eq!(fault(Err(error)), expected);
    }
    assert_eq!(bench.left(), [] as [String; 0]);
}

#[test]
fn a_linked_directory_on_the_way_is_refused() {
    let bench = Bench::new();
    fs::write(bench.file("a"), "x").unwrap();
    fs::rename(bench.source().join("com.example.A"), bench.imported("elsewhere")).unwrap();
    symlink("../elsewhere", bench.source().join("com.example.A")).unwrap();
    assert_eq!(fault(bench.import(&plain("a"), &Limits::default())), ArtifactFault::SymbolicLink);
}

#[test]
fn a_wrong_digest_and_a_large_file_leave_nothing() {
    let bench = Bench::new();
    fs::write(bench.file("a"), "content").unwrap();
    let wrong = Artifact { digest: Some([7; 32]), ..plain("a") };
    assert!(matches!(
        fault(bench.import(&wrong, &Limits::default())),
        ArtifactFault::Digest { .. }
    ));
    let limits = Limits { file_bytes: 6, ..Limits::default() };
    assert_eq!(fault(bench.import(&plain("a"), &limits)), ArtifactFault::TooLarge { limit: 6 });
    assert_eq!(bench.left(), [] as [String; 0]);
}

#[test]
fn a_failed_import_leaves_the_earlier_one() {
    let bench = Bench::new();
    fs::write(bench.file("a"), "first").unwrap();
    let file = bench.import(&plain("a"), &Limits::default()).unwrap().file;
    fs::write(bench.file("a"), "second").unwrap();
    let wrong = Artifact { digest: Some([7; 32]), ..plain("a") };
    bench.import(&wrong, &Limits::default()).unwrap_err();
    assert_eq!(fs::read(&file).unwrap(), b"first");
    bench.import(&plain("a"), &Limits::default()).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"second");
}

#[test]
fn an_archive_is_unpacked_into_its_own_directory() {
    for method in [CompressionMethod::STORE, CompressionMethod::DEFLATE] {
        let bench = Bench::new();
        let entries: [Entry<'_>; 5] = [
            ("bin/", 0o040_700, b""),
            ("bin/run", 0o100_700, b"#!/bin/sh\n"),
            ("./lib//data.txt", 0o100_600, b"data"),
            ("no mode", 0, b"x"),
            ("empty", 0o100_644, b""),
        ];
        fs::write(bench.file("a.zip"), zip(&entries, method)).unwrap();
        let imported =
            bench.import(&artifact("a.zip", Unarchive::Zip), &Limits::default()).unwrap();
        let unpacked = imported.unpacked.unwrap();
        assert_eq!(unpacked.directory, bench.imported("deep/unarchived/a"));
        assert_eq!((unpacked.entries, unpacked.bytes), (6, 15));
        for (path, content, bits) in [
            ("bin/run", "#!/bin/sh\n", 0o755),
            ("lib/data.txt", "data", 0o644),
            ("no mode", "x", 0o644),
            ("empty", "", 0o644),
        ] {
            let path = unpacked.directory.join(path);
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert_eq!(mode(&path), bits, "{}", path.display());
        }
        assert_eq!(mode(&unpacked.directory.join("bin")), 0o755);
        assert_eq!(mode(&unpacked.directory), 0o755);
        assert_eq!(bench.left().len(), 5);
    }
}

#[test]
fn an_archives_files_are_executable_where_the_recipe_says_so() {
    let bench = Bench::new();
    fs::write(bench.file("a.zip"), zip(&[("f", 0o100_644, b"x")], CompressionMethod::STORE))
        .unwrap();
    let permission = Permission { read: Access::Owner, execute: Access::Owner };
    let artifact = Artifact { permission, ..artifact("a.zip", Unarchive::Zip) };
    bench.import(&artifact, &Limits::default()).unwrap();
    assert_eq!(mode(&bench.imported("deep/unarchived/a/f")), 0o755);
}

#[test]
fn importing_an_archive_again_replaces_it() {
    let bench = Bench::new();
    bench.unpack(&[("old", 0, b"1")]).unwrap();
    bench.unpack(&[("new", 0, b"2")]).unwrap();
    let names: Vec<_> = fs::read_dir(bench.imported("deep/unarchived/a"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["new"]);
}

#[test]
fn entries_that_would_do_harm_are_refused_and_nothing_is_left() {
    let long = "x".repeat(300);
    let nul = "a\0b";
    let cases: [(&[Entry<'_>], EntryFault); 13] = [
        (&[("../evil", 0, b"x")], EntryFault::Escapes),
        (&[("good", 0, b"x"), ("a/../../evil", 0, b"x")], EntryFault::Escapes),
        (&[("/etc/evil", 0, b"x")], EntryFault::Escapes),
        (&[("..", 0, b"x")], EntryFault::Escapes),
        (&[("link", 0o120_777, b"/etc/passwd")], EntryFault::SymbolicLink),
        (&[("disk", 0o060_600, b"")], EntryFault::Special),
        (&[("tty", 0o020_600, b"")], EntryFault::Special),
        (&[("pipe", 0o010_600, b"")], EntryFault::Special),
        (&[("socket", 0o140_600, b"")], EntryFault::Special),
        (&[(&long, 0, b"x")], EntryFault::Name),
        (&[(nul, 0, b"x")], EntryFault::Name),
        (&[("a", 0, b"x"), ("a/b", 0, b"x")], EntryFault::Clash),
        (&[("a/b", 0, b"x"), ("a", 0, b"x")], EntryFault::Clash),
    ];
    for (entries, expected) in cases {
        let bench = Bench::new();
        match fault(bench.unpack(entries)) {
            ArtifactFault::Entry { why, .. } => assert_eq!(why, expected, "{entries:?}"),
            other => panic!("{entries:?}: {other}"),
        }
        assert_eq!(bench.left(), [] as [String; 0], "{entries:?}");
        assert!(!bench.directory.path().join("evil").exists());
    }
}

#[test]
fn bombs_are_refused() {
    let bench = Bench::new();
    let zeros = vec![0; 40 * 1024 * 1024];
    fs::write(bench.file("a.zip"), zip(&[("zeros", 0, &zeros)], CompressionMethod::DEFLATE))
        .unwrap();
    let import = |limits| fault(bench.import(&artifact("a.zip", Unarchive::Zip), &limits));
    // 40 MiB of zeros pack a thousandfold.
    let limit = Limits::ALWAYS_UNPACKED;
    assert_eq!(import(Limits::default()), ArtifactFault::UnpacksTooLarge { limit });
    let generous = Limits { ratio: 100_000, unpacked_bytes: 1 << 20, ..Limits::default() };
    assert_eq!(import(generous), ArtifactFault::UnpacksTooLarge { limit: 1 << 20 });

    let names: Vec<String> = (0..10).map(|n| format!("{n}/f")).collect();
    let entries: Vec<Entry<'_>> = names.iter().map(|name| (name.as_str(), 0, &b"x"[..])).collect();
    fs::write(bench.file("a.zip"), zip(&entries, CompressionMethod::STORE)).unwrap();
    let limits = |entries| Limits { entries, ..Limits::default() };
    assert_eq!(import(limits(19)), ArtifactFault::TooManyEntries { limit: 19 });
    assert_eq!(bench.left(), [] as [String; 0]);
    bench.import(&artifact("a.zip", Unarchive::Zip), &limits(20)).unwrap();
}

#[test]
fn damaged_archives_are_refused_and_nothing_is_left() {
    let sound = zip(&[("a", 0, &[b'x'; 5000]), ("b", 0, b"yyy")], CompressionMethod::STORE);
    let bench = Bench::new();
    let import = |bytes: &[u8]| {
        fs::write(bench.file("a.zip"), bytes).unwrap();
        bench.import(&artifact("a.zip", Unarchive::Zip), &Limits::default())
    };
    let mut flipped = sound.clone();
    flipped[100] ^= 1;
    assert!(matches!(
        fault(import(&flipped)),
        ArtifactFault::Entry { why: EntryFault::Damaged(_), .. }
    ));
    for bytes in [&b""[..], b"not a zip", &sound[..sound.len() / 2]] {
        assert!(matches!(fault(import(bytes)), ArtifactFault::NotAnArchive(_)));
    }
    assert_eq!(bench.left(), [] as [String; 0]);
}

#[test]
fn a_full_disk_is_told_from_other_faults() {
    for (code, full) in [(Errno::ENOSPC, true), (Errno::EDQUOT, true), (Errno::EIO, false)] {
        let failure = Failure::Write(std::io::Error::from_raw_os_error(code as i32));
        let error = failure.of("s3://b/x", Path::new("/some/where"));
        assert_eq!(matches!(error, ImportError::DiskFull { .. }), full, "{error}");
        assert!(error.to_string().contains("s3://b/x: /some/where"));
    }
}

#[test]
fn the_recipes_of_a_directory_are_read_each_for_itself() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let good = |name: &str| {
        format!(
            "RecipeFormatVersion: '2020-01-25'\nComponentName: {name}\nComponentVersion: 1.0.0\nManifests: [{{}}]\n"
        )
    };
    fs::write(at("b.yaml"), good("b")).unwrap();
    fs::write(at("a.YML"), good("a")).unwrap();
    fs::write(at("bad.json"), "{").unwrap();
    fs::write(at("notes.txt"), "not a recipe").unwrap();
    fs::write(at("large.yaml"), vec![b'#'; crate::recipe::MAX_BYTES + 1]).unwrap();
    symlink("/etc/passwd", at("link.yaml")).unwrap();
    fs::create_dir(at("directory.yaml")).unwrap();
    let opened = File::open(directory.path()).unwrap();
    for _ in 0..2 {
        let found = recipes_in(Source { directory: opened.as_fd(), public_only: false }).unwrap();
        let names: Vec<_> = found.iter().map(|r| (r.file.as_str(), r.parsed.is_ok())).collect();
        assert_eq!(
            names,
            [
                ("a.YML", true),
                ("b.yaml", true),
                ("bad.json", false),
                ("directory.yaml", false),
                ("large.yaml", false),
                ("link.yaml", false)
            ]
        );
        assert_eq!(found[1].text, good("b").into_bytes());
        let message = found[5].parsed.as_ref().unwrap_err().to_string();
        assert_eq!(message, "link.yaml: error: a recipe cannot be a symbolic link");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_archive_writes_outside_its_directory_or_panics(
        names in prop::collection::vec(r"(\.\./|\./|/|[ab]/){0,3}[ab\\]?", 1..4),
        at in any::<prop::sample::Index>(),
        flip in prop::option::weighted(0.3, any::<u8>()),
    ) {
        let bench = Bench::new();
        let entries: Vec<Entry<'_>> = names.iter().map(|name| (name.as_str(), 0o100_644, &b"x"[..])).collect();
        let mut bytes = zip(&entries, CompressionMethod::STORE);
        let at = at.index(bytes.len());
        bytes[at] ^= flip.unwrap_or(0);
        fs::write(bench.file("a.zip"), bytes).unwrap();
        let result = bench.import(&artifact("a.zip", Unarchive::Zip), &Limits::default());
        prop_assert_eq!(fs::read_dir(bench.directory.path()).unwrap().count(), 2);
        let own = [bench.imported("deep/artifacts/a.zip"), bench.imported("deep/unarchived/a/")];
        let left = bench.left();
        prop_assert!(left.iter().all(|path| own.iter().any(|own| Path::new(path).starts_with(own))));
        prop_assert!(result.is_ok() || left.is_empty());
    }
}

#[test]
fn what_the_caller_did_not_open_must_be_public() {
    let directory = tempfile::tempdir().unwrap();
    let recipe = directory.path().join("a.yaml");
    fs::write(&recipe, "RecipeFormatVersion: 2020-01-25").unwrap();
    let opened = File::open(directory.path()).unwrap();
    let source = Source { directory: opened.as_fd(), public_only: true };
    let mut refused = vec![];
    for mode in [0o600, 0o644] {
        fs::set_permissions(&recipe, fs::Permissions::from_mode(mode)).unwrap();
        let invalid = recipes_in(source).unwrap().remove(0).parsed.unwrap_err();
        refused.push(invalid.to_string().contains("not every user may read it"));
    }
    assert_eq!(refused, [true, false]);
}

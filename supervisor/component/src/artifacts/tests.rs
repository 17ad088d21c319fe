use std::fs::{self, File, Permissions};
use std::io::Write;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
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

    fn kept(&self) -> PathBuf {
        self.directory.path().join("kept")
    }

    fn store(&self) -> Store {
        Store::at(self.kept())
    }

    /// Calls `with` with the delivery of the version.
    fn deliver<T>(&self, limits: &Limits, with: impl FnOnce(&Delivery<'_>) -> T) -> T {
        let (name, version) = ("com.example.A".parse().unwrap(), "1.0.0".parse().unwrap());
        let source = File::open(self.source()).unwrap();
        with(&Delivery {
            source: Source { directory: source.as_fd(), public_only: false },
            component: &name,
            version: &version,
            limits,
            watch: &|_| ControlFlow::Continue(()),
        })
    }

    /// The tree's directory, and how many bytes the store grew by.
    fn import_all(
        &self,
        artifacts: &[Artifact],
        limits: &Limits,
    ) -> Result<(PathBuf, u64), ImportError> {
        self.deliver(limits, |delivery| {
            let contents: Result<Vec<_>, _> =
                artifacts.iter().map(|artifact| delivery.examine(artifact)).collect();
            let before = self.store().bytes().unwrap();
            let tree = self.store().import(&[contents?])?.remove(0);
            Ok((self.kept().join(tree.id), self.store().bytes().unwrap() - before))
        })
    }

    fn import(&self, artifact: &Artifact, limits: &Limits) -> Result<PathBuf, ImportError> {
        Ok(self.import_all(std::slice::from_ref(artifact), limits)?.0)
    }

    fn lacks(&self, artifact: &Artifact) -> u64 {
        self.deliver(&Limits::default(), |delivery| {
            self.store().lacks(&[delivery.examine(artifact).unwrap()])
        })
    }

    fn unpack(&self, entries: &[Entry<'_>]) -> Result<PathBuf, ImportError> {
        fs::write(self.file("a.zip"), zip(entries, CompressionMethod::DEFLATE)).unwrap();
        self.import(&artifact("a.zip", Unarchive::Zip), &Limits::default())
    }

    /// Every file that is kept, with its full path.
    fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        let mut open = vec![self.kept()];
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

fn fault(result: Result<PathBuf, ImportError>) -> ArtifactFault {
    match result {
        Err(ImportError::Artifact { fault, artifact, .. }) => {
            assert!(artifact.starts_with("s3://bucket/"));
            fault
        }
        other => panic!("{other:?}"),
    }
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn a_file_is_kept_with_its_permission() {
    let bench = Bench::new();
    fs::write(bench.file("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(bench.file("run.sh"), fs::Permissions::from_mode(0o4777)).unwrap();
    let sha256 = Some(Sha256::digest(b"#!/bin/sh\n").into());
    let modes = [
        (Access::None, Access::None, 0o000),
        (Access::Owner, Access::None, 0o644),
        (Access::All, Access::None, 0o644),
        (Access::Owner, Access::Owner, 0o755),
        (Access::All, Access::All, 0o755),
    ];
    for (read, execute, expected) in modes {
        let permission = Permission { read, execute };
        let artifact = Artifact { permission, digest: sha256, ..plain("run.sh") };
        let tree = bench.import(&artifact, &Limits::default()).unwrap();
        let file = tree.join("artifacts/run.sh");
        assert_eq!(fs::read(&file).unwrap(), b"#!/bin/sh\n");
        assert_eq!(mode(&file), expected, "{permission:?}");
        assert_eq!(mode(file.parent().unwrap()), 0o755);
    }
}

#[test]
fn nothing_is_written_twice() {
    let bench = Bench::new();
    let all = Limits::default();
    let entries: [Entry<'_>; 3] = [("x", 0, b"shared"), ("y", 0, b"shared"), ("z", 0, b"own")];
    fs::write(bench.file("a.zip"), zip(&entries, CompressionMethod::STORE)).unwrap();
    fs::write(bench.file("data"), "shared").unwrap();
    let archive = artifact("a.zip", Unarchive::Zip);
    let size = fs::metadata(bench.file("a.zip")).unwrap().len();
    assert_eq!(bench.lacks(&archive), size + 15);

    let first = [plain("data"), archive.clone()];
    let (tree, written) = bench.import_all(&first, &all).unwrap();
    assert_eq!(written, size + 6 + 3);
    assert_eq!(bench.store().bytes().unwrap(), written);
    assert_eq!(bench.import_all(&first, &all).unwrap(), (tree.clone(), 0));
    assert_eq!(bench.lacks(&plain("data")), 0);

    // Another version: what it has in common is the same file.
    let (other, written) = bench.import_all(&[archive], &all).unwrap();
    assert_eq!(written, 0);
    let shared: Vec<_> = [
        tree.join("artifacts/data"),
        tree.join("unarchived/a/x"),
        tree.join("unarchived/a/y"),
        other.join("unarchived/a/x"),
    ]
    .iter()
    .map(|path| inode(path))
    .collect();
    assert!(shared.iter().all(|one| *one == shared[0]), "{shared:?}");
    let (empty, _) = bench.import_all(&[], &all).unwrap();
    assert!(empty.join("artifacts").is_dir() && empty.join("unarchived").is_dir());
}

#[test]
fn what_nothing_refers_to_is_collected() {
    let bench = Bench::new();
    let limits = Limits::default();
    let put = |content: &str| {
        fs::write(bench.file("a"), content).unwrap();
        bench.import(&plain("a"), &limits).unwrap()
    };
    let (old, new) = (put("old"), put("new!"));
    // As an interrupted import leaves it.
    fs::create_dir_all(bench.kept().join(".new-7/artifacts")).unwrap();
    let id = new.file_name().unwrap().to_str().unwrap().to_owned();
    bench.store().collect(&[id].into()).unwrap();
    assert!(!old.exists() && !bench.kept().join(".new-7").exists());
    assert_eq!(fs::read(new.join("artifacts/a")).unwrap(), b"new!");
    assert_eq!(bench.store().bytes().unwrap(), 4);
    bench.store().collect(&[].into()).unwrap();
    assert_eq!(bench.left(), [] as [String; 0]);
}

#[test]
fn a_canceled_import_leaves_nothing() {
    let bench = Bench::new();
    fs::write(bench.file("a"), vec![7; 1 << 20]).unwrap();
    let artifact = plain("a");
    let budget = std::cell::Cell::new(2u64 << 20);
    let result = bench.deliver(&Limits::default(), |delivery| {
        let watch = |bytes| {
            budget.set(budget.get().saturating_sub(bytes));
            if budget.get() > 1 << 19 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let delivery = Delivery { watch: &watch, ..*delivery };
        let contents = vec![delivery.examine(&artifact).unwrap()];
        bench.store().import(&[contents])
    });
    assert!(matches!(result, Err(ImportError::Canceled)), "{result:?}");
    assert_eq!(bench.left(), [] as [String; 0]);
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
    fs::rename(bench.source().join("com.example.A"), bench.directory.path().join("elsewhere"))
        .unwrap();
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
fn what_changes_after_it_was_examined_is_refused() {
    let bench = Bench::new();
    fs::write(bench.file("a"), "first").unwrap();
    let artifact = plain("a");
    let result = bench.deliver(&Limits::default(), |delivery| {
        let contents = vec![delivery.examine(&artifact).unwrap()];
        fs::write(bench.file("a"), "other").unwrap();
        bench.store().import(&[contents]).map(|mut trees| trees.remove(0).id.into())
    });
    assert_eq!(fault(result), ArtifactFault::Changed);
    assert_eq!(bench.left(), [] as [String; 0]);
}

#[test]
fn an_archive_is_unpacked_into_its_own_directory() {
    for method in [CompressionMethod::STORE, CompressionMethod::DEFLATE] {
        let bench = Bench::new();
        let large = vec![b'L'; 3 << 20];
        let entries: [Entry<'_>; 7] = [
            ("bin/", 0o040_700, b""),
            ("bin/run", 0o100_700, b"#!/bin/sh\n"),
            ("./lib//data.txt", 0o100_600, b"data"),
            ("no mode", 0, b"of two"),
            ("no mode", 0, b"x"),
            ("empty", 0o100_644, b""),
            ("large", 0o100_644, &large),
        ];
        fs::write(bench.file("a.zip"), zip(&entries, method)).unwrap();
        let tree = bench.import(&artifact("a.zip", Unarchive::Zip), &Limits::default()).unwrap();
        let unpacked = tree.join("unarchived/a");
        for (path, content, bits) in [
            ("bin/run", &b"#!/bin/sh\n"[..], 0o755),
            ("lib/data.txt", b"data", 0o644),
            ("no mode", b"x", 0o644),
            ("empty", b"", 0o644),
            ("large", &large, 0o644),
        ] {
            let path = unpacked.join(path);
            assert!(fs::read(&path).unwrap() == content, "{}", path.display());
            assert_eq!(mode(&path), bits, "{}", path.display());
        }
        assert_eq!(mode(&unpacked.join("bin")), 0o755);
        assert_eq!(mode(&unpacked), 0o755);
    }
}

#[test]
fn an_archives_files_are_executable_where_the_recipe_says_so() {
    let bench = Bench::new();
    fs::write(bench.file("a.zip"), zip(&[("f", 0o100_644, b"x")], CompressionMethod::STORE))
        .unwrap();
    let permission = Permission { read: Access::Owner, execute: Access::Owner };
    let artifact = Artifact { permission, ..artifact("a.zip", Unarchive::Zip) };
    let tree = bench.import(&artifact, &Limits::default()).unwrap();
    assert_eq!(mode(&tree.join("unarchived/a/f")), 0o755);
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
        assert!(error.to_string().contains("/some/where"));
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
        prop_assert!(fs::read_dir(bench.directory.path()).unwrap().count() <= 2);
        prop_assert!(result.is_ok() || bench.left().is_empty());
        if let Ok(tree) = result {
            let own = [tree.join("artifacts/a.zip"), tree.join("unarchived/a/"), bench.kept().join(".blobs")];
            let is_own = |path: &String| own.iter().any(|own| Path::new(path).starts_with(own));
            prop_assert!(bench.left().iter().all(is_own));
        }
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

#[test]
fn what_lies_beside_the_artifacts_comes_along() {
    let bench = Bench::new();
    fs::create_dir_all(bench.file("lib/deep")).unwrap();
    for (file, mode) in
        [("named.py", 0o644), ("main.sh", 0o755), ("lib/deep/a.py", 0o644), ("key", 0o600)]
    {
        fs::write(bench.file(file), file).unwrap();
        fs::set_permissions(bench.file(file), Permissions::from_mode(mode)).unwrap();
    }
    symlink("/etc/passwd", bench.file("link")).unwrap();
    let named = plain("named.py");
    let beside = bench
        .deliver(&Limits::default(), |delivery| delivery.beside(std::slice::from_ref(&named)))
        .unwrap();
    let names: Vec<_> = beside.iter().map(|artifact| artifact.file_name.as_str()).collect();
    assert_eq!(names, ["lib/deep/a.py", "main.sh"]);
    let all: Vec<_> = beside.into_iter().chain([named]).collect();
    let (tree, _) = bench.import_all(&all, &Limits::default()).unwrap();
    let mode = |file: &str| fs::metadata(tree.join("artifacts").join(file)).unwrap().mode() & 0o777;
    assert_eq!(fs::read(tree.join("artifacts/lib/deep/a.py")).unwrap(), b"lib/deep/a.py");
    assert_eq!((mode("main.sh"), mode("lib/deep"), mode("lib/deep/a.py")), (0o755, 0o755, 0o644));
}

#[test]
fn a_version_without_a_directory_has_nothing_beside() {
    let bench = Bench::new();
    fs::remove_dir_all(bench.file("x").parent().unwrap()).unwrap();
    let beside = bench.deliver(&Limits::default(), |delivery| delivery.beside(&[])).unwrap();
    assert!(beside.is_empty(), "{beside:?}");
}

/// A deployment that is canceled while its source hangs does not wait for the source, nor does the next one.
#[test]
fn an_import_that_was_given_up_does_not_touch_the_next() {
    let bench = Bench::new();
    fs::write(bench.file("a"), vec![7; 1 << 20]).unwrap();
    let artifact = plain("a");
    let is_examined = std::cell::Cell::new(false);
    let tree = std::cell::RefCell::new(None);
    let result = bench.deliver(&Limits::default(), |given_up| {
        let watch = |_| {
            if !is_examined.get() {
                return ControlFlow::Continue(());
            }
            // Half of the first is copied when the second begins and ends.
            bench.store().collect(&[].into()).unwrap();
            tree.borrow_mut()
                .get_or_insert_with(|| bench.import(&artifact, &Limits::default()).unwrap());
            ControlFlow::Break(())
        };
        let given_up = Delivery { watch: &watch, ..*given_up };
        let contents = vec![given_up.examine(&artifact).unwrap()];
        is_examined.set(true);
        bench.store().import(&[contents])
    });
    assert!(matches!(result, Err(ImportError::Canceled)), "{result:?}");
    let tree = tree.take().unwrap();
    assert_eq!(fs::read(tree.join("artifacts/a")).unwrap(), vec![7; 1 << 20]);
    let mut left = bench.left();
    left.retain(|name| name.starts_with(".new"));
    assert_eq!(left, [] as [String; 0]);
}

use std::fs::{self, File};
use std::os::fd::AsFd;

use hedgerow_component::artifacts::ImportError;
use tempfile::TempDir;

use super::*;

/// An artifact directory with one component's file of 1000 bytes, and a store.
struct Bench {
    directory: TempDir,
    text: &'static str,
    recipe: Recipe,
    source: File,
}

const RECIPE: &str = "RecipeFormatVersion: '2020-01-25'\nComponentName: a.b\nComponentVersion: 1.0.0\n\
                      Manifests: [{Artifacts: [{Uri: 's3://bucket/file'}]}]\n";

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let version = directory.path().join("artifacts/a.b/1.0.0");
        fs::create_dir_all(&version).unwrap();
        fs::create_dir(directory.path().join("packages")).unwrap();
        fs::write(version.join("file"), [b'x'; 1000]).unwrap();
        let recipe = Recipe::parse("a.yaml", RECIPE.as_bytes()).unwrap().recipe;
        let source = File::open(directory.path().join("artifacts")).unwrap();
        Self { directory, text: RECIPE, recipe, source }
    }

    fn packages(&self, settings: settings::Store) -> Packages {
        Packages::at(self.directory.path().join("packages"), settings)
    }

    fn wanted(&self) -> Wanted<'_> {
        let source = Source { directory: self.source.as_fd(), public_only: false };
        let artifacts = &self.recipe.manifests[0].artifacts;
        Wanted {
            recipe: &self.recipe,
            text: self.text,
            artifacts,
            directory: Some(source),
            in_image: false,
        }
    }

    fn entries(&self) -> usize {
        fs::read_dir(self.directory.path().join("packages")).unwrap().count()
    }
}

fn go_on(_: u32) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn what_does_not_fit_is_refused_with_numbers_before_it_is_copied() {
    let bench = Bench::new();
    let refusals = [
        settings::Store { keep_free: u64::MAX, ..settings::Store::default() },
        settings::Store { max_size: 999, ..settings::Store::default() },
    ]
    .map(|settings| bench.packages(settings).import(&[bench.wanted()], &go_on).unwrap_err());
    let texts = refusals.each_ref().map(ToString::to_string);
    assert!(matches!(
        &refusals[0],
        PackageError::Room(NoRoom::Disk { needed: 1000, reserve: u64::MAX, .. })
    ));
    assert!(texts[0].contains("1000 bytes") && texts[0].contains("store.keep-free"), "{texts:?}");
    let limit = NoRoom::Limit { needed: 1000, stored: 0, limit: 999 };
    assert!(matches!(&refusals[1], PackageError::Room(room) if *room == limit));
    assert!(texts[1].contains("store.max-size"), "{texts:?}");
    assert_eq!(bench.entries(), 0);
}

#[test]
fn what_is_there_needs_no_room() {
    let bench = Bench::new();
    let roomy = bench.packages(settings::Store::default());
    let wanted = [bench.wanted()];
    assert_eq!(roomy.foresee(&wanted).unwrap().1, 1000);
    let first = roomy.import(&wanted, &go_on).unwrap();
    let full = bench.packages(settings::Store { max_size: 0, keep_free: u64::MAX });
    assert_eq!(full.foresee(&wanted).unwrap(), (first.clone(), 0));
    assert_eq!(full.import(&wanted, &go_on).unwrap(), first);
}

#[test]
fn an_import_can_be_canceled_and_needs_its_directory() {
    let bench = Bench::new();
    let packages = bench.packages(settings::Store::default());
    let canceled = packages.import(&[bench.wanted()], &|_| ControlFlow::Break(())).unwrap_err();
    assert!(
        matches!(canceled, PackageError::Artifact { source } if matches!(*source, ImportError::Canceled))
    );
    let nowhere = Wanted { directory: None, ..bench.wanted() };
    let refused = packages.import(&[nowhere], &go_on).unwrap_err();
    assert!(matches!(refused, PackageError::NoArtifactDirectory { .. }));
    assert_eq!(bench.entries(), 0);
}

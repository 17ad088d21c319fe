//! Bad input to a deployment: the error names file and place, and nothing that runs notices.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, components, eventually};

/// What the author wrote wrong, and what the complaint has to say.
struct Bad {
    what: &'static str,
    write: fn(&Draft) -> Result<()>,
    add: &'static str,
    says: &'static [&'static str],
}

/// A recipe of `test.bad` 1.0.0 with these lines at the top level, and a lifecycle that would do no harm.
fn recipe(draft: &Draft, more: &str) -> Result<()> {
    draft.component("test.bad", "1.0.0", more, "run: echo never").map(drop)
}

/// A recipe of `test.bad` 1.0.0 with one artifact.
fn with_artifact(draft: &Draft, file: &str, unarchive: &str) -> Result<()> {
    let text = format!(
        "RecipeFormatVersion: '2020-01-25'\nComponentName: test.bad\nComponentVersion: 1.0.0\nManifests:\n\
         - Artifacts:\n  - Uri: s3://bucket/{file}\n    Unarchive: {unarchive}\n  Lifecycle:\n    run: echo never\n"
    );
    draft.recipe("test.bad-1.0.0.yaml", text).map(drop)
}

/// An archive with one entry of this name, made by hand: the tools refuse to make such a thing.
fn zip(entry: &str) -> Vec<u8> {
    let name = entry.as_bytes();
    let length = u16::try_from(name.len()).unwrap_or_default().to_le_bytes();
    // APPNOTE 4.3.7, 4.3.12, 4.3.16: an empty stored file.
    let mut bytes = [b"PK\x03\x04\x14\0".as_slice(), &[0; 20], &length, &[0; 2], name].concat();
    let directory_at = u32::try_from(bytes.len()).unwrap_or_default().to_le_bytes();
    let directory = [b"PK\x01\x02\x14\x03\x14\0".as_slice(), &[0; 20], &length, &[0; 16], name];
    let directory = directory.concat();
    let size = u32::try_from(directory.len()).unwrap_or_default().to_le_bytes();
    bytes.extend(directory);
    bytes.extend(
        [b"PK\x05\x06\0\0\0\0\x01\0\x01\0".as_slice(), &size, &directory_at, &[0; 2]].concat(),
    );
    bytes
}

const TABLE: &[Bad] = &[
    Bad {
        what: "not YAML",
        write: |draft| draft.recipe("broken.yaml", "a: [1, 2\nb: }").map(drop),
        add: "test.bad=1.0.0",
        says: &["broken.yaml:2:"],
    },
    Bad {
        what: "not JSON",
        write: |draft| draft.recipe("broken.json", "{\n  \"a\": 1,\n  oops\n}").map(drop),
        add: "test.bad=1.0.0",
        says: &["broken.json:3:"],
    },
    Bad {
        what: "not text",
        write: |draft| draft.recipe("broken.yaml", b"a: \xff\xfe\0\n").map(drop),
        add: "test.bad=1.0.0",
        says: &["broken.yaml"],
    },
    Bad {
        what: "a list where a map belongs",
        write: |draft| recipe(draft, "ComponentConfiguration:\n  - 1"),
        add: "test.bad=1.0.0",
        says: &[
            "test.bad-1.0.0.yaml:4:",
            "expected a map, found a list",
            "/ComponentConfiguration",
        ],
    },
    Bad {
        what: "a timeout that is no number",
        write: |draft| {
            let lifecycle = "run:\n  script: echo never\n  timeout: soon";
            draft.component("test.bad", "1.0.0", "", lifecycle).map(drop)
        },
        add: "test.bad=1.0.0",
        says: &["test.bad-1.0.0.yaml:", "soon", "/Manifests/0/Lifecycle/run/timeout"],
    },
    Bad {
        what: "an unknown RecipeFormatVersion",
        write: |draft| {
            let text = "RecipeFormatVersion: '2031-01-01'\nComponentName: test.bad\nComponentVersion: 1.0.0\n";
            draft.recipe("future.yaml", text).map(drop)
        },
        add: "test.bad=1.0.0",
        says: &["future.yaml:1:", "2031-01-01", "2020-01-25", "/RecipeFormatVersion"],
    },
    Bad {
        what: "a missing artifact",
        write: |draft| with_artifact(draft, "tool.bin", "NONE"),
        add: "test.bad=1.0.0",
        says: &["s3://bucket/tool.bin", "test.bad/1.0.0/tool.bin", "no such file"],
    },
    Bad {
        what: "an archive that would be unpacked elsewhere",
        write: |draft| {
            draft.artifact("test.bad", "1.0.0", "code.zip", zip("../../../../tmp/escaped"))?;
            with_artifact(draft, "code.zip", "ZIP")
        },
        add: "test.bad=1.0.0",
        says: &["test.bad/1.0.0/code.zip", "../../../../tmp/escaped", "outside"],
    },
    Bad {
        what: "an archive that is none",
        write: |draft| {
            draft.artifact("test.bad", "1.0.0", "code.zip", "PK, or so it says")?;
            with_artifact(draft, "code.zip", "ZIP")
        },
        add: "test.bad=1.0.0",
        says: &["test.bad/1.0.0/code.zip", "not a sound ZIP archive"],
    },
    Bad {
        what: "a symbolic link as artifact",
        write: |draft| {
            let path = draft.artifact("test.bad", "1.0.0", "secret", "")?;
            fs::remove_file(&path)?;
            symlink("/etc/shadow", &path)?;
            with_artifact(draft, "secret", "NONE")
        },
        add: "test.bad=1.0.0",
        says: &["test.bad/1.0.0/secret", "symbolic link"],
    },
    Bad {
        what: "a symbolic link as recipe",
        write: |draft| Ok(symlink("/etc/passwd", draft.recipes().join("test.bad-1.0.0.yaml"))?),
        add: "test.bad=1.0.0",
        says: &["test.bad-1.0.0.yaml", "symbolic link"],
    },
    Bad {
        what: "a recipe that the daemon may not read",
        write: |draft| {
            recipe(draft, "")?;
            let path = draft.recipes().join("test.bad-1.0.0.yaml");
            Ok(fs::set_permissions(path, Permissions::from_mode(0o600))?)
        },
        add: "test.bad=1.0.0",
        says: &["test.bad-1.0.0.yaml", "cannot be read", "ermission denied"],
    },
    Bad {
        what: "a dependency cycle",
        write: |draft| {
            for (one, other) in [("test.bad", "test.worse"), ("test.worse", "test.bad")] {
                let more =
                    format!("ComponentDependencies:\n  {other}:\n    VersionRequirement: '*'");
                draft.component(one, "1.0.0", &more, "run: echo never")?;
            }
            Ok(())
        },
        add: "test.bad=1.0.0",
        says: &["circle", "test.bad -> test.worse -> test.bad"],
    },
    Bad {
        what: "a missing dependency",
        write: |draft| {
            recipe(
                draft,
                "ComponentDependencies:\n  test.absent:\n    VersionRequirement: '>=2.0.0'",
            )
        },
        add: "test.bad=1.0.0",
        says: &["no recipe of test.absent", "test.bad 1.0.0 requires test.absent", "2.0.0"],
    },
    Bad {
        what: "a version conflict with what runs",
        write: |draft| {
            recipe(
                draft,
                "ComponentDependencies:\n  test.ticker:\n    VersionRequirement: '^2.0.0'",
            )
        },
        add: "test.bad=1.0.0",
        says: &[
            "test.ticker",
            "test.bad 1.0.0 requires",
            "LOCAL_DEPLOYMENTS requires",
            "there is 1.0.0",
        ],
    },
    Bad {
        what: "no manifest for this device",
        write: |draft| {
            let text = "RecipeFormatVersion: '2020-01-25'\nComponentName: test.bad\nComponentVersion: 1.0.0\n\
                        Manifests:\n- Platform:\n    os: windows\n  Lifecycle:\n    run: echo never\n";
            draft.recipe("test.bad-1.0.0.yaml", text).map(drop)
        },
        add: "test.bad=1.0.0",
        says: &["test.bad-1.0.0.yaml", "windows", "linux"],
    },
    Bad {
        what: "the template of a recipe",
        write: |draft| {
            let text = "RecipeFormatVersion: '2020-01-25'\nComponentName: '{COMPONENT_NAME}'\n\
                        ComponentVersion: NEXT_PATCH\nManifests:\n- Lifecycle:\n    run: echo never\n";
            draft.recipe("recipe.yaml", text).map(drop)
        },
        add: "test.bad=1.0.0",
        says: &["recipe.yaml:2:", "{COMPONENT_NAME}", "recipe.yaml:3:", "NEXT_PATCH", "template"],
    },
    Bad {
        what: "two recipes of one version",
        write: |draft| {
            recipe(draft, "")?;
            fs::copy(
                draft.recipes().join("test.bad-1.0.0.yaml"),
                draft.recipes().join("copy.yaml"),
            )?;
            Ok(())
        },
        add: "test.bad=1.0.0",
        says: &["test.bad-1.0.0.yaml", "copy.yaml", "keep one"],
    },
    Bad {
        what: "a version that there is not",
        write: |draft| recipe(draft, ""),
        add: "test.bad=3.0.0",
        says: &["test.bad", "3.0.0", "there is 1.0.0"],
    },
    Bad {
        what: "a name that is none",
        write: |draft| recipe(draft, ""),
        add: "test bad/..=1.0.0",
        says: &["test bad/.."],
    },
    Bad {
        what: "a version that is none",
        write: |draft| recipe(draft, ""),
        add: "test.bad=newest",
        says: &["test.bad", "newest"],
    },
];

#[test]
fn what_is_wrong_is_refused_with_file_and_place() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.ticker=1.0.0"])?;
    let before = undisturbed(&hedgerow)?;
    for bad in TABLE {
        let draft = Draft::new()?;
        (bad.write)(&draft)?;
        let said = hedgerow.say_deploy(&draft.source(), &[bad.add])?;
        ensure!(said.code == Some(1), "{}: {said:?}", bad.what);
        for part in bad.says {
            ensure!(said.stderr.contains(part), "{}: no {part:?} in {}", bad.what, said.stderr);
        }
        ensure!(undisturbed(&hedgerow)? == before, "{}: something changed", bad.what);
    }
    hedgerow.finish()
}

#[test]
fn what_is_not_deployed_cannot_be_removed_or_driven() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.front=1.0.0"])?;
    let before = undisturbed(&hedgerow)?;
    for words in [
        &["deploy", "--remove", "test.absent"] as &[&str],
        &["start", "test.absent"],
        &["stop", "test.absent"],
        &["restart", "test.absent"],
        &["status", "test.absent"],
        &["logs", "test.absent"],
    ] {
        let said = hedgerow.say(words)?;
        ensure!(said.code == Some(1), "{words:?}: {said:?}");
        ensure!(said.stderr.contains("test.absent"), "{words:?}: {said:?}");
    }
    ensure!(undisturbed(&hedgerow)? == before, "something changed");
    hedgerow.finish()
}

#[test]
fn recipes_run_however_their_authors_write_them() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let base = "\u{feff}{\n\t// What all fields share.\n\t\"recipeFormatVersion\": \"2020-01-25\",\n\
        \t\"COMPONENTNAME\": \"test.base\", \"ComponentVersion\": \"1.2.0\",\n\
        \t\"ComponentConfiguration\": {\"DefaultConfiguration\": {\"Field\": {\"rows\": [1, 2], \"name\": \"north\"}}},\n\
        \t\"Lifecycle\": {\"RUN\": {\"dry\": \"echo dry\", \"wet\": {\"Script\": \"echo wet {configuration:/field/rows}; exec sleep 1000\"}}},\n\
        \t\"Manifests\": [{\"Platform\": {\"os\": \"windows\"}, \"Selections\": [\"dry\"]}, {\"Selections\": [\"wet\", \"dry\"]}]\n}\n";
    draft.recipe("base.json", base)?;
    let top = "RecipeFormatVersion: 2020-01-25\r\nComponentName: test.top\r\nComponentVersion: 0.1.0\r\n\
        ComponentDependencies:\r\n  test.base: {VersionRequirement: ~1.2.0, DependencyType: hard}\r\n\
        \x20 aws.greengrass.Nucleus: {VersionRequirement: '>=2.0.0', DependencyType: SOFT}\r\n\
        Manifests:\r\n- Platform: {os: linux, runtime: '*'}\r\n  Lifecycle:\r\n    setenv: &env {A: 1, B: yes}\r\n\
        \x20   Run:\r\n      Setenv: {<<: *env, A: '{test.base:configuration:/Field/name}'}\r\n\
        \x20     script: |\r\n        echo $A $B {test.base:configuration:/none}\r\n        exec sleep 1000\r\n";
    draft.recipe("top.YAML", top)?;
    // Whoever develops on a device hands the directory over and lists no artifact.
    draft.component("test.unlisted", "1.0.0", "", "run: . {artifacts:path}/lib/main.sh")?;
    draft.artifact("test.unlisted", "1.0.0", "lib/main.sh", "echo found; exec sleep 1000\n")?;
    hedgerow.deploy(&draft.source(), &["test.top=0.1.0", "test.unlisted=1.0.0"])?;
    for (name, line) in [
        ("test.base", "wet [1,2]"),
        ("test.top", "north yes {test.base:configuration:/none}"),
        ("test.unlisted", "found"),
    ] {
        eventually("the values in its log", PATIENCE, || {
            Ok(hedgerow.log(name)?.contains(line).then_some(()))
        })?;
    }
    hedgerow.finish()
}

/// Who runs as which process, and which packages are kept.
fn undisturbed(hedgerow: &Hedgerow) -> Result<(Vec<String>, Vec<String>)> {
    let components = hedgerow.components()?;
    let running = components
        .iter()
        .map(|c| format!("{} {} {} {} {}", c.name, c.version, c.state, c.pid, c.restarts))
        .collect();
    let packages = hedgerow.root().join("state/packages");
    let mut kept = Vec::new();
    for entry in fs::read_dir(&packages).with_context(|| packages.display().to_string())? {
        kept.push(entry?.file_name().to_string_lossy().into_owned());
    }
    kept.sort();
    Ok((running, kept))
}

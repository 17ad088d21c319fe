//! Artifacts: what is copied, what is shared, what a fence may do with them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, eventually};

fn write(draft: &Draft, version: &str, content: &[u8]) -> Result<()> {
    let text = format!(
        "RecipeFormatVersion: '2020-01-25'\nComponentName: test.files\nComponentVersion: {version}\nManifests:\n\
         - Artifacts:\n  - Uri: s3://bucket/tool\n    Permission: {{Execute: OWNER}}\n  - Uri: s3://bucket/data\n  \
         - Uri: s3://bucket/closed\n    Permission: {{Read: NONE}}\n  Lifecycle:\n    run: |\n      \
         {{artifacts:path}}/tool {version}\n      cat {{artifacts:path}}/data\n      \
         cat {{artifacts:path}}/closed || echo closed\n      exec sleep 1000\n"
    );
    draft.recipe(&format!("test.files-{version}.yaml"), text)?;
    draft.artifact("test.files", version, "tool", "#!/bin/sh\necho tool of $1\n")?;
    draft.artifact("test.files", version, "data", content)?;
    draft.artifact("test.files", version, "closed", "secret\n")?;
    Ok(())
}

/// Path to inode and size of every file of every tree.
fn files(root: &Path) -> Result<BTreeMap<String, (u64, u64)>> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.join("state/packages")];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
            let entry = entry?;
            let found = entry.metadata()?;
            if found.is_dir() && entry.file_name() != ".blobs" {
                open.push(entry.path());
            } else if found.is_file() {
                files.insert(entry.path().display().to_string(), (found.ino(), found.len()));
            }
        }
    }
    Ok(files)
}

fn wait_for_log(hedgerow: &Hedgerow, words: &str) -> Result<String> {
    eventually(words, PATIENCE, || {
        Ok(Some(hedgerow.log("test.files")?).filter(|log| log.contains(words)))
    })
}

#[test]
fn versions_share_files_and_the_replaced_ones_go() -> Result<()> {
    let hedgerow = Hedgerow::start("[store]\nmax-size = 2000")?;
    let draft = Draft::new()?;
    write(&draft, "1.0.0", b"first\n")?;
    write(&draft, "2.0.0", b"second\n")?;
    hedgerow.deploy(&draft.source(), &["test.files=1.0.0"])?;
    let log = wait_for_log(&hedgerow, "closed\n")?;
    ensure!(
        log.contains("tool of 1.0.0\n") && log.contains("first\n") && !log.contains("secret"),
        "{log}"
    );
    let before = files(hedgerow.root())?;
    hedgerow.deploy(&draft.source(), &["test.files=1.0.0"])?;
    assert_eq!(files(hedgerow.root())?, before, "nothing new, nothing written");

    // The tool is at work while its successor comes; what did not change is not copied.
    hedgerow.deploy(&draft.source(), &["test.files=2.0.0"])?;
    let after = files(hedgerow.root())?;
    assert_eq!(after.len(), 3, "the old version is gone: {after:?}");
    let inode = |files: &BTreeMap<String, (u64, u64)>, name: &str| {
        files.iter().find(|(path, _)| path.ends_with(name)).map(|(_, (inode, _))| *inode)
    };
    assert_eq!(inode(&before, "/tool"), inode(&after, "/tool"));
    assert_ne!(inode(&before, "/data"), inode(&after, "/data"));
    let log = wait_for_log(&hedgerow, "second\n")?;
    ensure!(log.contains("tool of 2.0.0\n"), "{log}");

    // More than there may be: refused with numbers, and nobody notices.
    write(&draft, "3.0.0", &[b'x'; 4000])?;
    let pid = hedgerow.component("test.files")?.pid;
    let said = hedgerow.say_deploy(&draft.source(), &["test.files=3.0.0"])?;
    ensure!(said.code != Some(0), "{said:?}");
    ensure!(said.stderr.contains("2000 bytes for artifacts"), "{said:?}");
    assert_eq!(files(hedgerow.root())?, after);
    assert_eq!(hedgerow.component("test.files")?.pid, pid);
    hedgerow.finish()
}

#[test]
fn a_recipe_that_is_edited_and_comes_alone_keeps_the_artifacts_of_its_version() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let recipe = |words: &str| {
        format!(
            "RecipeFormatVersion: '2020-01-25'\nComponentName: test.files\nComponentVersion: 1.0.0\nManifests:\n\
             - Lifecycle:\n    run: |\n      cat {{artifacts:path}}/beside\n      echo {words}\n      exec sleep 1000\n"
        )
    };
    draft.recipe("test.files.yaml", recipe("as written"))?;
    draft.artifact("test.files", "1.0.0", "beside", "found beside\n")?;
    hedgerow.deploy(&draft.source(), &["test.files=1.0.0"])?;
    ensure!(wait_for_log(&hedgerow, "as written\n")?.contains("found beside\n"));

    draft.recipe("test.files.yaml", recipe("as edited"))?;
    let recipes = draft.recipes().to_string_lossy().into_owned();
    hedgerow.run(&["deploy", "--recipe-dir", &recipes, "--add", "test.files=1.0.0"])?;
    let log = wait_for_log(&hedgerow, "as edited\n")?;
    ensure!(log.matches("found beside\n").count() == 2, "{log}");
    Ok(())
}

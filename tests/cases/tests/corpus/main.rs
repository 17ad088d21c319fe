//! Components as their authors write them, unmodified: deployed, updated, rolled back and removed.

mod set;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, Outside, PATIENCE, eventually};
use serde_json::{Value, json};

use set::{Entry, Set};

const PORT: u16 = 8000;

const SETTINGS: &str = "[device]\nthing-name = \"test-thing\"\n";

/// What a person would say with `--update-config` where the world is not the one of the defaults.
fn configuration(outside: &Outside) -> String {
    let host = outside.address;
    let index = json!({"MERGE": {"index": format!("http://{host}:{PORT}/simple"), "host": host}});
    let model = json!({"MERGE": {"model": format!("http://{host}:{PORT}/model.bin")}});
    let mut all: BTreeMap<String, &Value> = BTreeMap::new();
    for name in ["PipInstaller", "PipUser", "PipPrivileged", "SudoPip", "Venv", "PipTarget"] {
        all.insert(format!("com.acme.{name}"), &index);
    }
    for name in ["Downloader", "ModelStore"] {
        all.insert(format!("com.acme.{name}"), &model);
    }
    json!(all).to_string()
}

/// Deploys the components in this version; what the command said and how it ended.
fn deploy(
    hedgerow: &Hedgerow,
    draft: &Draft,
    additions: impl Iterator<Item = String>,
    configuration: &str,
) -> Result<hedgerow_harness::Said> {
    let (recipes, artifacts) = (draft.recipes(), draft.artifacts());
    let mut words = vec!["deploy".to_owned()];
    words.extend(["--recipe-dir".to_owned(), recipes.display().to_string()]);
    words.extend(["--artifact-dir".to_owned(), artifacts.display().to_string()]);
    words.extend(additions.flat_map(|addition| ["--add".to_owned(), addition]));
    words.extend(["--update-config".to_owned(), configuration.to_owned()]);
    hedgerow.say(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Every component is as its author expects, in this version.
fn check<'a>(
    hedgerow: &Hedgerow,
    entries: impl Iterator<Item = &'a Entry>,
    version: &str,
) -> Result<()> {
    for Entry { name, ends, says, .. } in entries {
        let component = hedgerow
            .wait_for(name, ends, |now| now.state == *ends)
            .with_context(|| hedgerow.log(name).unwrap_or_default())?;
        ensure!(component.version == version, "{component:?} is not {version}");
        if let Some(says) = says {
            eventually(&format!("{name} says {says:?}"), PATIENCE, || {
                Ok(hedgerow.log(name)?.contains(says.as_str()).then_some(()))
            })
            .with_context(|| hedgerow.log(name).unwrap_or_default())?;
        }
    }
    Ok(())
}

#[test]
fn the_set_is_deployed_updated_rolled_back_and_removed() -> Result<()> {
    let set = Set::read()?;
    let world = tempfile::tempdir()?;
    set::make_world(world.path())?;
    let outside = Outside::new(40)?;
    let _server = outside.serve_files(&world.path().join("served"), PORT)?;
    let configuration = configuration(&outside);
    let mut hedgerow = Hedgerow::start(SETTINGS)?;

    let draft = Draft::new()?;
    for version in ["1.0.0", "1.1.0"] {
        set::lay_out(&draft, &set, world.path(), version)?;
        let names = set.without_grant().map(|entry| format!("{}={version}", entry.name));
        let said = deploy(&hedgerow, &draft, names, &configuration)?;
        ensure!(said.code == Some(0), "{version}: {}\n{}", said.stderr, hedgerow.complaints());
        check(&hedgerow, set.without_grant(), version)?;
    }

    set::lay_out(&draft, &set, world.path(), "1.2.0")?;
    draft.component("com.acme.Failing", "1.2.0", "", "run: echo gives up; exit 3")?;
    let names = set.without_grant().map(|entry| format!("{}=1.2.0", entry.name));
    let names = names.chain(["com.acme.Failing=1.2.0".to_owned()]);
    let said = deploy(&hedgerow, &draft, names, &configuration)?;
    ensure!(said.code == Some(1), "a deployment with a failing component ended with {said:?}");
    ensure!(said.stderr.contains("com.acme.Failing"), "who failed? {}", said.stderr);
    check(&hedgerow, set.without_grant(), "1.1.0")?;
    let names: Vec<String> = hedgerow.components()?.into_iter().map(|c| c.name).collect();
    ensure!(!names.iter().any(|name| name == "com.acme.Failing"), "it is still there: {names:?}");

    let mut words = vec!["deploy"];
    words.extend(set.without_grant().flat_map(|entry| ["--remove", &entry.name]));
    hedgerow.run(&words)?;
    let left = hedgerow.components()?;
    ensure!(left.iter().all(|c| !c.name.starts_with("com.acme.")), "left: {left:?}");
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()?;

    let (all, without) = (set.component.len(), set.without_grant().count());
    println!("{without} of {all} components run with no grant");
    ensure!(without * 100 >= all * 95, "{without} of {all} is less than 95 %");
    Ok(())
}

/// The rest fail, and the grant that is suggested for them makes them run.
#[test]
fn the_rest_run_with_the_grant_that_is_suggested() -> Result<()> {
    let set = Set::read()?;
    let world = tempfile::tempdir()?;
    set::make_world(world.path())?;
    // Not below /tmp, of which every fence has its own.
    let inbox = tempfile::tempdir_in("/srv")?;
    let inbox = inbox.path();
    std::fs::write(inbox.join("order.txt"), "one\n")?;
    // There is no serial port here.
    let configuration = json!({
        "com.acme.HostFiles": {"MERGE": {"inbox": inbox}},
        "com.acme.SerialReader": {"MERGE": {"device": "/dev/kmsg"}},
    });
    let draft = Draft::new()?;
    set::lay_out(&draft, &set, world.path(), "1.0.0")?;
    let hedgerow = Hedgerow::start(SETTINGS)?;
    for entry in set.component.iter().filter(|entry| entry.grant.is_some()) {
        let Entry { name, grant, .. } = entry;
        let configuration = json!({ name: configuration[name] }).to_string();
        deploy(&hedgerow, &draft, [format!("{name}=1.0.0")].into_iter(), &configuration)?;
        hedgerow.wait_for(name, "fails", |now| !now.last_error.is_empty())?;
        let suggestion = hedgerow.run(&["grants", "suggest", name, "--write"])?;
        let kind = grant.as_deref().unwrap_or_default();
        ensure!(suggestion.contains(kind), "{name} needs {kind}: {suggestion}");
        hedgerow.run(&["reset", name])?;
        check(&hedgerow, [entry].into_iter(), "1.0.0")?;
    }
    hedgerow.finish()
}

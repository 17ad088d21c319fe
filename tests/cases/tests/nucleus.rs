//! What the Nucleus's configuration says of every component, and what each finds in the usual places.

use anyhow::{Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, eventually};
use serde_json::{Value, json};

const NUCLEUS: &str = "aws.greengrass.Nucleus";

const RECIPE: &str = "\
RecipeFormatVersion: '2020-01-25'
ComponentName: test.board
ComponentVersion: 1.0.0
ComponentConfiguration:
  DefaultConfiguration: {place: '{work:path}/x', thing: '{iot:thingName}'}
Manifests:
  - Platform: {os: linux, board: a1}
    Lifecycle:
      run: |-
        echo board a1 ${BASH_VERSION:+with bash} {configuration:/place} {configuration:/thing}
        exec sleep 1000
  - Platform: {os: linux}
    Lifecycle:
      run: |-
        echo board ${BASH_VERSION:-plain} {configuration:/place} {configuration:/thing}
        exec sleep 1000
";

fn says(hedgerow: &Hedgerow, name: &str, line: &str) -> Result<()> {
    eventually(line, PATIENCE, || Ok(hedgerow.log(name)?.contains(line).then_some(())))
        .map_err(|error| error.context(hedgerow.log(name).unwrap_or_default()))
}

#[test]
fn what_it_says_counts_and_what_does_not_is_told() -> Result<()> {
    let hedgerow = Hedgerow::start("[device]\nthing-name = 'gate-7'")?;
    let draft = Draft::new()?;
    draft.recipe("board.yaml", RECIPE)?;
    hedgerow.deploy(&draft.source(), &["test.board=1.0.0", &format!("{NUCLEUS}=*")])?;
    says(&hedgerow, "test.board", "board plain {work:path}/x {iot:thingName}")?;

    let update = json!({NUCLEUS: {"MERGE": {
        "platformOverride": {"board": "a1"}, "runWithDefault": {"posixShell": "bash"},
        "interpolateComponentConfiguration": true, "componentStoreMaxSizeBytes": 10,
        "mqtt": {"port": 443},
    }}})
    .to_string();
    let planned = hedgerow.run(&["--json", "plan", "--update-config", &update])?;
    let planned: Value = serde_json::from_str(&planned)?;
    ensure!(planned["restarted"]["test.board"].to_string().contains("bash"), "{planned}");
    let notices = planned["notices"].to_string();
    ensure!(notices.contains("mqtt.port has no effect"), "{planned}");
    hedgerow.run(&["deploy", "--update-config", &update])?;
    says(&hedgerow, "test.board", "board a1 with bash /greengrass/v2/work/test.board/x gate-7")?;

    let large = Draft::new()?;
    large.artifact("test.large", "1.0.0", "file", "more than ten bytes")?;
    large.recipe(
        "large.yaml",
        "RecipeFormatVersion: '2020-01-25'\nComponentName: test.large\nComponentVersion: 1.0.0\nManifests:\n- Artifacts:\n  \
         - Uri: s3://bucket/file\n  Lifecycle: {run: exec sleep 1000}\n",
    )?;
    let said = hedgerow.say_deploy(&large.source(), &["test.large=1.0.0"])?;
    ensure!(said.stderr.contains("10 bytes for artifacts"), "{said:?}");
    hedgerow.finish()
}

#[test]
fn what_recipes_expect_is_where_they_expect_it() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let script = "\
install: touch ~/installed
run: |-
  test -S {kernel:rootPath}/ipc.socket && echo the socket is there
  echo line > {kernel:rootPath}/logs/own.log && echo a log is written
  cd ~ggc_user && echo home is $PWD $HOME $(ls {work:path})
  echo thing $AWS_IOT_THING_NAME is {iot:thingName}
  exec sleep 1000";
    draft.component("test.places", "1.0.0", "", script)?;
    hedgerow.deploy(&draft.source(), &["test.places=1.0.0"])?;
    let host = nix::unistd::gethostname()?.to_string_lossy().replace('.', "-");
    for line in [
        "the socket is there\n",
        "a log is written\n",
        "home is /home/ggc_user /home/ggc_user installed\n",
        &format!("thing {host} is {host}\n"),
    ] {
        says(&hedgerow, "test.places", line)?;
    }
    hedgerow.finish()
}

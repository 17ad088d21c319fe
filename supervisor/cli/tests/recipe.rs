//! `hedgerow recipe check`, without a daemon.

#![forbid(unsafe_code)]

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const RECIPE: &str = "\
RecipeFormatVersion: '2020-01-25'
ComponentName: com.example.Sensor
ComponentVersion: 1.2.0
Colour: red
Manifests:
  - Platform: {os: linux, board: pi}
    Lifecycle: {run: echo pi}
  - Platform: {os: linux}
    Lifecycle: {install: echo, run: echo}
";

fn check(root: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hedgerow"))
        .current_dir(root.path())
        .args(["--root", ".", "recipe", "check"])
        .args(arguments)
        .output()
        .unwrap()
}

fn directory() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("good.yaml"), RECIPE).unwrap();
    fs::write(root.path().join("bad.json"), "{\"ComponentName\": \"COMPONENT_NAME\",}").unwrap();
    root
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_sound_recipe_is_explained() {
    let root = directory();
    let output = check(&root, &["good.yaml"]);
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}");
    for line in [
        "good.yaml:4:1: warning: \"Colour\" is not a key",
        "com.example.Sensor 1.2.0 on architecture=",
        "manifest 1 (line 6) is not used: it wants board=pi, this device has none",
        "manifest 2 (line 8) is used: install, run; artifacts: 0",
        "good.yaml: 0 errors, 1 warning\n",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
}

#[test]
fn errors_have_an_exit_code_and_a_place() {
    let root = directory();
    let output = check(&root, &["good.yaml", "bad.json", "missing.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stdout);
    assert!(shown.contains("bad.json:1:36: error: a comma stands"), "{shown}");
    assert!(shown.contains("missing.yaml: error: cannot be read"), "{shown}");
    let said = text(&output.stderr);
    assert!(said.contains("2 of 3 recipes cannot be deployed"), "{said}");
}

#[test]
fn a_function_s_schedules_are_read_as_its_deployment_reads_them() {
    let root = directory();
    let function = |expression: &str| {
        let text = format!(
            "\
RecipeFormatVersion: '2020-01-25'
ComponentName: com.example.F
ComponentVersion: 1.0.0
ComponentType: aws.greengrass.lambda
ComponentConfiguration:
  DefaultConfiguration:
    hedgerow:
      schedules: [{{expression: '{expression}'}}]
Lifecycle:
  setenv:
    AWS_GREENGRASS_LAMBDA_RUNTIME: python3.11
    AWS_GREENGRASS_LAMBDA_FUNCTION_HANDLER: app.handler
Manifests: [{{Artifacts: [{{Uri: 'greengrass:f.zip', Unarchive: ZIP}}]}}]
"
        );
        fs::write(root.path().join("f.yaml"), text).unwrap();
        let output = check(&root, &["f.yaml"]);
        (output.status.success(), self::text(&output.stdout))
    };
    for (expression, says) in [
        ("cron(5 * * * *)", "f.yaml:8:20: error: cron(5 * * * *) has 5 fields, not 6"),
        ("rate(0 minutes)", "a number from 1"),
        ("every hour", "neither rate(value unit) nor cron("),
    ] {
        let (is_sound, shown) = function(expression);
        assert!(!is_sound && shown.contains(says), "{shown}");
    }
    let (is_sound, shown) = function("cron(5 * * * ? *)");
    assert!(is_sound, "{shown}");
}

#[test]
fn the_recipe_of_the_page_about_functions_lacks_its_grant_and_nothing_else() {
    let page = include_str!("../../../docs/FUNCTIONS.md");
    let block = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0
    };
    let root = directory();
    fs::write(root.path().join("page.yaml"), block("yaml")).unwrap();
    let output = check(&root, &["page.yaml"]);
    let shown = text(&output.stdout);
    assert!(output.status.success() && shown.contains("0 errors, 1 warning\n"), "{shown}");
    for line in block("toml").lines() {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
}

#[test]
fn another_platform_chooses_another_manifest() {
    let root = directory();
    let choices = |arguments: &[&str]| -> Vec<Value> {
        let output = check(&root, arguments);
        let reports: Value = serde_json::from_slice(&output.stdout).unwrap();
        let manifests = reports[0]["recipe"]["manifests"].as_array().unwrap();
        manifests.iter().map(|manifest| manifest["choice"].clone()).collect()
    };
    let pi = ["chosen", "behind"];
    assert_eq!(choices(&["--json", "--platform", "board=pi", "good.yaml"]), pi);
    // The administrator's word counts as it does for the daemon.
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/hedgerow.toml"), "[device.platform]\nboard = \"pi\"\n")
        .unwrap();
    assert_eq!(choices(&["--json", "good.yaml"]), pi);
    let windows = choices(&["--json", "--platform", "os=windows", "good.yaml"]);
    assert_eq!(windows[1]["mismatch"]["found"], "windows");
}

//! Recipes in the styles that authors write them in, as a 64-bit PC with Linux reads them.

#![forbid(unsafe_code)]

use std::fs;
use std::path::PathBuf;

use hedgerow_component::check::{Choice, Report, check};
use hedgerow_component::recipe::{Parsed, Recipe, StepName};
use hedgerow_component::{Platform, Severity};
use serde_json::json;

enum Outcome {
    /// The number of the manifest, and the steps it has.
    Uses(usize, &'static [&'static str]),
    /// Part of the first error.
    Refused(&'static str),
}
use Outcome::{Refused, Uses};

/// File; outcome; parts of the warnings, each of which matches one.
const RECIPES: &[(&str, Outcome, &[&str])] = &[
    ("any-os.yaml", Uses(1, &["run"]), &[]),
    ("anchors.yaml", Uses(1, &["install", "run"]), &["<<", "<<", "<<"]),
    ("bad-digest.yaml", Refused("not a SHA-256 in base64"), &[]),
    ("bad-range.yaml", Refused("not a version range"), &[]),
    ("bad-timeout.yaml", Refused("not a number of seconds"), &[]),
    ("case.yaml", Uses(1, &["install", "run"]), &["not a direct dependency"]),
    ("comments.json", Uses(1, &["run"]), &["JSON has no comments"]),
    ("custom-attribute.yaml", Uses(2, &["run"]), &[]),
    ("dependency-paths.yaml", Uses(1, &["run"]), &["com.example.Other is not a direct dependency"]),
    (
        "docker-image.yaml",
        Uses(1, &["startup", "shutdown"]),
        &["container images are not pulled", "no AWS credentials"],
    ),
    (
        "docker-without-manager.yaml",
        Uses(1, &["run"]),
        &["DockerApplicationManager, which is missing"],
    ),
    (
        "every-step.yaml",
        Uses(1, &["bootstrap", "install", "startup", "shutdown", "recover", "uninstall"]),
        &["\"requirePrivilege\" is not a key"],
    ),
    ("exported-config.yaml", Uses(1, &["install", "run", "shutdown"]), &[]),
    (
        "file-artifacts.yaml",
        Uses(1, &["install", "run"]),
        &["look-up.py", "site.zip", "settings.ini", "s3//bucket/typo.sh"],
    ),
    ("folded-script.yaml", Uses(1, &["install", "run"]), &[]),
    ("gdk-template-words.json", Refused("\"COMPONENT_NAME\" is a placeholder"), &[]),
    ("gdk-template.yaml", Refused("\"{COMPONENT_NAME}\" is a placeholder"), &[]),
    ("global-all.yaml", Uses(1, &["run"]), &[]),
    ("global-without-all.yaml", Uses(1, &["install", "run"]), &[]),
    ("greengrass-artifact.json", Uses(1, &["install", "run"]), &[]),
    ("hello-json.json", Uses(1, &["run"]), &[]),
    ("hello-python.yaml", Uses(1, &["run"]), &[]),
    ("https-artifact.yaml", Refused("none of the schemes s3:, greengrass: and docker:"), &[]),
    ("lambda-java.yaml", Refused("\"java11\" cannot be run here"), &[]),
    (
        "lambda.json",
        Uses(1, &["startup", "shutdown"]),
        &[
            "no AWS credentials",
            "no cloud link yet",
            "/var/data of the host",
            "/dev/video0 is granted",
        ],
    ),
    ("list-as-step.yaml", Refused("expected a map, found a list"), &[]),
    ("macos-only.yaml", Refused("no manifest is for this device"), &[]),
    ("no-manifests.yaml", Refused("Manifests is missing"), &[]),
    ("nothing-to-run.yaml", Uses(1, &[]), &[]),
    (
        "no-time.yaml",
        Uses(1, &["install", "run"]),
        &["-1 seconds is no time", "0 seconds is no time"],
    ),
    ("not-an-expression.yaml", Uses(2, &["run"]), &["is not a regular expression"]),
    ("null-manifest.yaml", Refused("an item of this list is empty"), &[]),
    ("nulls.yaml", Uses(1, &["run"]), &[]),
    ("per-architecture.yaml", Uses(3, &["run"]), &[]),
    ("plugin.yaml", Refused("type aws.greengrass.plugin"), &[]),
    ("runtime-any.yaml", Uses(1, &["run"]), &[]),
    ("runtime-lite.yaml", Uses(2, &["run"]), &[]),
    ("scalars.yaml", Uses(1, &["run"]), &[]),
    ("selections.yaml", Uses(2, &["install", "run"]), &[]),
    ("short-version.yaml", Refused("it needs three numbers, such as 1.0.0"), &[]),
    ("tab-indent.yaml", Refused("tabs"), &[]),
    ("tabs-and-bom.json", Uses(1, &["run"]), &[]),
    ("template-shell-style.yaml", Refused("build template"), &[]),
    ("template-version-only.yaml", Refused("\"NEXT_PATCH\" is a placeholder"), &[]),
    ("timeout-variable.yaml", Uses(1, &["install", "run"]), &[]),
    ("trailing-comma.json", Refused("a comma stands before this bracket"), &[]),
    ("two-documents.yaml", Uses(1, &["run"]), &["another document begins here"]),
    ("two-platforms.yaml", Uses(2, &["run"]), &[]),
    (
        "unknown-keys.yaml",
        Uses(1, &["run"]),
        &["ComponentLicense", "Reason", "Priority", "RequiresPrivilege", "\"Start\"", "RunAs"],
    ),
    ("windows-line-ends.yaml", Uses(1, &["run"]), &[]),
    ("windows-only.yaml", Refused("no manifest is for this device"), &[]),
    ("zip-and-venv.yaml", Uses(1, &["install", "run"]), &["no AWS credentials"]),
];

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recipes")
}

fn read(file: &str) -> Vec<u8> {
    fs::read(directory().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn recipe(file: &str) -> Recipe {
    let Parsed { recipe, .. } = Recipe::parse(file, &read(file)).unwrap();
    recipe
}

fn device() -> Platform {
    Platform::from_uname("Linux", "x86_64").with("runtime", Platform::RUNTIME)
}

#[test]
fn each_recipe_is_read_as_its_author_means_it() {
    for (file, outcome, warnings) in RECIPES {
        let report = check(file, &read(file), &device(), |_| Ok(()));
        match outcome {
            Uses(number, steps) => uses(&report, *number, steps),
            Refused(word) => {
                let error = report.findings.iter().find(|f| f.severity == Severity::Error);
                let error = error.unwrap_or_else(|| panic!("{file}: no error")).to_string();
                assert!(error.contains(word), "{error}");
            }
        }
        let mut warned: Vec<String> = report
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Warning)
            .map(ToString::to_string)
            .collect();
        for word in *warnings {
            let found = warned.iter().position(|warning| warning.contains(word));
            warned.remove(found.unwrap_or_else(|| panic!("{file}: {word} is not in {warned:?}")));
        }
        assert!(warned.is_empty(), "{file}: {warned:?}");
    }
}

fn uses(report: &Report, number: usize, steps: &[&str]) {
    let file = &report.file;
    assert!(report.is_sound(), "{file}: {:?}", report.findings);
    let manifests = &report.recipe.as_ref().unwrap().manifests;
    let used = manifests.iter().position(|manifest| manifest.choice == Choice::Chosen);
    assert_eq!(used.map(|index| index + 1), Some(number), "{file}");
    assert_eq!(manifests[number - 1].steps, steps, "{file}");
}

#[test]
fn every_file_is_in_the_table() {
    let mut files: Vec<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut listed: Vec<&str> = RECIPES.iter().map(|(file, ..)| *file).collect();
    listed.sort_unstable();
    assert_eq!(files, listed);
}

#[test]
fn the_most_particular_manifest_is_found_on_its_device() {
    let with = |machine: &str| Platform::from_uname("Linux", machine);
    for (file, device, number) in [
        ("per-architecture.yaml", with("aarch64"), 1),
        ("per-architecture.yaml", with("armv7l"), 2),
        ("custom-attribute.yaml", with("x86_64").with("accelerator", "tpu-v2"), 1),
        ("custom-attribute.yaml", with("x86_64").with("accelerator", "tpu-v3"), 2),
        ("two-platforms.yaml", Platform::default().with("os", "windows"), 1),
    ] {
        let report = check(file, &read(file), &device, |_| Ok(()));
        let manifests = report.recipe.unwrap().manifests;
        assert_eq!(manifests[number - 1].choice, Choice::Chosen, "{file} on {device}");
    }
    assert!(recipe("per-architecture.yaml").manifest_for(&with("armv6l")).is_err());
}

#[test]
fn scalars_keep_their_types_and_their_text() {
    let recipe = recipe("scalars.yaml");
    assert_eq!(
        serde_json::Value::Object(recipe.default_configuration),
        json!({
            "number": 42, "text": "42", "fraction": 1.5, "yes": "yes", "on": true, "off": "false",
            "none": null, "octal": 755, "list": [1, "1", 1.0, true, null],
            "nested": {"deep": {"deeper": []}}
        })
    );
    let run = recipe.manifests[0].lifecycle.step(StepName::Run).unwrap();
    let setenv: Vec<_> = run.setenv.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(setenv, [("E", ""), ("F", "1.50"), ("N", "0x1F"), ("T", "yes")]);
}

#[test]
fn scripts_are_what_the_shell_is_to_get() {
    let step = |file: &str, name| {
        recipe(file).manifests[0].lifecycle.step(name).map(|step| step.script.clone()).unwrap()
    };
    assert_eq!(step("folded-script.yaml", StepName::Install), "pip3 install --user numpy");
    assert!(step("folded-script.yaml", StepName::Run).ends_with("done\n\n"));
    assert_eq!(step("windows-line-ends.yaml", StepName::Run), "echo one\necho two\n");
    assert_eq!(step("tabs-and-bom.json", StepName::Run), "printf 'a\tb\n'");
    assert_eq!(step("comments.json", StepName::Run), "echo 'http://example.com // not a comment'");
}

#[test]
fn anchors_and_merge_keys_are_what_they_stand_for() {
    let recipe = recipe("anchors.yaml");
    let [first, second] = recipe.manifests.as_slice() else { panic!("two manifests") };
    assert_eq!(first.lifecycle.steps, second.lifecycle.steps);
    assert_eq!(first.lifecycle.setenv["LEVEL"], "info");
    assert_eq!(second.lifecycle.setenv["LEVEL"], "debug");
}

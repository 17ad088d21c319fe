use super::*;
use proptest::prelude::*;
use serde_json::json;

const FULL_YAML: &str = r#"---
RecipeFormatVersion: '2020-01-25'
ComponentName: com.example.Sensor
ComponentVersion: '1.2.0'
ComponentDescription: Publishes readings.
ComponentPublisher: Example
ComponentType: aws.greengrass.generic
ComponentConfiguration:
  DefaultConfiguration:
    interval: 5
    limit: 60
    ratio: 0.5
    label: "5"
    tags: [a, b]
    accessControl:
      aws.greengrass.ipc.pubsub:
        com.example.Sensor:pubsub:1:
          operations: ['aws.greengrass#PublishToTopic']
          resources: ['sensors/#']
ComponentDependencies:
  aws.greengrass.TokenExchangeService:
    VersionRequirement: '^2.0.0'
  com.example.Store:
    VersionRequirement: '>=1.0.0 <3.0.0'
    DependencyType: soft
Manifests:
  - Name: Windows
    Platform:
      os: windows
    Lifecycle:
      bootstrap: setup.exe
      run: sensor.exe
  - Platform:
      os: linux
      architecture: /amd64|aarch64/
      runtime: '*'
    Lifecycle:
      setEnv:
        LEVEL: 3
        DEBUG: true
      Install:
        Script: |
          pip3 install --target {work:path}/lib -r {artifacts:decompressedPath}/sensor/requirements.txt
        Timeout: 300
        RequiresPrivilege: "True"
      run:
        script: python3 -u {artifacts:decompressedPath}/sensor/main.py {configuration:/interval}
        Setenv:
          LEVEL: "4"
        timeout: "{configuration:/limit}"
      SHUTDOWN: echo bye
    Artifacts:
      - Uri: s3://BUCKET/com.example.Sensor/1.2.0/sensor.zip
        Unarchive: zip
        Permission:
          Read: ALL
          Execute: Owner
      - URI: greengrass:AGENT/a%20file
        Digest: LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=
        Algorithm: SHA-256
"#;

fn linux() -> Platform {
    Platform::from_uname("Linux", "x86_64")
}

fn parsed(text: &str) -> Parsed {
    Recipe::parse("a.yaml", text.as_bytes()).unwrap_or_else(|e| panic!("{e}"))
}

/// A valid recipe with `rest` as its manifests and what follows.
fn with(rest: &str) -> String {
    format!(
        "RecipeFormatVersion: '2020-01-25'\nComponentName: a\nComponentVersion: 1.0.0\n{rest}\n"
    )
}

fn manifest_with(rest: &str) -> String {
    with(&format!("Manifests:\n- Platform: {{os: linux}}\n{rest}"))
}

#[test]
fn a_whole_recipe_is_read() {
    let Parsed { recipe, warnings } = parsed(FULL_YAML);
    assert_eq!(warnings, []);
    assert_eq!(recipe.name.as_str(), "com.example.Sensor");
    assert_eq!(recipe.version.to_string(), "1.2.0");
    assert_eq!(recipe.publisher.as_deref(), Some("Example"));
    let mut configuration = recipe.default_configuration.clone();
    assert!(
        configuration.remove("accessControl").unwrap()["aws.greengrass.ipc.pubsub"].is_object()
    );
    assert_eq!(
        Value::Object(configuration),
        json!({"interval": 5, "limit": 60, "ratio": 0.5, "label": "5", "tags": ["a", "b"]})
    );
    let kinds: Vec<_> = recipe.dependencies.values().map(|d| d.kind).collect();
    assert_eq!(kinds, [DependencyKind::Hard, DependencyKind::Soft]);

    let manifest = recipe.manifest_for(&linux()).unwrap();
    assert!(manifest.refusals.is_empty());
    let lifecycle = &manifest.lifecycle;
    let install = lifecycle.step(StepName::Install).unwrap();
    assert!(install.script.starts_with("pip3 install"));
    assert_eq!(install.requires_privilege, Privilege::Fixed(true));
    assert_eq!(install.timeout, Some(Timeout::After(std::time::Duration::from_secs(300))));
    let run = lifecycle.step(StepName::Run).unwrap();
    assert_eq!(run.timeout, Some(Timeout::Variable("{configuration:/limit}".to_owned())));
    let environment = lifecycle.environment(run);
    assert_eq!((environment["LEVEL"].as_str(), environment["DEBUG"].as_str()), ("4", "true"));
    assert_eq!(lifecycle.step(StepName::Shutdown).unwrap().script, "echo bye");
    assert_eq!(lifecycle.step(StepName::Startup), None);

    let [zip, file] = manifest.artifacts.as_slice() else { panic!("two artifacts") };
    assert_eq!(
        (zip.file_name.as_str(), zip.stem(), zip.unarchive),
        ("sensor.zip", "sensor", Unarchive::Zip)
    );
    assert_eq!(zip.permission, Permission { read: Access::All, execute: Access::Owner });
    assert_eq!((file.file_name.as_str(), file.unarchive), ("a file", Unarchive::None));
    assert_eq!(file.digest.unwrap()[..4], [0x2c, 0xf2, 0x4d, 0xba]);
}

#[test]
fn json_and_yaml_say_the_same() {
    let document = document::read(Format::Yaml, FULL_YAML).unwrap().root.to_value();
    let json = Recipe::parse("a.json", document.to_string().as_bytes()).unwrap();
    let (json, yaml) = (json.recipe, parsed(FULL_YAML).recipe);
    assert_eq!(json.default_configuration, yaml.default_configuration);
    assert_eq!(json.dependencies, yaml.dependencies);
    for (json, yaml) in json.manifests.iter().zip(&yaml.manifests) {
        assert_eq!(json.lifecycle, yaml.lifecycle);
        assert_eq!(json.artifacts, yaml.artifacts);
        assert_eq!(format!("{:?}", json.platform), format!("{:?}", yaml.platform));
    }
}

#[test]
fn every_step_and_option_is_read() {
    let steps = "  Lifecycle:\n    bootstrap: {script: b, bootstrapOnRollback: 'true'}\n    \
                 install: {script: i, skipif: '! OnPath git', timeout: 30.0}\n    \
                 startup: s\n    shutdown: {script: d}\n    \
                 Recover: {Script: r, RequiresPrivilege: '{configuration:/root}'}\n    UNINSTALL: u";
    let lifecycle = parsed(&manifest_with(steps)).recipe.manifests.remove(0).lifecycle;
    let names: Vec<_> = lifecycle.steps.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["bootstrap", "install", "startup", "shutdown", "recover", "uninstall"]);
    assert!(lifecycle.steps[&StepName::Bootstrap].bootstrap_on_rollback);

    let configuration = json!({"root": true, "file": "~/x y"});
    let scope = scope(&configuration);
    let install = &lifecycle.steps[&StepName::Install];
    assert_eq!(install.timeout, Some(Timeout::After(std::time::Duration::from_secs(30))));
    let condition = install.skip_if.as_ref().unwrap().resolve(&scope).unwrap();
    let git = "git".to_owned();
    assert_eq!(condition, Condition { test: ConditionTest::OnPath, negated: true, argument: git });
    let recover = &lifecycle.steps[&StepName::Recover];
    assert_eq!(recover.requires_privilege.resolve(&scope), Ok(true));
}

#[test]
fn conditions_are_checked_where_they_can_be() {
    let configuration = json!({"file": "~/x y", "word": "often"});
    let scope = scope(&configuration);
    let skip_if = |text: &str| {
        let lifecycle = format!("  Lifecycle: {{install: {{script: x, skipif: '{text}'}}}}");
        let mut manifest = parsed(&manifest_with(&lifecycle)).recipe.manifests.remove(0);
        let step = manifest.lifecycle.steps.remove(&StepName::Install);
        (step.and_then(|step| step.skip_if), manifest.refusals)
    };
    let (read, _) = skip_if("exists {configuration:/file}");
    assert_eq!(read.unwrap().resolve(&scope).unwrap().argument, "~/x y");
    let (read, _) = skip_if("{configuration:/word} a");
    assert_eq!(read.unwrap().resolve(&scope), Err(InvalidSkipIf("often a".to_owned())));
    assert_eq!(skip_if(" "), (None, vec![]));
    for bad in ["onpath", "sometimes x", "!", "existsx"] {
        let (_, refusals) = skip_if(bad);
        assert!(refusals[0].message.contains("Skipif"), "{bad}");
    }
}

fn scope(configuration: &Value) -> crate::variables::Scope<'_> {
    let own = crate::variables::Values {
        configuration,
        artifacts_path: "/a".into(),
        artifacts_decompressed_path: "/d".into(),
        work_path: "/w".into(),
    };
    let dependencies = BTreeMap::new();
    crate::variables::Scope { own, dependencies, root_path: "/", thing_name: None }
}

#[test]
fn a_shared_lifecycle_is_selected_from() {
    let text = with(
        "Lifecycle:
  setenv: {A: 1}
  install:
    fast: {script: fast}
    all: {script: slow}
  run:
    debug: {script: debug run}
    fast: fast run
    Ignored: x
Manifests:
- Platform: {os: linux}
  Selections: [fast, debug]
- Platform: {os: windows}
  Selections: [debug]
- Platform: {os: darwin}
- Lifecycle: {run: own}
  Selections: [fast]",
    );
    let Parsed { recipe, warnings } = parsed(&text);
    let scripts = |i: usize| -> Vec<_> {
        let steps = recipe.manifests[i].lifecycle.steps.iter();
        steps.map(|(name, step)| (name.as_str(), step.script.as_str())).collect()
    };
    assert_eq!(scripts(0), [("install", "fast"), ("run", "fast run")]);
    assert_eq!(scripts(1), [("install", "slow"), ("run", "debug run")]);
    assert_eq!(scripts(2), [("install", "slow")]);
    assert_eq!(scripts(3), [("run", "own")]);
    assert_eq!(recipe.manifests[1].lifecycle.setenv["A"], "1");
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.message.contains("Ignored") && warning.line == 12, "{warning}");
}

#[test]
fn a_shared_lifecycle_cannot_be_multiplied_without_end() {
    let manifests = vec!["{}"; 400].join(", ");
    let script = "x".repeat(20_000);
    let invalid = with(&format!("Lifecycle: {{run: {script}}}\nManifests: [{manifests}]"));
    let recipe = parsed(&invalid).recipe;
    assert!(recipe.manifests[0].refusals.is_empty());
    assert!(recipe.manifests[399].refusals[0].message.contains("written out"));
}

#[test]
fn faults_count_only_for_the_manifest_they_are_in() {
    for (manifest, word) in [
        ("Artifacts: [{Uri: 'https://example.com/x'}]", "schemes"),
        ("Artifacts: [{Uri: 'ftp://example.com/x.zip'}]", "schemes"),
        ("Artifacts: [{Uri: 'docker:UPPER CASE'}]", "container image"),
        ("Lifecycle: {run: [ls]}", "expected a map"),
        ("Selections: [broken]", "number of seconds"),
    ] {
        let text = format!(
            "Lifecycle: {{broken: {{run: {{script: x, timeout: soon}}}}, all: {{run: y}}}}\n\
             Manifests:\n- Platform: {{os: windows}}\n  {manifest}\n- {{}}"
        );
        let recipe = parsed(&with(&text)).recipe;
        let [faulty, sound] = recipe.manifests.as_slice() else { panic!("two") };
        let [fault] = faulty.refusals.as_slice() else { panic!("{:?}", faulty.refusals) };
        assert!(fault.message.contains(word) && fault.line > 0, "{fault}");
        assert_eq!(fault.severity, Severity::Error);
        assert!(sound.refusals.is_empty());
        assert_eq!(sound.lifecycle.step(StepName::Run).unwrap().script, "y");
    }
}

#[test]
fn types_images_and_sources_are_kept() {
    let text = with(
        "ComponentType: AWS.GREENGRASS.LAMBDA\nComponentSource: 'arn:aws:lambda:x'\n\
         Manifests: [{Artifacts: [{Uri: 'docker:nginx:latest'}, {Uri: 's3://b/x'}]}]",
    );
    let recipe = parsed(&text).recipe;
    assert_eq!(recipe.kind, ComponentType::Lambda);
    assert_eq!(recipe.source.as_deref(), Some("arn:aws:lambda:x"));
    let manifest = &recipe.manifests[0];
    assert_eq!(manifest.images[0].reference(), "nginx:latest");
    assert_eq!(manifest.artifacts.len(), 1);
}

#[test]
fn warnings_name_what_is_ignored() {
    for (rest, line, pointer, word) in [
        ("Colour: red\nManifests: [{}]", 4, "/Colour", "Colour"),
        ("Manifests:\n- Lifecycle: {rum: x}", 5, "/Manifests/0/Lifecycle/rum", "rum"),
        (
            "Manifests:\n- Lifecycle: {run: {script: x, retries: 3}}",
            5,
            "/Manifests/0/Lifecycle/run/retries",
            "retries",
        ),
        (
            "Manifests:\n- Lifecycle: {run: {timeout: 3}}",
            5,
            "/Manifests/0/Lifecycle/run",
            "no script",
        ),
        (
            "Manifests:\n- Lifecycle: {startup: x, run: y}",
            5,
            "/Manifests/0/Lifecycle/run",
            "startup",
        ),
        ("Manifests:\n- Lifecycle: {run: x, RUN: y}", 5, "/Manifests/0/Lifecycle/RUN", "same key"),
        (
            "Manifests:\n- Lifecycle: {run: 'echo {artifacts:pth}'}",
            5,
            "/Manifests/0/Lifecycle/run",
            "not a recipe variable",
        ),
        (
            "Manifests:\n- Lifecycle: {run: {script: x, setenv: {A: '{com.b:work:path}'}}}",
            5,
            "/Manifests/0/Lifecycle/run/setenv/A",
            "not a direct dependency",
        ),
        (
            "Manifests:\n- Lifecycle: {run: '{configuration:/Port/0}'}",
            5,
            "/Manifests/0/Lifecycle/run",
            "no default",
        ),
        ("Manifests: [{}]\nmanifests: [{}]", 5, "/manifests", "same key"),
        ("Manifests: [{}]\nManifests: [{}]", 5, "", "twice"),
    ] {
        let warnings = parsed(&with(rest)).warnings;
        let [warning] = warnings.as_slice() else { panic!("{rest}: {warnings:?}") };
        assert_eq!((warning.line, warning.pointer.as_str()), (line, pointer), "{warning}");
        assert!(warning.message.contains(word), "{warning}");
        assert_eq!(warning.severity, Severity::Warning);
    }
}

#[test]
fn variables_that_have_values_are_no_warnings() {
    let text = with(
        "ComponentConfiguration: {DefaultConfiguration: {a: {b: [1]}, c/d: null}}
ComponentDependencies: {com.b: {VersionRequirement: '*'}}
Manifests:
- Lifecycle:
    run: |
      x {configuration:/A/b/0} {configuration:/c~1d} {configuration:} {iot:thingName}
      {com.b:configuration:/x} {com.b:work:path} {work:path} {kernel:rootPath} {name:value}
      curl -H '{\"a\": 1}' ${X:-y}",
    );
    assert_eq!(parsed(&text).warnings, []);
}

#[test]
fn errors_name_file_and_place() {
    let format = "RecipeFormatVersion: '2020-01-25'\n";
    let cases = [
        ("- a", 1, "expected a map"),
        ("just text", 1, "expected a map"),
        ("RecipeFormatVersion: '2030-01-01'", 1, "not known"),
        ("ComponentName: a", 1, "RecipeFormatVersion is missing"),
        (
            &format!("{format}ComponentVersion: 1.0.0\nManifests: [{{}}]"),
            1,
            "ComponentName is missing",
        ),
        (
            &format!("{format}ComponentName: a/b\nComponentVersion: 1.0.0\nManifests: [{{}}]"),
            2,
            "'/'",
        ),
        (
            &format!("{format}ComponentName: a\nComponentVersion: one\nManifests: [{{}}]"),
            3,
            "semantic version",
        ),
        (
            &format!("{format}ComponentName: a\nComponentVersion: '{{V}}'\nManifests: [{{}}]"),
            3,
            "template",
        ),
        (
            &format!("{format}ComponentName: a\nComponentVersion: NEXT_PATCH\nManifests: [{{}}]"),
            3,
            "template",
        ),
        (
            &format!("{format}ComponentName: {{NAME}}\nComponentVersion: 1.0.0\nManifests: [{{}}]"),
            2,
            "template",
        ),
        (
            &format!(
                "{format}ComponentName: com.a.COMPONENT_NAME\nComponentVersion: 1.0.0\nManifests: [{{}}]"
            ),
            2,
            "template",
        ),
        (
            &format!("{format}ComponentName: a\nComponentVersion: 1.0\nManifests: [{{}}]"),
            3,
            "such as 1.0.0",
        ),
        (
            &format!("{format}ComponentName: a\nComponentVersion: 2\nManifests: [{{}}]"),
            3,
            "such as 2.0.0",
        ),
        (&with(""), 1, "Manifests is missing"),
        (&with("Manifests: []"), 4, "no manifest"),
        (&with("Manifests: text"), 4, "expected a list, found text"),
        (&with("Manifests: [null]"), 4, "is empty"),
        (&with("Manifests: [text]"), 4, "expected a map"),
        (&with("ComponentType: other\nManifests: [{}]"), 4, "none of"),
        (
            &with("ComponentConfiguration: {DefaultConfiguration: [1]}\nManifests: [{}]"),
            4,
            "expected a map",
        ),
        (
            &with("ComponentDependencies: {b: {}}\nManifests: [{}]"),
            4,
            "VersionRequirement is missing",
        ),
        (&with("ComponentDependencies: {b: ^1.0.0}\nManifests: [{}]"), 4, "expected a map"),
        (
            &with("ComponentDependencies: {b/c: {VersionRequirement: '*'}}\nManifests: [{}]"),
            4,
            "'/'",
        ),
        (
            &with("ComponentDependencies: {b: {VersionRequirement: new}}\nManifests: [{}]"),
            4,
            "version range",
        ),
        (
            &with(
                "ComponentDependencies: {b: {VersionRequirement: '*', DependencyType: FIRM}}\nManifests: [{}]",
            ),
            4,
            "HARD, SOFT",
        ),
        (&with("Manifests: [{Platform: {os: [linux]}}]"), 4, "expected text"),
    ];
    for (text, line, word) in cases {
        let invalid = Recipe::parse("dir/a.yaml", text.as_bytes()).expect_err(text);
        let error = invalid.findings.iter().find(|f| f.severity == Severity::Error).unwrap();
        assert_eq!(error.line, line, "{text}\n{invalid}");
        assert!(error.column > 0, "{invalid}");
        assert!(error.message.contains(word), "{text}\n{invalid}");
        assert!(invalid.to_string().contains(&format!("dir/a.yaml:{line}:")));
    }
}

#[test]
fn faults_of_a_manifest_name_their_place() {
    for (text, line, word) in [
        (&manifest_with("  Lifecycle: text"), 6, "expected a map"),
        (&manifest_with("  Lifecycle: {run: [ls]}"), 6, "expected a map"),
        (&manifest_with("  Lifecycle: {run: {script: [ls]}}"), 6, "expected text"),
        (&manifest_with("  Lifecycle: {run: {script: ls, timeout: soon}}"), 6, "number of seconds"),
        (&manifest_with("  Lifecycle: {run: {script: ls, timeout: 1e9}}"), 6, "number of seconds"),
        (
            &manifest_with("  Lifecycle: {run: {script: ls, requiresPrivilege: maybe}}"),
            6,
            "neither true nor false",
        ),
        (
            &manifest_with("  Lifecycle: {run: ls, setenv: {A: [1]}}"),
            6,
            "expected text, found a list",
        ),
        (&manifest_with("  Lifecycle: {run: ls, setenv: {A=B: 1}}"), 6, "environment variable"),
        (&manifest_with("  Lifecycle: {run: \"a\\0b\"}"), 6, "NUL"),
        (&manifest_with("  Artifacts: [{Unarchive: ZIP}]"), 6, "Uri is missing"),
        (&manifest_with("  Artifacts: [{Uri: 's3://b/x/..'}]"), 6, "not a file name"),
        (&manifest_with("  Artifacts: [{Uri: 's3://b/x%2f..%2fy'}]"), 6, "not a file name"),
        (&manifest_with("  Artifacts: [{Uri: 's3://b/'}]"), 6, "not a file name"),
        (&manifest_with("  Artifacts: [{Uri: 's3://b/x', Unarchive: TAR}]"), 6, "NONE, ZIP"),
        (&manifest_with("  Artifacts: [{Uri: 's3://b/x', Digest: abc}]"), 6, "SHA-256"),
        (&manifest_with("  Artifacts: [{Uri: 's3://b/x'}, {Uri: 's3://c/x'}]"), 6, "overwrite"),
        (
            &manifest_with(
                "  Artifacts: [{Uri: 's3://b/x.zip', Unarchive: ZIP}, {Uri: 's3://c/x.jar', Unarchive: ZIP}]",
            ),
            6,
            "overwrite",
        ),
    ] {
        let recipe = parsed(text).recipe;
        let fault = recipe.manifests[0].refusals.first().unwrap_or_else(|| panic!("{text}"));
        assert_eq!((fault.line, fault.severity), (line, Severity::Error), "{fault}");
        assert!(fault.column > 0 && fault.message.contains(word), "{fault}");
    }
}

#[test]
fn every_finding_is_reported_in_the_order_of_the_file() {
    let text = with("Extra: 1\nComponentDependencies: {b: {}}\nManifests: [text]");
    let invalid = Recipe::parse("a.yaml", text.as_bytes()).unwrap_err();
    let lines: Vec<_> = invalid.findings.iter().map(|f| (f.line, f.severity)).collect();
    assert_eq!(lines, [(4, Severity::Warning), (5, Severity::Error), (6, Severity::Error)]);
}

#[test]
fn files_are_bounded_and_utf8() {
    let large = vec![b' '; MAX_BYTES + 1];
    let latin = b"ComponentName: caf\xe9";
    for (bytes, word) in [(&large[..], "at most"), (latin, "UTF-8")] {
        let invalid = Recipe::parse("a.yaml", bytes).unwrap_err();
        assert!(invalid.to_string().contains(word), "{invalid}");
    }
    let marked = format!("\u{feff}{}", with("Manifests: [{}]"));
    assert!(Recipe::parse("a.yaml", marked.as_bytes()).is_ok());
}

#[test]
fn the_format_is_the_file_names() {
    let json = r#"{"RecipeFormatVersion":"2020-01-25","ComponentName":"a","ComponentVersion":"1.0.0","Manifests":[{}],}"#;
    // A trailing comma is YAML's; JSON has none.
    for (file, read) in [("a.json", false), ("a.YAML", true), ("a.yml", true), ("a", false)] {
        assert_eq!(Recipe::parse(file, json.as_bytes()).is_ok(), read, "{file}");
    }
    assert!(Recipe::parse("a", with("Manifests: [{}]").as_bytes()).is_ok());
}

#[test]
fn no_manifest_for_this_device_says_why_of_each() {
    let recipe = parsed(&with(
        "Manifests:\n- Platform: {os: windows}\n- Platform: {os: linux, architecture: arm}",
    ));
    let why = recipe.recipe.manifest_for(&linux()).unwrap_err();
    let why: Vec<_> = why.iter().map(ToString::to_string).collect();
    assert_eq!(
        why,
        [
            "wants os=windows, this device has linux",
            "wants architecture=arm, this device has amd64"
        ]
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for file in ["a.json", "a.yaml", "a"] {
            let _ = Recipe::parse(file, &bytes);
        }
    }

    #[test]
    fn no_damage_to_a_recipe_makes_it_panic(
        cut in 0usize..FULL_YAML.len(),
        length in 0usize..40,
        instead in r##"[\[\]{}:&*|>'"#!\n a-z0-9-]{0,10}"##,
    ) {
        let mut bytes = FULL_YAML.as_bytes().to_vec();
        let end = (cut + length).min(bytes.len());
        bytes.splice(cut..end, instead.bytes());
        match Recipe::parse("a.yaml", &bytes) {
            Ok(parsed) => { let _ = parsed.recipe.manifest_for(&linux()); }
            Err(invalid) => prop_assert!(invalid.findings.iter().any(|f| f.severity == Severity::Error)),
        }
    }

    #[test]
    fn any_tree_in_place_of_a_part_is_an_answer(
        key in prop::sample::select(vec!["ComponentName", "ComponentVersion", "ComponentDependencies", "Manifests", "Lifecycle", "ComponentConfiguration"]),
        value in r##"(\[|\]|\{|\}|a|1|: |, |null|Lifecycle|Artifacts|run|Uri){0,20}"##,
    ) {
        let text = format!("{}{key}: {value}\n", with("Manifests: [{}]"));
        let _ = Recipe::parse("a.yaml", text.as_bytes());
    }
}

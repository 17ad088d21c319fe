use super::*;

const RECIPE: &str = "\
RecipeFormatVersion: '2020-01-25'
ComponentName: com.example.Sensor
ComponentVersion: 1.2.0
ComponentDependencies:
  aws.greengrass.ShadowManager: {VersionRequirement: ^2.0.0}
  aws.greengrass.Nucleus: {VersionRequirement: '>=2.5.0'}
Manifests:
  - Name: Windows
    Platform: {os: windows}
    Lifecycle: {run: {script: x, timeout: soon}}
  - Platform: {os: linux, architecture: aarch64}
    Lifecycle: {run: [broken]}
  - Platform: {os: linux}
    Lifecycle: {install: x, run: '{configuration:/port}'}
    Artifacts: [{Uri: 's3://b/a.zip'}, {Uri: 'docker:nginx'}]
  - {}
";

fn device(machine: &str) -> Platform {
    Platform::from_uname("Linux", machine)
}

/// As a device whose schedules all begin with `rate` reads it.
fn check(file: &str, bytes: &[u8], platform: &Platform) -> Report {
    super::check(file, bytes, platform, |expression| match expression.starts_with("rate") {
        true => Ok(()),
        false => Err(format!("{expression:?} is no schedule")),
    })
}

#[test]
fn a_report_says_which_manifest_and_why_not_the_others() {
    let report = check("a.yaml", RECIPE.as_bytes(), &device("x86_64"));
    let recipe = report.recipe.as_ref().unwrap();
    assert_eq!((recipe.name.as_str(), recipe.version.as_str()), ("com.example.Sensor", "1.2.0"));
    let found: Vec<_> = recipe.manifests.iter().map(|m| (m.line, &m.choice)).collect();
    let mismatch = |key: &str, wanted: &str, found: &str| {
        let found = Some(found.to_owned());
        Choice::Mismatch(Mismatch { key: key.to_owned(), wanted: wanted.to_owned(), found })
    };
    let windows = mismatch("os", "windows", "linux");
    let arm = mismatch("architecture", "aarch64", "amd64");
    assert_eq!(found, [(8, &windows), (11, &arm), (13, &Choice::Chosen), (16, &Choice::Behind)]);
    assert_eq!(recipe.manifests[2].steps, ["install", "run"]);
    assert_eq!(recipe.manifests[2].artifacts, ["s3://b/a.zip", "docker:nginx"]);
    assert_eq!(recipe.manifests[0].name.as_deref(), Some("Windows"));
}

#[test]
fn faults_are_errors_only_in_the_chosen_manifest() {
    let report = check("a.yaml", RECIPE.as_bytes(), &device("x86_64"));
    assert!(report.is_sound(), "{:?}", report.findings);
    let warned: Vec<_> = report.findings.iter().map(|f| (f.line, f.message.as_str())).collect();
    for (line, word) in [
        (0, "there are no shadows yet"),
        (0, "DockerApplicationManager"),
        (10, "number of seconds"),
        (12, "expected a map"),
        (14, "has no default"),
    ] {
        assert!(warned.iter().any(|(l, m)| *l == line && m.contains(word)), "{word}: {warned:?}");
    }
    assert_eq!(warned.len(), 5, "{warned:?}");

    let report = check("a.yaml", RECIPE.as_bytes(), &device("aarch64"));
    assert!(!report.is_sound());
}

#[test]
fn what_cannot_be_deployed_is_an_error() {
    let head = "RecipeFormatVersion: '2020-01-25'\nComponentName: a\nComponentVersion: 1.0.0\n";
    for (rest, word) in [
        ("Manifests: [{Platform: {os: windows}}]", "no manifest is for this device"),
        ("ComponentType: aws.greengrass.plugin\nManifests: [{}]", "aws.greengrass.plugin"),
        ("Manifests: []", "no manifest"),
    ] {
        let report = check("a.yaml", format!("{head}{rest}").as_bytes(), &device("x86_64"));
        let errors: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        assert!(!report.is_sound() && errors.join("\n").contains(word), "{errors:?}");
    }
    let rest = "ComponentDependencies: {aws.greengrass.Cli: {VersionRequirement: ^9.0.0}}\nManifests: [{}]";
    let report = check("a.yaml", format!("{head}{rest}").as_bytes(), &device("x86_64"));
    assert!(report.findings[0].message.contains("in no version that is ^9.0.0"));
}

const FUNCTION: &str = "\
RecipeFormatVersion: '2020-01-25'
ComponentName: com.example.F
ComponentVersion: 1.0.0
ComponentType: aws.greengrass.lambda
componentconfiguration:
  DefaultConfiguration:
    timeoutInSeconds: soon
    containerParams:
      memorySize: 2000
      volumes:
        '0': {source: /a, destination: b}
Manifests:
  - Platform: {os: windows}
  - Lifecycle:
      setenv:
        AWS_GREENGRASS_LAMBDA_FUNCTION_HANDLER: h
        AWS_GREENGRASS_LAMBDA_RUNTIME: cobol
";

#[test]
fn what_is_said_of_a_function_names_the_line() {
    let findings = |text: &str| -> Vec<String> {
        let report = check("a.yaml", text.as_bytes(), &device("x86_64"));
        report.findings.iter().map(ToString::to_string).collect()
    };
    let root = "/componentconfiguration/DefaultConfiguration";
    let volume = format!("(at {root}/containerParams/volumes/0/destination)");
    let found = findings(FUNCTION);
    assert_eq!(found.len(), 4, "{found:?}");
    for (found, (place, says)) in found.iter().zip([
        ("a.yaml:7:5: error", format!("(at {root}/timeoutInSeconds)")),
        ("a.yaml:11:27: error", volume),
        ("a.yaml:14:5: error", "(at /Manifests/1/Artifacts)".to_owned()),
        ("a.yaml:17:9: error", "(at /Manifests/1/Lifecycle/setenv/AWS_".to_owned()),
    ]) {
        assert!(found.starts_with(place) && found.contains(&says), "{found}: {place} {says}");
    }
    let sound = FUNCTION
        .replace("soon", "3")
        .replace("destination: b", "destination: /b")
        .replace("cobol", "provided\n    Artifacts: [{Uri: 's3://b/a.zip', Unarchive: ZIP}]");
    let found = findings(&sound);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("a.yaml:9:7: warning: an instance has 16384 KB"), "{found:?}");
    assert!(
        found[1].starts_with("a.yaml:11:9: warning: instances start only where /a"),
        "{found:?}"
    );
    let grant = r#"[[grant]] component = "com.example.F", host-paths = [{ path = "/a", access = "ro", target = "/b" }]"#;
    assert!(found[1].ends_with(grant), "{found:?}");
}

#[test]
fn a_schedule_is_judged_whatever_else_is_wrong() {
    let schedules = "    hedgerow:
      schedules:
        - {expression: rate(1 day)}
        - {expression: cron(5), input: {}}
Manifests:";
    let text = FUNCTION.replacen("Manifests:", schedules, 1);
    let found = check("a.yaml", text.as_bytes(), &device("x86_64")).findings;
    let schedule = found.iter().find(|finding| finding.message.contains("no schedule"));
    let schedule = schedule.unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!((found.len(), schedule.severity), (5, Severity::Error));
    assert_eq!((schedule.line, schedule.column), (15, 12));
    assert!(schedule.pointer.ends_with("/hedgerow/schedules/1/expression"), "{schedule}");
}

#[test]
fn a_function_without_its_type_is_told_the_type() {
    let told = |text: &str| -> Vec<String> {
        let report = check("a.json", text.as_bytes(), &device("x86_64"));
        let findings = report.findings.iter().map(ToString::to_string);
        findings.filter(|found| found.contains("makes no function")).collect()
    };
    let shared = include_str!("../../tests/recipes/lambda.json");
    let own = r#"{"RecipeFormatVersion": "2020-01-25", "ComponentName": "a", "ComponentVersion": "1.0.0",
"Manifests": [{"Platform": {"os": "windows"}}, {"Lifecycle": {"run": "echo", "setenv": {
"AWS_GREENGRASS_LAMBDA_RUNTIME": "python3.11"}}}]}"#;
    for (text, place) in [
        (shared.replace("\"ComponentType\": \"aws.greengrass.lambda\",", ""), "a.json:64:7: "),
        (own.to_owned(), "a.json:3:1: "),
    ] {
        let told = told(&text);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with(&format!("{place}warning: AWS_GREENGRASS_LAMBDA_")),
            "{told:?}"
        );
        assert!(told[0].ends_with("; add ComponentType: aws.greengrass.lambda"), "{told:?}");
    }
    assert_eq!(told(shared), Vec::<String>::new());
    assert_eq!(told(&own.replace("AWS_GREENGRASS_LAMBDA_", "MY_")), Vec::<String>::new());
}

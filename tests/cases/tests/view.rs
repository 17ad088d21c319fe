//! Components as their authors wrote them for a device of their own: they change the system, call sudo and pip, write
//! into their artifacts, and read their dependencies'.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, eventually};
use serde_json::json;

const WHEEL: &str = "tiny-1.0-py3-none-any.whl";

/// A Python package with a program, as pip takes it without a network.
const MAKE_WHEEL: &str = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    for name, text in {
        "tiny.py": 'def main(): print("tiny program")',
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tiny-1.0.dist-info/entry_points.txt": "[console_scripts]\ntiny-program = tiny:main\n",
        "tiny-1.0.dist-info/RECORD": "",
    }.items():
        wheel.writestr(name, text)
"#;

/// Writes a recipe of version 1.0.0: its artifacts, lines of the top level, lines of the lifecycle.
fn recipe(draft: &Draft, name: &str, files: &[&str], more: &str, lifecycle: &str) -> Result<()> {
    let lifecycle: String = lifecycle.lines().map(|line| format!("      {line}\n")).collect();
    let artifacts: String =
        files.iter().map(|file| format!("      - URI: s3://bucket/{file}\n")).collect();
    let artifacts =
        if files.is_empty() { artifacts } else { format!("    Artifacts:\n{artifacts}") };
    let text = format!(
        "RecipeFormatVersion: '2020-01-25'\nComponentName: {name}\nComponentVersion: 1.0.0\n{more}\
         Manifests:\n  - Platform:\n      os: linux\n{artifacts}    Lifecycle:\n{lifecycle}"
    );
    draft.recipe(&format!("{name}-1.0.0.yaml"), text).map(drop)
}

fn says(hedgerow: &Hedgerow, component: &str, line: &str, times: usize) -> Result<()> {
    let mut log = String::new();
    let said = eventually(&format!("{component} says {line:?}"), PATIENCE, || {
        log = hedgerow.log(component)?;
        Ok((log.matches(line).count() >= times).then_some(()))
    });
    said.map_err(|error| error.context(log))
}

#[test]
fn what_install_changes_is_there_when_it_runs_and_not_on_the_host() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let lifecycle = "\
install: |-
  set -e
  sudo useradd --system pump
  echo value | sudo tee /etc/pump.conf
  sudo -E sh -c 'mkdir -p /opt/pump && chown pump /opt/pump'
  sudo -u pump touch /opt/pump/state
run:
  RequiresPrivilege: true
  script: |-
    echo $(id -un) sees $(cat /etc/pump.conf) $(stat -c %U /opt/pump/state)
    exec sleep 1000";
    recipe(&draft, "test.system", &[], "", lifecycle)?;
    hedgerow.deploy(&draft.source(), &["test.system=1.0.0"])?;
    says(&hedgerow, "test.system", "root sees value pump", 1)?;
    hedgerow.run(&["restart", "test.system"])?;
    says(&hedgerow, "test.system", "root sees value pump", 2)?;
    ensure!(!Path::new("/etc/pump.conf").exists() && !Path::new("/opt/pump").exists(), "the host");
    hedgerow.finish()
}

const PACKAGE: &str = "hedgerow-tiny_1_all.deb";

/// A Debian package with a program, which adds a user when it is installed.
fn debian_package(to: &Path) -> Result<()> {
    let home = tempfile::tempdir()?;
    let postinst = "#!/bin/sh\nset -e\nuseradd --system tiny\ninstall -d -o tiny /var/lib/tiny\n";
    for (path, text, mode) in [
        (
            "DEBIAN/control",
            "Package: hedgerow-tiny\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.com>\n\
             Description: x\n",
            0o644,
        ),
        ("DEBIAN/postinst", postinst, 0o755),
        ("usr/bin/hedgerow-tiny", "#!/bin/sh\necho tiny of $(stat -c %U /var/lib/tiny)\n", 0o755),
    ] {
        let path = home.path().join("tree").join(path);
        fs::create_dir_all(path.parent().unwrap_or(home.path()))?;
        fs::write(&path, text)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    let built =
        Command::new("dpkg-deb").arg("-b").arg(home.path().join("tree")).arg(to).output()?;
    ensure!(built.status.success(), "{built:?}");
    Ok(())
}

#[test]
fn packages_of_the_distribution_install() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    for (name, install) in [
        ("test.dpkg", format!("sudo dpkg -i {{artifacts:path}}/{PACKAGE}")),
        (
            "test.apt",
            format!(
                "DEBIAN_FRONTEND=noninteractive sudo -E apt-get install -y {{artifacts:path}}/{PACKAGE}"
            ),
        ),
    ] {
        debian_package(&draft.artifact(name, "1.0.0", PACKAGE, "")?)?;
        let lifecycle = format!("install: {install}\nrun: hedgerow-tiny && exec sleep 1000");
        recipe(&draft, name, &[PACKAGE], "", &lifecycle)?;
    }
    hedgerow.deploy(&draft.source(), &["test.dpkg=1.0.0", "test.apt=1.0.0"])?;
    for name in ["test.dpkg", "test.apt"] {
        says(&hedgerow, name, "tiny of tiny\n", 1)?;
    }
    ensure!(!Path::new("/usr/bin/hedgerow-tiny").exists(), "the host");
    hedgerow.finish()
}

/// `runWith.posixUser`: a user of the fence, whom it need not have known.
#[test]
fn steps_run_as_the_user_that_the_deployment_names() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let lifecycle = "\
install: id -un > who && sudo id -un >> who
run: |-
  echo $(id -un):$(id -gn) after $(cat who) in $(stat -c %U .)
  exec sleep 1000";
    recipe(&draft, "test.user", &[], "", lifecycle)?;
    let recipes = draft.recipes();
    let recipes = recipes.to_string_lossy();
    for (user, said) in [
        ("pump:water", "pump:water after pump root in pump\n"),
        ("root", "root:root after root root in root\n"),
    ] {
        let run_with = json!({"test.user": {"posixUser": user}}).to_string();
        let words = ["deploy", "--recipe-dir", &recipes, "--add", "test.user=1.0.0"];
        hedgerow.run(&[&words[..], &["--run-with", &run_with]].concat())?;
        says(&hedgerow, "test.user", said, 1)?;
    }
    hedgerow.finish()
}

#[test]
fn pip_installs_for_the_user_for_root_and_in_an_environment() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let ways = [
        ("test.pip", "pip3 install --no-index --find-links {artifacts:path} tiny"),
        (
            "test.pipuser",
            "python3 -m pip install --user --no-index -f {artifacts:path} -r {artifacts:path}/requirements.txt",
        ),
        ("test.pipsudo", "sudo -H pip3 install --no-index --find-links={artifacts:path} tiny"),
        (
            "test.piptarget",
            "pip install --no-index {artifacts:path}/*.whl -t {work:path}/.local/lib; \
            mkdir -p .local/bin; cp .local/lib/bin/tiny-program .local/bin",
        ),
        (
            "test.venv",
            "python3 -m venv --without-pip --system-site-packages env && . env/bin/activate && \
             python3 -m pip install --no-index --find-links {artifacts:path} tiny",
        ),
    ];
    for (name, install) in ways {
        let wheel = draft.artifact(name, "1.0.0", WHEEL, "")?;
        let made =
            Command::new("/usr/bin/python3").args(["-c", MAKE_WHEEL]).arg(&wheel).output()?;
        ensure!(made.status.success(), "{made:?}");
        draft.artifact(name, "1.0.0", "requirements.txt", "tiny==1.0\n")?;
        let lifecycle = format!(
            "install: |-\n  {install}\nrun: |-\n  [ -d env ] && . env/bin/activate\n  \
             export PYTHONPATH=$(ls -d $HOME/.local/lib/tiny* > /dev/null 2>&1 && echo $HOME/.local/lib)\n  \
             tiny-program && exec sleep 1000"
        );
        recipe(&draft, name, &[WHEEL, "requirements.txt"], "", &lifecycle)?;
    }
    let all = ways.map(|(name, _)| format!("{name}=1.0.0"));
    hedgerow.deploy(&draft.source(), &all.each_ref().map(String::as_str))?;
    for (name, _) in ways {
        says(&hedgerow, name, "tiny program\n", 1)?;
    }
    hedgerow.finish()
}

#[test]
fn artifacts_can_be_written_and_dependents_read_what_became_of_them() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    draft.artifact("test.library", "1.0.0", "program.sh", "#!/bin/sh\necho library program\n")?;
    let lifecycle = "\
install: |-
  cd {artifacts:path}
  chmod +x program.sh && echo made > made.txt && mkdir -p {work:path}/data && echo worked > {work:path}/data/file
run: exec sleep 1000";
    recipe(&draft, "test.library", &["program.sh"], "", lifecycle)?;
    let depends = "ComponentDependencies:\n  test.library:\n    VersionRequirement: ^1.0.0\n";
    let lifecycle = "\
run: |-
  cd {test.library:artifacts:path}
  ./program.sh && cat made.txt {test.library:work:path}/data/file
  touch made.txt || echo refused
  echo there are $(ls {kernel:rootPath}/work) $(ls {kernel:rootPath}/packages/artifacts)
  exec sleep 1000";
    recipe(&draft, "test.dependent", &[], depends, lifecycle)?;
    recipe(&draft, "test.stranger", &[], "", "run: exec sleep 1000")?;
    hedgerow.deploy(&draft.source(), &["test.dependent=1.0.0", "test.stranger=1.0.0"])?;
    let all = "there are test.dependent test.library test.dependent test.library\n";
    for line in ["library program\n", "made\n", "worked\n", "refused\n", all] {
        says(&hedgerow, "test.dependent", line, 1)?;
    }
    hedgerow.finish()
}

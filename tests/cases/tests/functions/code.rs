//! Where a function's code, its layers and its runtime come from.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, Said, eventually, runtimes};
use tempfile::TempDir;

use super::{Code, NAME, bootstrap, create, run};

const LAYER: &str = "com.example.Layer";

/// Answers with what the layer's module says.
const GREETS: &str =
    "import greeting\ndef handler(event, context):\n    return greeting.greet(event)\n";

/// What `cargo xtask test` lays out.
fn laid_out(path: &str) -> Result<PathBuf> {
    let runtimes = runtimes().recipes;
    let target = runtimes.ancestors().nth(2).context("target")?;
    let path = target.join(path);
    ensure!(path.exists(), "{}: run `cargo xtask test`, which makes it", path.display());
    Ok(path)
}

/// With the runtimes in its image, and none deployed.
pub fn with_image(settings: &str) -> Result<Hedgerow> {
    let mut hedgerow = Hedgerow::prepare(settings)?;
    let image = hedgerow.root().join("usr/lib/hedgerow");
    fs::create_dir_all(&image)?;
    let copied = Command::new("cp")
        .arg("-rL")
        .arg(laid_out("runtimes")?)
        .arg(image.join("components"))
        .status()?;
    ensure!(copied.success());
    fs::write(image.join("deployment.json"), r#"{"components": {}}"#)?;
    hedgerow.start_daemon()?;
    Ok(hedgerow)
}

pub fn answer(hedgerow: &Hedgerow, function: &str, payload: &str) -> Result<String> {
    let said = hedgerow.say(&["invoke", function, "--payload", payload])?;
    ensure!(said.code == Some(0), "{said:?}\n{}", hedgerow.log(function)?);
    Ok(said.stdout.trim().to_owned())
}

#[test]
fn the_images_runtimes_run_functions_that_share_a_layer() -> Result<()> {
    let mut hedgerow = with_image("")?;
    let echo = "exports.handler = async (event) => ({ node: event });\n";
    let code = Code::new("index.js", echo)?;
    run(&hedgerow, &create(&code, "index.handler", "nodejs20.x", &[]))?;
    ensure!(answer(&hedgerow, NAME, "[1]")? == r#"{"node":[1]}"#);

    let layer = Draft::new()?;
    layer.recipe("layer.yaml", recipe_of_layer())?;
    let archive = zip("python/greeting.py", "def greet(name):\n    return 'hello ' + name\n")?;
    layer.artifact(LAYER, "1.0.0", "layer.zip", archive)?;
    hedgerow.deploy(&layer.source(), &[&format!("{LAYER}=1.0.0")])?;
    let code = Code::new("app.py", GREETS)?;
    let directory = code.path().display().to_string();
    let names = ["com.example.One", "com.example.Two"];
    for name in names {
        let words = ["function", "create", name, "--directory", &directory, "--layer", LAYER];
        let more = ["--handler", "app.handler", "--runtime", "python3.11"];
        hedgerow.run(&[&words[..], &more].concat())?;
        ensure!(answer(&hedgerow, name, r#""you""#)? == r#""hello you""#);
    }

    let kept = hedgerow.say(&["function", "delete", LAYER])?;
    ensure!(kept.code == Some(1) && kept.stderr.contains("no function"), "{kept:?}");

    // One that stays stopped is there, and says so, also to those who ask the next daemon.
    hedgerow.run(&["stop", names[0]])?;
    hedgerow.kill_daemon()?;
    hedgerow.start_daemon()?;
    let refused = hedgerow.say(&["invoke", names[0], "--payload", r#""you""#])?;
    ensure!(refused.code == Some(1) && refused.stderr.contains("is stopped"), "{refused:?}");
    hedgerow.finish()
}

fn recipe_of_layer() -> String {
    format!(
        "RecipeFormatVersion: '2020-01-25'\nComponentName: {LAYER}\nComponentVersion: 1.0.0\n\
         Manifests:\n- Artifacts: [{{Uri: 'greengrass:layer.zip', Unarchive: ZIP}}]\n"
    )
}

/// An archive of one file.
fn zip(path: &str, text: &str) -> Result<Vec<u8>> {
    let directory = TempDir::new()?;
    let file = directory.path().join(path);
    let top = Path::new(path).components().next().context("a path")?;
    fs::create_dir_all(file.parent().context("a path")?)?;
    fs::write(&file, text)?;
    let mut python = Command::new("python3");
    python.args(["-m", "zipfile", "-c", "layer.zip"]).arg(top).current_dir(directory.path());
    ensure!(python.status()?.success());
    Ok(fs::read(directory.path().join("layer.zip"))?)
}

/// Without a runtime on the device: one brings Lambda's client for Python along, one is compiled.
#[test]
fn code_that_cannot_be_packed_or_run_is_refused_with_what_to_do() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let table = [
        ("#!/bin/sh\r\n", 0o755, "ends with a carriage return"),
        ("#!/usr/bin/nosuch\n", 0o755, "is not): No such file"),
        ("#!/bin/sh\n", 0o644, "chmod +x"),
        ("text", 0o755, "no program for this machine"),
    ];
    for (bootstrap, mode, why) in table {
        let code = Code::new("bootstrap", bootstrap)?;
        fs::set_permissions(code.path().join("bootstrap"), Permissions::from_mode(mode))?;
        run(&hedgerow, &create(&code, "any", "provided", &[]))?;
        let said = hedgerow.say(&["invoke", NAME])?;
        ensure!(said.code == Some(1) && said.stdout.contains(why), "{said:?}");
    }
    let code = Code::new("bootstrap", "")?;
    let create = create(&code, "any", "provided", &[]);
    let words = |create: &[String]| -> Result<Said> {
        hedgerow.say(&create.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for (make, why) in [("mkfifo", "no regular file"), ("ln -s /usr", "link to a directory")] {
        let made = format!("{make} {}/odd", code.path().display());
        ensure!(Command::new("sh").args(["-c", &made]).status()?.success());
        let said = words(&create)?;
        ensure!(said.code == Some(1) && said.stderr.contains(why), "{said:?}");
        fs::remove_file(code.path().join("odd"))?;
    }
    let elsewhere = code.path().join("elsewhere").display().to_string();
    let named = create.iter().map(|word| if word == NAME { &elsewhere } else { word }.to_owned());
    let said = words(&named.collect::<Vec<_>>())?;
    ensure!(said.code == Some(2) && !Path::new(&elsewhere).exists(), "{said:?}");
    hedgerow.finish()
}

#[test]
fn a_function_may_bring_its_own_runtime() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let handler = "import awslambdaric\n\
                   def handler(event, context):\n    return awslambdaric.__file__\n";
    let code = Code::new("app.py", handler)?;
    let client = laid_out("runtimes/python")?;
    let copied = Command::new("cp").arg("-r").arg(client.join(".")).arg(code.path()).status()?;
    ensure!(copied.success());
    run(&hedgerow, &create(&code, "app.handler", "python3.11", &[]))?;
    ensure!(answer(&hedgerow, NAME, "1")? == r#""/var/task/awslambdaric/__init__.py""#);
    hedgerow.run(&["function", "delete", NAME])?;

    let code = Code(TempDir::new()?);
    fs::copy(laid_out("functions/echo-rust/bootstrap")?, code.path().join("bootstrap"))?;
    run(&hedgerow, &create(&code, "any", "provided.al2023", &[]))?;
    ensure!(answer(&hedgerow, NAME, r#"{"a":1}"#)? == r#"{"a":1}"#);
    hedgerow.finish()
}

/// The old version finishes what it runs while the new one is there already.
#[test]
fn an_invocation_that_runs_outlives_an_update() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let slow = bootstrap("one").replace(
        "    print(\"got\"",
        "    print(\"waits\", flush=True)\n    import time\n    time.sleep(2)\n    print(\"got\"",
    );
    run(&hedgerow, &create(&Code::new("bootstrap", &slow)?, "any", "provided", &[]))?;
    let mut invoke = hedgerow.command();
    invoke.args(["invoke", NAME]).stdout(Stdio::piped());
    let invoke = invoke.spawn()?;
    eventually("it runs", PATIENCE, || Ok(hedgerow.log(NAME)?.contains("waits").then_some(())))?;
    let two = Code::new("bootstrap", &bootstrap("two"))?;
    let words = create(&two, "any", "provided", &["--schedule", "rate(5 fortnights)"]);
    let refused = hedgerow.say(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    ensure!(
        refused.stderr.contains("configuration /hedgerow/schedules/0/expression: "),
        "{refused:?}"
    );
    run(&hedgerow, &create(&two, "any", "provided", &[]))?;
    ensure!(answer(&hedgerow, NAME, "{}")? == r#""two""#);
    let old = invoke.wait_with_output()?;
    ensure!(String::from_utf8_lossy(&old.stdout).trim() == r#""one""#, "{old:?}");
    hedgerow.finish()
}

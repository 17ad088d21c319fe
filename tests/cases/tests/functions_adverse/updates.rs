//! A function that is updated again and again while events come and the daemon is killed at any moment: no event that was
//! taken is lost, none runs on half a version, and no instance is left that nobody knows of.
//!
//! `HEDGEROW_SOAK=600` makes it go on for so many seconds.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, Permissions};
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Hedgerow, PATIENCE, eventually};
use serde_json::Value;

use super::bootstrap::up;

const NAME: &str = "com.example.Updated";

/// Writes down what it ran, and on which version by its program, by a file beside it and by its environment.
const BOOTSTRAP: &str = r#"#!/usr/bin/python3
import http.client, json, os, time
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
base = "/2018-06-01/runtime/invocation/"
while True:
    api.request("GET", base + "next")
    answer = api.getresponse()
    event = json.loads(answer.read())
    with open("/var/task/version") as file:
        beside = file.read()
    time.sleep(0.02)
    with open("/greengrass/v2/work/com.example.Updated/ran", "a") as ran:
        ran.write(f'{event["n"]} @VERSION@ {beside} {os.environ["TOLD"]}\n')
    api.request("POST", base + answer.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", "null")
    api.getresponse().read()
"#;

/// What senders share with who kills.
#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    /// Rises before and after each time that the daemon is away.
    deaths: AtomicU64,
    events: AtomicU64,
}

/// Where events go.
#[derive(Debug)]
struct Sender<'a> {
    program: PathBuf,
    root: PathBuf,
    shared: &'a Shared,
}

impl Sender<'_> {
    /// Numbers of the events that were taken, until it is over. The function's own answer is never late or lost while the
    /// daemon lives.
    fn send(&self, options: &[&str]) -> Result<BTreeSet<u64>> {
        let mut taken = BTreeSet::new();
        while !self.shared.is_over.load(Ordering::Relaxed) {
            let n = self.shared.events.fetch_add(1, Ordering::Relaxed);
            let deaths = self.shared.deaths.load(Ordering::SeqCst);
            let mut command = Command::new(&self.program);
            command.arg("--root").arg(&self.root).args(["invoke", NAME]).args(options);
            let said = command.args(["--payload", &format!(r#"{{"n":{n}}}"#)]).output()?;
            let why = String::from_utf8_lossy(&said.stderr);
            if said.status.success() {
                taken.insert(n);
            // A refusal is no loss.
            } else if !why.contains("events wait already") {
                let lived =
                    deaths.is_multiple_of(2) && deaths == self.shared.deaths.load(Ordering::SeqCst);
                ensure!(!lived, "event {n}: {why}");
            }
        }
        Ok(taken)
    }
}

/// xorshift64.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// `function create` with that version of the code.
fn update(hedgerow: &Hedgerow, directory: &Path, version: u64) -> Result<Command> {
    let code = directory.join(version.to_string());
    fs::create_dir(&code)?;
    let version = version.to_string();
    fs::write(code.join("version"), &version)?;
    let bootstrap = code.join("bootstrap");
    fs::write(&bootstrap, BOOTSTRAP.replace("@VERSION@", &version))?;
    fs::set_permissions(&bootstrap, Permissions::from_mode(0o755))?;
    let mut command = hedgerow.command();
    command.args(["function", "create", NAME, "--handler", "any", "--runtime", "provided.al2023"]);
    command.args(["--max-instances", "3", "--env", &format!("TOLD={version}")]);
    command.args(["--version", &format!("{version}.0.0"), "--directory"]).arg(&code);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(command)
}

fn create(hedgerow: &Hedgerow, directory: &Path, version: u64) -> Result<()> {
    let said = update(hedgerow, directory, version)?.output()?;
    let why = String::from_utf8_lossy(&said.stderr);
    ensure!(said.status.success(), "version {version}: {why}; {}", hedgerow.complaints());
    up(hedgerow, NAME)
}

/// Number to the versions that it ran on, which are one.
fn ran(hedgerow: &Hedgerow) -> Result<HashMap<u64, BTreeSet<u64>>> {
    let mut ran = HashMap::<u64, BTreeSet<u64>>::new();
    for work in fs::read_dir(hedgerow.root().join("state/work"))? {
        let path = work?.path().join("ran");
        // Other components' directories have no such file.
        let Ok(text) = fs::read_to_string(path) else { continue };
        for line in text.lines() {
            let numbers: Vec<u64> = line
                .split(' ')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .context(line.to_owned())?;
            let [n, versions @ ..] = &numbers[..] else { continue };
            let versions: BTreeSet<u64> = versions.iter().copied().collect();
            ensure!(versions.len() == 1, "event {n} ran on parts of versions: {line}");
            ran.entry(*n).or_default().extend(versions);
        }
    }
    Ok(ran)
}

fn shown(hedgerow: &Hedgerow) -> Result<Value> {
    Ok(serde_json::from_str(&hedgerow.run(&["--json", "function", "show", NAME])?)?)
}

/// Updates it until the time is over. In two of three cases the daemon is killed meanwhile.
fn disturb(
    hedgerow: &mut Hedgerow,
    directory: &Path,
    shared: &Shared,
    dice: &mut Dice,
    time: Duration,
) -> Result<u64> {
    let (began, mut version) = (Instant::now(), 1);
    while began.elapsed() < time {
        version += 1;
        if dice.throw(3) == 0 {
            create(hedgerow, directory, version)?;
            continue;
        }
        let mut updating = update(hedgerow, directory, version)?.spawn()?;
        // Any moment of the update, or just after it.
        thread::sleep(Duration::from_millis(dice.throw(900)));
        shared.deaths.fetch_add(1, Ordering::SeqCst);
        hedgerow.kill_daemon()?;
        // Whether it came to its end does not matter.
        updating.wait()?;
        hedgerow.start_daemon()?;
        up(hedgerow, NAME)?;
        shared.deaths.fetch_add(1, Ordering::SeqCst);
    }
    Ok(version)
}

#[test]
fn no_event_is_lost_between_versions_and_crashes() -> Result<()> {
    let seconds = std::env::var("HEDGEROW_SOAK").ok().map(|text| text.parse()).transpose()?;
    let seed = RandomState::new().hash_one(0) | 1;
    let mut hedgerow = Hedgerow::start("")?;
    let code = tempfile::tempdir()?;
    create(&hedgerow, code.path(), 1)?;
    let shared = Shared::default();
    let program = PathBuf::from(hedgerow.command().get_program());
    let sender = Sender { program, root: hedgerow.root().to_owned(), shared: &shared };
    let (taken, version) = thread::scope(|scope| {
        let senders = [
            scope.spawn(|| sender.send(&["--async"])),
            scope.spawn(|| sender.send(&["--async"])),
            scope.spawn(|| sender.send(&[])),
        ];
        let time = Duration::from_secs(seconds.unwrap_or(5));
        let version = disturb(&mut hedgerow, code.path(), &shared, &mut Dice(seed), time);
        shared.is_over.store(true, Ordering::Relaxed);
        let mut taken = BTreeSet::new();
        for sender in senders {
            taken.extend(sender.join().expect("no panic")?);
        }
        anyhow::Ok((taken, version?))
    })
    .with_context(|| format!("seed {seed}; {}", hedgerow.complaints()))?;

    create(&hedgerow, code.path(), version + 1)?;
    eventually("every event has run", PATIENCE, || {
        Ok((shown(&hedgerow)?["queue_depth"] == 0).then_some(()))
    })?;
    let ran = ran(&hedgerow)?;
    let lost: Vec<_> = taken.iter().filter(|n| !ran.contains_key(n)).collect();
    ensure!(lost.is_empty(), "seed {seed}: {lost:?} of {} are lost", taken.len());
    let twice = ran.values().filter(|versions| versions.len() > 1).count();
    println!("{} events over {version} versions, {twice} on more than one", taken.len());

    // What is there is what the daemon knows of.
    hedgerow.run(&["stop", NAME])?;
    eventually("no instance that nobody knows of", PATIENCE, || {
        Ok(hedgerow.traces().is_in_order(0).then_some(()))
    })?;
    hedgerow.finish()
}

//! The inference example: readings from a topic, classified by a real model, whose weights are in memory once.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Result, ensure};
use hedgerow_harness::{Hedgerow, PATIENCE, eventually, examples};
use serde_json::Value;

const NAME: &str = "com.example.classify";

/// Invocations at once: more than one instance can answer in the time of a cold start.
const CALLS: usize = 8;

#[test]
fn readings_are_classified_and_instances_share_the_model() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&examples(), &["com.example.sensor=1.0.0", "com.example.classify=1.0.0"])?;
    let words = ["--json", "topic", "sub", "--count", "2", "classes/host"];
    for line in hedgerow.run(&words)?.lines() {
        let message: Value = serde_json::from_str(line)?;
        let found: Value = serde_json::from_str(message["payload"].as_str().unwrap_or_default())?;
        let class = found["class"].as_str().unwrap_or_default();
        ensure!(["calm", "busy", "strained"].contains(&class), "{found}");
    }

    // What the model was trained to tell apart.
    for (load, memory, class) in [(0.2, 800, "calm"), (3.0, 2600, "busy"), (11.0, 6500, "strained")]
    {
        let reading = format!("{{\"load\": {load}, \"memory_used_mb\": {memory}}}");
        let said: Value =
            serde_json::from_str(&hedgerow.run(&["invoke", NAME, "--payload", &reading])?)?;
        ensure!(said["class"] == class, "{reading}: {said}");
    }

    let weights = only_file(&hedgerow.root().join("state/packages"), "model.weights")?;
    let file = fs::metadata(&weights)?;
    let length = file.len();
    let loaded = || {
        let mut shares = shares(file.ino())?;
        shares.retain(|_, share| share.rss >= length * 9 / 10);
        Ok::<_, anyhow::Error>(shares)
    };
    eventually("several instances have the model in memory", PATIENCE, || {
        let reading = "{\"load\": 1, \"memory_used_mb\": 1000}";
        let mut calls = Vec::new();
        for _ in 0..CALLS {
            let mut call = hedgerow.command();
            call.args(["invoke", NAME, "--payload", reading]).stdout(Stdio::null());
            calls.push(call.spawn()?);
        }
        for mut call in calls {
            ensure!(call.wait()?.success());
        }
        Ok((loaded()?.len() > 1).then_some(()))
    })?;
    // One that starts while one looks changes the others' shares.
    eventually("its weights are in memory once", PATIENCE, || {
        let shares = loaded()?;
        let in_memory: u64 = shares.values().map(|share| share.pss).sum();
        println!("{length} bytes of weights, {in_memory} in memory for {} instances", shares.len());
        Ok((shares.len() > 1 && in_memory <= length * 11 / 10).then_some(()))
    })?;
    hedgerow.finish()
}

fn only_file(directory: &Path, name: &str) -> Result<PathBuf> {
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else if entry.file_name() == name {
                return Ok(entry.path());
            }
        }
    }
    anyhow::bail!("there is no {name} in {}", directory.display())
}

/// What a process has of a file in its memory, in bytes.
#[derive(Debug, Default)]
struct Share {
    rss: u64,
    /// Divided by the number of processes that have it.
    pss: u64,
}

/// By process, of the file with that inode (proc_pid_smaps(5)).
fn shares(inode: u64) -> Result<BTreeMap<u32, Share>> {
    let mut shares: BTreeMap<u32, Share> = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Processes end while one looks.
        let Ok(smaps) = fs::read_to_string(entry.path().join("smaps")) else { continue };
        let mut is_it = false;
        for line in smaps.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match *words.as_slice() {
                ["Rss:", size, _] if is_it => {
                    shares.entry(process).or_default().rss += size.parse::<u64>()? * 1024;
                }
                ["Pss:", size, _] if is_it => {
                    shares.entry(process).or_default().pss += size.parse::<u64>()? * 1024;
                }
                [_, _, _, _, of, path] => {
                    is_it = of.parse() == Ok(inode) && path.ends_with("/model.weights");
                }
                [first, ..] if !first.ends_with(':') => is_it = false,
                _ => {}
            }
        }
    }
    Ok(shares)
}

//! What a component's life looks like from outside.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, components, eventually};

#[test]
fn a_component_runs_and_its_log_is_kept() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.ticker=1.0.0"])?;
    let ticker = hedgerow.component("test.ticker")?;
    assert_eq!(ticker.state, "RUNNING");
    assert_ne!(ticker.pid, 0);
    assert!(hedgerow.log("test.ticker")?.contains("tick 1\n"));
    hedgerow.finish()
}

#[test]
fn each_step_has_its_turn() -> Result<()> {
    let mut hedgerow = Hedgerow::start("[[restart]]\ncomponent = '*'\ninitial-backoff = 0.05\n")?;
    let draft = Draft::new()?;
    let lifecycle = "
install: echo installed as $(id -un)
run: |
  echo runs
  if [ ! -e failed ]; then touch failed; exit 3; fi
  exec sleep 1000
recover:
  RequiresPrivilege: true
  script: echo recovered as $(id -u)
shutdown: echo shut down
uninstall: echo uninstalled $GREENGRASS_COMPONENT_VERSION
";
    draft.component("test.whole", "1.2.3", "", lifecycle)?;
    hedgerow.deploy(&draft.source(), &["test.whole=1.2.3"])?;
    wait_for_log(&hedgerow, "test.whole", "runs", 2)?;
    hedgerow.wait_for("test.whole", "RUNNING", |now| now.state == "RUNNING")?;
    hedgerow.run(&["deploy", "--remove", "test.whole"])?;
    for directory in ["state/work", "state/layers"] {
        let left = || -> Result<Option<()>> {
            let entries = fs::read_dir(hedgerow.root().join(directory))?.count();
            Ok((entries == 0).then_some(()))
        };
        eventually(&format!("{directory} is empty"), PATIENCE, left)?;
    }
    let log = fs::read_to_string(hedgerow.root().join("state/logs/test.whole.log"))?;
    let said: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1).map(|_| line))
        .filter_map(|line| line.split_once(": ").map(|(_, text)| text))
        .filter(|text| !text.contains("ended with"))
        .collect();
    let expected = [
        "installed as ggc_user",
        "runs",
        "recovered as 0",
        "shut down",
        "runs",
        "shut down",
        "uninstalled 1.2.3",
    ];
    assert_eq!(said, expected, "{log}");
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn a_step_is_skipped_where_its_condition_holds() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let lifecycle = "
install:
  skipif: onpath sh
  script: echo never; exit 1
startup:
  skipif: '!exists ~/no-such-file'
  script: echo never; exit 1
run:
  skipif: exists no-such-file
  script: echo runs; exec sleep 1000
";
    draft.component("test.skipping", "1.0.0", "", lifecycle)?;
    draft.component("test.absent", "1.0.0", "", "run:\n  skipif: onpath sh\n  script: exit 1")?;
    hedgerow.deploy(&draft.source(), &["test.skipping=1.0.0", "test.absent=1.0.0"])?;
    wait_for_log(&hedgerow, "test.skipping", "run: runs", 1)?;
    ensure!(!hedgerow.log("test.skipping")?.contains("never"));
    assert_eq!(hedgerow.component("test.absent")?.state, "FINISHED");
    hedgerow.finish()
}

#[test]
fn what_is_paused_stands_still_until_it_is_resumed() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let lifecycle = "run:\n  timeout: 3\n  script: trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done";
    draft.component("test.still", "1.0.0", "", lifecycle)?;
    hedgerow.deploy(&draft.source(), &["test.still=1.0.0"])?;
    wait_for_log(&hedgerow, "test.still", "tick 2", 1)?;
    hedgerow.run(&["pause", "test.still"])?;
    hedgerow.run(&["pause", "test.still"])?;
    // The pause, and the component, survive the daemon.
    hedgerow.kill_daemon()?;
    let pid = {
        hedgerow.start_daemon()?;
        hedgerow.component("test.still")?.pid
    };
    let stat = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let is_frozen = |stat: &str| !stat.contains("State:\tR");
    ensure!(is_frozen(&stat), "{stat}");
    let before = hedgerow.log("test.still")?;
    // More than its timeout: no time of its step passes.
    let begin = std::time::Instant::now();
    eventually("its timeout would be over", PATIENCE, || {
        ensure!(hedgerow.component("test.still")?.state == "RUNNING", "its time went on");
        Ok((begin.elapsed() > std::time::Duration::from_secs(4)).then_some(()))
    })?;
    assert_eq!(hedgerow.log("test.still")?, before);
    hedgerow.run(&["resume", "test.still"])?;
    eventually("it ticks on", PATIENCE, || {
        Ok((hedgerow.log("test.still")?.len() > before.len()).then_some(()))
    })?;
    // A stop of what is paused needs no resume.
    hedgerow.run(&["pause", "test.still"])?;
    hedgerow.run(&["stop", "test.still"])?;
    let stopped = hedgerow.component("test.still")?;
    assert_eq!((stopped.state.as_str(), stopped.last_error.as_str()), ("FINISHED", ""));
    let refused = hedgerow.say(&["pause", "test.still"])?;
    ensure!(refused.code != Some(0) && refused.stderr.contains("FINISHED"), "{refused:?}");
    hedgerow.finish()
}

#[test]
fn soft_dependencies_have_their_turn_first_and_nobody_waits_for_them_later() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let on = |name: &str| {
        format!(
            "ComponentDependencies:\n  {name}:\n    VersionRequirement: '>=1.0.0'\n    DependencyType: SOFT"
        )
    };
    // In the order of their names the dependent would be first.
    let clock = "read up rest < /proc/uptime; echo at $up;";
    draft.component(
        "test.z-slow",
        "1.0.0",
        "",
        "startup: sleep 1; read up rest < /proc/uptime; echo at $up",
    )?;
    draft.component(
        "test.a-soft",
        "1.0.0",
        &on("test.z-slow"),
        &format!("run: {clock} exec sleep 1000"),
    )?;
    hedgerow.deploy(&draft.source(), &["test.a-soft=1.0.0"])?;
    wait_for_log(&hedgerow, "test.a-soft", "at ", 1)?;
    let (slow, soft) = (moment(&hedgerow, "test.z-slow")?, moment(&hedgerow, "test.a-soft")?);
    ensure!(slow <= soft, "the dependency was up at {slow}, the dependent started at {soft}");
    let pid = hedgerow.component("test.a-soft")?.pid;
    hedgerow.run(&["stop", "test.z-slow"])?;
    assert_eq!(hedgerow.component("test.a-soft")?.pid, pid, "a soft dependency gates nothing");
    hedgerow.finish()
}

#[test]
fn a_stop_that_is_overtaken_by_a_start_says_so() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    draft.component("test.slow", "1.0.0", "", "run: exec sleep 1000\nshutdown: sleep 2")?;
    hedgerow.deploy(&draft.source(), &["test.slow=1.0.0"])?;
    let mut stop = hedgerow.command();
    let stop =
        stop.args(["stop", "test.slow"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    hedgerow.wait_for("test.slow", "STOPPING", |now| now.state == "STOPPING")?;
    hedgerow.run(&["start", "test.slow"])?;
    let said = stop.wait_with_output()?;
    let complaint = String::from_utf8_lossy(&said.stderr);
    ensure!(!said.status.success() && complaint.contains("meanwhile"), "{complaint}");
    assert_eq!(hedgerow.component("test.slow")?.state, "RUNNING");
    hedgerow.finish()
}

#[test]
fn another_text_for_the_end_restarts_nothing_and_what_runs_ends_by_its_own() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let configured =
        "ComponentConfiguration:\n  DefaultConfiguration:\n    farewell: old\n    greeting: old";
    let lifecycle = "run: echo {configuration:/greeting}; exec sleep 1000\n\
                     shutdown: echo farewell {configuration:/farewell}";
    draft.component("test.kept", "1.0.0", configured, lifecycle)?;
    hedgerow.deploy(&draft.source(), &["test.kept=1.0.0"])?;
    let pid = hedgerow.component("test.kept")?.pid;
    let update = |value: &str| {
        let update = format!("{{\"test.kept\": {{\"MERGE\": {value}}}}}");
        hedgerow.run(&["deploy", "--add", "test.kept=1.0.0", "--update-config", &update])
    };
    update("{\"farewell\": \"new\"}")?;
    assert_eq!(hedgerow.component("test.kept")?.pid, pid, "only its shutdown differs");
    update("{\"unused\": \"new\"}")?;
    assert_eq!(hedgerow.component("test.kept")?.pid, pid, "nothing of it differs");
    update("{\"greeting\": \"new\"}")?;
    wait_for_log(&hedgerow, "test.kept", "run: new", 1)?;
    ensure!(hedgerow.component("test.kept")?.pid != pid);
    ensure!(hedgerow.log("test.kept")?.contains("farewell old"), "it ended by another text");
    hedgerow.run(&["stop", "test.kept"])?;
    ensure!(hedgerow.log("test.kept")?.contains("farewell new"));
    hedgerow.finish()
}

#[test]
fn what_an_install_put_there_is_put_there_again_where_it_is_lost() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let lifecycle = "install: echo installed\nrun: echo runs; exec sleep 1000";
    draft.component("test.once", "1.0.0", "", lifecycle)?;
    hedgerow.deploy(&draft.source(), &["test.once=1.0.0"])?;
    hedgerow.run(&["stop", "test.once"])?;
    hedgerow.stop_daemon()?;
    let layers = hedgerow.root().join("state/layers");
    fs::remove_dir_all(&layers)?;
    hedgerow.start_daemon()?;
    hedgerow.run(&["start", "test.once"])?;
    wait_for_log(&hedgerow, "test.once", "install: installed", 2)?;
    hedgerow.finish()
}

#[test]
fn a_stop_of_everything_ends_in_its_time() -> Result<()> {
    let mut hedgerow = Hedgerow::start("[stop]\ntimeout = 1\n")?;
    let draft = Draft::new()?;
    let lifecycle = "run: exec sleep 1000\nshutdown:\n  timeout: 600\n  script: exec sleep 1000";
    draft.component("test.endless", "1.0.0", "", lifecycle)?;
    hedgerow.deploy(&draft.source(), &["test.endless=1.0.0"])?;
    let stopped = hedgerow.stop_daemon()?;
    ensure!(stopped.success(), "{stopped}");
    eventually("nothing is left", PATIENCE, || Ok(hedgerow.traces().is_empty().then_some(())))
}

/// Seconds since the boot, from the line that the component wrote.
fn moment(hedgerow: &Hedgerow, name: &str) -> Result<f64> {
    let log = hedgerow.log(name)?;
    let (_, rest) = log.split_once("at ").with_context(|| log.clone())?;
    let time = rest.split_whitespace().next().unwrap_or_default();
    time.parse().with_context(|| log.clone())
}

fn wait_for_log(hedgerow: &Hedgerow, name: &str, text: &str, times: usize) -> Result<()> {
    eventually(&format!("{text:?} in the log of {name}"), PATIENCE, || {
        Ok((hedgerow.log(name)?.matches(text).count() >= times).then_some(()))
    })
}

//! `hedgerow top` on a terminal, and without one.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Hedgerow, PATIENCE, eventually};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;
use vt100::Parser;

const NAME: &str = "com.example.Echo";

const LINES: NonZero<u16> = NonZero::new(24).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(80).unwrap();

/// A custom runtime: answers each event with itself.
const BOOTSTRAP: &str = r#"#!/usr/bin/python3
import http.client, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
base = "/2018-06-01/runtime/invocation/"
while True:
    api.request("GET", base + "next")
    event = api.getresponse()
    id = event.headers["Lambda-Runtime-Aws-Request-Id"]
    api.request("POST", base + id + "/response", event.read())
    api.getresponse().read()
"#;

/// A program on a terminal of 80 by 24 characters.
struct Terminal {
    program: Child,
    keyboard: File,
    /// The program's end.
    end: OwnedFd,
    before: Termios,
    screen: Arc<Mutex<Parser>>,
}

impl Terminal {
    fn run(hedgerow: &Hedgerow, words: &[&str]) -> Result<Self> {
        let size =
            Winsize { ws_row: LINES.get(), ws_col: COLUMNS.get(), ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None)?;
        let before = tcgetattr(&pair.slave)?;
        let end = || pair.slave.try_clone();
        let mut command = hedgerow.command();
        command.args(words).env("TERM", "xterm-256color");
        let program = command.stdin(end()?).stdout(end()?).stderr(end()?).spawn()?;
        let keyboard = File::from(pair.master);
        let screen = Arc::new(Mutex::new(Parser::new(LINES, COLUMNS, 0)));
        let (mut output, seen) = (keyboard.try_clone()?, Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                seen.lock().unwrap_or_else(PoisonError::into_inner).process(&bytes[..count]);
            }
        });
        Ok(Self { program, keyboard, end: pair.slave, before, screen })
    }

    fn lines(&self) -> Vec<String> {
        let parser = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        parser.screen().rows(0, COLUMNS.get()).map(|line| line.trim_end().to_owned()).collect()
    }

    /// Waits until a line has all of these words after its first, which is the first of them.
    fn shows(&self, words: &[&str]) -> Result<()> {
        eventually(&format!("{words:?} on the screen"), PATIENCE, || {
            let is_it = |line: &String| {
                let found: Vec<_> = line.split_whitespace().collect();
                found.first() == words.first() && words.iter().all(|word| found.contains(word))
            };
            Ok(self.lines().iter().any(is_it).then_some(()))
        })
        .with_context(|| self.lines().join("\n"))
    }

    fn press(&mut self, keys: &str) -> Result<()> {
        Ok(self.keyboard.write_all(keys.as_bytes())?)
    }

    /// Waits for the program to end, and for the terminal to be as it was.
    fn give_back(mut self) -> Result<ExitStatus> {
        let status = eventually("it ends", PATIENCE, || Ok(self.program.try_wait()?))?;
        ensure!(tcgetattr(&self.end)? == self.before, "the line discipline is another one");
        eventually("the screen is as it was", PATIENCE, || {
            let parser = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
            let (screen, blank) = (parser.screen(), parser.screen().contents().trim().is_empty());
            Ok((blank && !screen.alternate_screen() && !screen.hide_cursor()).then_some(()))
        })?;
        Ok(status)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn create(hedgerow: &Hedgerow) -> Result<()> {
    let code = tempfile::tempdir()?;
    let path = code.path().join("bootstrap");
    fs::write(&path, BOOTSTRAP)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    let directory = code.path().display().to_string();
    let words = ["function", "create", NAME, "--directory", &directory, "--handler", "any"];
    hedgerow.run(&[&words[..], &["--runtime", "provided.al2023"]].concat()).map(drop)
}

#[test]
fn figures_move_on_a_terminal_that_is_given_back() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    create(&hedgerow)?;
    let mut terminal = Terminal::run(&hedgerow, &["top", "--delay", "1s"])?;
    terminal.shows(&[NAME, "IDLE", "0/0/0/0"])?;
    for _ in 0..3 {
        hedgerow.run(&["invoke", NAME, "--payload", "[1]"])?;
    }
    // One cold start, an instance that is frozen by now, and what it uses, in the other table.
    terminal.shows(&[NAME, "READY", "1", "0/0/0/1"])?;
    eventually("memory and tasks", PATIENCE, || {
        let is_it = |line: &String| line.starts_with(NAME) && line.contains("RUNNING");
        let line = terminal.lines().into_iter().find(is_it).unwrap_or_default();
        let words: Vec<_> = line.split_whitespace().collect();
        Ok(matches!(words[..], [_, _, _, memory, tasks, ..] if memory.ends_with('M') && tasks != "0").then_some(()))
    })?;
    terminal.press("\t\r")?;
    terminal.shows(&["calls", "3:", "errors,"])?;
    terminal.shows(&["instances", "frozen"])?;

    hedgerow.kill_daemon()?;
    terminal.shows(&["no", "daemon", "answers"])?;
    hedgerow.start_daemon()?;
    terminal.shows(&["calls", "0:", "errors,"])?;
    terminal.press("\r/nothing")?;
    terminal.shows(&["names", "nothing_"])?;
    terminal.press("\x1b")?;
    terminal.shows(&[NAME, "IDLE", "0/0/0/0"])?;
    terminal.press("q")?;
    ensure!(terminal.give_back()?.success());

    let terminal = Terminal::run(&hedgerow, &["top"])?;
    terminal.shows(&[NAME, "IDLE"])?;
    kill(Pid::from_raw(terminal.program.id().cast_signed()), Signal::SIGINT)?;
    ensure!(terminal.give_back()?.success());
    hedgerow.finish()
}

#[test]
fn without_a_terminal_tables_are_printed() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    create(&hedgerow)?;
    hedgerow.run(&["invoke", NAME])?;
    let log = hedgerow.log(NAME)?;
    ensure!(log.contains("REPORT RequestId: ") && log.contains("Max Memory Used: "), "{log}");
    let said = hedgerow.run(&["top", "--once", "--delay", "1s"])?;
    ensure!(
        said.contains("COMPONENT") && said.contains("FUNCTION") && !said.contains('\x1b'),
        "{said}"
    );
    let json = hedgerow.run(&["--json", "top", "--once", "--delay", "1s"])?;
    let figures: serde_json::Value = serde_json::from_str(json.trim())?;
    let function = &figures["functions"][0];
    ensure!(function["name"] == NAME && function["invocations"] == 1, "{json}");
    ensure!(function["memory"].as_u64() > Some(1 << 20), "its instance: {json}");
    let status = hedgerow.run(&["status", NAME])?;
    ensure!(
        status.contains("instances   1 ") && status.contains("invocations 1: 0 errors"),
        "{status}"
    );
    hedgerow.finish()
}

//! Running other programs: quietly into a log, or shown as they are.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::parts::Part;
use crate::workspace;

/// Lines of a failed command's output that are shown.
const SHOWN: usize = 40;

/// The command as root: through sudo where we are not.
pub fn as_root(program: &str) -> Command {
    if nix::unistd::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    command
}

/// Runs the command with its output in `target/xtask/LOG.log`; the part's line shows where it is. A failure
/// shows the last lines and names the log.
pub fn quietly(part: &Part, log: &str, mut command: Command) -> Result<()> {
    let directory = workspace::target().join("xtask");
    fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{log}.log"));
    let mut file = File::create(&path)?;
    writeln!(file, "{command:?}")?;

    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = spawn(&mut command)?;
    let name = name(&command);
    // The command holds the pipe's writing ends, and the end of output is when nobody does.
    drop(command);
    let mut last = VecDeque::with_capacity(SHOWN);
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        writeln!(file, "{line}")?;
        part.at(&line);
        if last.len() == SHOWN {
            last.pop_front();
        }
        last.push_back(line);
    }
    let status = child.wait()?;
    if !status.success() {
        for line in &last {
            part.say(line);
        }
        bail!("{name}: {status}; all of its output is in {}", path.display());
    }
    Ok(())
}

/// Runs the command with our own output as its output.
pub fn shown(part: &Part, mut command: Command) -> Result<()> {
    let status = part.aside(|| spawn(&mut command).and_then(|mut child| Ok(child.wait()?)))?;
    if !status.success() {
        bail!("{}: {status}", name(&command));
    }
    Ok(())
}

/// The command's standard output; its complaints go to ours.
pub fn output(mut command: Command) -> Result<String> {
    command.stderr(Stdio::inherit());
    let output = command.output().with_context(|| name(&command))?;
    if !output.status.success() {
        bail!("{}: {}", name(&command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn spawn(command: &mut Command) -> Result<std::process::Child> {
    command.spawn().with_context(|| format!("cannot start {}", name(command)))
}

fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args().take(3));
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

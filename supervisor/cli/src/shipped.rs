//! What packages ship beside the program: shell completions and manual pages, from the definitions of the arguments.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::greengrass;
use crate::output::print;

/// A name under which this program is called.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum Program {
    #[default]
    Hedgerow,
    GreengrassCli,
}

impl Program {
    fn command(self) -> Command {
        match self {
            Self::Hedgerow => Arguments::command(),
            Self::GreengrassCli => greengrass::Arguments::command(),
        }
    }
}

pub fn completions(shell: Shell, program: Program) -> Result<(), Failure> {
    let mut command = program.command();
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    print(String::from_utf8_lossy(&text).trim_end())
}

/// Writes `hedgerow.1`, `hedgerow-deploy.1` … and those of `greengrass-cli` into a directory, which is made.
pub fn manual(directory: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::Write { path: directory.to_owned(), error };
    fs::create_dir_all(directory).map_err(failed)?;
    for program in Program::value_variants() {
        let mut command = program.command().disable_help_subcommand(true);
        command.build();
        pages(&command, directory).map_err(failed)?;
    }
    Ok(())
}

/// One page for each command; a group of commands has one of its own as well.
fn pages(command: &Command, directory: &Path) -> std::io::Result<()> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    fs::write(directory.join(man.get_filename()), page)?;
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    shown.into_iter().try_for_each(|command| pages(command, directory))
}

//! `likeness completions` and `likeness man`: what shells and `man` need to know of the arguments.

use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Arguments, Failure, say};

#[derive(Debug, Args)]
#[command(after_long_help = "Where shells look:\n  \
        bash        ~/.local/share/bash-completion/completions/likeness\n  \
        zsh         _likeness in a folder of $fpath\n  \
        fish        ~/.config/fish/completions/likeness.fish\n  \
        elvish      eval (likeness completions elvish | slurp), in rc.elv\n  \
        powershell  likeness completions powershell | Out-String | Invoke-Expression, in $PROFILE")]
pub(crate) struct CompletionsArguments {
    /// Shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// Folder to write `likeness.1` and a page for each command to; created if missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl CompletionsArguments {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "likeness", &mut script);
        say(String::from_utf8(script)?.trim_end())
    }
}

impl ManArguments {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let folder = &self.out;
        let mut command = Arguments::command().disable_help_subcommand(true);
        // Gives each command its full name.
        command.build();
        std::fs::create_dir_all(folder)
            .and_then(|()| write_pages(&command, folder))
            .map_err(|error| format!("cannot write man pages to {}: {error}", folder.display()).into())
    }
}

fn write_pages(command: &Command, folder: &Path) -> std::io::Result<()> {
    command
        .get_subcommands()
        .try_for_each(|below| write_pages(below, folder))?;
    Man::new(command.clone())
        .source(concat!("likeness ", env!("CARGO_PKG_VERSION")))
        .manual("Likeness")
        .generate_to(folder)?;
    Ok(())
}

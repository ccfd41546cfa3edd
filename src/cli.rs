//! The command line: reads it, does what it says, and gives the exit code.
//!
//! Called by `main` alone. [`run`] drives runs; [`show`], [`listing`] and [`control`] look at and cancel runs of other processes
//! through the files of the [`folder`].
//!
//! # Invariants
//! - Every way to end is an [`Exit`]; `--help` lists them.

pub mod agent;
pub mod args;
pub mod ballots;
pub mod brought;
mod conducting;
pub mod control;
pub mod exit;
pub mod folder;
pub mod history;
mod leaving;
pub mod listing;
pub mod logs;
pub mod missions;
mod opening;
pub mod output;
pub mod passages;
mod patterns;
pub mod picture;
pub mod progress;
pub mod result;
pub mod run;
pub mod show;
pub mod swarms;
pub mod test;
pub mod timeline;
pub mod watch;

use std::{ffi::OsString, io::ErrorKind, process::ExitCode};

use actors::agent::Launcher;
use clap::{CommandFactory, Parser};

use self::{
    args::{Cancel, Check, Cli, Command},
    exit::Exit,
    folder::Folder,
    logs::Screen,
    output::{Failure, print, tell},
};
use crate::{job::catalogue, limits::CANCEL_ANSWER_WAIT, runfile::RunFile};

/// Does what the command line says.
pub fn main(arguments: impl IntoIterator<Item = OsString>, launcher: &Launcher) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // Help that nobody reads, as behind a closed pipe, is no error.
            error.print().ok();
            return exit.into();
        }
    };
    let screen = Screen::default();
    // What a simulated graph logs of its faults is for whoever asks for it.
    let quiet = matches!(&cli.command, Command::Test(options) if !options.record);
    let exit = logs::begin(&screen, quiet).and_then(|()| obey(cli.command, launcher, &screen));
    let exit = exit.unwrap_or_else(|failure| {
        tell(&failure.message);
        failure.exit
    });
    exit.into()
}

fn obey(command: Command, launcher: &Launcher, screen: &Screen) -> Result<Exit, Failure> {
    match command {
        Command::Run(options) => return run::run(options, launcher, screen),
        Command::Resume(options) => return run::resume(options, launcher, screen),
        Command::Check(options) => check(&options)?,
        Command::Test(options) => return test::test(&options, launcher, screen),
        Command::Runs(options) => listing::list(&options)?,
        Command::Show(options) => show::show(&options)?,
        Command::Cancel(options) => cancel(&options)?,
        Command::Agent { name } => agent::serve(&name)?,
        Command::Schema { tests } => {
            let schema =
                if tests { crate::runfile::test_schema() } else { crate::runfile::schema() };
            let schema = serde_json::to_string_pretty(&schema);
            print(&(schema.map_err(|error| Failure::failed(&error))? + "\n"))?;
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "synod", &mut script);
            print(&String::from_utf8_lossy(&script))?;
        }
        Command::Man => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
            rendered.map_err(|error| Failure::failed(&error))?;
            print(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(Exit::Done)
}

fn check(options: &Check) -> Result<(), Failure> {
    let text = run::read_file("run file", &options.file)?;
    let name = options.file.display().to_string();
    let file = RunFile::parse_for(&catalogue(), &name, &text, &options.overrides);
    let file = file.map_err(|problems| run::wrong(&problems))?;
    let (agents, inputs) = (file.agents.len() as u64, file.inputs.len() as u64);
    let (agents, inputs) = (output::counted(agents, "agent"), output::counted(inputs, "input"));
    print(&format!("{}: right: {agents}, {inputs}, runs `{}`\n", output::clean(&name), file.main))
}

fn cancel(options: &Cancel) -> Result<(), Failure> {
    let folder =
        Folder::look(options.data.folder.as_deref()).map_err(|error| Failure::failed(&error))?;
    let run = folder.find(&options.run).map_err(|error| Failure::usage(&error))?;
    let socket = folder.socket(run);
    let (done, ordered) = if options.emergency {
        ("stopped", control::emergency(&socket, &options.reason, CANCEL_ANSWER_WAIT))
    } else {
        ("cancelled", control::cancel(&socket, CANCEL_ANSWER_WAIT))
    };
    let Err(error) = ordered else {
        return print(&format!("run {run} is {done}; `synod show {run}` says what it did\n"));
    };
    let is_gone = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
    let words = if is_gone && history::is_ended(&folder.journal(run), run) {
        format!("run {run} has ended already; `synod show {run}` says how")
    } else if is_gone {
        format!("the process of run {run} is gone; take it up again: synod resume {run}")
    } else if error.kind() == ErrorKind::WouldBlock {
        format!("run {run} was told to end and has not ended within {CANCEL_ANSWER_WAIT:?}")
    } else {
        format!("cannot reach the process of run {run}: {error}")
    };
    Err(Failure::words(Exit::Failed, words))
}

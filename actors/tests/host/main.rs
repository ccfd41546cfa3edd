//! Command and process agents with real programs: this binary hosts them, is their launcher, and is the host that dies.

use std::process::ExitCode;

use synod_actors::agent::Launcher;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod cancel;
#[cfg(test)]
mod command;
#[cfg(test)]
mod life;
#[cfg(test)]
mod process;

fn main() -> ExitCode {
    let launcher = match Launcher::intercept() {
        Ok(launcher) => launcher,
        Err(served) => return served,
    };
    #[cfg(test)]
    return bench::run(
        &launcher,
        [cancel::TABLE, command::TABLE, life::TABLE, process::TABLE].concat(),
    );
    #[cfg(not(test))]
    unreachable!("{launcher:?} is only for tests")
}

//! How the program ends: every exit code in one place.

use std::process::ExitCode;

use actors::pattern::FailureKind;

use crate::signals::Told;

/// What the program's exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All was done.
    Done,
    /// The run or a test failed, or the command could not do its work.
    Failed,
    /// The command line or the run file is wrong; nothing was started.
    Usage,
    /// The run completed, and some of its parts have no result, its vote made no choice, or its rollout was rolled back.
    Incomplete,
    /// The run's deadline passed.
    TimedOut,
    /// The run completed, and `--fail-on` applies to what it found.
    Findings,
    /// The run was stopped by `synod cancel --emergency`.
    Halted,
    /// The run was cancelled: by Ctrl-C or by `synod cancel`.
    Cancelled,
    /// The run did not end within its time after SIGTERM and was cancelled.
    Terminated,
}

impl Exit {
    /// Every exit, with what it means; `--help` and the README show it.
    pub const TABLE: [(Self, &'static str); 9] = [
        (Self::Done, "all was done; findings alone do not change this"),
        (Self::Failed, "the run or a test failed, or the command could not do its work"),
        (Self::Usage, "wrong command line or run file; nothing was started"),
        (
            Self::Incomplete,
            "the run completed, some of its parts have no result, its vote made no choice, or its rollout was rolled back",
        ),
        (Self::TimedOut, "the run's deadline passed"),
        (Self::Findings, "the run completed, `--fail-on` applies to its findings"),
        (Self::Halted, "the run was stopped in an emergency by `synod cancel --emergency`"),
        (Self::Cancelled, "the run was cancelled by Ctrl-C or `synod cancel`"),
        (Self::Terminated, "the run was cancelled: it did not end within `--drain` after SIGTERM"),
    ];

    /// Gives the exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::TimedOut => 4,
            Self::Findings => 5,
            Self::Halted => 6,
            Self::Cancelled => 130,
            Self::Terminated => 143,
        }
    }

    /// Says how a run that did not complete ends the program.
    pub const fn of(kind: &FailureKind) -> Self {
        match kind {
            FailureKind::TimedOut { .. } => Self::TimedOut,
            FailureKind::Cancelled { .. } => Self::Cancelled,
            FailureKind::Rejected { .. }
            | FailureKind::Invalid { .. }
            | FailureKind::Split { .. }
            | FailureKind::Parts { .. }
            | FailureKind::Reduce { .. }
            | FailureKind::NoAnswer { .. }
            | FailureKind::Aborted { .. }
            | FailureKind::OverBudget { .. }
            | FailureKind::NodeLost { .. } => Self::Failed,
        }
    }

    /// How the program ends when its node did not stop in time: not as if all had been done.
    #[must_use]
    pub const fn cut_off(self) -> Self {
        if matches!(self, Self::Done) { Self::Failed } else { self }
    }

    /// The table as text, a line each.
    pub fn help() -> String {
        let line = |(exit, meaning): &(Self, &str)| format!("  {:>3}  {meaning}\n", exit.code());
        Self::TABLE.iter().map(line).collect()
    }
}

impl From<Told> for Exit {
    fn from(told: Told) -> Self {
        match told {
            Told::Interrupt => Self::Cancelled,
            Told::Terminate => Self::Terminated,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_was_cut_off_is_never_an_exit_of_0_and_hides_no_other() {
        let cut_off = Exit::TABLE.map(|(exit, _)| exit.cut_off().code());
        assert_eq!(cut_off, [1, 1, 2, 3, 4, 5, 6, 130, 143]);
    }

    #[test]
    fn every_exit_has_a_code_of_its_own_in_the_help() {
        let mut codes: Vec<u8> = Exit::TABLE.iter().map(|(exit, _)| exit.code()).collect();
        codes.dedup();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 130, 143]);
        let page = include_str!("../../docs/CLI.md");
        for (exit, meaning) in Exit::TABLE {
            assert!(page.contains(&format!("| {} | {meaning} |", exit.code())), "{meaning}");
        }
        assert!(Exit::help().contains("  130  the run was cancelled by Ctrl-C"));
    }
}

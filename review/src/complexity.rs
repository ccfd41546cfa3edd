//! Cyclomatic and cognitive complexity of a function, counted while its body is visited.

/// The counts of one function while it is visited.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    /// Branches; independent paths are one more.
    branches: u32,
    cognitive: u32,
    nesting: u32,
}

impl Counts {
    /// A branch that is harder to follow the deeper it stands: `if`, `match`, a loop.
    pub(crate) fn nested_branch(&mut self, paths: u32) {
        self.branches = self.branches.saturating_add(paths);
        self.cognitive = self.cognitive.saturating_add(1).saturating_add(self.nesting);
    }

    /// A branch that reads on at its level: `else if`, a sequence of `&&` or `||`, a guard, a labelled jump.
    pub(crate) fn flat_branch(&mut self, paths: u32) {
        self.branches = self.branches.saturating_add(paths);
        self.cognitive = self.cognitive.saturating_add(1);
    }

    /// Paths that cost no effort to follow: the second `&&` of a sequence.
    pub(crate) fn path(&mut self) {
        self.branches = self.branches.saturating_add(1);
    }

    pub(crate) fn enter(&mut self) {
        self.nesting = self.nesting.saturating_add(1);
    }

    pub(crate) fn leave(&mut self) {
        self.nesting = self.nesting.saturating_sub(1);
    }

    pub(crate) fn cyclomatic(self) -> u32 {
        self.branches.saturating_add(1)
    }

    pub(crate) fn cognitive(self) -> u32 {
        self.cognitive
    }
}

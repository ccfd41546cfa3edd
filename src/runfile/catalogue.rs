//! What the program that reads a run file can offer it.

/// The names that a run file may use; `None` takes any name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// The built-in agents.
    pub builtins: Option<Vec<String>>,
    /// The actors that the program registered.
    pub actors: Option<Vec<String>>,
    /// The functions that merge results.
    pub reducers: Option<Vec<String>>,
}

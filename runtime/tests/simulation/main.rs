//! Whole nodes under the deterministic simulation: what a world promises, and random trees under random faults.

#[cfg(test)]
mod ends;
#[cfg(test)]
mod events;
#[cfg(test)]
mod links;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod trees;
#[cfg(test)]
mod waiting;
#[cfg(test)]
mod worlds;

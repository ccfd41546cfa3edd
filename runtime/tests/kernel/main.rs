//! The kernel as a whole, on tokio.

#[cfg(test)]
mod asks;
#[cfg(test)]
mod asks_of_work;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod cancels;
#[cfg(test)]
mod dead_letters;
#[cfg(test)]
mod emergency;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod events;
#[cfg(test)]
mod graph;
#[cfg(test)]
mod guests;
#[cfg(test)]
mod keyed;
#[cfg(test)]
mod links;
#[cfg(test)]
mod mail;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod receive_timeouts;
#[cfg(test)]
mod records;
#[cfg(test)]
mod stash;
#[cfg(test)]
mod supervision;
#[cfg(test)]
mod supervision_table;
#[cfg(test)]
mod supervision_trees;
#[cfg(test)]
mod support;

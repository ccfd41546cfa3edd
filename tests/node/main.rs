//! The program `synod` as a real process: what it prints, how it ends, and what is left when it is killed.
#![cfg(feature = "review")]

#[cfg(test)]
mod after;
#[cfg(test)]
mod agent;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod beside;
#[cfg(test)]
mod cancel;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod deployment;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod guards;
mod heartbeat;
#[cfg(test)]
mod hierarchy;
#[cfg(test)]
mod fallback;
#[cfg(test)]
mod large;
#[cfg(test)]
mod pipeline;
#[cfg(test)]
mod place;
#[cfg(test)]
mod review;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod swarm;
#[cfg(test)]
mod test_files;
#[cfg(test)]
mod vote;
#[cfg(test)]
mod watch;

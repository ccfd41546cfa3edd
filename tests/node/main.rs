//! The program `synod` as a real process: what it prints, how it ends, and what is left when it is killed.

#[cfg(feature = "review")]
mod bad_input;
#[cfg(feature = "review")]
mod beside;
#[cfg(feature = "review")]
mod cancel;
#[cfg(feature = "review")]
mod crash;
#[cfg(feature = "review")]
mod place;
#[cfg(feature = "review")]
mod review;

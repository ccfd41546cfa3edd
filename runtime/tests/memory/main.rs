//! What a process holds in memory: a binary of its own with one test, since that counts every byte of the process.

#[cfg(test)]
#[cfg(target_os = "linux")]
mod stopped_consumer;

//! How records are written to a journal: MessagePack with field names, so that they can be read without their types.

use std::io;

use serde::{Serialize, de::DeserializeOwned};

/// What most records fit, so that writing one seldom moves it.
const RECORD_BYTES_USUAL: usize = 512;

/// Encodes a record.
///
/// # Errors
/// Why the value cannot be written as MessagePack.
pub fn encode(record: &impl Serialize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(RECORD_BYTES_USUAL);
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    record.serialize(&mut serializer).map_err(|error| format!("encode a record: {error}"))?;
    Ok(bytes)
}

/// Decodes a record.
///
/// # Errors
/// What is wrong with it.
pub fn decode<T: DeserializeOwned>(record: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(record).map_err(|error| format!("decode a record: {error}"))
}

/// Tells how many bytes a record would take.
///
/// # Errors
/// Why the value cannot be written as MessagePack.
pub fn size(record: &impl Serialize) -> Result<usize, String> {
    let mut counter = Counter(0);
    let mut serializer = rmp_serde::Serializer::new(&mut counter).with_struct_map();
    record.serialize(&mut serializer).map_err(|error| format!("encode a record: {error}"))?;
    Ok(counter.0)
}

/// Counts what is written and keeps nothing.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

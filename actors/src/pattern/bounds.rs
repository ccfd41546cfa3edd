//! What a record can hold: results that are checked, texts that are cut.
//!
//! Called by the coordinators of all patterns before they record what agents say.

use serde::Serialize;

use super::FailedPart;
use crate::{
    agent::call::AgentError,
    limits::{DATUM_BYTES_MAX, ERROR_BYTES_MAX, FAILED_RECORD_BYTES},
};

/// Whether a result fits a record; one that does not is never accepted.
pub(super) fn check_datum(output: &impl Serialize) -> Result<(), AgentError> {
    match runtime::record::size(output) {
        Ok(size) if size > DATUM_BYTES_MAX => {
            Err(AgentError::TooMuchOutput { limit: DATUM_BYTES_MAX })
        }
        Ok(_) => Ok(()),
        Err(reason) => Err(AgentError::Refused { reason }),
    }
}

/// An error whose text fits a record.
pub(super) fn clipped(error: AgentError) -> AgentError {
    let message = error.to_string();
    if message.len() <= ERROR_BYTES_MAX {
        return error;
    }
    AgentError::Failed { message: clip(message) }
}

/// A text that fits a record.
pub(super) fn clip(mut text: String) -> String {
    if text.len() > ERROR_BYTES_MAX {
        text.truncate(text.floor_char_boundary(ERROR_BYTES_MAX));
        text.push('…');
    }
    text
}

/// The first failures, as many as one record holds.
pub(super) fn fitting(failed: &[FailedPart]) -> Vec<FailedPart> {
    let mut bytes = 0;
    let fits = |part: &&FailedPart| {
        bytes += part.name.len() + part.agent.len() + part.error.len() + FAILED_PART_BYTES;
        bytes <= FAILED_RECORD_BYTES
    };
    failed.iter().take_while(fits).cloned().collect()
}

/// What a failed part takes in a record besides its texts, at the most.
const FAILED_PART_BYTES: usize = 64;

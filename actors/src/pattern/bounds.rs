//! What a record can hold: results that are checked, texts that are cut.
//!
//! Called by the coordinators of all patterns before they record what agents say.

use serde::Serialize;

use crate::{
    agent::call::AgentError,
    limits::{DATUM_BYTES_MAX, ERROR_BYTES_MAX},
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

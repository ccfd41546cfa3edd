//! Frames as JSON text, for WebSocket text frames and for people.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{DecodeError, EncodeError, Frame};
use crate::extension::Extension;
use crate::id::{ActorId, ConversationId};
use crate::kind::Kind;
use crate::limits::TEXT_FRAME_BYTES_MAX;
use crate::payload::Payload;
use crate::scan::{Allowance, scan_text};

/// The object that is written and read; fields other than `type` and `payload` may be absent.
#[derive(Serialize, Deserialize)]
struct Text<P> {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    sender: ActorId,
    #[serde(default)]
    recipient: ActorId,
    #[serde(default)]
    conversation: ConversationId,
    #[serde(default)]
    timestamp_ns: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    priority: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    streaming: bool,
    #[serde(default, skip_serializing_if = "Extension::is_empty")]
    extension: Extension,
    payload: P,
}

impl Frame {
    /// Writes the frame as one JSON object.
    ///
    /// # Errors
    /// [`EncodeError`] where the payload breaks a rule that its receiver would refuse, or is too large.
    pub fn to_text(&self) -> Result<String, EncodeError> {
        self.payload.check()?;
        let text = serde_json::to_string(&Text {
            kind: self.kind(),
            sender: self.sender,
            recipient: self.recipient,
            conversation: self.conversation,
            timestamp_ns: self.timestamp_ns,
            priority: self.priority,
            streaming: self.streaming,
            extension: self.extension.clone(),
            payload: &self.payload,
        })
        .map_err(EncodeError::Text)?;
        if text.len() > TEXT_FRAME_BYTES_MAX {
            return Err(EncodeError::TooLarge { bytes: text.len(), max: TEXT_FRAME_BYTES_MAX });
        }
        scan_text(&text, &mut Allowance::of_a_frame())?;
        Ok(text)
    }

    /// Reads a frame from one JSON object; a batch has no text form.
    ///
    /// # Errors
    /// [`DecodeError`] says what is wrong, where, and what to do.
    pub fn from_text(text: &str) -> Result<Self, DecodeError> {
        if text.len() > TEXT_FRAME_BYTES_MAX {
            return Err(DecodeError::LongText { bytes: text.len() });
        }
        scan_text(text, &mut Allowance::of_a_frame())?;
        let parsed: Text<&RawValue> = serde_json::from_str(text).map_err(DecodeError::Text)?;
        Ok(Self {
            sender: parsed.sender,
            recipient: parsed.recipient,
            conversation: parsed.conversation,
            timestamp_ns: parsed.timestamp_ns,
            priority: parsed.priority,
            streaming: parsed.streaming,
            extension: parsed.extension,
            payload: Payload::from_text(parsed.kind, parsed.payload.get())?,
        })
    }
}

//! Guarding: code of a user that runs inside a step of ours; its panic becomes an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `code`; its panic, as the panic of `what`, is an error.
pub(crate) fn guarded<T>(what: &str, code: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        format!("{what} panicked: {}", text.unwrap_or("without a text"))
    })
}

//! The mailbox's own promises, without a host.

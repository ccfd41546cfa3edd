//! Stands for a dependency that brings far more than is used of it: a table of two megabytes.

static TABLE: [u8; 2 << 20] = table();

/// One number of the table.
pub fn weight(at: usize) -> u64 {
    TABLE.get(at).copied().map_or(0, u64::from)
}

const fn table() -> [u8; 2 << 20] {
    let mut table = [1; 2 << 20];
    table[7] = 7;
    table
}

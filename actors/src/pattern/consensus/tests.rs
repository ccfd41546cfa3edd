//! Tests of consensus: a table of edge cases with exact outcomes, laws as properties, bad input.

mod bad_input;
mod laws;
mod numbers;
mod scenario;
mod table;

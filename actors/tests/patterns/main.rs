//! Patterns on a whole agent system: real agents, real time, one binary.

mod map_reduce;

//! The functional core: decisions on plain data. No I/O, no clock, no randomness: time and tokens come in as values.

pub mod ab;
pub mod address;
pub mod brand;
pub mod colour;
pub mod csv;
pub mod dialect;
pub mod explain;
pub mod filter;
pub mod identity;
pub mod lead;
pub mod letter;
pub mod mapping;
pub mod merge;
pub mod normal;
pub mod preview;
pub mod quota;
pub mod record;
pub mod retry;
pub mod rule;
pub mod search;
pub mod sequence;
pub mod spin;
pub mod table;
pub mod template;
mod template_language;
pub mod undo;
pub mod window;

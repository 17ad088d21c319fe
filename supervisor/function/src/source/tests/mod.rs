//! Sources as functions have them.

mod files;
mod sources;

//! The wire: frames, their headers, and the roles that RPC gives them.

pub mod frame;
pub mod header;
pub mod rpc;
#[cfg(test)]
mod tests;

//! What functions ask of the device with the SDK of Greengrass v1: `greengrasssdk`, `aws-greengrass-core-sdk`.
//!
//! ```text
//! SDK ── our greengrass_ipc_python_sdk: Invoke of Lambda's HTTP API ──► runtime_api ──► Caller ─┬─► another function
//!                                                              GGRouter: publish ◄──────────────┤
//!                                           GGShadowService, GGSecretManager ◄──────────────────┘
//! ```
//!
//! All that the SDK does is to invoke functions; the device's services are functions with names of their own
//! ([`Callee`]). Who asks is known by the instance whose Runtime API is asked, never by what a request says.

mod callee;
mod caller;
mod device;
mod publish;
#[cfg(test)]
mod tests;

pub use caller::{CALLS, Caller, ROOM, Sdk};
pub use device::{Destination, Device, DeviceError};

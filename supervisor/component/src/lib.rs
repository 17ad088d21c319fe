//! What a component *is*: its recipe, version, configuration and artifacts, and which components
//! a device ends up with.
//!
//! Everything here is pure except [`artifacts`], which reads an author's directory through a
//! descriptor and writes what it imports, and [`Platform::of_this_machine`]. Nothing here starts a
//! process or knows the bus.
//!
//! The recipe format is the one named `2020-01-25` of AWS IoT Greengrass v2.

#![forbid(unsafe_code)]

pub mod artifacts;
pub mod builtins;
pub mod check;
pub mod configuration;
mod document;
pub mod finding;
pub mod lambda;
pub mod name;
pub mod platform;
pub mod recipe;
pub mod resolve;
pub mod variables;
pub mod version;

pub use builtins::Builtin;
pub use configuration::{Configuration, Leaf, Origin};
pub use finding::{Finding, Severity};
pub use lambda::Lambda;
pub use name::ComponentName;
pub use platform::Platform;
pub use recipe::Recipe;
pub use resolve::{Resolution, resolve};
pub use version::{Version, VersionReq};

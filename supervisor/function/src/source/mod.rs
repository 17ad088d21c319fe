//! What makes events for functions: schedules, files, topics.

mod schedule;

pub use schedule::{InvalidSchedule, Schedule};

//! `rate(…)` and `cron(…)` as EventBridge writes them (docs.aws.amazon.com/eventbridge, "Creating a scheduled rule"). Pure.

mod calendar;
mod cron;
mod field;
mod rate;
#[cfg(test)]
mod tests;

use std::str::FromStr;

pub use cron::Cron;
pub use rate::Rate;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    Rate(Rate),
    Cron(Cron),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    #[error(
        "{0:?} is neither rate(value unit) nor cron(minutes hours day-of-month month day-of-week year)"
    )]
    Kind(String),
    #[error(
        "rate({0}): a number from 1 and one of second, minute, hour, day, e.g. rate(5 minutes)"
    )]
    Rate(String),
    #[error(
        "cron({text}) has {count} fields, not 6: minutes hours day-of-month month day-of-week year"
    )]
    Fields { text: String, count: usize },
    #[error("cron: {field} {text:?}: {expected}")]
    Field { field: &'static str, text: String, expected: &'static str },
    #[error("cron({0}): one of day-of-month and day-of-week is \"?\", the other is not")]
    Days(String),
    #[error("cron({0}) comes at no time")]
    Never(String),
}

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        let inside =
            |name: &str| text.trim().strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(rate) = inside("rate") {
            return Ok(Self::Rate(rate.parse()?));
        }
        match inside("cron") {
            Some(cron) => Ok(Self::Cron(cron.parse()?)),
            None => Err(InvalidSchedule::Kind(text.to_owned())),
        }
    }
}

//! Minutes of the wall clock, in UTC.

use std::str::FromStr;

use super::InvalidSchedule;
use super::calendar::Date;
use super::field::{HOURS, MINUTES, MONTH_DAYS, MONTHS, Values, WEEKDAYS, YEARS};

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;

/// A wall clock that was wrong by less is one that was set right; by more, one that told another time altogether.
const ADJUSTMENT: i64 = 3600;

/// A time that was missed by more is not made up for: the device slept, or its clock was set.
const LATE: i64 = 60;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: Values,
    hours: Values,
    days: Days,
    months: Values,
    years: Values,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    OfMonth(Values),
    LastOfMonth,
    /// The weekday that is nearest to that day, in the same month.
    Weekday(u8),
    OfWeek(Values),
    /// The last such day of the month.
    LastOfWeek(u8),
    /// Day of the week and which of the month, from 1.
    Nth(u8, u8),
}

impl Cron {
    /// The first time after `after`; both are seconds since 1970. `None`: there is none any more.
    pub fn next(&self, after: i64) -> Option<i64> {
        let first = (after.div_euclid(MINUTE) + 1) * MINUTE;
        let mut date = Date::of_days(first.div_euclid(DAY));
        let mut from = first.rem_euclid(DAY);
        while date.year <= i64::from(YEARS.last) {
            if !self.years.contains(date.year) {
                date = Date { year: date.year + 1, month: 1, day: 1 };
            } else if !self.months.contains(date.month.into()) {
                date = date.first_of_next_month();
            } else {
                let time = self.time_from(from).filter(|_| self.days.contain(date));
                if let Some(time) = time {
                    return Some(date.to_days() * DAY + time);
                }
                date = Date::of_days(date.to_days() + 1);
            }
            from = 0;
        }
        None
    }

    /// The time to wait for, where it is `now` and `last` was waited for before: not the same time twice because the
    /// clock was set back a little, and not a year of nothing because it was set back by a year.
    pub fn next_after(&self, last: Option<i64>, now: i64) -> Option<i64> {
        let last = last.filter(|last| *last > now && last - now <= ADJUSTMENT);
        self.next(last.unwrap_or(now))
    }

    /// Whether what was due then is to be done now.
    pub fn is_in_time(due: i64, now: i64) -> bool {
        (due..=due + LATE).contains(&now)
    }

    /// Second of the day.
    fn time_from(&self, from: i64) -> Option<i64> {
        let minutes = (from / MINUTE)..DAY / MINUTE;
        let mut minutes = minutes.filter(|minute| {
            self.hours.contains(minute / 60) && self.minutes.contains(minute % 60)
        });
        Some(minutes.next()? * MINUTE)
    }
}

impl Days {
    fn contain(&self, date: Date) -> bool {
        let last = date.days_in_month();
        match self {
            Self::OfMonth(days) => days.contains(date.day.into()),
            Self::LastOfMonth => date.day == last,
            Self::Weekday(day) => {
                date.day == nearest_weekday(Date { day: (*day).min(last), ..date })
            }
            Self::OfWeek(days) => days.contains(date.weekday().into()),
            Self::LastOfWeek(day) => date.weekday() == *day && date.day + 7 > last,
            Self::Nth(day, which) => date.weekday() == *day && (date.day - 1) / 7 + 1 == *which,
        }
    }
}

/// Day of the month.
fn nearest_weekday(date: Date) -> u8 {
    match date.weekday() {
        // Sunday.
        1 if date.day == date.days_in_month() => date.day - 2,
        1 => date.day + 1,
        // Saturday.
        7 if date.day == 1 => 3,
        7 => date.day - 1,
        _ => date.day,
    }
}

impl FromStr for Cron {
    type Err = InvalidSchedule;

    /// The six fields.
    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[minutes, hours, month_days, months, weekdays, years] = &*fields else {
            return Err(InvalidSchedule::Fields { text: text.to_owned(), count: fields.len() });
        };
        let days = match (month_days, weekdays) {
            ("?", "?") => return Err(InvalidSchedule::Days(text.to_owned())),
            (days, "?") => month_days_of(days)?,
            ("?", days) => weekdays_of(days)?,
            // crontab's habit, which EventBridge refuses; what is meant is clear.
            (days, "*") => month_days_of(days)?,
            ("*", days) => weekdays_of(days)?,
            (_, _) => return Err(InvalidSchedule::Days(text.to_owned())),
        };
        let cron = Self {
            minutes: MINUTES.values(minutes)?,
            hours: HOURS.values(hours)?,
            days,
            months: MONTHS.values(months)?,
            years: YEARS.values(years)?,
        };
        // Years begin in 1970.
        cron.next(-1).ok_or_else(|| InvalidSchedule::Never(text.to_owned()))?;
        Ok(cron)
    }
}

fn month_days_of(text: &str) -> Result<Days, InvalidSchedule> {
    if text == "L" {
        return Ok(Days::LastOfMonth);
    }
    match text.strip_suffix('W') {
        Some(day) => {
            let day = MONTH_DAYS.value(day).and_then(|day| u8::try_from(day).ok());
            Ok(Days::Weekday(day.ok_or_else(|| MONTH_DAYS.refuse(text))?))
        }
        None => Ok(Days::OfMonth(MONTH_DAYS.values(text)?)),
    }
}

fn weekdays_of(text: &str) -> Result<Days, InvalidSchedule> {
    let refuse = || WEEKDAYS.refuse(text);
    let weekday = |day: &str| WEEKDAYS.value(day).and_then(|day| u8::try_from(day).ok());
    if let Some((day, which)) = text.split_once('#') {
        let which = which.parse().ok().filter(|which| (1..=5).contains(which));
        let nth = weekday(day).zip(which).ok_or_else(refuse)?;
        return Ok(Days::Nth(nth.0, nth.1));
    }
    match text.strip_suffix('L') {
        // The last day of the week.
        Some("") => Ok(Days::OfWeek(WEEKDAYS.values("7")?)),
        Some(day) => Ok(Days::LastOfWeek(weekday(day).ok_or_else(refuse)?)),
        None => Ok(Days::OfWeek(WEEKDAYS.values(text)?)),
    }
}

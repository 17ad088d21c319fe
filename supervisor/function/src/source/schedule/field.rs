//! One field of a cron expression: `*`, values, ranges, steps and lists of them.

use super::InvalidSchedule;

/// What a field may contain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub name: &'static str,
    pub first: u16,
    pub last: u16,
    /// For the values from `first` on.
    pub names: &'static [&'static str],
    pub expected: &'static str,
}

pub(super) const MINUTES: Kind =
    Kind { name: "minutes", first: 0, last: 59, names: &[], expected: "0-59 with , - * /" };
pub(super) const HOURS: Kind =
    Kind { name: "hours", first: 0, last: 23, names: &[], expected: "0-23 with , - * /" };
pub(super) const MONTH_DAYS: Kind = Kind {
    name: "day-of-month",
    first: 1,
    last: 31,
    names: &[],
    expected: "1-31 with , - * /, or L, or 3W, or ?",
};
pub(super) const MONTHS: Kind = Kind {
    name: "month",
    first: 1,
    last: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    expected: "1-12 or JAN-DEC with , - * /",
};
pub(super) const WEEKDAYS: Kind = Kind {
    name: "day-of-week",
    first: 1,
    last: 7,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    expected: "1-7 or SUN-SAT with , - * /, or 5L, or 3#2, or ?",
};
pub(super) const YEARS: Kind =
    Kind { name: "year", first: 1970, last: 2199, names: &[], expected: "1970-2199 with , - * /" };

/// The values of a field: bit `n` is the value `first + n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Values {
    first: u16,
    bits: [u64; 4],
}

impl Values {
    pub fn contains(&self, value: i64) -> bool {
        let place = usize::try_from(value - i64::from(self.first)).unwrap_or(usize::MAX);
        self.bits.get(place / 64).is_some_and(|bits| bits >> (place % 64) & 1 == 1)
    }

    fn insert(&mut self, value: u16) {
        let place = usize::from(value - self.first);
        self.bits[place / 64] |= 1 << (place % 64);
    }
}

impl Kind {
    pub fn values(&self, text: &str) -> Result<Values, InvalidSchedule> {
        let mut values = Values { first: self.first, bits: [0; 4] };
        for item in text.split(',') {
            let (from, to, step) = self.item(item).ok_or_else(|| self.refuse(text))?;
            // A week may go round its end: FRI-MON.
            let count = self.last - self.first + 1;
            let length = if to < from { to + count - from } else { to - from };
            for offset in (0..=length).step_by(usize::from(step)) {
                let value = from + offset;
                values.insert(if value > self.last { value - count } else { value });
            }
        }
        Ok(values)
    }

    pub fn refuse(&self, text: &str) -> InvalidSchedule {
        InvalidSchedule::Field { field: self.name, text: text.to_owned(), expected: self.expected }
    }

    /// First, last and step.
    fn item(&self, text: &str) -> Option<(u16, u16, u16)> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step.parse().ok().filter(|step| *step > 0)?)),
            None => (text, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            // 1/10: from 1 on.
            None if step.is_some() => (self.value(range)?, self.last),
            None => (self.value(range)?, self.value(range)?),
        };
        Some((from, to, step.unwrap_or(1)))
    }

    pub fn value(&self, text: &str) -> Option<u16> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        match named {
            Some(place) => Some(self.first + u16::try_from(place).ok()?),
            None => text.parse().ok().filter(|value| {
                text.bytes().all(|byte| byte.is_ascii_digit())
                    && (self.first..=self.last).contains(value)
            }),
        }
    }
}

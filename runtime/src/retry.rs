//! Whether and when a failed attempt is repeated: so often, so much later, and not sooner than the other side asks for.
//!
//! Patterns ask [`Retries::next`] after a failure; whoever speaks HTTP reads the header `Retry-After` by [`retry_after`].
//! It keeps no state, reads no clock and throws no dice.
//!
//! # Invariants
//! - Never more attempts than asked for, nor than [`ATTEMPTS_MAX`].
//! - What the other side asks to be left alone for is waited in full, or the attempt is given up.

use std::time::Duration;

use crate::{
    backoff::Backoff,
    limits::{ATTEMPTS_MAX, RETRY_AFTER_MAX},
};

/// How failed attempts are repeated; by default three in all.
///
/// ```
/// use std::time::Duration;
/// use synod_runtime::retry::Retries;
/// let retries = Retries::default();
/// assert!(retries.next(1, None, 0).is_some());
/// assert_eq!(retries.next(2, Some(Duration::from_secs(7)), 0), Some(Duration::from_secs(7)));
/// assert_eq!(retries.next(3, None, 0), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Retries {
    /// Attempts in all, 1 to 100.
    pub attempts: u32,
    /// The wait between two of them.
    pub backoff: Backoff,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 3, backoff: Backoff::default() }
    }
}

impl Retries {
    /// One attempt and no other.
    pub const NEVER: Self = Self { attempts: 1, backoff: Backoff::NONE };

    /// Whether another attempt follows after `attempts` were made.
    pub fn allows(&self, attempts: u32) -> bool {
        attempts < self.attempts.clamp(1, ATTEMPTS_MAX)
    }

    /// The wait before the next attempt after `attempts` failed; `None` if there is none.
    ///
    /// `asked` is how long the other side asked to be left alone: at least that is waited, and if it asks for more than
    /// [`RETRY_AFTER_MAX`], the attempt is given up.
    pub fn next(&self, attempts: u32, asked: Option<Duration>, dice: u64) -> Option<Duration> {
        let asked = asked.unwrap_or_default();
        let goes_on = self.allows(attempts) && asked <= RETRY_AFTER_MAX;
        goes_on.then(|| self.backoff.wait(attempts, dice).max(asked))
    }
}

/// How long a `Retry-After` header asks to wait, read at `unix_nanos`; `None` if it is not one.
///
/// Either seconds or the date of RFC 9110 §5.6.7 in its one current form (`Sun, 06 Nov 1994 08:49:37 GMT`); one that has
/// passed asks for no wait.
pub fn retry_after(header: &str, unix_nanos: i64) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit are more than anybody waits.
        return Some(Duration::from_secs(header.parse().unwrap_or(u64::MAX)));
    }
    let left = date(header)?.saturating_mul(1_000_000_000).saturating_sub(unix_nanos);
    Some(Duration::from_nanos(u64::try_from(left).unwrap_or(0)))
}

/// The Unix seconds of an IMF-fixdate.
fn date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, text) = text.split_once(", ")?;
    let mut words = text.split(' ');
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let (time, zone) = (words.next()?, words.next()?);
    let month = MONTHS.iter().zip(1..).find(|(name, _)| **name == month)?.1;
    let mut clock = time.split(':').map(|part| digits(part, 2));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let is_whole = words.next().is_none() && clock.next().is_none() && zone == "GMT";
    // A leap second is the 60th.
    let is_time = hour < 24 && minute < 60 && second <= 60;
    let (day, year) = (digits(day, 2)?, digits(year, 4)?);
    if !is_whole || !is_time || !(1..=31).contains(&day) {
        return None;
    }
    Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let right = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if right { text.parse().ok() } else { None }
}

/// The days from 1970-01-01 to a date of the Gregorian calendar, whose years are not negative here
/// (`days_from_civil` of Hinnant, *chrono-Compatible Low-Level Date Algorithms*, 2013).
const fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last of one.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NANOS: i64 = 1_000_000_000;

    #[test]
    fn attempts_are_counted_from_one_and_bounded() {
        let hundred = Retries { attempts: 100, ..Retries::default() };
        assert!(hundred.allows(99) && !hundred.allows(100));
        assert!(
            !Retries { attempts: 0, ..hundred }.allows(1),
            "the first attempt is not asked for"
        );
        assert!(!Retries { attempts: u32::MAX, ..hundred }.allows(ATTEMPTS_MAX));
        assert_eq!(Retries::NEVER.next(1, None, 0), None);
    }

    #[test]
    fn what_the_other_side_asks_for_is_waited_in_full_or_the_attempt_given_up() {
        let retries = Retries::default();
        let second = Duration::from_secs(1);
        assert_eq!(retries.next(1, Some(second), u64::MAX), Some(second));
        assert_eq!(retries.next(1, Some(Duration::ZERO), u64::MAX), Some(retries.backoff.first));
        assert_eq!(retries.next(1, Some(RETRY_AFTER_MAX), 0), Some(RETRY_AFTER_MAX));
        assert_eq!(retries.next(1, Some(RETRY_AFTER_MAX + second), 0), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let at = 784_111_777;
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let wait = |header, unix| retry_after(header, unix * NANOS).map(|wait| wait.as_secs());
        assert_eq!(wait("120", at), Some(120));
        assert_eq!(wait(" 0 ", at), Some(0));
        assert_eq!(wait("99999999999999999999999", at), Some(u64::MAX));
        assert_eq!(wait(date, at - 90), Some(90));
        assert_eq!(wait(date, at + 1), Some(0), "it has passed");
        assert_eq!(wait("Thu, 29 Feb 2024 23:59:60 GMT", 1_709_251_200), Some(0));
        assert_eq!(wait("Thu, 01 Jan 1970 00:00:00 GMT", 0), Some(0));
        let wrong = [
            "",
            "-1",
            "1.5",
            "soon",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37:00 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
        ];
        for header in wrong {
            assert_eq!(wait(header, at), None, "{header}");
        }
    }

    #[test]
    fn days_are_counted_without_a_gap() {
        let lengths = |year: i64| {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        };
        let mut expected = 0;
        for year in 1970..2500 {
            for (month, length) in (1..).zip(lengths(year)) {
                for day in 1..=length {
                    assert_eq!(days(year, month, day), expected, "{year}-{month}-{day}");
                    expected += 1;
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_header_is_a_wait_or_nothing(header in ".{0,40}", unix in any::<i64>()) {
            retry_after(&header, unix);
        }

        #[test]
        fn never_more_attempts_than_asked_for(attempts in 0_u32..200, dice in any::<u64>()) {
            let retries = Retries { attempts, ..Retries::default() };
            let made = (1..).take_while(|made| retries.next(*made, None, dice).is_some()).count();
            prop_assert_eq!(made + 1, attempts.clamp(1, ATTEMPTS_MAX) as usize);
        }
    }
}

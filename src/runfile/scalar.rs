//! Durations, sizes, back-offs and globs: text to value, or what is wrong with it.

use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use actors::pattern::consensus::Exact;

use super::limits::{BYTES_MAX, BYTES_MIN, DURATION_MAX, DURATION_MIN};
use super::model::ByteSize;
use super::tree::Value;

/// What is wrong with a text, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) what: String,
    pub(crate) help: &'static str,
}

const DURATION_HELP: &str = "write a number and a unit: `250ms`, `30s`, `10m`, `1h 30m`";
const SIZE_HELP: &str = "write a number and a unit: `64KiB`, `2MB`, `1GiB`, or an integer of bytes";
const COUNT_HELP: &str = "write a number or a range: `3`, `1..3`, `1..` or `..3`";
const WEIGHT_HELP: &str = "write a number of 0 or more: `2`, `0.5` or `\"2/3\"`";
const SHARE_HELP: &str = "write a share from 0 to 1: `0.75` or `\"2/3\"`";
const GLOB_HELP: &str = "`*` is any text, `?` one character, `[a-z]` a class, `**` any folders";

/// Reads `250ms`, `10m` or `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, Wrong> {
    let wrong = |what: String| Wrong { what, help: DURATION_HELP };
    let duration =
        humantime::parse_duration(text).map_err(|_| wrong(format!("`{text}` is no duration")))?;
    if (DURATION_MIN..=DURATION_MAX).contains(&duration) {
        return Ok(duration);
    }
    let (min, max) =
        (humantime::format_duration(DURATION_MIN), humantime::format_duration(DURATION_MAX));
    Err(wrong(format!("`{text}` is out of range: a duration is from {min} to {max}")))
}

/// Reads `100ms..5s`, or one duration for both ends.
pub(crate) fn backoff(text: &str) -> Result<(Duration, Duration), Wrong> {
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    let (min, max) = (duration(min.trim())?, duration(max.trim())?);
    if min > max {
        let what = format!("`{text}` ends before it begins");
        return Err(Wrong { what, help: "write the shorter wait first: `100ms..5s`" });
    }
    Ok((min, max))
}

/// Reads `64KiB`, `2 MB` or `1024`.
pub(crate) fn size(text: &str) -> Result<ByteSize, Wrong> {
    let wrong = |what: String| Wrong { what, help: SIZE_HELP };
    let digits = text.trim().find(|c: char| !c.is_ascii_digit()).unwrap_or(text.trim().len());
    let (number, unit) = text.trim().split_at(digits);
    let unit = match unit.trim() {
        "" | "B" => Some(1),
        "kB" | "KB" => Some(1_000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let (Some(unit), Ok(number)) = (unit, number.parse::<u64>()) else {
        return Err(wrong(format!("`{text}` is no size")));
    };
    let bytes = number.checked_mul(unit).filter(|bytes| (BYTES_MIN..=BYTES_MAX).contains(bytes));
    bytes.map(ByteSize).ok_or_else(|| {
        wrong(format!("`{text}` is out of range: a size is from {BYTES_MIN} to {BYTES_MAX} bytes"))
    })
}

/// Reads a number of 0 or more exactly: `2`, `0.75` or `"2/3"`.
pub(crate) fn weight(value: &Value) -> Result<Exact, Wrong> {
    let number = exact(value)?;
    let wrong = || Wrong { what: format!("{number} is less than 0"), help: WEIGHT_HELP };
    if number < Exact::ZERO { Err(wrong()) } else { Ok(number) }
}

/// Reads a number from 0 to 1 exactly.
pub(crate) fn share(value: &Value) -> Result<Exact, Wrong> {
    let number = exact(value)?;
    let wrong = || Wrong { what: format!("{number} is not from 0 to 1"), help: SHARE_HELP };
    if number < Exact::ZERO || number > Exact::ONE { Err(wrong()) } else { Ok(number) }
}

fn exact(value: &Value) -> Result<Exact, Wrong> {
    let read = match value {
        Value::Integer(number) => Exact::ratio(*number, 1),
        Value::Number(number) => Exact::try_from(*number),
        Value::String(text) => text.parse(),
        Value::Boolean(_) | Value::Datetime | Value::Array(_) | Value::Table(_) | Value::Broken => {
            return Err(Wrong { what: "this is no number".to_owned(), help: WEIGHT_HELP });
        }
    };
    read.map_err(|error| Wrong { what: error.to_string(), help: WEIGHT_HELP })
}

/// Checks a glob; gives it back as the globs to match a path with.
/// Reads a place on a grid.
pub(crate) fn cell(value: &Value) -> Option<(u32, u32)> {
    let [column, row] = value.list()? else { return None };
    let along = |node: &super::tree::Node| u32::try_from(node.value.integer()?).ok();
    Some((along(column)?, along(row)?))
}

pub(crate) fn glob(text: &str) -> Result<globset::Glob, Wrong> {
    let path = if text.contains('/') { text.to_owned() } else { format!("**/{text}") };
    let wrong = |what: String| Wrong { what, help: GLOB_HELP };
    if text.is_empty() {
        return Err(wrong("an empty glob matches nothing".to_owned()));
    }
    globset::GlobBuilder::new(&path)
        .literal_separator(true)
        .build()
        .map_err(|error| wrong(format!("`{text}` is no glob: {}", error.kind())))
}

/// Reads `3`, `1..3`, `1..` or `..3`: the least and the most, both included.
pub(crate) fn count(text: &str) -> Result<RangeInclusive<u64>, Wrong> {
    let wrong = |what: String| Wrong { what, help: COUNT_HELP };
    let number = |text: &str, open: u64| match text.trim() {
        "" => Ok(open),
        digits => digits.parse::<u64>().map_err(|_| wrong(format!("`{text}` is no number"))),
    };
    let (least, most) = match text.split_once("..") {
        None => (number(text, u64::MAX)?, number(text, 0)?),
        Some((least, most)) => (number(least, 0)?, number(most, u64::MAX)?),
    };
    if least > most {
        return Err(wrong(format!("`{text}` ends before it begins")));
    }
    Ok(least..=most)
}

/// Reads the path of a file below a folder; it cannot lead out of it.
pub(crate) fn below(text: &str) -> Result<PathBuf, Wrong> {
    let path = Path::new(text);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    if text.is_empty() || !inside {
        let what = format!("`{text}` is no path below a folder");
        return Err(Wrong { what, help: "write names joined by `/`, as `src/main.rs`" });
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_bounds() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        for bad in ["", "10", "-1s", "0s", "31days", "soon", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_backoff_is_one_duration_or_two_in_order() {
        let ms = Duration::from_millis;
        assert_eq!(backoff("100ms..5s"), Ok((ms(100), ms(5000))));
        assert_eq!(backoff("2s"), Ok((ms(2000), ms(2000))));
        for bad in ["5s..1s", "..1s", "1s..", "1s...2s", "1s..2s..3s"] {
            assert!(backoff(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_decimal_and_binary_units_and_bounds() {
        assert_eq!(size("64KiB"), Ok(ByteSize(65_536)));
        assert_eq!(size("2 MB"), Ok(ByteSize(2_000_000)));
        assert_eq!(size("1024"), Ok(ByteSize(1024)));
        for bad in ["", "0", "KiB", "1.5MiB", "1 XB", "-1", "99999999999GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_count_is_a_number_or_a_range_with_both_ends() {
        assert_eq!(count("3"), Ok(3..=3));
        assert_eq!(count("1..3"), Ok(1..=3));
        assert_eq!((count("2.."), count("..2")), (Ok(2..=u64::MAX), Ok(0..=2)));
        for bad in ["", "-1", "3..1", "a", "1...2", "1.5"] {
            assert!(count(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_below_a_folder_does_not_leave_it() {
        assert_eq!(below("src/a.rs"), Ok(PathBuf::from("src/a.rs")));
        for bad in ["", "/etc/passwd", "../a", "a/../../b", "."] {
            assert!(below(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_glob_without_a_slash_is_about_the_name() {
        let matches = |text: &str, path: &str| glob(text).unwrap().compile_matcher().is_match(path);
        assert!(matches("*.rs", "a.rs") && matches("*.rs", "src/b/a.rs"));
        assert!(matches("*", "deep/down/file") && matches("Cargo.lock", "x/Cargo.lock"));
        assert!(matches("src/*.rs", "src/a.rs") && !matches("src/*.rs", "src/b/a.rs"));
        assert!(matches("src/**", "src/b/a.rs") && !matches("src/*.rs", "other/src/a.rs"));
        assert!(glob("[a").is_err() && glob("").is_err());
    }
}

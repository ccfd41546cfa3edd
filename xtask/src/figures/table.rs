//! Renders records as a table for people, and the page docs/FIGURES.md.
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use super::record::{Measured, Record};
use crate::shell;

const HEAD: [&str; 7] = ["figure", "value", "beside", "ratio", "goal", "spread", "holds"];
/// What a row of the page says more: the day of its measurement.
const DAY: &str = "measured";

/// Renders a Markdown table whose columns are aligned, with the reasons of what was not measured below.
pub(crate) fn render(measured: &[Measured], records: &[Record]) -> String {
    let rows = measured.iter().zip(records).map(|(figure, record)| row(figure, record)).collect();
    lines(&HEAD, rows, reasons(records))
}

/// Renders the page that is kept under version control.
///
/// What was not measured now stays as `old`, the page as it is, says it, each row with its own day.
///
/// # Errors
/// When `old` was measured on another machine: its rows cannot stand beside these.
pub(crate) fn page(
    machine: &Machine,
    old: &str,
    measured: &[Measured],
    records: &[Record],
) -> Result<String> {
    let anew = |name: &str| records.iter().any(|record| record.name == name);
    let kept: Vec<Vec<String>> = cells(old).filter(|row| !anew(name(row))).collect();
    ensure!(
        kept.is_empty() || old.contains(&machine.text),
        "docs/FIGURES.md was measured on another machine: measure all figures, without --only"
    );
    let now = measured.iter().zip(records).map(|(figure, record)| {
        let mut row = row(figure, record);
        row.push(machine.day.clone());
        row
    });
    let mut rows: Vec<Vec<String>> = kept.into_iter().chain(now).collect();
    // The order of the page, new figures last.
    let order: Vec<String> = cells(old).map(|row| name(&row).to_owned()).collect();
    rows.sort_by_key(|row| {
        order.iter().position(|known| known == name(row)).unwrap_or(order.len())
    });
    let still = old.lines().filter(|line| {
        line.strip_prefix("- ")
            .and_then(|line| line.split_once(": "))
            .is_some_and(|(name, _)| !anew(name))
    });
    let reasons = still.map(str::to_owned).chain(reasons(records)).collect();
    let head: Vec<&str> = HEAD.into_iter().chain([DAY]).collect();
    Ok(format!(
        "# Figures\n\n\
         Measured by `cargo xtask figures --write`; run `cargo xtask figures` to check them on a machine of your own.\n\
         Each value is the median of its runs; a ratio compares it with the reference of its goal, measured alternately in the same run.\n\
         Ratios decide; an absolute figure after a goal is what two cores should show, for orientation.\n\n\
         {}\n\n{}\n",
        machine.text,
        lines(&head, rows, reasons)
    ))
}

/// The rows of a page's table.
fn cells(page: &str) -> impl Iterator<Item = Vec<String>> + '_ {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    rows.map(|row| row.split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>())
        .filter(|row| row.len() == HEAD.len() + 1 && name(row) != HEAD[0])
}

fn name(row: &[String]) -> &str {
    row.first().map_or("", String::as_str)
}

fn reasons(records: &[Record]) -> Vec<String> {
    let reason = |record: &Record| Some(format!("- {}: {}", record.name, record.why.as_ref()?));
    records.iter().filter_map(reason).collect()
}

/// Aligns the columns; the reasons stand below, behind an empty line.
fn lines(head: &[&str], rows: Vec<Vec<String>>, reasons: Vec<String>) -> String {
    let mut table = vec![head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>()];
    table.extend(rows);
    let width = |column: usize| {
        let cells = table.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let mut lines: Vec<String> = table.iter().map(|row| line(row, &widths)).collect();
    lines.insert(1, format!("|{}|", rule.join("|")));
    if !reasons.is_empty() {
        lines.push(String::new());
        lines.extend(reasons);
    }
    lines.join("\n")
}

/// Where and when figures were measured.
pub(crate) struct Machine {
    text: String,
    day: String,
}

/// Describes the machine and the day.
pub(crate) fn machine(root: &Path) -> Result<Machine> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpu = cpu.map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = shell::read(&mut shell::command(root, "uname -sr"))?;
    let rustc = shell::read(&mut shell::command(root, "rustc --version"))?;
    let date = shell::read(&mut shell::command(root, "date --utc +%Y-%m-%d"))?;
    Ok(Machine {
        text: format!("Machine: {cpu}, {cores} cores, {}, {}.", kernel.trim(), rustc.trim()),
        day: date.trim().to_owned(),
    })
}

fn row(figure: &Measured, record: &Record) -> Vec<String> {
    let beside = record
        .floor
        .iter()
        .chain(&record.peers)
        .map(|(name, value)| format!("{name} {}", short(*value)));
    let sign = if figure.goal.at_least { "≥" } else { "≤" };
    let absolute =
        figure.goal.absolute.map(|value| format!("; {sign} {}", short(value))).unwrap_or_default();
    vec![
        record.name.clone(),
        record
            .value
            .map_or_else(|| "–".to_owned(), |value| format!("{} {}", short(value), figure.unit)),
        beside.collect::<Vec<_>>().join(", "),
        record.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
        format!("{sign} {} × {}{absolute}", record.goal, figure.goal.reference),
        record.spread.map_or_else(|| "–".to_owned(), |spread| format!("{spread:.2}")),
        if record.holds { "yes" } else { "no" }.to_owned(),
    ]
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
}

/// Writes a number with three digits that matter, and M or k.
fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        large if large >= 1e6 => (value / 1e6, " M"),
        middle if middle >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        _ => 2,
    };
    format!("{scaled:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::record::tests::measured;

    #[test]
    fn numbers_keep_the_digits_that_matter() {
        let shown = [5_123_456.0, 48_210.0, 1_234.0, 12.34, 0.987].map(short);
        assert_eq!(shown, ["5.12 M", "48.2 k", "1234", "12.3", "0.99"]);
    }

    #[test]
    fn a_row_says_all_and_a_reason_stands_below() {
        let figures = [measured(true, &[14.0], &[10.0]), measured(true, &[], &[10.0])];
        let records: Vec<Record> = figures.iter().map(Measured::record).collect();
        let text = render(&figures, &records);
        assert!(text.contains("| 14.0 messages/s | tokio 20.0, ractor 10.0 | 1.40  | ≥ 1.3 × ractor | 0.00   | yes   |"), "{text}");
        assert!(
            text.ends_with("- mailbox.tell: cannot be measured: synod or ractor gave no result"),
            "{text}"
        );
        let widths: std::collections::BTreeSet<usize> =
            text.lines().take(4).map(|line| line.chars().count()).collect();
        assert_eq!(widths.len(), 1, "{text}");
    }

    #[test]
    fn what_was_not_measured_anew_stays_on_the_page_with_its_day() {
        let machine =
            |text: &str, day: &str| Machine { text: text.to_owned(), day: day.to_owned() };
        let named = |name: &str, value| {
            let mut figure = measured(true, &[value], &[10.0]);
            figure.name = name.to_owned();
            vec![figure]
        };
        let write = |machine: &Machine, old: &str, figures: &[Measured]| {
            let records: Vec<Record> = figures.iter().map(Measured::record).collect();
            page(machine, old, figures, &records)
        };
        let here = machine("Machine: here.", "2026-01-01");
        let both: Vec<Measured> =
            [named("first", 14.0), named("second", 15.0)].into_iter().flatten().collect();
        let old = write(&here, "", &both).unwrap();
        let later = machine("Machine: here.", "2026-02-02");
        let new = write(&later, &old, &named("first", 16.0)).unwrap();
        let rows: Vec<Vec<String>> = cells(&new).collect();
        let shown: Vec<[&str; 3]> = rows.iter().map(|row| [&*row[0], &*row[1], &*row[7]]).collect();
        assert_eq!(
            shown,
            [
                ["first", "16.0 messages/s", "2026-02-02"],
                ["second", "15.0 messages/s", "2026-01-01"]
            ],
            "{new}"
        );
        let elsewhere = machine("Machine: elsewhere.", "2026-02-02");
        assert!(write(&elsewhere, &old, &named("first", 16.0)).is_err(), "rows of two machines");
        assert!(write(&elsewhere, &old, &both).is_ok(), "all were measured anew");
    }
}

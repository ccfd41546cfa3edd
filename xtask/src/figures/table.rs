//! Renders records as a table for people, and the page docs/FIGURES.md.
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::record::{Measured, Record};
use crate::shell;

const HEAD: [&str; 7] = ["figure", "value", "beside", "ratio", "goal", "spread", "holds"];

/// Renders a Markdown table whose columns are aligned, with the reasons of what was not measured below.
pub(crate) fn render(measured: &[Measured], records: &[Record]) -> String {
    let rows: Vec<[String; 7]> =
        measured.iter().zip(records).map(|(figure, record)| row(figure, record)).collect();
    let head = HEAD.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut lines = vec![
        line(&head, &widths),
        format!(
            "|{}|",
            widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|")
        ),
    ];
    lines.extend(rows.iter().map(|row| line(row, &widths)));
    let reasons = records
        .iter()
        .filter_map(|record| Some(format!("- {}: {}", record.name, record.why.as_ref()?)));
    let reasons: Vec<String> = reasons.collect();
    if !reasons.is_empty() {
        lines.push(String::new());
        lines.extend(reasons);
    }
    lines.join("\n")
}

/// Renders the page that is kept under version control.
pub(crate) fn page(machine: &str, measured: &[Measured], records: &[Record]) -> String {
    format!(
        "# Figures\n\n\
         Measured by `cargo xtask figures --write`; run `cargo xtask figures` to check them on a machine of your own.\n\
         Each value is the median of its runs; a ratio compares it with the reference of its goal, measured alternately in the same run.\n\
         Ratios decide; an absolute figure after a goal is what two cores should show, for orientation.\n\n\
         {machine}\n\n{}\n",
        render(measured, records)
    )
}

/// Describes the machine and the day.
pub(crate) fn machine(root: &Path) -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpu = cpu.map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = shell::read(&mut shell::command(root, "uname -sr"))?;
    let rustc = shell::read(&mut shell::command(root, "rustc --version"))?;
    let date = shell::read(&mut shell::command(root, "date --utc +%Y-%m-%d"))?;
    Ok(format!(
        "Machine: {cpu}, {cores} cores, {}, {}; {}.",
        kernel.trim(),
        rustc.trim(),
        date.trim()
    ))
}

fn row(figure: &Measured, record: &Record) -> [String; 7] {
    let beside = record
        .floor
        .iter()
        .chain(&record.peers)
        .map(|(name, value)| format!("{name} {}", short(*value)));
    let sign = if figure.goal.at_least { "≥" } else { "≤" };
    let absolute =
        figure.goal.absolute.map(|value| format!("; {sign} {}", short(value))).unwrap_or_default();
    [
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

fn line(cells: &[String; 7], widths: &[usize]) -> String {
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
}

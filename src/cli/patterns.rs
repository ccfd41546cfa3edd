//! Several patterns as people read them, of which some came after others: what became of each, as text, as Markdown or as a picture.
//!
//! [`result`](super::result) and [`show`](super::show) call it, with what a run was told or its journal tells.

mod picture;

use std::fmt::Write as _;

use actors::pattern::{
    consensus::Decision,
    hierarchy::Report as Account,
    pipeline::Report as Passages,
    plan::{Report, TaskEnd, TaskReport},
};
use protocol::RunId;
use review::merge::Report as Findings;
use runtime::engine::journal::{Journal, JournalError};
use serde::Serialize;
use serde_json::Value;

use super::{
    ballots::{escaped, escaped_markdown},
    output::{clean, counted},
    swarms::decimal,
};
use crate::job::{Planned, Product, Swarmed};

/// Several patterns, each behind those that it comes after; the one that was asked for is the last.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Patterns(pub Vec<Pattern>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pattern {
    /// Its name.
    pub name: String,
    /// Those that it comes after.
    pub after: Vec<String>,
    /// Its run, whose journal is in the file of the whole run.
    pub run: RunId,
    /// What became of it.
    pub state: State,
    /// Why it is not done, if it failed or was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When it began, in Unix milliseconds; of one that is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// How long it took, in microseconds; of one that is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micros: Option<u64>,
    /// Its parts that brought no result; of one that is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<u64>,
    /// What it has brought, as those after it are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
}

/// What became of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for those that it comes after.
    Waiting,
    /// It has begun and has not ended: it runs, or was cut off.
    Begun,
    /// It completed.
    Done,
    /// It failed.
    Failed,
    /// It never began, since one before it failed.
    Skipped,
}

impl State {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl Patterns {
    /// What a plan came to; the journal says which of those that have not ended have begun.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn of(journal: &dyn Journal, report: Report) -> Result<Self, JournalError> {
        let pattern = |task: TaskReport| {
            let has_begun = journal.next(task.run)? > 0;
            Ok(Pattern::of(task, has_begun))
        };
        report.tasks.into_iter().map(pattern).collect::<Result<_, _>>().map(Self)
    }

    /// How many are done, in one line.
    pub fn outcome(&self) -> String {
        let done = self.0.iter().filter(|own| own.state == State::Done).count();
        format!("{done} of {} done", counted(self.0.len() as u64, "pattern"))
    }

    /// Each with all that it has brought, where that is known and not told elsewhere.
    pub fn with<'a>(&'a self, planned: Option<&'a Planned>) -> Vec<Whole<'a>> {
        let products = planned.map_or(&[][..], |planned| &planned.products);
        let product = |at: usize| products.get(at).and_then(Option::as_ref);
        self.0.iter().enumerate().map(|(at, own)| Whole::of(own, product(at))).collect()
    }

    /// A line for each.
    pub fn text(&self) -> String {
        let mut text = self.outcome() + "\n";
        let width = self.0.iter().map(|own| own.name.chars().count()).max().unwrap_or(0);
        for own in &self.0 {
            let name = clean(&own.name);
            writeln!(text, "  {name:<width$}  {}", clean(&own.ending())).ok();
        }
        text
    }

    /// A table of them.
    pub fn markdown(&self) -> String {
        let mut text =
            "\n## Patterns\n\n| pattern | after | what became of it |\n|---|---|---|\n".to_owned();
        for own in &self.0 {
            let (name, after) =
                (escaped_markdown(&own.name), escaped_markdown(&own.after.join(", ")));
            writeln!(text, "| {name} | {after} | {} |", escaped_markdown(&own.state())).ok();
        }
        text
    }

    /// All of it as Markdown, where there is nothing else to tell.
    pub fn report_in_markdown(&self, title: &str, facts: &[String]) -> String {
        let mut text = format!("# {}\n\n", escaped_markdown(title));
        for fact in facts {
            writeln!(text, "- {}", escaped_markdown(fact)).ok();
        }
        text + &self.markdown()
    }

    /// All of it as one page, where there is nothing else to tell.
    pub fn page(&self, title: &str, facts: &[String]) -> String {
        let title = escaped(title);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<ul>"
        );
        for fact in facts.iter().chain(&self.lines()) {
            write!(page, "<li>{}</li>", escaped(fact)).ok();
        }
        format!("{page}</ul>\n{}</body></html>\n", self.svg())
    }

    fn lines(&self) -> Vec<String> {
        self.0.iter().map(|own| format!("{}: {}", own.name, own.ending())).collect()
    }

    /// The patterns as boxes with their states, and an arrow to each from those that it comes after.
    pub fn svg(&self) -> String {
        picture::svg(&self.0)
    }
}

/// A pattern with all that it has brought.
#[derive(Debug, Serialize)]
pub struct Whole<'a> {
    #[serde(flatten)]
    own: &'a Pattern,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a Findings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'a Decision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline: Option<&'a Passages>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swarm: Option<&'a Swarmed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hierarchy: Option<&'a Account>,
}

impl<'a> Whole<'a> {
    fn of(own: &'a Pattern, product: Option<&'a Product>) -> Self {
        let (report, decision, pipeline, swarm, hierarchy) = (None, None, None, None, None);
        let whole = Self { own, report, decision, pipeline, swarm, hierarchy };
        match product {
            Some(Product::Review(report)) => Self { report: Some(report), ..whole },
            Some(Product::Vote(decision)) => Self { decision: Some(decision), ..whole },
            Some(Product::Pipeline(passages)) => Self { pipeline: Some(passages), ..whole },
            Some(Product::Swarm(swarm)) => Self { swarm: Some(swarm), ..whole },
            Some(Product::Hierarchy(account)) => Self { hierarchy: Some(account), ..whole },
            Some(Product::Several(_)) | None => whole,
        }
    }
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}}";

impl Pattern {
    fn of(task: TaskReport, has_begun: bool) -> Self {
        let TaskReport { name, after, run, end } = task;
        let state = match &end {
            TaskEnd::Done { .. } => State::Done,
            TaskEnd::Failed { .. } => State::Failed,
            TaskEnd::Skipped { .. } => State::Skipped,
            TaskEnd::Open { .. } if has_begun => State::Begun,
            TaskEnd::Open { .. } => State::Waiting,
        };
        let (at, micros, missing) = match &end {
            TaskEnd::Done { at, micros, missing, .. } => (Some(*at), Some(*micros), Some(*missing)),
            TaskEnd::Failed { .. } | TaskEnd::Skipped { .. } | TaskEnd::Open { .. } => {
                (None, None, None)
            }
        };
        let (why, output) = match end {
            TaskEnd::Done { output, .. } => (None, Some(output)),
            TaskEnd::Failed { why, partial } => (Some(why), partial),
            TaskEnd::Skipped { because } => {
                (Some(format!("not begun, since `{because}` failed")), None)
            }
            TaskEnd::Open { partial } => (None, partial),
        };
        Self { name, after, run, state, why, at, micros, missing, output }
    }

    /// What became of it, and whom it came after.
    fn ending(&self) -> String {
        match self.after.as_slice() {
            [] => self.state(),
            after => format!("{}, after {}", self.state(), after.join(", ")),
        }
    }

    /// What it has brought, in a few words.
    fn brought(&self) -> Option<String> {
        let output = self.output.as_ref()?;
        let count = |key: &str| output.get(key).and_then(Value::as_u64);
        if let Some(cost) = output.get("cost") {
            let ticks = counted(count("ticks").unwrap_or(0), "tick");
            let cost = cost.as_f64().map(|cost| format!("cost {}, ", decimal(cost)));
            return Some(cost.unwrap_or_default() + &ticks);
        }
        if let Some(choice) = output.get("choice") {
            let none =
                || output.get("outcome").and_then(Value::as_str).map(|word| word.replace('_', " "));
            return choice.as_str().map(str::to_owned).or_else(none);
        }
        if let (Some(errors), Some(warnings), Some(notes)) =
            (count("errors"), count("warnings"), count("notes"))
        {
            let [errors, warnings, notes] =
                [(errors, "error"), (warnings, "warning"), (notes, "note")]
                    .map(|(some, word)| counted(some, word));
            return Some(format!("{errors}, {warnings}, {notes}"));
        }
        count("done").map(|done| counted(done, "document"))
    }

    /// What became of it.
    fn state(&self) -> String {
        match (self.state, &self.why, self.micros) {
            (State::Done, _, micros) => {
                let millis = micros.unwrap_or(0) / 1_000;
                let missing = match self.missing {
                    Some(missing @ 1..) => {
                        format!(", {} without a result", counted(missing, "part"))
                    }
                    Some(0) | None => String::new(),
                };
                let brought = self.brought().map(|brought| format!(": {brought}"));
                let brought = brought.unwrap_or_default();
                format!("done in {}.{:03} s{missing}{brought}", millis / 1_000, millis % 1_000)
            }
            (State::Skipped, Some(why), _) => why.clone(),
            (state, Some(why), _) => format!("{}: {why}", state.word()),
            (state, None, _) => state.word().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn patterns() -> Patterns {
        let task = |name: &str, after: &[&str], end| TaskReport {
            name: name.to_owned(),
            after: after.iter().map(|name| (*name).to_owned()).collect(),
            run: RunId::from_u128(7),
            end,
        };
        let done = TaskEnd::Done {
            output: serde_json::json!({ "errors": 1, "warnings": 0, "notes": 2 }),
            missing: 2,
            at: 5,
            micros: 1_250_000,
            resumed: false,
        };
        let failed = TaskEnd::Failed { why: "it is <b> | small".to_owned(), partial: None };
        let skipped = TaskEnd::Skipped { because: "texts".to_owned() };
        let open = || TaskEnd::Open { partial: None };
        let all = [
            (task("review", &[], done), true),
            (task("texts", &[], failed), true),
            (task("long", &["review"], open()), true),
            (task("late", &["long"], open()), false),
            (task("gate", &["review", "texts"], skipped), false),
        ];
        Patterns(all.into_iter().map(|(task, has_begun)| Pattern::of(task, has_begun)).collect())
    }

    #[test]
    fn each_pattern_says_what_became_of_it_and_because_of_whom() {
        let text = patterns().text();
        for line in [
            "1 of 5 patterns done\n",
            "  review  done in 1.250 s, 2 parts without a result: 1 error, 0 warnings, 2 notes\n",
            "  texts   failed: it is <b> | small\n",
            "  long    begun, after review\n",
            "  late    waiting, after long\n",
            "  gate    not begun, since `texts` failed, after review, texts\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let table = patterns().markdown();
        assert!(table.contains("| gate | review, texts | not begun, since"), "{table}");
        assert!(table.contains("\\<b\\> \\| small |"), "{table}");
    }
}

//! A vote as people read it: its outcome, its tally and every ballot, as text, as Markdown or as a page.
//!
//! [`result`](super::result) and [`show`](super::show) call it with what the journal tells.

use std::fmt::Write as _;

use actors::pattern::consensus::{
    ClosedBy, Decision, Evidence, Exact, Fate, Opening, Outcome, QuorumOf, Received, Vote,
};
use serde::Serialize;

use super::output::{clean, counted};

/// A vote with what it came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Voted {
    /// What was fixed when it was opened.
    pub opening: Opening,
    /// What its ballots come to; if the run did not complete, so far.
    pub decision: Decision,
}

impl Voted {
    /// A vote as its journal tells it.
    pub fn of(vote: &Vote, decision: Option<Decision>) -> Self {
        let decision = decision.unwrap_or_else(|| *vote.so_far(std::time::Duration::ZERO));
        Self { opening: vote.opening().clone(), decision }
    }

    /// Whether a choice was made.
    pub fn has_chosen(&self) -> bool {
        self.decision.outcome.choice().is_some() && self.decision.closed != ClosedBy::CutOff
    }

    /// The outcome in one line.
    pub fn outcome(&self) -> String {
        let said = match &self.decision.outcome {
            Outcome::Consensus { choice } => format!("consensus: {choice}"),
            Outcome::TieBroken { choice, by } => {
                let by = serde_json::to_value(by).unwrap_or_default();
                let by = by.as_str().map_or_else(|| by.to_string(), str::to_owned);
                format!("no consensus; {} chose: {choice}", by.replace('_', " "))
            }
            Outcome::NoDecision => "no decision".to_owned(),
            Outcome::InsufficientParticipation { counted, electorate, needed } => {
                format!("too few voted: {counted} of {electorate}, a share of {needed} was needed")
            }
            Outcome::Vetoed { choice, by } => format!("{choice} is vetoed by {}", by.join(", ")),
        };
        match self.decision.closed {
            ClosedBy::CutOff => format!("cut off; so far {said}"),
            ClosedBy::Deadline | ClosedBy::Complete | ClosedBy::Settled => said,
        }
    }

    /// What there is to know of the outcome: shares, rounds, why it was closed then.
    fn facts(&self) -> Vec<String> {
        let Decision { tally, participation, closed, round, .. } = &self.decision;
        let mut facts = Vec::new();
        if let Some(share) = &tally.share {
            let quorum = self.opening.rules.quorum.as_ref();
            let of = match quorum.map(|quorum| quorum.of) {
                Some(QuorumOf::Electorate) => "all expertise",
                Some(QuorumOf::Cast) | None => "the weight cast",
            };
            let needed = quorum.map(|quorum| {
                let more = if quorum.strict { "more than " } else { "" };
                format!(", {more}{} needed", quorum.share)
            });
            let leader = tally.leaders.first().map_or("", String::as_str);
            facts.push(format!(
                "{leader} has {} of {of}{}",
                decimal(share),
                needed.unwrap_or_default()
            ));
        }
        let voted = format!("{} of {} voted", participation.counted, participation.electorate);
        let abstained = match participation.abstained {
            0 => String::new(),
            some => format!(", {some} abstained"),
        };
        let closed = match closed {
            ClosedBy::Deadline => "closed when its time was over",
            ClosedBy::Complete => "closed when nobody was left to vote",
            ClosedBy::Settled => "closed early: nothing to come could change it",
            ClosedBy::CutOff => "not closed",
        };
        facts.push(format!("{voted}{abstained}; round {round}, {closed}"));
        facts
    }

    /// The voters without a ballot that counts in the last round.
    fn absent(&self) -> Vec<&str> {
        let counts = |id: &str| {
            self.last_round().any(|own| own.ballot.voter == id && own.fate == Fate::Counted)
        };
        let voters = self.opening.electorate.voters().iter().map(|voter| voter.id.as_str());
        voters.filter(|id| !counts(id)).collect()
    }

    fn last_round(&self) -> impl Iterator<Item = &Received> {
        let round = self.decision.round;
        self.decision.ballots.iter().filter(move |own| own.ballot.epoch == round)
    }

    /// All of it as lines of text.
    pub fn text(&self) -> String {
        let mut text =
            format!("{}\n{}\n", clean(&self.opening.proposal.question), clean(&self.outcome()));
        for fact in self.facts() {
            writeln!(text, "{}", clean(&fact)).ok();
        }
        text.push('\n');
        let width = self.decision.tally.choices.iter().map(|score| score.choice.chars().count());
        let width = width.max().unwrap_or(0).min(NAME_CHARS);
        for score in &self.decision.tally.choices {
            let bar = "█".repeat(columns(&score.support, &self.most()));
            let name = clean(&score.choice);
            writeln!(text, "  {name:<width$}  {:>8}  {bar}", decimal(&score.score)).ok();
        }
        for own in self.last_round() {
            text.push('\n');
            ballot(&mut text, own);
        }
        let absent = self.absent();
        if !absent.is_empty() {
            writeln!(text, "\nabsent: {}", clean(&absent.join(", "))).ok();
        }
        let earlier = self.decision.rounds.len();
        if earlier > 0 {
            let earlier = counted(earlier as u64, "earlier round");
            writeln!(text, "{earlier}; `--json` has all ballots").ok();
        }
        text
    }

    /// All of it as Markdown.
    pub fn markdown(&self, facts: &[String]) -> String {
        let mut text = format!(
            "# {}\n\n**{}**\n\n",
            escaped_markdown(&self.opening.proposal.question),
            escaped_markdown(&self.outcome())
        );
        for fact in self.facts().iter().chain(facts) {
            writeln!(text, "- {}", escaped_markdown(fact)).ok();
        }
        text.push_str("\n| choice | score | support |\n|---|---:|---:|\n");
        for score in &self.decision.tally.choices {
            let (name, score, support) =
                (escaped_markdown(&score.choice), decimal(&score.score), decimal(&score.support));
            writeln!(text, "| {name} | {score} | {support} |").ok();
        }
        text.push_str("\n## Ballots\n");
        for own in &self.decision.ballots {
            writeln!(text, "\n### {}\n", escaped_markdown(&headline(own))).ok();
            if !own.ballot.reasoning.is_empty() {
                writeln!(text, "{}\n", escaped_markdown(&own.ballot.reasoning)).ok();
            }
            for evidence in &own.ballot.evidence {
                writeln!(text, "- {}", escaped_markdown(&shown(evidence))).ok();
            }
        }
        let absent = self.absent();
        if !absent.is_empty() {
            writeln!(text, "\nAbsent: {}", escaped_markdown(&absent.join(", "))).ok();
        }
        text
    }

    /// All of it as one page that needs nothing else; above it the picture of the plan that it is in, if it is in one.
    pub fn html(&self, facts: &[String], plan: &str) -> String {
        let title = escaped(&self.opening.proposal.question);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p class=\"outcome {}\">{}</p>\n<ul>",
            self.decision.outcome.name(),
            escaped(&self.outcome())
        );
        for fact in self.facts().iter().chain(facts) {
            write!(page, "<li>{}</li>", escaped(fact)).ok();
        }
        page.push_str("</ul>\n");
        page.push_str(plan);
        page.push_str(&self.picture());
        page.push_str("<h2>Ballots</h2>\n");
        for own in &self.decision.ballots {
            let class = if own.fate == Fate::Counted { "ballot" } else { "ballot void" };
            write!(page, "<section class=\"{class}\"><h3>{}</h3>", escaped(&headline(own))).ok();
            write!(page, "<p>{}</p><ul>", escaped(&own.ballot.reasoning)).ok();
            for evidence in &own.ballot.evidence {
                write!(page, "<li>{}</li>", escaped(&shown(evidence))).ok();
            }
            page.push_str("</ul></section>\n");
        }
        let absent = self.absent();
        if !absent.is_empty() {
            writeln!(page, "<p>Absent: {}</p>", escaped(&absent.join(", "))).ok();
        }
        page.push_str("</body></html>\n");
        page
    }

    /// A bar for each choice, made of the ballots for it, with the quorum as a line.
    fn picture(&self) -> String {
        let choices = &self.decision.tally.choices;
        let height = choices.len() * ROW + 24;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"the weight for each choice\">\n"
        );
        let (most, room) = (self.most(), WIDTH - LEFT - 20);
        for (row, score) in choices.iter().enumerate() {
            let y = row * ROW + 8;
            let name: String = score.choice.chars().take(NAME_CHARS).collect();
            write!(svg, "<text x=\"0\" y=\"{}\">{}</text>", y + 17, escaped(&name)).ok();
            let mut x = LEFT;
            for own in self.last_round().filter(|own| own.fate == Fate::Counted) {
                if !is_for(own, &score.choice) {
                    continue;
                }
                let width = scaled(&own.weight, &most, room);
                let label = format!("{}: weight {}", own.ballot.voter, decimal(&own.weight));
                write!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"24\" class=\"for\"><title>{}</title></rect>",
                    escaped(&label)
                )
                .ok();
                x += width;
            }
            write!(
                svg,
                "<text x=\"{}\" y=\"{}\" class=\"sum\">{}</text>",
                x + 6,
                y + 17,
                decimal(&score.support)
            )
            .ok();
            svg.push('\n');
        }
        if let Some(quorum) = &self.opening.rules.quorum {
            let whole = match quorum.of {
                QuorumOf::Cast => &self.decision.tally.cast,
                QuorumOf::Electorate => &self.decision.tally.electorate,
            };
            let x = LEFT + scaled(&(&quorum.share * whole), &most, room);
            let text = format!("quorum {}", quorum.share);
            write!(
                svg,
                "<line x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"{height}\" class=\"quorum\"/><text x=\"{}\" y=\"{}\" class=\"sum\">{}</text>",
                x + 4,
                height - 6,
                escaped(&text)
            )
            .ok();
        }
        svg + "</svg>\n"
    }

    /// What the longest bar stands for.
    fn most(&self) -> Exact {
        let tally = &self.decision.tally;
        tally.electorate.clone().max(tally.cast.clone())
    }
}

/// The longest name of a choice that bars are beside, in characters.
const NAME_CHARS: usize = 20;
/// The picture: its width, the height of a row, and where bars begin, in its own units.
const WIDTH: usize = 720;
const ROW: usize = 36;
const LEFT: usize = 140;
/// The longest bar of text, in columns.
const BAR_COLUMNS: usize = 40;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}\
.outcome{font-size:1.4rem;font-weight:600}.consensus{color:#176639}.tie_broken{color:#8a5a00}.no_decision,.insufficient_participation,.vetoed{color:#a11d1d}\
svg{width:100%;height:auto;font-size:14px}.for{fill:#2f6fb0;stroke:#fff}.quorum{stroke:#a11d1d;stroke-dasharray:4 3}.sum{fill:#555}\
.ballot{border-left:4px solid #2f6fb0;padding:0 1rem;margin:1rem 0}.void{border-color:#bbb;color:#666}h3{font-size:1rem;margin:.5rem 0}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}text{fill:#ddd}.sum{fill:#aaa}.for{stroke:#161616}.consensus{color:#6cc494}.tie_broken{color:#e0b050}.no_decision,.insufficient_participation,.vetoed{color:#ef8080}}";

fn ballot(text: &mut String, own: &Received) {
    writeln!(text, "{}", clean(&headline(own))).ok();
    if !own.ballot.reasoning.is_empty() {
        writeln!(text, "    {}", clean(&own.ballot.reasoning)).ok();
    }
    for evidence in &own.ballot.evidence {
        writeln!(text, "    - {}", clean(&shown(evidence))).ok();
    }
}

/// Who is for what, how surely, with which weight, and what became of it.
fn headline(own: &Received) -> String {
    use actors::pattern::consensus::Choice;
    let ballot = &own.ballot;
    let choice = match &ballot.choice {
        Choice::Abstain => "abstains".to_owned(),
        Choice::One(one) => one.clone(),
        Choice::Set(several) => several.iter().cloned().collect::<Vec<_>>().join(" and "),
        Choice::Ranking(ranking) => ranking.join(" > "),
    };
    let fate = match &own.fate {
        Fate::Counted => String::new(),
        Fate::Refused(why) => format!(" (refused: {why})"),
        Fate::Replaced { .. } => " (replaced)".to_owned(),
        Fate::Final => " (not counted: the first one is final)".to_owned(),
        Fate::Duplicate => " (the same again)".to_owned(),
        Fate::Equivocation => " (void: another one came under its number)".to_owned(),
        Fate::Late => " (late)".to_owned(),
    };
    let veto = match ballot.veto.iter().cloned().collect::<Vec<_>>() {
        none if none.is_empty() => String::new(),
        some => format!(", vetoes {}", some.join(" and ")),
    };
    let round = if ballot.epoch > 1 { format!("round {}, ", ballot.epoch) } else { String::new() };
    format!(
        "{}: {choice}{veto} ({round}weight {}, confidence {}){fate}",
        ballot.voter,
        decimal(&own.weight),
        decimal(&ballot.confidence)
    )
}

fn shown(evidence: &Evidence) -> String {
    let mut text = evidence.claim.clone();
    if !evidence.source.is_empty() {
        write!(text, " ({})", evidence.source).ok();
    }
    match evidence.data.as_str() {
        _ if evidence.data.is_null() => {}
        Some(data) => drop(write!(text, ": {data}")),
        None => drop(write!(text, ": {}", evidence.data)),
    }
    text
}

fn is_for(own: &Received, choice: &str) -> bool {
    use actors::pattern::consensus::Choice;
    match &own.ballot.choice {
        Choice::Abstain => false,
        Choice::One(one) => one == choice,
        Choice::Set(several) => several.contains(choice),
        Choice::Ranking(ranking) => ranking.first().is_some_and(|first| first == choice),
    }
}

/// A number for people: three decimals where it has more.
fn decimal(number: &Exact) -> String {
    let text = format!("{:.3}", number.to_f64());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn columns(part: &Exact, whole: &Exact) -> usize {
    scaled(part, whole, BAR_COLUMNS)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a length on the screen, bounded by its room"
)]
fn scaled(part: &Exact, whole: &Exact, room: usize) -> usize {
    let share = part.over(whole).map_or(0.0, |share| share.to_f64());
    (share.clamp(0.0, 1.0) * room as f64).round() as usize
}

pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

pub(super) fn escaped_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

//! Several questions that end together: how many answers are still needed, and who has the questions that are open.
//!
//! A plain value, kept by the calls of actors (`join`) and the asks of async work (`work_cx/asks.rs`).
//!
//! # Invariants
//! - Every question has one outcome, in the order in which they were asked.

use protocol::{Code, Refusal};

use super::AskError;
use crate::{limits::CALL_TARGETS_MAX, waits::Holder};

/// The outcome of each question.
pub(crate) type Outcomes<T> = Vec<Result<T, AskError>>;

/// Questions, and how many answers they still need.
pub(crate) struct Tally<T> {
    need: usize,
    questions: Vec<Question<T>>,
}

enum Question<T> {
    /// Not delivered yet, unless somebody has said that they hold it.
    Asked(Option<Holder>),
    /// With whoever it was delivered to or passed on to.
    Held(Holder),
    Ended(Result<T, AskError>),
}

impl<T> Question<T> {
    fn is_open(&self) -> bool {
        !matches!(self, Self::Ended(_))
    }
}

impl<T> Tally<T> {
    /// Questions of which none was delivered yet, and `need` must be answered.
    pub(crate) fn new(need: usize, questions: usize) -> Self {
        Self { need, questions: (0..questions).map(|_| Question::Asked(None)).collect() }
    }

    /// Why this cannot even begin.
    pub(crate) fn refused(&self) -> Option<AskError> {
        let (need, count) = (self.need, self.questions.len());
        let text = if count > CALL_TARGETS_MAX {
            format!("more than {CALL_TARGETS_MAX} targets are asked together; ask fewer at a time")
        } else if need > count {
            format!("{need} answers of {count} targets are needed; need fewer or ask more targets")
        } else if need == 0 {
            return Some(AskError::Cancelled);
        } else {
            return None;
        };
        Some(Refusal::new(Code::Invalid, text).into())
    }

    /// Whether enough have answered, or too few still can.
    pub(crate) fn is_over(&self) -> bool {
        let open = self.questions.iter().filter(|question| question.is_open()).count();
        self.need == 0 || open < self.need
    }

    /// Whether this question still wants an answer.
    pub(crate) fn wants(&self, question: usize) -> bool {
        self.questions.get(question).is_some_and(Question::is_open)
    }

    /// How many answers are needed, and of whom; none before every question that is open was delivered.
    pub(crate) fn wait(&self) -> Option<(usize, Vec<Holder>)> {
        let open = self.questions.iter().filter(|question| question.is_open());
        let holders = open.map(|question| match question {
            Question::Held(holder) => Some(*holder),
            Question::Asked(_) | Question::Ended(_) => None,
        });
        Some((self.need, holders.collect::<Option<_>>()?))
    }

    /// The question was delivered to `holder`, who has it unless somebody has said so before.
    pub(crate) fn delivered(&mut self, question: usize, holder: Holder) {
        if let Some(question) = self.questions.get_mut(question)
            && let Question::Asked(said) = question
        {
            *question = Question::Held(said.unwrap_or(holder));
        }
    }

    /// The question has passed to `holder`; returns who had it, if it was delivered.
    pub(crate) fn passed(&mut self, question: usize, holder: Holder) -> Option<Holder> {
        match self.questions.get_mut(question)? {
            Question::Asked(said) => {
                *said = Some(holder);
                None
            }
            Question::Held(held) => Some(std::mem::replace(held, holder)),
            Question::Ended(_) => None,
        }
    }

    /// The question has ended without an answer, or (`Ok`) with one; takes that only where the question was open.
    ///
    /// Returns who had it, if anybody did.
    pub(crate) fn ended(
        &mut self,
        question: usize,
        outcome: &mut Option<Result<T, AskError>>,
    ) -> Option<Holder> {
        let of = self.questions.get_mut(question).filter(|question| question.is_open())?;
        let outcome = outcome.take()?;
        self.need = self.need.saturating_sub(usize::from(outcome.is_ok()));
        match std::mem::replace(of, Question::Ended(outcome)) {
            Question::Asked(holder) => holder,
            Question::Held(holder) => Some(holder),
            Question::Ended(_) => None,
        }
    }

    /// The outcome of every question: `rest` of those that have none.
    pub(crate) fn outcomes(self, rest: &AskError) -> Outcomes<T> {
        let outcomes = self.questions.into_iter().map(|question| match question {
            Question::Ended(outcome) => outcome,
            Question::Asked(_) | Question::Held(_) => Err(rest.clone()),
        });
        outcomes.collect()
    }
}

//! What a program said, read as an opinion.
//!
//! # Invariants
//! - Whatever is said is read or refused; what it says is checked against the vote when it is cast.

use std::collections::BTreeSet;

use protocol::Value;
use serde::Deserialize;

use super::{Choice, Evidence, Exact, Method, Opinion};

impl Opinion {
    /// Reads what a program said on a question with these choices.
    ///
    /// It is a choice (`"ship"`; for other methods a list of choices), or an object with `choice`, `confidence`, `reasoning`,
    /// `evidence` and `veto`, of which a `choice` of null abstains; or what `reads = "exit"` gives: code 0 is for the first choice,
    /// every other one for the last.
    ///
    /// # Errors
    /// What it is not, in words that follow "expected".
    ///
    /// ```
    /// use synod_actors::pattern::consensus::{Exact, Method, Opinion};
    ///
    /// let said = serde_json::json!({ "choice": "hold", "confidence": 0.9, "reasoning": "a test fails" });
    /// let opinion = Opinion::read(&said, Method::Plurality, &["ship".into(), "hold".into()])?;
    /// assert_eq!(opinion, Opinion::one("hold").confidence(Exact::ratio(9, 10).unwrap()).because("a test fails"));
    /// # Ok::<(), String>(())
    /// ```
    pub fn read(said: &Value, method: Method, choices: &[String]) -> Result<Self, String> {
        if let Some(code) = exit_code(said) {
            let choice = if code == 0 { choices.first() } else { choices.last() };
            let one = choice.into_iter().cloned().collect();
            return Ok(chosen(one, method)?.into());
        }
        if !said.is_object() {
            return Ok(choice(said, method)?.into());
        }
        let said: Said =
            serde_json::from_value(said.clone()).map_err(|error| format!("an opinion: {error}"))?;
        Ok(Self {
            choice: choice(&said.choice, method)?,
            confidence: match &said.confidence {
                None => Exact::ONE,
                Some(number) => exact(number)?,
            },
            reasoning: said.reasoning,
            evidence: said.evidence.into_iter().map(Into::into).collect(),
            veto: said.veto,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    choice: Value,
    #[serde(default)]
    confidence: Option<Value>,
    #[serde(default)]
    reasoning: String,
    #[serde(default)]
    evidence: Vec<Shown>,
    #[serde(default)]
    veto: BTreeSet<String>,
}

/// Evidence in full, or its claim alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Shown {
    Claim(String),
    Full(Evidence),
}

impl From<Shown> for Evidence {
    fn from(shown: Shown) -> Self {
        match shown {
            Shown::Full(evidence) => evidence,
            Shown::Claim(claim) => Self { claim, source: String::new(), data: Value::Null },
        }
    }
}

fn exit_code(said: &Value) -> Option<i64> {
    let object = said.as_object()?;
    object.get("exit").filter(|_| object.len() == 1)?.as_i64()
}

fn choice(said: &Value, method: Method) -> Result<Choice, String> {
    let wrong = || format!("{} as `choice`, or null to abstain", method.form());
    match said {
        Value::Null => Ok(Choice::Abstain),
        Value::String(one) => chosen(vec![one.clone()], method),
        Value::Array(several) => {
            let names = several.iter().map(|one| one.as_str().map(str::to_owned));
            chosen(names.collect::<Option<Vec<_>>>().ok_or_else(wrong)?, method)
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(wrong()),
    }
}

/// Choices in the form that a method takes.
fn chosen(mut choices: Vec<String>, method: Method) -> Result<Choice, String> {
    match method {
        Method::Approval => Ok(Choice::Set(choices.into_iter().collect())),
        Method::Borda | Method::Schulze => Ok(Choice::Ranking(choices)),
        Method::Plurality | Method::Majority | Method::Supermajority | Method::Unanimity => {
            match (choices.pop(), choices.is_empty()) {
                (Some(one), true) => Ok(Choice::One(one)),
                _ => Err(format!("{} as `choice`", method.form())),
            }
        }
    }
}

fn exact(number: &Value) -> Result<Exact, String> {
    let read = match number {
        Value::Number(number) => number.to_string().parse(),
        Value::String(text) => text.parse(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err("a number from 0 to 1 as `confidence`".to_owned());
        }
    };
    read.map_err(|error: super::NumberError| format!("a number as `confidence`: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(said: &Value, method: Method) -> Result<Opinion, String> {
        Opinion::read(said, method, &["ship".to_owned(), "hold".to_owned()])
    }

    #[test]
    fn an_exit_code_is_for_the_first_choice_or_the_last() {
        for (code, choice) in [(0, "ship"), (1, "hold"), (101, "hold")] {
            let said = read(&json!({ "exit": code }), Method::Plurality).unwrap();
            assert_eq!(said, Opinion::one(choice));
        }
        let ranked = read(&json!({ "exit": 0 }), Method::Borda).unwrap();
        assert_eq!(ranked.choice, Choice::ranking(["ship"]));
    }

    #[test]
    fn a_choice_has_the_form_of_the_method() {
        let both = json!(["hold", "ship"]);
        assert_eq!(read(&json!("ship"), Method::Majority).unwrap(), Opinion::one("ship"));
        assert_eq!(read(&json!(["ship"]), Method::Majority).unwrap(), Opinion::one("ship"));
        assert_eq!(read(&both, Method::Approval).unwrap().choice, Choice::set(["ship", "hold"]));
        assert_eq!(read(&both, Method::Schulze).unwrap().choice, Choice::ranking(["hold", "ship"]));
        assert_eq!(read(&json!({ "choice": null }), Method::Borda).unwrap(), Opinion::abstain());
        assert_eq!(read(&both, Method::Plurality).unwrap_err(), "one choice as `choice`");
    }

    #[test]
    fn an_opinion_is_read_with_all_that_it_says() {
        let said = json!({
            "choice": "hold", "confidence": "2/3", "reasoning": "why", "veto": ["ship"],
            "evidence": ["a test fails", { "claim": "slow", "source": "bench", "data": 7 }],
        });
        let read = read(&said, Method::Plurality).unwrap();
        assert_eq!(read.confidence, Exact::ratio(2, 3).unwrap());
        assert_eq!((read.reasoning.as_str(), read.veto.len()), ("why", 1));
        assert_eq!(read.evidence[0].claim, "a test fails");
        assert_eq!(
            (read.evidence[1].source.as_str(), &read.evidence[1].data),
            ("bench", &json!(7))
        );
    }

    #[test]
    fn what_is_no_opinion_is_refused_with_what_was_expected() {
        for (said, expected) in [
            (json!(7), "one choice as `choice`, or null to abstain"),
            (json!({}), "missing field `choice`"),
            (json!({ "choice": "ship", "confidance": 1 }), "unknown field `confidance`"),
            (json!({ "choice": "ship", "confidence": true }), "a number from 0 to 1"),
            (json!({ "choice": "ship", "confidence": "sure" }), "a number as `confidence`"),
            (json!({ "choice": [7] }), "one choice as `choice`"),
        ] {
            let error = read(&said, Method::Plurality).unwrap_err();
            assert!(error.contains(expected), "{said}: {error}");
        }
    }
}

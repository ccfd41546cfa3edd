//! What was measured, and the record that is published of it.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The key of Synod's own result in a round.
pub(crate) const OURS: &str = "synod";

/// All that was measured of one figure.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) goal: Goal,
    /// what is no floor but another framework
    #[serde(default)]
    pub(crate) peers: Vec<String>,
    /// what each took part with, a round each
    pub(crate) rounds: Vec<BTreeMap<String, f64>>,
    /// why it could not be measured, or only in part
    #[serde(default)]
    pub(crate) why: Option<String>,
}

/// What a figure should be.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Goal {
    /// the bound of the ratio to the reference
    pub(crate) ratio: f64,
    /// whether more is better
    pub(crate) at_least: bool,
    /// the name of the reference
    pub(crate) reference: String,
    /// what one machine of two cores should show, for orientation
    #[serde(default)]
    pub(crate) absolute: Option<f64>,
}

/// One published line.
#[derive(Debug, Serialize)]
pub(crate) struct Record {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<f64>,
    pub(crate) floor: BTreeMap<String, f64>,
    pub(crate) peers: BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    pub(crate) goal: f64,
    pub(crate) holds: bool,
    pub(crate) runs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spread: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

impl Measured {
    /// Takes medians and compares them with the goal. The goal's reference stands with the floors or the peers as it was declared;
    /// the reference of a mailbox figure, ractor, is one of the peers.
    pub(crate) fn record(&self) -> Record {
        let medians: BTreeMap<String, f64> = self
            .keys()
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), median(&self.results(key))?)))
            .collect();
        let value = medians.get(OURS).copied();
        let ratio = value
            .zip(medians.get(&self.goal.reference))
            .map(|(value, reference)| value / reference);
        let ratio = ratio.filter(|ratio| ratio.is_finite());
        let holds = ratio.is_some_and(|ratio| {
            if self.goal.at_least { ratio >= self.goal.ratio } else { ratio <= self.goal.ratio }
        });
        let others = medians.into_iter().filter(|(key, _)| key != OURS);
        let (peers, floor) = others.partition(|(key, _)| self.peers.contains(key));
        let results = self.results(OURS);
        let missing =
            || format!("cannot be measured: {OURS} or {} gave no result", self.goal.reference);
        Record {
            name: self.name.clone(),
            value,
            floor,
            peers,
            ratio,
            goal: self.goal.ratio,
            holds,
            runs: self.rounds.len(),
            spread: spread(&results),
            why: self.why.clone().or_else(|| ratio.is_none().then(missing)),
        }
    }

    fn keys(&self) -> std::collections::BTreeSet<&str> {
        self.rounds.iter().flat_map(|round| round.keys().map(String::as_str)).collect()
    }

    fn results(&self, key: &str) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| round.get(key).copied()).collect()
    }
}

/// Returns the middle value, or the mean of the two in the middle.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// Returns (largest − smallest) / median; nothing where that is no number.
fn spread(values: &[f64]) -> Option<f64> {
    let middle = median(values)?;
    let largest = values.iter().copied().max_by(f64::total_cmp)?;
    let smallest = values.iter().copied().min_by(f64::total_cmp)?;
    let range = largest - smallest;
    let spread = if range > 0.0 { range / middle } else { 0.0 };
    Some(spread).filter(|spread| spread.is_finite())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn measured(at_least: bool, ours: &[f64], reference: &[f64]) -> Measured {
        let round = |at: usize| {
            let pair =
                [(OURS, ours.get(at)), ("ractor", reference.get(at)), ("tokio", Some(&20.0))];
            pair.into_iter().filter_map(|(key, value)| Some((key.to_owned(), *value?))).collect()
        };
        Measured {
            name: "mailbox.tell".to_owned(),
            unit: "messages/s".to_owned(),
            goal: Goal { ratio: 1.3, at_least, reference: "ractor".to_owned(), absolute: None },
            peers: vec!["ractor".to_owned()],
            rounds: (0..reference.len().max(ours.len())).map(round).collect(),
            why: None,
        }
    }

    #[test]
    fn the_ratio_is_of_medians_and_decides() {
        let record = measured(true, &[14.0, 10.0, 99.0], &[10.0, 10.0, 1.0]).record();
        assert_eq!(
            (record.value, record.ratio, record.holds, record.runs),
            (Some(14.0), Some(1.4), true, 3)
        );
        assert_eq!(record.spread, Some((99.0 - 10.0) / 14.0));
        assert!(!measured(true, &[12.0], &[10.0]).record().holds);
        assert!(measured(false, &[12.0], &[10.0]).record().holds);
        assert!(!measured(false, &[14.0], &[10.0]).record().holds);
    }

    #[test]
    fn floors_and_peers_stand_apart() {
        let record = measured(true, &[13.0], &[10.0]).record();
        assert_eq!(record.floor, BTreeMap::from([("tokio".to_owned(), 20.0)]));
        assert_eq!(record.peers, BTreeMap::from([("ractor".to_owned(), 10.0)]));
    }

    #[test]
    fn what_was_not_measured_says_why_and_does_not_hold() {
        for lacking in [
            measured(true, &[], &[10.0]),
            measured(false, &[10.0], &[]),
            measured(false, &[0.0], &[0.0]),
        ] {
            let record = lacking.record();
            assert!(!record.holds);
            assert!(record.why.unwrap().starts_with("cannot be measured"));
        }
    }

    #[test]
    fn results_of_zero_have_no_spread_among_them_and_others_beside_zero_none_that_is_a_number() {
        let spread = |ours: &[f64]| measured(false, ours, &[1.0]).record().spread;
        assert_eq!(spread(&[0.0, 0.0]), Some(0.0));
        assert_eq!(spread(&[0.0, 0.0, 2.0]), None);
    }

    #[test]
    fn a_published_line_has_the_documented_keys() {
        let line = serde_json::to_value(measured(true, &[14.0], &[10.0]).record()).unwrap();
        let keys: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            ["floor", "goal", "holds", "name", "peers", "ratio", "runs", "spread", "value"]
        );
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}

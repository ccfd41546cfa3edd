//! What assignments came to: given to those that come after them, and to the supervisor.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

/// What assignments came to, by their names. As JSON, `{"build": {"team": "a", "outputs": {"x86": 1}, "missing": []}}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results(pub(super) Vec<Arc<TeamResult>>);

/// What one assignment came to.
#[derive(Clone, Debug, PartialEq)]
pub struct TeamResult {
    /// The assignment.
    pub assignment: Arc<str>,
    /// The team that had it.
    pub team: Arc<str>,
    /// What its tasks came to, by their names in the order of the plan. One without tasks has one that is called as it is.
    pub outputs: Vec<(Arc<str>, Arc<Value>)>,
    /// Tasks that were given up.
    pub missing: Vec<Arc<str>>,
}

impl Results {
    /// What this assignment came to, if it is there.
    pub fn get(&self, assignment: &str) -> Option<&TeamResult> {
        self.0.iter().find(|result| &*result.assignment == assignment).map(Arc::as_ref)
    }

    /// What this task of this assignment came to.
    pub fn output(&self, assignment: &str, task: &str) -> Option<&Value> {
        self.get(assignment)?.output(task)
    }

    /// All of them, in the order in which they were planned.
    pub fn iter(&self) -> impl Iterator<Item = &TeamResult> {
        self.0.iter().map(Arc::as_ref)
    }

    /// The outputs by assignment and task: what a supervisor that says nothing else makes of them.
    pub fn outputs(&self) -> Value {
        let of = |result: &TeamResult| {
            let outputs = result.outputs.iter();
            let outputs = outputs.map(|(task, output)| (task.to_string(), Value::clone(output)));
            (result.assignment.to_string(), Value::Object(outputs.collect::<Map<_, _>>()))
        };
        Value::Object(self.iter().map(of).collect())
    }
}

impl TeamResult {
    /// What this task came to.
    pub fn output(&self, task: &str) -> Option<&Value> {
        let named = self.outputs.iter().find(|(name, _)| &**name == task);
        named.map(|(_, output)| &**output)
    }
}

impl Serialize for Results {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|result| (&*result.assignment, result)))
    }
}

impl Serialize for TeamResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Outputs<'a>(&'a [(Arc<str>, Arc<Value>)]);
        impl Serialize for Outputs<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(task, output)| (&**task, &**output)))
            }
        }
        let missing: Vec<&str> = self.missing.iter().map(|task| &**task).collect();
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("team", &*self.team)?;
        map.serialize_entry("outputs", &Outputs(&self.outputs))?;
        map.serialize_entry("missing", &missing)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_are_found_by_name_and_are_json() {
        let result = TeamResult {
            assignment: "build".into(),
            team: "a".into(),
            outputs: vec![("x86".into(), Arc::new(json!(1))), ("arm".into(), Arc::new(json!([2])))],
            missing: vec!["mips".into()],
        };
        let results = Results(vec![Arc::new(result)]);
        assert_eq!(results.output("build", "arm"), Some(&json!([2])));
        assert_eq!((results.output("build", "mips"), results.get("ship")), (None, None));
        assert_eq!(results.outputs(), json!({ "build": { "x86": 1, "arm": [2] } }));
        assert_eq!(
            serde_json::to_value(&results).unwrap(),
            json!({ "build": { "team": "a", "outputs": { "x86": 1, "arm": [2] }, "missing": ["mips"] } })
        );
    }
}

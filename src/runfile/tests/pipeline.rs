//! `[pipeline.NAME]`: what of it is right, and what is told of what is not.

use super::super::model::Transform;
use super::*;

const HEAD: &str = "synod = 1\nmain = \"texts\"\n[agents]\n\
    read = { builtin = \"document.extract\" }\n\
    typos = { builtin = \"review.typos\" }\n\
    narrow = { command = [\"n\"], reads = \"json\", accepts = \"*.md\" }\n\
    count = { command = [\"wc\", \"{files}\"], reads = \"lines\" }\n\
    [pipeline.texts]\ndocuments = \"docs\"\n";

#[test]
fn the_stages_of_a_pipeline_are_read_in_their_order() {
    let text = format!(
        "{HEAD}accepts = \"*.md\"\nordered = true\noutput = {{ type = \"string\" }}\n\
         [[pipeline.texts.stages]]\nname = \"one\"\nagent = \"read\"\ntimeout = \"30s\"\n\
         transform = \"metadata\"\nwindow = 4\nretry = {{ attempts = 1 }}\n\
         [pipeline.texts.stages.output]\nrequired = [\"text\"]\nproperties.text = {{ pattern = \"^[a-z]{{3}}$\" }}\n\
         [[pipeline.texts.stages]]\nname = \"two\"\nagent = \"count\"\n"
    );
    let file = RunFile::parse("run.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}"));
    let pipeline = &file.pipelines[0];
    assert!(pipeline.ordered && pipeline.accepts.matches("a/b.md"));
    assert_eq!(pipeline.output, Some(serde_json::json!({ "type": "string" })));
    let [one, two] = pipeline.stages.as_slice() else { panic!("{pipeline:?}") };
    assert_eq!((one.name.as_str(), one.agent.as_str(), one.window), ("one", "read", 4));
    assert_eq!((one.timeout.as_secs(), one.retry.attempts), (30, 1));
    assert_eq!(one.transform, Some(Transform::Metadata));
    let schema = serde_json::json!({
        "required": ["text"], "properties": { "text": { "pattern": "^[a-z]{3}$" } },
    });
    assert_eq!(one.output, Some(schema), "what is no text of the run is taken as it is");
    assert_eq!((two.name.as_str(), two.window, two.timeout.as_secs()), ("two", 64, 300));
    assert_eq!((&two.input, two.transform), (&None, None));
}

#[test]
fn each_mistake_of_a_pipeline_is_told_at_its_place_with_what_to_do() {
    let one = "{ name = \"one\", agent = \"read\" }";
    let many = vec!["{ name = \"n\", agent = \"read\" }"; 65].join(", ");
    let many: String = many.split("\"n\"").enumerate().fold(String::new(), |all, (at, part)| {
        if at == 0 { part.to_owned() } else { format!("{all}\"n{at}\"{part}") }
    });
    let wrong: &[(&str, &str)] = &[
        ("[]", "`pipeline.texts.stages` has 0 values"),
        ("\"one\"", "`pipeline.texts.stages` must be a list"),
        ("[\"one\"]", "`pipeline.texts.stages` must be a table"),
        ("[{ agent = \"read\" }]", "`pipeline.texts.stages` has no `name`"),
        ("[{ name = \"one\" }]", "`pipeline.texts.stages` has no `agent`"),
        ("[{ name = \"one\", agent = \"reed\" }]", "there is no agent `reed`"),
        ("[{ name = \"one\", agent = \"texts\" }]", "`texts` is a pattern"),
        ("[{ name = \"one\", agent = \"typos\" }]", "`typos` takes code, not documents"),
        (
            "[{ name = \"one\", agent = \"narrow\" }]",
            "`accepts` says nothing of an agent of a stage",
        ),
        ("[{ name = \"one\", agent = \"read\", timeout = \"0s\" }]", "0"),
        (
            "[{ name = \"one\", agent = \"read\", window = 0 }]",
            "`pipeline.texts.stages.window` is out of range",
        ),
        ("[{ name = \"one\", agent = \"read\", transform = \"magic\" }]", "`magic` is no value of"),
        (
            "[{ name = \"one\", agent = \"read\", validate = \"x\" }]",
            "`validate` is not in this version",
        ),
        (
            "[{ name = \"one\", agent = \"read\", input = { type = \"sting\" } }]",
            "`pipeline.texts.stages.input` is no JSON Schema",
        ),
        (
            "[{ name = \"one\", agent = \"read\", output = { pattern = \"(\" } }]",
            "`pipeline.texts.stages.output` is no JSON Schema",
        ),
        (
            "[{ name = \"one\", agent = \"read\", output = { \"$ref\" = \"https://example.org/s\" } }]",
            "is no JSON Schema",
        ),
        ("[{ name = \"one\", agent = \"read\", output = 7 }]", "must be a JSON Schema"),
    ];
    let twice = format!("[{one}, {one}]");
    let many = format!("[{many}]");
    let more = [
        (twice.as_str(), "two stages are called `one`"),
        (many.as_str(), "a pipeline has 65 stages"),
    ];
    for (stages, expected) in wrong.iter().chain(&more) {
        let text = format!("{HEAD}stages = {stages}\n");
        let problems = RunFile::parse("run.toml", &text, &[]).unwrap_err();
        let found: Vec<_> = problems.iter().collect();
        assert_eq!(found.len(), 1, "{stages}: {problems}");
        assert!(found[0].message().contains(expected), "{stages}: {}", found[0].message());
        assert!(found[0].help().is_some() && problems.place(found[0]).line > 1, "{stages}");
    }
    assert_eq!(messages(HEAD), ["`pipeline.texts` has no `stages`"]);
    let code = "[map_reduce.code]\nsplit = { use = \"code.files\" }\nall_of = [\"read\"]\n";
    let text = format!("{HEAD}stages = [{one}]\n{code}");
    assert_eq!(messages(&text), ["`read` takes documents, not code"]);
}

#[test]
fn the_example_is_a_pipeline() {
    let text = include_str!("../../../examples/document_pipeline.toml");
    let file = RunFile::parse_for(&crate::job::catalogue(), "document_pipeline.toml", text, &[]);
    let file = file.unwrap_or_else(|problems| panic!("{problems}"));
    let stages = file.pipelines[0].stages.iter();
    let stages: Vec<_> =
        stages.map(|stage| (stage.name.as_str(), stage.timeout.as_secs())).collect();
    assert_eq!(stages, [("extraction", 30), ("analysis", 45), ("summarization", 20)]);
}

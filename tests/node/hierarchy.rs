//! Hierarchies of run files: programs that work, lead, plan and decide; what is told, kept and taken up again; bad input.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use super::place::Place;

/// A program that says of each call what `said` makes of its data, as an expression of Python.
fn program(place: &Place, name: &str, said: &str) -> String {
    let script = format!(
        "import json, sys\n\
         for line in sys.stdin:\n    call = json.loads(line)\n    data = call['part']['data']\n    said = {said}\n    \
         print(json.dumps({{'id': call['id'], **said}}), flush=True)\n"
    );
    let path = place.path(&format!("{name}.py"));
    fs::write(&path, script).unwrap();
    format!("{name} = {{ process = [\"python3\", {path:?}] }}\n")
}

/// Says what it was given, upper case.
const SHOUTS: &str =
    "{'result': data['input']['say'].upper()} if data['act'] == 'work' else {'error': data['act']}";

/// Two teams, one led by an agent, with a plan that the file says.
fn place(more: &str) -> Place {
    let place = Place::new(&[]);
    let shouts = program(&place, "shouts", SHOUTS);
    let joins = program(
        &place,
        "joins",
        "{'result': [data['before']['first']['outputs'], data['task'], data['attempt']]}",
    );
    let leads = program(
        &place,
        "leads",
        "{'result': {'decision': 'inform'}} if data['act'] == 'decide' else {'result': data['before']['second']['missing']}",
    );
    let text = format!(
        "synod = 1\nmain = \"work\"\ninput.word = {{ type = \"string\", default = \"hello\" }}\n[agents]\n{shouts}{joins}{leads}\
         [hierarchy.work]\nmission = \"Shout <{{input.word}}>\"\nretry = {{ attempts = 1 }}\n\
         [hierarchy.work.teams.loud]\nspecialisation = \"voices\"\nworkers = {{ shouts = 2 }}\n\
         [hierarchy.work.teams.quiet]\nworkers = {{ joins = 1 }}\nleader = \"leads\"\n{more}\n\
         [[hierarchy.work.assignments]]\nname = \"first\"\nspecialisation = \"voices\"\n\
         tasks = {{ one = {{ say = \"{{input.word}}\" }}, two = {{ say = \"you\" }} }}\n\
         [[hierarchy.work.assignments]]\nname = \"second\"\nteam = \"quiet\"\nafter = [\"first\"]\ntasks = {{ all = {{}} }}\n\
         [[hierarchy.work.assignments]]\nname = \"third\"\nteam = \"quiet\"\nafter = [\"second\"]\n"
    );
    fs::write(place.path("run.toml"), text).unwrap();
    place
}

#[test]
fn teams_do_what_the_file_says_and_each_is_told_what_came_before() {
    let place = place("");
    let (code, document) = place.run_json(&["--input", "word=hi"]);
    assert_eq!((code, &document["outcome"]), (0, &json!("completed")), "{document}");
    let own = &document["hierarchy"];
    let first = json!({ "one": "HI", "two": "YOU" });
    let expected =
        json!({ "first": first, "second": { "all": [first, "all", 1] }, "third": { "third": [] } });
    assert_eq!(own["output"], expected);
    assert_eq!(own["assignments"][0]["team"], "loud");
    assert_eq!(own["assignments"][2]["tasks"][0]["end"]["worker"], "leader");
    assert_eq!(document["tally"]["done"], 4);
    let shown = place.run(&["show", "last", "--json"]).json();
    assert_eq!(shown["hierarchy"], *own, "its journal gives the same");
    assert_eq!((&shown["parts"], shown["work"].as_array().unwrap().len()), (&json!(4), 4));
    let text = place.run(&["show", "last", "--events"]).out;
    for line in [
        "4 of 4 tasks done",
        "first (loud): done, 2 tasks",
        "loud/shouts-",
        "did second/all at attempt 1",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let again = place.run(&["resume", "last", "--json"]).json();
    assert_eq!(
        (&again["hierarchy"]["output"], &again["tally"]["attempts"]),
        (&expected, &json!(0))
    );
}

#[test]
fn a_hierarchy_is_reported_as_text_as_markdown_and_as_a_page() {
    let place = place("");
    for name in ["out.html", "out.md"] {
        let ended = place.run(&["run", "run.toml", "--report", name]);
        assert!(
            ended.code == 0 && ended.out.starts_with("Shout <hello>\n4 of 4 tasks done\n"),
            "{ended:?}"
        );
    }
    let page = fs::read_to_string(place.path("out.html")).unwrap();
    for expected in [
        "Shout &lt;hello&gt;",
        "seconds since the first task began",
        "first/one by shouts-",
        "<td>second</td>",
    ] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert!(!page.contains("<hello>") && !page.contains("Instances, traffic"), "{page}");
    let text = fs::read_to_string(place.path("out.md")).unwrap();
    assert!(text.contains("| second | all | quiet | joins-1 | done | 1 |"), "{text}");
    assert_eq!(place.run(&["run", "run.toml", "--report", "out.sarif"]).code, 2);
}

#[test]
fn what_a_leader_gives_up_is_missing_and_the_run_says_so() {
    let place = place("");
    program(&place, "joins", "{'error': 'no paper'}");
    let ended = place.run(&["run", "run.toml", "--report", "out.html"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    for line in [
        "second (quiet): done, 1 task, 1 given up",
        "second/all: a leader decided to inform: no paper",
        "Tasks that failed: 1",
    ] {
        assert!(ended.out.contains(line), "{line}: {}", ended.out);
    }
    assert!(ended.err.contains("second/all: leader: inform: no paper"), "{}", ended.err);
    let (_, document) = place.run_json(&[]);
    assert_eq!(
        document["hierarchy"]["output"]["third"]["third"],
        json!(["all"]),
        "its leader is told"
    );
    assert_eq!(document["failed_parts"][0]["name"], "second/all");
    let page = fs::read_to_string(place.path("out.html")).unwrap();
    assert!(page.contains(">inform</text>") && page.contains("given up: no paper"), "{page}");
}

#[test]
fn a_failure_that_nobody_below_may_decide_on_ends_the_run_or_goes_to_an_agent() {
    let place = place("authority = \"retry\"");
    program(&place, "joins", "{'error': 'no paper'}");
    // What it would decide is above what it may.
    program(&place, "leads", "{'result': {'decision': 'reassign'}}");
    let (code, document) = place.run_json(&[]);
    assert_eq!((code, &document["failure"]["outcome"]), (1, &json!("aborted")), "{document}");
    let text = document["failure"]["message"].as_str().unwrap();
    assert!(
        text.contains("quiet") && text.contains("second/all") && text.contains("no paper"),
        "{text}"
    );
    assert_eq!(
        document["hierarchy"]["assignments"][0]["end"]["end"], "done",
        "what is done is told"
    );
    let plan = "{'result': {'decision': 'replan', 'plan': {'assignments': [{'name': 'else', 'to': {'team': 'loud'}, \
                'tasks': [{'name': 't', 'input': {'say': data['failure']['task']}}]}]}}}";
    let agent = program(&place, "saves", plan);
    let text = fs::read_to_string(place.path("run.toml")).unwrap();
    let text = text.replace("[agents]\n", &format!("[agents]\n{agent}"));
    let text = text.replace("[hierarchy.work]\n", "[hierarchy.work]\nintervene = \"saves\"\n");
    fs::write(place.path("run.toml"), &text).unwrap();
    let (code, document) = place.run_json(&[]);
    assert_eq!(
        (code, &document["hierarchy"]["output"]["else"]["t"]),
        (0, &json!("ALL")),
        "{document}"
    );
    let forbidden =
        place.run(&["run", "run.toml", "--set", "hierarchy.work.level=reassign", "--json"]);
    assert_eq!(forbidden.code, 1, "{forbidden:?}");
    assert!(forbidden.out.contains("above what the supervisor may"), "{}", forbidden.out);
}

#[test]
fn an_agent_plans_and_another_puts_the_results_together() {
    let place = Place::new(&[]);
    let plan = "{'result': {'assignments': [{'name': 'a', 'to': 'load', 'tasks': [{'name': n['name'], 'input': {'say': data['mission']}} for n in data['teams']]}]}}";
    let agents = [
        program(&place, "plans", plan),
        program(&place, "sums", "{'result': len(data['results']['a']['outputs'])}"),
        program(&place, "shouts", SHOUTS),
    ];
    let file = |team: &str| {
        let text = format!(
            "synod = 1\nmain = \"work\"\n[agents]\n{}[hierarchy.work]\nmission = \"m\"\nplan = \"plans\"\nintegrate = \"sums\"\n\
             teams = {{ one = {{ workers = {{ shouts = 1 }} }}, {team} = {{ workers = {{ shouts = 1 }} }} }}\n",
            agents.concat()
        );
        fs::write(place.path("run.toml"), text).unwrap();
    };
    file("two");
    let (code, document) = place.run_json(&[]);
    assert_eq!((code, &document["hierarchy"]["output"]), (0, &json!(2)), "{document}");
    // A plan that cannot be carried out ends the run before anything is done, and says what is wrong with it.
    let wrong = plan.replace("'load'", "{'team': 'three'}");
    program(&place, "plans", &wrong);
    let (code, document) = place.run_json(&[]);
    assert_eq!((code, &document["tally"]["done"]), (1, &json!(0)), "{document}");
    let message = document["failure"]["message"].as_str().unwrap();
    assert!(
        message.contains("is for team `three`, which there is not; the teams are `one`, `two`"),
        "{message}"
    );
    program(&place, "plans", "{'result': 7}");
    let (code, document) = place.run_json(&[]);
    assert_eq!(code, 1);
    assert!(
        document["failure"]["message"].as_str().unwrap().contains("it is no plan"),
        "{document}"
    );
}

#[test]
fn a_hierarchy_comes_after_a_pattern_and_before_one() {
    let place = Place::new(&[("a.md", "recieve\n")]);
    let (tree, voice) = (place.path("tree"), "{'result': data['input']['say'].upper()}");
    let plan = "{'result': {'assignments': [{'name': 'a', 'to': 'load', 'tasks': [{'name': 't', 'input': {'say': \
                data['mission']['before']['review']['findings'][0]['file']}}]}]}}";
    let vote = "{'result': 'ship' if data['proposal']['data']['before']['work']['output']['a']['t'] == 'A.MD' else 'hold'}";
    let text = format!(
        "synod = 1\nmain = \"gate\"\n[agents]\ntypos = {{ builtin = \"review.typos\" }}\n{}{}{}\
         [map_reduce.review]\nsplit = {{ use = \"code.files\", path = {tree:?} }}\nall_of = [\"typos\"]\n\
         [hierarchy.work]\nmission = \"m\"\nplan = \"plans\"\nafter = [\"review\"]\nteams = {{ one = {{ workers = {{ shouts = 1 }} }} }}\n\
         [consensus.gate]\nquestion = \"?\"\nchoices = [\"ship\", \"hold\"]\nvoters = {{ votes = 1 }}\nafter = [\"work\"]\n",
        program(&place, "plans", plan),
        program(&place, "shouts", voice),
        program(&place, "votes", vote),
    );
    fs::write(place.path("run.toml"), text).unwrap();
    let (code, document) = place.run_json(&[]);
    assert_eq!(
        (code, &document["vote"]["decision"]["outcome"]["choice"]),
        (0, &json!("ship")),
        "{document}"
    );
    let told = &document["patterns"][1];
    assert_eq!((&told["state"], &told["output"]["done"]), (&json!("done"), &json!(1)), "{told}");
    assert_eq!(told["hierarchy"]["output"]["a"]["t"], "A.MD");
    let (code, alone) = place.run_json(&["--set", "main=work"]);
    assert_eq!((code, &alone["hierarchy"]["output"]["a"]["t"]), (0, &json!("A.MD")), "{alone}");
}

#[test]
fn a_hierarchy_that_was_killed_does_nothing_again_that_is_done() {
    let place = place("");
    let (pipe, log) = (place.pipe("begun"), place.path("log"));
    let hangs = format!(
        "(open({log:?}, 'a').write(data['act'] + '\\n'), open({pipe:?}, 'w').write('begun\\n'), sys.stdin.read())[0]",
        pipe = pipe.path()
    );
    program(&place, "joins", &hangs);
    let running = place.start(&["run", "run.toml"]);
    assert_eq!(pipe.line(), "begun");
    running.signal(Signal::KILL);
    running.end();
    let text = place.run(&["show", "last"]).out;
    assert!(text.contains("interrupted") && text.contains("2 of 4 tasks done"), "{text}");
    program(&place, "joins", "{'result': 'now'}");
    let ended = place.run(&["resume", "last", "--json"]);
    let document = ended.json();
    assert_eq!((ended.code, &document["tally"]["resumed"]), (0, &json!(2)), "{ended:?}");
    assert_eq!(document["hierarchy"]["output"]["second"]["all"], "now");
    assert_eq!(document["tally"]["attempts"], 2, "what was done is not done again");
    assert!(
        ended.err.contains("4 pieces of work, 2 done before and not run again"),
        "{}",
        ended.err
    );
}

#[test]
fn bad_input_is_told_before_anything_is_started() {
    let place = place("");
    let wrong = [
        (
            "hierarchy.work.teams.loud.workers={}",
            "team `loud` has neither workers nor a leader with an agent",
        ),
        ("hierarchy.work.teams.quiet.leader=nobody", "there is no agent `nobody`"),
        ("hierarchy.work.plan=shouts", "`plan` and `assignments` exclude each other"),
        (
            "hierarchy.work.teams.loud.specialisation=\"ears\"",
            "no team has the specialisation `voices`",
        ),
        (
            "hierarchy.work.rollout={ strategy = \"canary\", new = [\"b\"] }",
            "`rollout` and `assignments` exclude each other",
        ),
        ("hierarchy.work.size=3", "`size` is no key of `hierarchy.work`"),
        (
            "hierarchy.work.path=\"no-such-folder\"",
            "there is no folder no-such-folder for the agents to work in",
        ),
        ("agents.joins.process=[\"no-such-program\"]", "agent `joins`"),
        ("agents.joins.trusted=false", "agent `joins` of hierarchy `work` cannot take part"),
    ];
    for (set, expected) in wrong {
        let ended = place.run(&["run", "run.toml", "--set", set]);
        assert_eq!(ended.code, 2, "{set}: {ended:?}");
        assert!(ended.err.contains(expected), "{set}: {}", ended.err);
    }
    assert_eq!(place.kept(), [""; 0], "no run was begun");
}

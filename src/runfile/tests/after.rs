//! `after = […]`: which patterns a run runs, and what is told of what could never be run.

use super::*;

const HEAD: &str = "synod = 1\nmain = \"gate\"\n[agents]\n\
    risk = { command = [\"risk\"], reads = \"json\" }\n\
    typos = { builtin = \"review.typos\" }\n";

/// A file with these patterns: its name, its kind and its `after`.
fn file(patterns: &[(&str, &str, &str)]) -> String {
    let table = |(name, kind, after): &(&str, &str, &str)| {
        let keys = match *kind {
            "consensus" => {
                "question = \"Ship?\"\nchoices = [\"ship\", \"hold\"]\nvoters = { risk = 1 }\n"
            }
            "pipeline" => "documents = \"docs\"\nstages = [{ name = \"one\", agent = \"risk\" }]\n",
            _ => "split = { use = \"code.files\" }\nall_of = [\"typos\"]\n",
        };
        let after = if after.is_empty() { String::new() } else { format!("after = [{after}]\n") };
        format!("[{kind}.{name}]\n{keys}{after}")
    };
    let tables: String = patterns.iter().map(table).collect();
    format!("{HEAD}{tables}")
}

fn order(text: &str) -> Vec<String> {
    let file = parse(text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    let resolved = resolve(&file, &[], &|_| None).unwrap();
    let order = resolved.order();
    assert_eq!(order, file.order_of(&file.main), "before and after it is filled in");
    order.into_iter().map(ToString::to_string).collect()
}

#[test]
fn a_run_runs_main_and_what_it_comes_after_each_behind_its_own() {
    let diamond = file(&[
        ("gate", "consensus", "\"texts\", \"code\""),
        ("texts", "pipeline", "\"first\""),
        ("apart", "map_reduce", "\"gate\""),
        ("code", "map_reduce", "\"first\""),
        ("first", "map_reduce", ""),
    ]);
    assert_eq!(order(&diamond), ["first", "texts", "code", "gate"]);
    let alone = file(&[("gate", "consensus", ""), ("late", "map_reduce", "\"gate\"")]);
    assert_eq!(order(&alone), ["gate"]);
    let set = Set("map_reduce.first.after=[\"gate\"]".to_owned());
    let problems = RunFile::parse("run.toml", &diamond, &[set]).unwrap_err();
    assert!(problems.to_string().contains("in a circle"), "{problems}");
}

#[test]
fn a_long_chain_is_put_in_order() {
    let name = |at: usize| if at == 0 { "gate".to_owned() } else { format!("p{at}") };
    let names: Vec<(String, String)> =
        (0..60).map(|at| (name(at), format!("\"{}\"", name(at + 1)))).collect();
    let mut chain: Vec<(&str, &str, &str)> =
        names.iter().map(|(name, after)| (name.as_str(), "map_reduce", after.as_str())).collect();
    chain.push(("p60", "map_reduce", ""));
    let order = order(&file(&chain));
    assert_eq!((order.len(), &*order[0], &*order[60]), (61, "p60", "gate"));
}

#[test]
fn each_mistake_is_told_at_its_place_with_what_to_do() {
    let many: Vec<String> = (0..17).map(|at| format!("m{at}")).collect();
    let named = many.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let mut too_many = vec![("gate", "consensus", named.as_str())];
    too_many.extend(many.iter().map(|name| (name.as_str(), "map_reduce", "")));
    let code = ("code", "map_reduce", "");
    let wrong: [(&[_], &str, &str, &str); 6] = [
        (
            &[("gate", "consensus", "\"codee\""), code],
            "there is no pattern `codee`",
            "\"codee\"",
            "did you mean `code`?",
        ),
        (
            &[("gate", "pipeline", "\"typos\""), code],
            "`typos` is an agent, `after` names patterns",
            "\"typos\"]\n[map",
            "the other patterns are `code`",
        ),
        (
            &[("gate", "map_reduce", "\"gate\"")],
            "`gate` comes after itself",
            "\"gate\"]",
            "delete it",
        ),
        (
            &[("gate", "consensus", "\"code\", \"code\""), code],
            "`code` is named twice",
            "\"code\"]",
            "delete one",
        ),
        (
            &[
                ("gate", "consensus", "\"code\""),
                ("code", "map_reduce", "\"texts\""),
                ("texts", "pipeline", "\"gate\""),
            ],
            "patterns come after each other in a circle: ",
            "after = [\"texts\"]",
            "take one of them out of an `after`",
        ),
        (
            &too_many,
            "`gate` comes after 17 patterns",
            "after",
            "at most 16: let another pattern come between",
        ),
    ];
    for (patterns, message, place, help) in wrong {
        let text = file(patterns);
        let problems = RunFile::parse("run.toml", &text, &[]).unwrap_err();
        let [found] = problems.iter().collect::<Vec<_>>()[..] else { panic!("{problems}") };
        assert!(found.message().starts_with(message), "{}", found.message());
        assert!(found.help().is_some_and(|told| told.contains(help)), "{:?}", found.help());
        let (at, line) =
            (problems.place(found), text[..text.find(place).unwrap()].matches('\n').count() + 1);
        assert_eq!(at.line, line, "{problems}");
    }
    assert_eq!(
        messages(&file(&[("gate", "consensus", "7")])),
        ["`consensus.gate.after` must be a name"]
    );
}

#[test]
fn a_circle_is_shown_as_it_is() {
    let text = "synod = 1\nmain = \"a\"\nagents.t = { builtin = \"review.typos\" }\n\
        map_reduce.a = { split = { use = \"code.files\" }, all_of = [\"t\"], after = [\"b\"] }\n\
        map_reduce.b = { split = { use = \"code.files\" }, all_of = [\"t\"], after = [\"a\"] }\n";
    let shown = "\
Error: patterns come after each other in a circle: `a` → `b` → `a`
   ╭─[ run.toml:4:66 ]
   │
 4 │ map_reduce.a = { split = { use = \"code.files\" }, all_of = [\"t\"], after = [\"b\"] }
   │                                                                  ──┬──
   │                                                                    ╰──── none of them could ever start
   │
   │ Help: take one of them out of an `after`
───╯

1 problem with run.toml";
    check(text, shown);
}

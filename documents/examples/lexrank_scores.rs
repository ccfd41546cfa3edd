//! Prints the LexRank scores of documents as JSON, with the tokens that they were computed from, so that a program in
//! another language can compute them anew: `cargo xtask test --only summary-reader` compares both.
//!
//! The documents are those of this repository and others that are made from a seed.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use synod_documents::summarise::{self, lexrank};
use synod_documents::{extract, text};

/// Sentences of one document that are compared: the other program takes the square of them in time.
const SENTENCES_MAX: usize = 100;

/// A name, and sentences as lists of tokens.
type Named = (String, Vec<Vec<String>>);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut documents = written()?;
    documents.extend((1..=20).map(made));
    let epsilons = [0.1, 1e-3, 1e-6];
    let report: Vec<Value> = documents
        .iter()
        .zip(epsilons.iter().cycle())
        .map(|((name, sentences), epsilon)| score(name, sentences, *epsilon))
        .collect();
    writeln!(std::io::stdout(), "{}", Value::from(report))?;
    Ok(())
}

fn score(name: &str, sentences: &[Vec<String>], epsilon: f64) -> Value {
    let options = lexrank::Options { epsilon, ..lexrank::Options::default() };
    let scores = lexrank::rank(sentences, &options);
    let count = sentences.len().div_ceil(4);
    let chosen = lexrank::choose(&scores, count);
    json!({
        "name": name, "epsilon": epsilon, "threshold": options.threshold, "count": count,
        "sentences": sentences, "scores": scores, "chosen": chosen,
    })
}

/// The documents of this repository.
fn written() -> Result<Vec<Named>, Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    paths.sort();
    let mut documents = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let document = extract(&name, &fs::read(&path)?)?;
        let sentences = text::sentences(&document.text).into_iter().take(SENTENCES_MAX);
        let tokens = sentences.map(|span| summarise::tokens(span.of(&document.text), None));
        documents.push((name, tokens.collect()));
    }
    Ok(documents)
}

/// A document of a seed: sentences of words, the first of which come most often.
fn made(seed: u64) -> Named {
    let mut dice = seed;
    let mut roll = |sides: u64| {
        // Knuth's MMIX constants
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % sides
    };
    let sentences = 1 + seed * 3;
    let words = 10 + seed * 4;
    let sentence = |roll: &mut dyn FnMut(u64) -> u64| {
        let length = 3 + roll(12);
        (0..length)
            .map(|_| {
                let sides = 1 + roll(words);
                format!("w{}", roll(sides))
            })
            .collect()
    };
    (format!("seed {seed}"), (0..sentences).map(|_| sentence(&mut roll)).collect())
}

//! The same documents, read by another program: `oracle/oracle.mjs`, which shares no code with
//! this one.
//!
//! `LINKCHECK_ORACLE` names a folder with a copy of `oracle/` in which `npm ci` was run.

use std::{
    collections::BTreeSet,
    env,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::{
    markdown,
    page::{Anchors, Page},
};

mod corpus;

const DOCUMENTS: usize = 600;

/// Each heading has the anchor, and each link is found, that the other program has.
///
/// `LINKCHECK_SEED` makes another corpus.
#[test]
fn documents_are_read_as_another_program_reads_them() {
    let Some(folder) = env::var_os("LINKCHECK_ORACLE") else {
        assert!(
            env::var_os("TROUPE_NO_SKIP").is_none(),
            "LINKCHECK_ORACLE is not set"
        );
        println!("skipped: LINKCHECK_ORACLE is not set");
        return;
    };
    let folder = Path::new(&folder);
    let seed = env::var("LINKCHECK_SEED").map_or(20, |seed| seed.parse().expect("a number"));
    let documents = corpus::make(seed, DOCUMENTS);
    let answers = ask(folder, &documents);
    let (mut anchors, mut links, mut different) = (0, 0, Vec::new());
    for (document, theirs) in documents.iter().zip(&answers) {
        let page = markdown::parse(document);
        check_lines(document, &page);
        anchors += theirs[0].len();
        links += theirs[1].len();
        if answer_of(&page) != *theirs {
            different.push(document);
        }
    }
    for document in different.iter().take(3) {
        explain(folder, document);
    }
    println!("{anchors} anchors and {links} links in {DOCUMENTS} documents");
    assert!(different.is_empty(), "{} of seed {seed}", different.len());
    assert!(anchors + links >= 10_000 && anchors >= 4000 && links >= 4000);
}

/// The anchors, and the links.
type Answer = [BTreeSet<String>; 2];

fn ask(folder: &Path, documents: &[String]) -> Vec<Answer> {
    let mut oracle = Command::new("node")
        .arg("oracle.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Node.js is installed");
    let mut input = oracle.stdin.take().unwrap();
    let question = Value::from(documents).to_string();
    let ask = thread::Builder::new()
        .name("oracle".to_owned())
        .spawn(move || input.write_all(question.as_bytes()))
        .unwrap();
    let output = oracle.wait_with_output().unwrap();
    assert!(output.status.success());
    ask.join().unwrap().unwrap();
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), documents.len());
    let answers = answers.iter();
    answers
        .map(|answer| ["anchors", "links"].map(|name| texts(&answer[name])))
        .collect()
}

fn answer_of(page: &Page) -> Answer {
    [anchors_of(page), links_of(page)]
}

/// Shows how the answers differ, of as few lines of the document as will do.
fn explain(folder: &Path, document: &str) {
    let mut document = document.to_owned();
    let mut piece = document.lines().count();
    while piece > 0 {
        let lines: Vec<_> = document.split_inclusive('\n').collect();
        let without = |start: usize| {
            let end = lines.len().min(start + piece);
            [&lines[..start], &lines[end..]].concat().concat()
        };
        let smaller: Vec<_> = (0..lines.len()).step_by(piece).map(without).collect();
        let answers = ask(folder, &smaller);
        let mut smaller = smaller.into_iter().zip(answers);
        match smaller.find(|(document, theirs)| answer_of(&markdown::parse(document)) != *theirs) {
            Some((found, _)) => document = found,
            None => piece /= 2,
        }
    }
    let [theirs] = &*ask(folder, std::slice::from_ref(&document)) else {
        return;
    };
    for (ours, theirs) in answer_of(&markdown::parse(&document)).iter().zip(theirs) {
        let only = |these: &BTreeSet<String>, those| -> Vec<String> {
            these.difference(those).cloned().collect()
        };
        let (here, there) = (only(ours, theirs), only(theirs, ours));
        println!("only here: {here:?}, only there: {there:?}");
    }
    println!("{document}----");
}

/// The targets of the corpus tell where they are: those that begin with `here` on the line of their
/// link.
fn check_lines(document: &str, page: &Page) {
    for link in page
        .links
        .iter()
        .filter(|link| link.target.starts_with("here"))
    {
        let line = document.lines().nth(link.line - 1).unwrap_or_default();
        let line = line.replace("&amp;", "&");
        assert!(line.contains(&link.target), "{link:?}:\n{document}");
    }
}

fn anchors_of(page: &Page) -> BTreeSet<String> {
    match &page.anchors {
        Anchors::Named(_, names) => names.iter().cloned().collect(),
        Anchors::Unknown => panic!("a document has anchors"),
    }
}

fn links_of(page: &Page) -> BTreeSet<String> {
    let links = page.links.iter();
    links.map(|link| decoded(&link.target)).collect()
}

fn texts(list: &Value) -> BTreeSet<String> {
    let texts = list.as_array().unwrap().iter();
    texts.map(|text| decoded(text.as_str().unwrap())).collect()
}

/// The other program encodes the addresses that it finds, and this one gives them as they are.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

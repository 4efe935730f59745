//! The text of the project: imports go one way, each hazard has one place, and
//! what is written twice says the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every module, and the modules that it imports from. A module imports only
/// from those above it in this list, so that the graph has no cycles and a
/// reader who goes down the list has always read what is used.
const IMPORTS: &str = "
sync:
events: sync
member: sync
panic: sync
work: events sync
options: events sync work
reply: events member panic sync work
failure: panic work
error: work
serde: sync
config: error sync
stats: sync
pool: config events failure member stats sync work
actor_loop: events failure member panic pool sync work
assign: actor_loop error pool sync work
shutdown: error events pool sync work
handle: assign error pool shutdown stats sync work
context: assign error failure handle pool sync work
troupe: assign config error handle pool shutdown stats sync work
builder: assign config context error events failure pool shutdown sync troupe work
actor: assign builder config context error failure pool shutdown stats sync work
guide:
";

/// Names that have one place. A place is a file, or a folder with all in it.
const PLACES: &[(&str, &[&str])] = &[
    ("crossbeam_channel", &["src/sync/"]),
    ("parking_lot", &["src/sync/"]),
    ("shuttle", &["src/sync/"]),
    ("std::sync::atomic", &["src/sync/"]),
    ("std::thread", &["src/sync/"]),
    ("std::sync::mpsc", &[]),
    ("std::sync::Barrier", &[]),
    ("loom::", &["src/sync/"]),
    ("Ordering::", &["src/sync/atomics.rs", "src/sync/loom.rs"]),
    ("catch_unwind", &["src/sync/unwind.rs"]),
    ("tracing", &["src/events.rs"]),
    ("unbounded", &[]),
];

/// Words that begin no sentence of the prose: a noun says more.
const BARE_OPENINGS: &[&str] = &["Who", "Whoever", "What", "So many", "So much", "So long"];

/// The most lines of a page of the guide: two screens of text and examples.
const LONGEST_PAGE: usize = 110;

/// The modules of the library, each with the others that its sources import.
fn imports_of_sources() -> BTreeMap<String, BTreeSet<String>> {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in sources() {
        let module = module_of(&file);
        if module == "lib" {
            continue;
        }
        let code = plain_code(&read(&file));
        let above = imports.entry(module.clone()).or_default();
        let names = names_after("crate::", &code).into_iter();
        above.extend(names.filter(|name| *name != module));
        let is_top_level = Path::new(&file).parent() == Some(Path::new("src"));
        assert!(
            !is_top_level || names_after("super::", &code).is_empty(),
            "{file} imports by `super::`: only `crate::` is seen here"
        );
    }
    imports
}

/// The picture of the imports in ARCHITECTURE.md is drawn from the sources. An arrow that
/// others imply is left out. `TROUPE_GRAPH=write` in the environment draws it anew.
#[test]
fn the_import_graph_is_drawn_from_the_sources() {
    const BEGIN: &str = "```mermaid\nflowchart TD\n";
    const END: &str = "```\n";
    let imports = imports_of_sources();
    // Each module after all that it imports: `table` is in that order.
    let mut below: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut lines = Vec::new();
    for (module, _) in table() {
        let direct = &imports[module];
        let implied: BTreeSet<&str> = direct
            .iter()
            .flat_map(|name| &below[&**name])
            .copied()
            .collect();
        let mut all = implied.clone();
        all.extend(direct.iter().map(|name| &**name));
        below.insert(module, all);
        let drawn: Vec<&str> = direct
            .iter()
            .map(|name| &**name)
            .filter(|name| !implied.contains(name))
            .collect();
        if !drawn.is_empty() {
            lines.push(format!("  {module} --> {}\n", drawn.join(" & ")));
        }
    }
    lines.reverse();
    let drawn = lines.concat();

    let page = read("ARCHITECTURE.md");
    let (before, rest) = page
        .split_once(BEGIN)
        .expect("ARCHITECTURE.md has the picture");
    let (found, after) = rest.split_once(END).expect("the picture ends");
    if std::env::var_os("TROUPE_GRAPH").is_some_and(|task| task == "write") {
        fs::write(
            root().join("ARCHITECTURE.md"),
            format!("{before}{BEGIN}{drawn}{END}{after}"),
        )
        .expect("ARCHITECTURE.md can be written");
    } else {
        assert_eq!(found, drawn, "TROUPE_GRAPH=write draws the picture anew");
    }
}

#[test]
fn imports_go_one_way() {
    let imports = imports_of_sources();
    let declared = names_after("mod ", &plain_code(&read("src/lib.rs")));
    let listed: BTreeSet<String> = table().map(|(module, _)| module.to_owned()).collect();
    assert_eq!(
        declared, listed,
        "the modules of src/lib.rs, and those of the table"
    );

    let mut seen = BTreeSet::new();
    let mut differences = String::new();
    for (module, allowed) in table() {
        for name in allowed.split(' ').filter(|name| !name.is_empty()) {
            assert!(
                seen.contains(name),
                "the table: {module} imports {name}, which is not above it"
            );
        }
        seen.insert(module);
        let found = Vec::from_iter(imports[module].clone()).join(" ");
        if found != allowed {
            differences += &format!("\n{module} imports: {found}\nthe table has: {allowed}");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// In a program of the package, no module imports another that imports it, directly or not.
#[test]
fn no_program_imports_in_a_circle() {
    let mut programs = 0;
    let files_in = |folder: &str| files(folder, "rs");
    let mains = ["examples", "benches", "tests"].map(files_in).concat();
    let folders = mains
        .iter()
        .filter_map(|file| file.strip_suffix("/main.rs"));
    for folder in folders.filter(|folder| !is_in_member(folder)) {
        programs += 1;
        let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for file in files_in(folder) {
            let path = &file[folder.len() + 1..];
            let module = path.split(['/', '.']).next().expect("a name").to_owned();
            let mut names = names_after("crate::", &plain_code(&read(&file)));
            names.remove(&module);
            imports.entry(module).or_default().append(&mut names);
        }
        // A file that imports none of the others is in no circle.
        let mut before = usize::MAX;
        while imports.len() < before {
            before = imports.len();
            let left: BTreeSet<String> = imports.keys().cloned().collect();
            imports.retain(|_, names| !names.is_disjoint(&left));
        }
        assert!(imports.is_empty(), "{folder}: a circle in {imports:?}");
    }
    assert!(programs >= 5, "{programs} programs: have they moved?");
}

/// True of a folder in another package of the workspace.
fn is_in_member(folder: &str) -> bool {
    let folders = Path::new(folder).ancestors();
    folders
        .filter(|folder| !folder.as_os_str().is_empty())
        .any(|folder| root().join(folder).join("Cargo.toml").exists())
}

/// The models are left out. Those under shuttle use its primitives as a user would use std's.
#[test]
fn each_hazard_has_one_place() {
    let sources = sources().into_iter();
    for file in sources.filter(|file| !file.starts_with("src/tests/")) {
        let code = plain_code(&read(&file));
        for (name, places) in PLACES {
            let is_place = places.iter().any(|place| file.starts_with(place));
            assert!(
                is_place || !has_name(&code, name),
                "{file} names {name}, which belongs to {places:?}"
            );
        }
    }
}

#[test]
fn every_ordering_is_argued() {
    let text = read("src/sync/atomics.rs");
    let mut is_argued = false;
    let mut orderings = 0;
    for (index, line) in text.lines().enumerate() {
        let (code, comment) = line.split_once("//").unwrap_or((line, ""));
        if comment.trim_start().starts_with("ORDERING:") {
            is_argued = true;
        }
        if code.contains("Ordering::") {
            orderings += 1;
            assert!(
                is_argued,
                "src/atomics.rs:{}: no `// ORDERING:` above",
                index + 1
            );
        } else if has_name(code, "fn") {
            is_argued = false;
        }
    }
    assert!(orderings > 0, "the orderings have moved");
}

#[test]
fn versions_agree() {
    let manifest = read("Cargo.toml");
    let (package, _) = manifest
        .split_once("\n[package.")
        .expect("tables after [package]");
    let version = value_of("version", package);
    let rust_version = value_of("rust-version", package);

    let readme = read("README.md");
    let series = version.rsplit_once('.').expect("three numbers").0;
    assert_eq!(
        value_of("troupe-pool", &readme),
        series,
        "README's dependency line"
    );
    assert!(
        readme.contains(&format!("Version {version}")),
        "README's status"
    );
    assert!(
        readme.contains(&format!("The minimum Rust version is {rust_version} ")),
        "README's compatibility"
    );

    let changelog = read("CHANGELOG.md");
    let latest = changelog.split("\n## ").nth(1).expect("a release");
    assert!(
        latest.starts_with(&format!("[{version}] - ")),
        "the latest release: {latest:.40}"
    );
    assert!(
        latest.contains(&format!("Minimum Rust version: {rust_version}.")),
        "the changelog's minimum Rust version"
    );
    assert!(
        read("CONTRIBUTING.md").contains(&format!("cargo +{rust_version} check")),
        "the command of CONTRIBUTING.md"
    );
}

/// Clippy knows which functions are younger than the minimum Rust version, but
/// not which syntax is. Chains of `let` came with 1.88.
#[test]
fn no_syntax_is_younger_than_the_minimum_rust_version() {
    for file in sources() {
        if let Some(chain) = let_chain(&plain_code(&read(&file))) {
            panic!("{file}: needs Rust 1.88: {chain}");
        }
    }
}

#[test]
fn readme_shows_the_example_as_it_is() {
    let readme = read("README.md");
    assert_eq!(
        shown(&readme, "examples/hello.rs"),
        read("examples/hello.rs")
    );
    if !is_packaged() {
        assert_eq!(
            shown(&readme, ".ci/hello.expected"),
            read(".ci/hello.expected")
        );
    }
    let lines = readme.lines().count();
    assert!(lines < 130, "README.md has {lines} lines, not under 130");
}

#[test]
fn readme_commands_are_what_is_run() {
    let readme = read("README.md");
    let commands: Vec<&str> = readme
        .split("\n```sh\n")
        .skip(1)
        .flat_map(|rest| rest.split("\n```").next().unwrap_or_default().lines())
        .collect();
    assert!(commands.len() >= 3, "README's three commands: {commands:?}");
    assert!(
        commands[0].contains("--example checksum"),
        "the first is the main job"
    );
    assert_eq!(commands[1], "cargo test");
    if is_packaged() {
        return;
    }
    let run = read(".ci/run");
    let steps: BTreeSet<&str> = run
        .lines()
        .map(|line| line.split(" >").next().unwrap_or(line).trim())
        .collect();
    for command in commands {
        assert!(
            steps.contains(command),
            ".ci/run does not run README's `{command}`"
        );
    }
}

#[test]
fn links_lead_somewhere() {
    let pages = [
        "README.md",
        "CONTRIBUTING.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "docs/decisions.md",
        "tests/PROMISES.md",
    ];
    for page in pages {
        let folder = Path::new(page).parent().expect("the folder of a page");
        for target in links(&prose(&read(page))) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = if path.is_empty() {
                PathBuf::from(page)
            } else {
                folder.join(path)
            };
            let path = path.to_str().expect("a name in UTF-8");
            assert!(
                root().join(path).exists(),
                "{page} links to {target}: there is no {path}"
            );
            assert!(
                anchor.is_empty() || anchors(&read(path)).contains(anchor),
                "{page} links to {target}: {path} has no such heading"
            );
        }
    }
}

/// Holds for every Markdown file of the project, and for the comments of its Rust
/// files, scripts and settings.
#[test]
fn no_sentence_begins_with_a_bare_who_or_what() {
    let mut texts = Vec::new();
    for folder in ["", "src", "tests", "benches", "examples", "docs"] {
        for path in files(folder, "md") {
            texts.push((path.clone(), prose(&read(&path))));
        }
        for path in files(folder, "rs") {
            texts.push((path.clone(), comments(&read(&path))));
        }
    }
    for folder in ["", "scripts", ".ci", ".cargo", "examples"] {
        for path in settings(folder) {
            let text = read(&path);
            let lines = text.lines().map(|line| match line.split_once('#') {
                Some((code, comment)) if code.trim().is_empty() => comment,
                _ => "",
            });
            texts.push((path.clone(), lines.collect::<Vec<_>>().join("\n")));
        }
    }
    assert!(texts.len() >= 150, "{} texts", texts.len());

    let mut findings = String::new();
    for (path, text) in texts {
        for (line, sentence) in bare_openings(&text) {
            findings += &format!("\n{path}:{line}: {sentence}");
        }
    }
    assert!(findings.is_empty(), "say it with a noun:{findings}");
}

/// The sentences that begin so, each with its line. Only a sentence and a heading
/// begin with a capital, so a capital is enough.
fn bare_openings(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for opening in BARE_OPENINGS {
            found.extend(line.match_indices(opening).filter_map(|(start, _)| {
                let (before, rest) = line.split_at(start);
                let after = rest[opening.len()..].chars().next();
                let is_word = !before.ends_with(is_name) && !after.is_some_and(is_name);
                is_word.then_some((index + 1, rest))
            }));
        }
    }
    found
}

/// Each page of the guide is a module of the documentation, is linked in README, is short, reads as well as a file as it
/// does in the documentation, and names nothing of the repository that is not there.
#[test]
fn the_guide_is_whole() {
    let readme = read("README.md");
    let code = read("src/guide.rs");
    let pages = files("src/guide", "md");
    let stems = pages
        .iter()
        .filter_map(|page| Path::new(page).file_stem()?.to_str());
    assert_eq!(
        names_after("pub mod ", &plain_code(&code)),
        stems.map(str::to_owned).collect(),
        "the modules of src/guide.rs, and the pages in src/guide"
    );
    for path in pages {
        let page = path.trim_start_matches("src/");
        assert!(
            code.contains(&format!("include_str!(\"{page}\")")),
            "{path} is not included"
        );
        assert!(
            readme.contains(&format!("]({path})")),
            "README.md does not link to {path}"
        );
        let text = read(&path);
        let lines = text.lines().count();
        assert!(
            lines <= LONGEST_PAGE,
            "{path} has {lines} lines, more than {LONGEST_PAGE}"
        );
        let (prose, blocks) = prose_and_blocks(&text);
        assert!(
            !prose.contains('['),
            "{path} has a link: it leads somewhere as a file or in the documentation, not in both"
        );
        for block in blocks {
            assert!(
                !block
                    .lines()
                    .any(|line| line == "#" || line.starts_with("# ")),
                "{path} has hidden lines, which a file shows: {block}"
            );
            assert!(
                block.contains("\nfn main() -> "),
                "{path} has an example that is no whole program: {block}"
            );
        }
        // The package is without those examples that are packages themselves.
        let named = spans(&text).into_iter().filter(|_| !is_packaged());
        for name in named.filter(|name| name.starts_with("examples/")) {
            assert!(root().join(&name).exists(), "{path} names {name}");
        }
    }
}

/// The text of a page without its code, and its blocks of code.
fn prose_and_blocks(page: &str) -> (String, Vec<String>) {
    let mut prose = String::new();
    let mut blocks = Vec::new();
    for (index, part) in page.split("```").enumerate() {
        if index % 2 == 1 {
            blocks.push(part.to_owned());
        } else {
            prose.extend(part.split('`').step_by(2));
        }
    }
    (prose, blocks)
}

/// The documents and the heads of the sources name the tests that attack an argument or a
/// promise, as `it::module`, `it::module::test`, `shuttle::test`, `loom::test`, and of other
/// files as `file::test`. Every row of tests/PROMISES.md names one.
#[test]
fn the_tests_that_arguments_name_exist() {
    let pages = ["ARCHITECTURE.md", "src/pool/README.md", "tests/PROMISES.md"].map(String::from);
    let mut named = BTreeSet::new();
    for file in pages.into_iter().chain(sources()) {
        let text = read(&file);
        let lines = text.lines().filter_map(|line| match file.ends_with(".md") {
            true => Some(line),
            false => line.strip_prefix("//! "),
        });
        named.extend(lines.flat_map(spans).map(|name| (file.clone(), name)));
    }
    let attacked = named
        .iter()
        .filter(|(file, name)| !file.starts_with("tests/") && name.starts_with("shuttle::"));
    assert!(attacked.count() >= 25, "the arguments name their models");
    for (page, name) in named {
        assert_attack_exists(&page, &name);
    }
    let page = read("tests/PROMISES.md");
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<&str> = rows.filter(|row| !row.starts_with("| promise ")).collect();
    assert!(rows.len() >= 90, "{} rows", rows.len());
    for row in rows {
        let (_, attacks) = row
            .trim_end_matches(" |")
            .rsplit_once(" | ")
            .expect("cells");
        let is_attacked = spans(attacks)
            .iter()
            .any(|name| assert_attack_exists("tests/PROMISES.md", name));
        assert!(is_attacked, "tests/PROMISES.md: no test in {row}");
    }
}

/// Whether a page names a test, which then has to exist.
fn assert_attack_exists(page: &str, name: &str) -> bool {
    let parts: Vec<&str> = name.split("::").collect();
    let (file, test) = match parts[..] {
        ["it", module] => (format!("tests/it/{module}.rs"), None),
        ["it", module, test] => (format!("tests/it/{module}.rs"), Some(test)),
        ["tidy", test] => ("tests/it/tidy.rs".to_owned(), Some(test)),
        ["shuttle" | "loom", test] => (format!("src/tests/{}.rs", parts[0]), Some(test)),
        [binary, test] if root().join(format!("tests/{binary}.rs")).exists() => {
            (format!("tests/{binary}.rs"), Some(test))
        }
        _ => return false,
    };
    if name.contains('…') {
        return false;
    }
    assert_named(page, name, &file, test);
    true
}

/// tests/PEERS.md names them in its last column, as `module::test` of this
/// binary, `binary::test` of another, or `shuttle::test`; and no row is without a
/// name or a reason.
#[test]
fn the_tests_that_peers_name_exist() {
    let page = read("tests/PEERS.md");
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<Vec<&str>> = rows
        .map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
        .filter(|cells: &Vec<&str>| cells[0] != "behaviour")
        .collect();
    assert!(rows.len() >= 60, "{} rows", rows.len());
    for cells in rows {
        let [_, whose, ours] = cells[..] else {
            panic!("tests/PEERS.md: not three cells: {cells:?}");
        };
        assert!(!whose.is_empty(), "tests/PEERS.md: whose is {cells:?}?");
        let names = spans(ours).into_iter();
        let names: Vec<String> = names.filter(|name| name.contains("::")).collect();
        assert!(
            !names.is_empty() || ours.starts_with("does not apply"),
            "tests/PEERS.md: neither a test nor a reason: {cells:?}"
        );
        for name in names {
            let (module, test) = name.split_once("::").expect("it contains that");
            let folders = ["tests/it", "src/tests", "tests"];
            let files = folders.map(|folder| format!("{folder}/{module}.rs"));
            let is_there = |file: &&String| root().join(file).exists();
            let file = files.iter().find(is_there).unwrap_or(&files[0]);
            assert_named("tests/PEERS.md", &name, file, Some(test));
        }
    }
}

/// Each cell of the matrix in the head of main.rs names tests that exist, as `module::test`, or says why there is none.
#[test]
fn the_tests_that_the_matrix_names_exist() {
    let page = "tests/it/main.rs";
    let text = read(page);
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | "));
    let rows = rows.filter(|row| !row.starts_with('|'));
    let mut cells_seen = 0;
    for row in rows {
        for cell in row.trim_end_matches(" |").split(" | ").skip(1) {
            cells_seen += 1;
            let names = spans(cell).into_iter();
            let names: Vec<String> = names.filter(|name| name.contains("::")).collect();
            let has_reason = cell.starts_with("none: ") || cell.starts_with("every test of ");
            assert!(
                !names.is_empty() || has_reason,
                "{page}: neither a test nor a reason in {cell:?} of {row}"
            );
            for name in names {
                let (module, test) = name.split_once("::").expect("it contains that");
                let file = format!("tests/it/{module}.rs");
                assert_named(page, &name, &file, Some(test));
            }
        }
    }
    assert!(cells_seen >= 120, "{cells_seen} cells");
}

/// The page names a test that exists, or a file if no test is given.
fn assert_named(page: &str, name: &str, file: &str, test: Option<&str>) {
    // A module inside a file is in the folder of the same name.
    let (file, test) = match test.and_then(|test| test.split_once("::")) {
        Some((inner, test)) => (file.replace(".rs", &format!("/{inner}.rs")), Some(test)),
        None => (file.to_owned(), test),
    };
    assert!(
        root().join(&file).exists(),
        "{page} names {name}: there is no {file}"
    );
    let is_there = test.is_none_or(|test| read(&file).contains(&format!("fn {test}(")));
    assert!(is_there, "{page} names {name}, which {file} does not have");
}

/// The code map has every module, in the order of the table above.
#[test]
fn the_code_map_is_complete() {
    let page = read("ARCHITECTURE.md");
    let (_, map) = page.split_once("\n## Code map\n").expect("a code map");
    let (map, _) = map.split_once("\n## ").expect("a heading after it");
    let rows = map.lines().filter(|line| line.starts_with("| `"));
    let modules: Vec<String> = rows
        .flat_map(|row| spans(row.split('|').nth(1).unwrap_or_default()))
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .collect();
    let listed: Vec<&str> = table().map(|(module, _)| module).collect();
    assert_eq!(
        modules, listed,
        "ARCHITECTURE.md's code map, and the table of imports"
    );
}

/// The reader of these tests, tested on what it must not miss and must not see.
#[test]
fn the_reader_sees_through_comments_and_groups() {
    let code = plain_code(
        r##"
        //! crate::in_a_comment
        use crate::{alpha::A, beta::{B, C}, gamma}; // crate::behind
        /* crate::block /* nested */ still crate::block */
        use std::{fmt, thread::{self, Builder}};
        pub(crate) fn f<'a>(x: &'a str) -> char { crate::delta::d("crate::string \" {", r#"crate::raw " "#); '"' }
        const Q: char = '\'';
        fn g() { crate::epsilon::e::<'_'>() }
        #[cfg(test)]
        mod tests {
            use crate::zeta::Z;
            fn h() {}
        }
        use crate::eta::H;
        "##,
    );
    let names: Vec<String> = names_after("crate::", &code).into_iter().collect();
    assert_eq!(names, ["alpha", "beta", "delta", "epsilon", "eta", "gamma"]);
    assert!(has_name(&code, "std::thread"));
    assert!(has_name(&code, "std::thread::Builder"));
    assert!(!has_name(&code, "std::thr"));
    assert!(!has_name("my_parking_lot::x", "parking_lot"));

    assert_eq!(
        links("see [a](x.md#y) and ![b](z.png)"),
        ["x.md#y", "z.png"]
    );
    assert!(anchors("# One, `two`: three\n").contains("one-two-three"));
    assert!(anchors("## Same\n## Same\n").contains("same-1"));
    assert!(prose("a\n```\n[no](link)\n```\n`[no](link)` b").contains(" b"));
    assert!(links(&prose("a\n```\n[no](link)\n```\n`[no](link)` b")).is_empty());

    let text = comments(
        r##"/// Who waits. What it does, so much for that.
let x = "// What a string is"; // `What` is code. (So long as it is.)
/* A block.
Whoever reads on. */ let y = '"'; //! Whatever else, and Whose
let WhatIs = "\
"; // What comes last
"##,
    );
    let lines: Vec<(usize, &str)> = bare_openings(&text)
        .into_iter()
        .map(|(line, sentence)| (line, sentence.split(' ').next().unwrap_or_default()))
        .collect();
    let expected = [
        (1, "Who"),
        (1, "What"),
        (2, "So"),
        (4, "Whoever"),
        (6, "What"),
    ];
    assert_eq!(lines, expected);
    let page = prose("```\nWhat?\n```\nsee `What`\n| Who | does |\n## What it is\n");
    assert_eq!(bare_openings(&page).len(), 2);
}

/// The rows of [`IMPORTS`].
fn table() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = IMPORTS.trim().lines();
    rows.map(|row| row.split_once(':').expect("a row"))
        .map(|(module, names)| (module, names.trim()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// True in an unpacked package, which leaves `.ci` out.
fn is_packaged() -> bool {
    root().join(".cargo_vcs_info.json").exists()
}

/// A text of the project, by its path from the root.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every source file of the library.
fn sources() -> Vec<String> {
    files("src", "rs")
}

/// Every file in a folder with such an extension, from the root on, with `/` between.
/// Of the root itself, only those that are in no folder.
fn files(folder: &str, extension: &str) -> Vec<String> {
    fn walk(folder: &Path, extension: &str, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                if folder != root() {
                    walk(&path, extension, files);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&root().join(folder), extension, &mut files);
    names(files)
}

/// The scripts in a folder, and the files of settings in it and below.
fn settings(folder: &str) -> Vec<String> {
    if !root().join(folder).exists() {
        return Vec::new(); // `.ci`, in a package
    }
    let entries = fs::read_dir(root().join(folder)).expect("a folder of scripts");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let scripts = paths.filter(|path| {
        path.is_file() && path.extension().is_none() && matches!(folder, "scripts" | ".ci")
    });
    let mut found = names(scripts.collect());
    found.extend(files(folder, "toml"));
    found
}

/// Paths from the root on, with `/` between, in order.
fn names(mut files: Vec<PathBuf>) -> Vec<String> {
    files.sort();
    let names = files.iter().map(|file| {
        let parts = file
            .strip_prefix(root())
            .expect("a file of this project")
            .iter();
        parts
            .map(|part| part.to_str().expect("a name in UTF-8"))
            .collect::<Vec<_>>()
            .join("/")
    });
    names.collect()
}

/// The top-level module that a source file belongs to.
fn module_of(file: &str) -> String {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    path.split('/').next().unwrap_or(path).to_owned()
}

/// Rust without comments, strings, unit tests and line breaks, and with every
/// `use` of several names written out.
fn plain_code(text: &str) -> String {
    let text = without_comments_and_strings(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    let text = without_unit_tests(&text);
    let mut plain = String::new();
    for statement in text.split_inclusive(';') {
        match statement.rsplit_once("use ") {
            Some((before, tree)) if before.is_empty() || before.ends_with([' ', ')', '}', ';']) => {
                plain.push_str(before);
                spell_out("use ", &tree.replace([' ', ';'], ""), &mut plain);
            }
            _ => plain.push_str(statement),
        }
    }
    plain
}

/// Leaves `mod tests { .. }` out of code that has no strings.
fn without_unit_tests(code: &str) -> String {
    let Some((before, tests)) = code.split_once("mod tests {") else {
        return code.to_owned();
    };
    let mut depth = 1;
    let end = tests.find(|symbol| {
        match symbol {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    format!("{before}{}", end.map_or("", |end| &tests[end..]))
}

/// Writes every path of a `use` tree, each with the prefix.
fn spell_out(prefix: &str, tree: &str, plain: &mut String) {
    let Some((head, group)) = tree.split_once('{') else {
        plain.push_str(prefix);
        plain.push_str(tree.trim_end_matches("::self"));
        plain.push_str("; ");
        return;
    };
    let prefix = format!("{prefix}{head}");
    let group = group.strip_suffix('}').unwrap_or(group);
    let mut depth = 0;
    let branches = group.split(|symbol| {
        match symbol {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        symbol == ',' && depth == 0
    });
    for branch in branches.filter(|branch| !branch.is_empty()) {
        if branch == "self" {
            spell_out("", prefix.trim_end_matches("::"), plain);
        } else {
            spell_out(&prefix, branch, plain);
        }
    }
}

fn without_comments_and_strings(text: &str) -> String {
    code_and_comments(text).0
}

/// The text of the comments of Rust code, each on its line, without what is between
/// backticks.
fn comments(text: &str) -> String {
    let comments = code_and_comments(text).1;
    let lines = comments
        .lines()
        .map(|line| line.split('`').step_by(2).collect());
    lines.collect::<Vec<String>>().join("\n")
}

/// Code without comments and strings, and the comments alone, with all line breaks of
/// the text.
fn code_and_comments(text: &str) -> (String, String) {
    let mut code = String::new();
    let mut comments = String::new();
    let mut rest = text;
    while let Some(symbol) = rest.chars().next() {
        let whole = rest;
        let is_in_name = code.ends_with(is_name);
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
            comments.push_str(&whole[..whole.len() - rest.len()]);
            continue;
        }
        if rest.starts_with("/*") {
            rest = after_block_comment(rest);
            comments.push_str(&whole[..whole.len() - rest.len()]);
            continue;
        }
        if let Some(after) = (!is_in_name).then(|| after_raw_string(rest)).flatten() {
            code.push_str("\"\"");
            rest = after;
        } else if symbol == '"' {
            code.push_str("\"\"");
            rest = after_string(&rest[1..]);
        } else if let Some(after) = after_char(rest) {
            code.push_str("' '");
            rest = after;
        } else {
            code.push(symbol);
            rest = &rest[symbol.len_utf8()..];
        }
        let passed = &whole[..whole.len() - rest.len()];
        comments.extend(passed.chars().filter(|&symbol| symbol == '\n'));
    }
    (code, comments)
}

fn after_block_comment(text: &str) -> &str {
    let mut depth = 0;
    let mut index = 0;
    while index < text.len() {
        if text.as_bytes()[index..].starts_with(b"/*") {
            depth += 1;
            index += 2;
        } else if text.as_bytes()[index..].starts_with(b"*/") {
            depth -= 1;
            index += 2;
            if depth == 0 {
                break;
            }
        } else {
            index += 1;
        }
    }
    text.get(index..).unwrap_or_default()
}

/// The text after a raw string, if the text begins with one.
fn after_raw_string(text: &str) -> Option<&str> {
    let body = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let opened = body.trim_start_matches('#');
    let end = format!("\"{}", "#".repeat(body.len() - opened.len()));
    let string = opened.strip_prefix('"')?;
    Some(string.split_once(&end).map_or("", |(_, after)| after))
}

/// The text after a string, given the text after its opening quote.
fn after_string(text: &str) -> &str {
    let mut is_escaped = false;
    for (index, symbol) in text.char_indices() {
        match symbol {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return &text[index + 1..],
            _ => {}
        }
    }
    ""
}

/// The text after a character, if the text begins with one and not with a
/// lifetime.
fn after_char(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('\'')?;
    if let Some(escaped) = inside.strip_prefix('\\') {
        let first = escaped.chars().next()?;
        return escaped[first.len_utf8()..]
            .split_once('\'')
            .map(|(_, after)| after);
    }
    let first = inside.chars().next()?;
    inside[first.len_utf8()..].strip_prefix('\'')
}

/// The first condition that combines a `let` with something else.
fn let_chain(code: &str) -> Option<&str> {
    let starts = code
        .match_indices("if ")
        .chain(code.match_indices("while "));
    let conditions = starts.map(|(index, _)| {
        let condition = &code[index..];
        let mut depth = 0;
        let mut is_pattern = false;
        let end = condition.char_indices().find(|&(index, symbol)| {
            let rest = &condition[index..];
            is_pattern = (is_pattern || rest.starts_with(" let ")) && !rest.starts_with(" = ");
            let is_block = symbol == '{' && depth == 0 && !is_pattern;
            match symbol {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth -= 1,
                _ => {}
            }
            is_block || depth < 0
        });
        &condition[..end.map_or(condition.len(), |(index, _)| index)]
    });
    let mut conditions = conditions.filter(|condition| {
        let mut depth = 0;
        let is_chained = condition.char_indices().any(|(index, symbol)| {
            match symbol {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth -= 1,
                _ => {}
            }
            depth == 0 && condition[index..].starts_with(" && ")
        });
        is_chained && condition.contains(" let ")
    });
    conditions.next()
}

fn is_name(symbol: char) -> bool {
    symbol.is_alphanumeric() || symbol == '_'
}

/// The names that follow a prefix in code: `x` and `y` in `crate::x`,
/// `crate::y::z`.
fn names_after(prefix: &str, code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (index, _) in code.match_indices(prefix) {
        if code[..index].ends_with(is_name) {
            continue;
        }
        let rest = &code[index + prefix.len()..];
        let name = &rest[..rest
            .find(|symbol: char| !is_name(symbol))
            .unwrap_or(rest.len())];
        if !name.is_empty() {
            names.insert(name.to_owned());
        }
    }
    names
}

/// True if code has the name as a whole, not as a part of a longer one.
fn has_name(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(index, _)| {
        let after = &code[index + name.len()..];
        !code[..index].ends_with(is_name) && (name.ends_with(':') || !after.starts_with(is_name))
    })
}

/// The value of the first line `key = "value"`.
fn value_of<'a>(key: &str, text: &'a str) -> &'a str {
    let start = format!("{key} = \"");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    let value = line.and_then(|line| line.split('"').next());
    value.unwrap_or_else(|| panic!("no line `{key} = \"...\"`"))
}

/// The copy of a file in README, between its marks and without the fence.
fn shown(page: &str, file: &str) -> String {
    let (_, rest) = page
        .split_once(&format!("<!-- {file} -->\n"))
        .expect("the opening mark");
    let (block, _) = rest
        .split_once(&format!("<!-- /{file} -->"))
        .expect("the closing mark");
    let (_, body) = block.split_once('\n').expect("a fence");
    body.strip_suffix("```\n")
        .expect("a closing fence")
        .to_owned()
}

/// Markdown without its code, line by line.
fn prose(page: &str) -> String {
    let mut is_code = false;
    let mut text = String::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            // Every second piece is between backticks.
            text.extend(line.split('`').step_by(2));
        }
        text.push('\n');
    }
    text
}

/// Where the links of a text lead.
fn links(text: &str) -> Vec<String> {
    let starts = text.split("](").skip(1);
    starts
        .filter_map(|rest| rest.split([')', ' ']).next())
        .map(str::to_owned)
        .collect()
}

/// The pieces between backticks.
fn spans(text: &str) -> Vec<String> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// The anchors that the headings of a page get.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let mut anchors = BTreeSet::new();
    for line in page.lines() {
        is_code ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if is_code || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let anchor: String = title
            .trim()
            .to_lowercase()
            .chars()
            .filter(|&symbol| symbol.is_alphanumeric() || "-_ ".contains(symbol))
            .map(|symbol| if symbol == ' ' { '-' } else { symbol })
            .collect();
        let mut unique = anchor.clone();
        let mut times = 0;
        while !anchors.insert(unique.clone()) {
            times += 1;
            unique = format!("{anchor}-{times}");
        }
    }
    anchors
}

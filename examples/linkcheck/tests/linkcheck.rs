//! The program, run as a process against folders and against a server in this test.

#![cfg(unix)]

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use parking_lot::{Condvar, Mutex};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;

#[cfg(target_os = "linux")]
#[expect(dead_code, reason = "the other functions serve other tests")]
#[path = "../../../tests/process/mod.rs"]
mod process;
#[expect(dead_code, reason = "the other functions serve other tests")]
#[path = "../../../tests/programs/mod.rs"]
mod programs;
#[path = "../src/server.rs"]
mod server;
#[expect(dead_code, reason = "the other functions serve other tests")]
#[path = "../../../tests/it/support.rs"]
mod support;

use crate::{
    programs::{Dir, assert_exit, assert_says, signal, signal_twice, text},
    server::{Request, Response, Server},
    support::{HANG, eventually, receive, within},
};

// --- Helpers ------------------------------------------------------------------------------------

const PROGRAM: &str = env!("CARGO_BIN_EXE_linkcheck");

fn command(dir: &Dir, args: &[&str]) -> Command {
    command_of(PROGRAM, dir, args)
}

fn command_of(program: impl AsRef<OsStr>, dir: &Dir, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(&dir.0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // The servers are here, whatever leads out of here.
    for proxy in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
        command.env_remove(proxy).env_remove(proxy.to_lowercase());
    }
    command
}

/// Retries come soon, for none of these tests is about how long one has to wait.
const SOON: [&str; 2] = ["--backoff", "0.001"];

fn linkcheck(dir: &Dir, args: &[&str]) -> Output {
    end_of(command(dir, &SOON).args(args).spawn().unwrap())
}

/// The output of a program that has ended, or a failed test if it does not end.
#[track_caller]
fn end_of(child: Child) -> Output {
    within(HANG, move || child.wait_with_output().unwrap())
}

/// Runs it with `--json`, and checks what holds of every report.
#[track_caller]
fn report(dir: &Dir, args: &[&str]) -> Value {
    let output = linkcheck(dir, &[&["--json"], args].concat());
    let report = parse(&output);
    let expected = if number(&report, "broken") == 0 { 0 } else { 1 };
    assert_exit(&output, expected);
    assert_eq!(number(&report, "unchecked"), 0, "{report:#}");
    report
}

/// Every link has one verdict, and every broken one is listed.
#[track_caller]
fn parse(output: &Output) -> Value {
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let verdicts = ["good", "broken", "allowed", "skipped", "unchecked"];
    let sum: u64 = verdicts.iter().map(|name| number(&report, name)).sum();
    assert_eq!(number(&report, "links"), sum, "{report:#}");
    let findings = report["findings"].as_array().expect("findings").len();
    assert_eq!(number(&report, "broken"), findings as u64, "{report:#}");
    report
}

#[track_caller]
fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().expect(name)
}

/// The kind of each finding, by its link.
fn kinds(report: &Value) -> BTreeMap<String, String> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| {
            let text = |name: &str| finding[name].as_str().unwrap().to_owned();
            (text("link"), text("kind"))
        })
        .collect()
}

fn attempts(report: &Value) -> u64 {
    number(&report["findings"][0], "attempts")
}

/// How often what was asked, as `GET /path`.
type Counts = Arc<Mutex<BTreeMap<String, u32>>>;

/// A server that counts. The handler is also told how often it has been asked this.
fn site<H>(handler: H) -> (Server, Counts)
where
    H: Fn(&Request, u32) -> Option<Response> + Send + Sync + 'static,
{
    site_over(Ok, handler)
}

/// The same, over what `wrap` makes of each connection.
fn site_over<S, W, H>(wrap: W, handler: H) -> (Server, Counts)
where
    S: Read + Write,
    W: Fn(TcpStream) -> io::Result<S> + Send + Sync + 'static,
    H: Fn(&Request, u32) -> Option<Response> + Send + Sync + 'static,
{
    let counts = Counts::default();
    let counting = Arc::clone(&counts);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start(listener, wrap, move |request| {
        let key = format!("{} {}", request.method, request.path);
        let count = {
            let mut counts = counting.lock();
            let count = counts.entry(key).or_default();
            *count += 1;
            *count
        };
        handler(request, count)
    });
    (server.unwrap(), counts)
}

fn count(counts: &Counts, request: &str) -> u32 {
    counts.lock().get(request).copied().unwrap_or_default()
}

/// A page with these links, one on each line.
fn list(links: &[impl AsRef<str>]) -> String {
    let lines = links
        .iter()
        .map(|link| format!("- [x]({})\n", link.as_ref()));
    lines.collect()
}

// --- Local files --------------------------------------------------------------------------------

#[test]
fn local_links_and_fragments() {
    let dir = Dir::new("local");
    fs::create_dir_all(dir.0.join("sub/empty")).unwrap();
    fs::create_dir(dir.0.join(".hidden")).unwrap();
    dir.write(".hidden/no.md", "[x](nowhere)");
    dir.write("plain.txt", "# no document");
    dir.write(
        "sub/README.md",
        "# In the folder\n[up](../a.md#two-words) [](#)",
    );
    dir.write(
        "sub/with blank.htm",
        "<p id=here><a name='there'></a><a href='#here'>x</a>",
    );
    dir.write(
        "a.md",
        "# Two `words`\n\
         [good](sub/README.md) [good](sub#in-the-folder) [good](/a.md) [good](#two-words)\n\
         [good](sub/with%20blank.htm#there) [good](<sub/with blank.htm>) [good](plain.txt#any)\n\
         [good](sub/empty) ![good](plain.txt?raw=true) [skipped](mailto:me@example.org)\n\
         `[code](nowhere)`\n\n\
         [bad](nowhere.md)\n\
         ![bad](no.png) <a href=\"none.html\">bad</a>\n\
         [bad](#two-word)\n\
         [bad](sub/README.md#gone) [bad](sub/with%20blank.htm#Here)\n\
         [bad](plain.txt/below) [bad](http://[)\n",
    );
    let output = linkcheck(&dir, &["."]);
    assert_exit(&output, 1);
    assert_eq!(
        text(&output.stdout),
        "a.md:7: nowhere.md: no such file\n\
         a.md:8: no.png: no such file\n\
         a.md:8: none.html: no such file\n\
         a.md:9: #two-word: no anchor \"two-word\"\n\
         a.md:10: sub/README.md#gone: no anchor \"gone\"\n\
         a.md:10: sub/with%20blank.htm#Here: no anchor \"Here\"\n\
         a.md:11: plain.txt/below: no such file\n\
         a.md:11: http://[: not a URL: invalid IPv6 address\n"
    );
    assert_says(
        &output,
        "links: 21, good: 12, broken: 8, allowed: 0, skipped: 1, unchecked: 0",
    );
    assert_says(&output, "documents: 3, ");
}

#[test]
fn clean_documents_are_no_news() {
    let dir = Dir::new("clean");
    dir.write("a.md", "# A\n[b](b.html#b)");
    dir.write("b.html", "<a id=b href=a.md#a>");
    let output = linkcheck(&dir, &["--quiet", "a.md", "./b.html"]);
    assert_exit(&output, 0);
    assert_eq!(
        (text(&output.stdout), text(&output.stderr)),
        Default::default()
    );
}

/// A document that is named twice, or found by two ways, is read once.
#[test]
fn documents_are_read_once() {
    let dir = Dir::new("once");
    fs::create_dir(dir.0.join("sub")).unwrap();
    dir.write("a.md", "[b](sub/b.md) [bad](bad.md)");
    dir.write("sub/b.md", "[a](../a.md)");
    let absolute = dir.0.join("sub/../a.md");
    let args = [
        ".",
        "a.md",
        "sub/../a.md",
        "sub",
        absolute.to_str().unwrap(),
    ];
    let report = report(&dir, &args);
    assert_eq!(
        (number(&report, "documents"), number(&report, "links")),
        (2, 3)
    );
    assert_eq!(report["findings"][0]["document"], "a.md");
}

/// A document that no input names is read for its anchors only: its own links are not checked.
#[test]
fn other_documents_are_not_followed() {
    let dir = Dir::new("others");
    dir.write("a.md", "[b](b.md#b) [c](b.md#c)");
    dir.write("b.md", "# B\n[bad](bad.md)");
    let report = report(&dir, &["a.md"]);
    assert_eq!(number(&report, "links"), 2);
    assert_eq!(kinds(&report), [("b.md#c".into(), "anchor".into())].into());
}

#[test]
fn what_cannot_be_run_is_two() {
    let dir = Dir::new("two");
    dir.write("a.md", "");
    dir.write("a.rs", "");
    let not_base64 = "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n";
    dir.write("bad.pem", not_base64);
    for (args, words) in [
        (&[][..], "no PATH and no URL given (see --help)"),
        (&["nowhere.md"], "\"nowhere.md\": No such file"),
        (&["a.rs"], "neither Markdown nor HTML"),
        (&["http://["], "invalid IPv6 address"),
        (&["--no-such", "a.md"], "'--no-such'"),
        (&["-x", "a.md"], "'-x'"),
        (&["--max", "0", "a.md"], "--max: "),
        (&["--min", "9", "--max", "3", "a.md"], "--m"),
        (
            &["--per-host", "0", "a.md"],
            "--per-host: it must be at least 1: 0",
        ),
        (&["--depth", "-1", "a.md"], "--depth: invalid digit"),
        (
            &["--timeout", "NaN", "a.md"],
            "--timeout: it must be from 0.000001 to 86400: NaN",
        ),
        (
            &["--allow-list", "none", "a.md"],
            "--allow-list: \"none\": No such file",
        ),
        (&["--ca", "none", "a.md"], "--ca: \"none\": No such file"),
        (
            &["--ca", "a.md", "a.md"],
            "--ca: no certificate in \"a.md\"",
        ),
        (&["--ca", "bad.pem", "a.md"], "--ca: \"bad.pem\": "),
        (
            &["--offline", "a.md", "http://127.0.0.1:1/"],
            "--offline takes no URL: http://127.0.0.1:1/",
        ),
        (&["--exclude", "(", "a.md"], "--exclude: regex parse error"),
        (&["--include", "[", "a.md"], "--include: regex parse error"),
        (
            &["--accept", "2xx", "a.md"],
            "--accept: no list of statuses and ranges: \"2xx\"",
        ),
        (
            &["--header", "none", "a.md"],
            "--header: no colon after the name: \"none\"",
        ),
        (&["--header", "a b: c", "a.md"], "--header: invalid HTTP"),
        (&["--user-agent", "a\nb", "a.md"], "--user-agent: "),
        (&["--demo", "a.md"], "--demo takes no PATH"),
        (&["--demo", "--offline"], "--demo needs the web"),
    ] {
        let output = linkcheck(&dir, args);
        assert_exit(&output, 2);
        assert_says(&output, words);
        assert_eq!(text(&output.stdout), "", "{args:?}");
    }
    let help = linkcheck(&dir, &["--help"]);
    assert_exit(&help, 0);
    assert!(text(&help.stdout).contains("exit status:"));
}

/// A mistake in the command line, most of the time, and not to be taken for a clean bill.
#[test]
fn nothing_checked_is_two() {
    let dir = Dir::new("nothing");
    fs::create_dir(dir.0.join("empty")).unwrap();
    dir.write("bare.md", "# No links\n");
    dir.write("mail.md", "<mailto:me@example.org> [x](x.md)\n");
    dir.write("allowed", "x.md\n");
    for (args, why) in [
        (&["empty"][..], "there is no document"),
        (&["bare.md"], "no links in 1 documents"),
        (
            &["--allow-list", "allowed", "mail.md"],
            "all 2 links are skipped or allowed",
        ),
        (
            &["--exclude", "x", "mail.md"],
            "all 2 links are skipped or allowed",
        ),
    ] {
        for quiet in [&[][..], &["--quiet"]] {
            let output = linkcheck(&dir, &[quiet, args].concat());
            assert_exit(&output, 2);
            assert_says(&output, &format!("warning: nothing was checked: {why}"));
        }
        let output = linkcheck(&dir, &[&["--json"], args].concat());
        let expected = format!("nothing was checked: {why}");
        assert_eq!(parse(&output)["warnings"], serde_json::json!([expected]));
    }
    // A web page whose address has been asked, but which has nothing to say, is no different.
    let (server, _) = site(|_, _| Some(Response::html("<p>")));
    assert_exit(&linkcheck(&dir, &[&server.url()]), 2);
}

/// The part that is cut off may have links, and anchors that others ask for.
#[test]
fn a_document_that_is_cut_off_is_told_of() {
    const LIMIT: usize = 8 << 20;
    let (server, _) = site(|_, _| {
        let filling = "<p>".repeat(LIMIT / 3 + 1);
        Some(Response::html(format!(
            "<a href='#end'>{filling}<p id=end>"
        )))
    });
    let dir = Dir::new("cut-off-documents");
    let line = "word ".repeat(15) + "\n";
    let filling = line.repeat(LIMIT / line.len() + 1);
    dir.write(
        "long.md",
        format!("[x](#end)\n{filling}\n\n[dead](nowhere.md)\n# End\n"),
    );
    // As long as can be, to the byte.
    let exact = "[x](exact.md)\n";
    dir.write(
        "exact.md",
        exact.to_owned() + &"x".repeat(LIMIT - exact.len()),
    );
    dir.write("other.md", "[x](long.md#end)");
    let url = format!("{}/", server.url());
    let report = report(&dir, &["--quiet", "exact.md", "other.md", "long.md", &url]);
    assert_eq!(number(&report, "good"), 4);
    let warnings = report["warnings"].as_array().unwrap();
    let mut warnings: Vec<_> = warnings.iter().map(|text| text.as_str().unwrap()).collect();
    warnings.sort_unstable();
    let expected = [&*url, "long.md"];
    assert_eq!(
        warnings,
        expected.map(|name| format!("only the first 8 MiB are checked: {name}"))
    );
    let output = linkcheck(&dir, &["--quiet", "long.md"]);
    assert_says(
        &output,
        "warning: only the first 8 MiB are checked: long.md",
    );
    assert_exit(&output, 0);
}

/// Each heading has its own anchor, and finding it takes no longer for the ones before.
#[test]
fn equal_headings_take_linear_time() {
    const HEADINGS: usize = 100_000;
    let dir = Dir::new("equal");
    let link = format!(
        "[last](#fixed-{}) [none](#fixed-{HEADINGS})\n\n",
        HEADINGS - 1
    );
    dir.write("a.md", link + &"## Fixed\n\nx\n\n".repeat(HEADINGS));
    // It takes seconds in a debug build. With a search for each number it would take half an hour.
    let report = report(&dir, &["--offline", "a.md"]);
    let expected = [(format!("#fixed-{HEADINGS}"), "anchor".to_owned())];
    assert_eq!(kinds(&report), expected.into());
    assert_eq!(number(&report, "good"), 1);
}

/// Headings get the anchors that GitHub gives them.
#[test]
fn anchors_are_those_of_github() {
    let dir = Dir::new("github");
    dir.write("x.png", "");
    for (document, good, dead) in [
        // An image has no text, and what it stands beside keeps its blank.
        (
            "# Tool [![Build](x.png)](x.png)\n## Get ![it](x.png)\n# <img src=x.png> Kit",
            &["tool-", "get-", "-kit"][..],
            &["tool-build", "tool", "get-it", "kit"][..],
        ),
        ("## Use <a name=\"how\"></a>", &["use-", "how"], &["use"]),
        // Marks belong to their letters.
        (
            "## \u{2699}\u{fe0f} Settings\n## हिन्दी\n## น้ำ\n## x\u{b2} + y",
            &[
                "\u{fe0f}-settings",
                "%EF%B8%8F-settings",
                "हिन्दी",
                "น้ำ",
                "x--y",
            ],
            &["-settings", "x\u{b2}--y", "हनद"],
        ),
        (
            "<h1 align=center>My\n<b>Tool</b></h1>\n\n<h2>Start</h2>\n\n# Start",
            &["mytool", "start", "start-1"],
            &["my-tool"],
        ),
        ("\u{feff}# First", &["first"], &["-first"]),
        // Lines of a heading are joined, a break leaves nothing.
        (
            "One\ntwo *three*\n====\n\nFour\\\nfive\n---",
            &["onetwo-three", "fourfive"],
            &["four-five"],
        ),
        (
            "---\ntitle: '# No'\n---\n\n# Yes",
            &["yes"],
            &["no", "title--no"],
        ),
        (
            "# A :tada: B & C &amp; D &copy;\n# `code` <b>bold</b> ~~gone~~",
            &["a-tada-b--c--d-", "code-bold-gone"],
            &["a--b"],
        ),
        // The page that shows a document has names of its own.
        (
            "# Title\n\nText[^1].\n\n[^1]: Note.",
            &["title", "user-content-title", "user-content-fn-1", "fn-1"],
            &["user-content-", "user-content-user-content-title"],
        ),
    ] {
        let links = |names: &[&str]| -> Vec<_> {
            names.iter().map(|name| format!("[x](#{name})\n")).collect()
        };
        let all = [links(good), links(dead)].concat().concat();
        dir.write("a.md", format!("{document}\n\n{all}"));
        let output = linkcheck(&dir, &["--json", "a.md"]);
        let report = parse(&output);
        let found: Vec<String> = kinds(&report).into_keys().collect();
        let mut expected: Vec<_> = dead.iter().map(|name| format!("#{name}")).collect();
        expected.sort();
        assert_eq!(found, expected, "{document:?}: {report:#}");
    }
}

#[test]
fn links_are_found_wherever_github_has_them() {
    let dir = Dir::new("everywhere");
    dir.write(
        "a.md",
        "See http://127.0.0.1:1/bare. And www.127.0.0.1.invalid, (https://127.0.0.1:1/a_(b)).\n\n\
         > <a\n> href=\"quote.md\">x</a>\n\n\
         - <p>\n  <a\n  href=\"list.md\">y</a>\n  </p>\n\n\
         <picture>\n<source srcset=\"dark.png\">\n<img srcset='one.png 1x, two.png 2x'>\n</picture>\n\
         <video poster=poster.png></video>\n\n\
         <div><!--\n\n[hidden](hidden.md)\n\n<p>-->\n</p></div>\n\n\
         <title><a href=shown.md></title>\n\n\
         Note[^a] [](//127.0.0.1:1/web)\n\n[^a]: [x](note.md)\n\n[^unused]: [x](unused.md)\n\n[end](end.md)\n",
    );
    let output = linkcheck(&dir, &["--retries", "0", "a.md"]);
    assert_exit(&output, 1);
    let found: Vec<String> = text(&output.stdout)
        .lines()
        .map(|line| line.splitn(4, ": ").take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let expected = [
        "a.md:1 http://127.0.0.1:1/bare",
        "a.md:1 http://www.127.0.0.1.invalid",
        "a.md:1 https://127.0.0.1:1/a_(b)",
        "a.md:4 quote.md",
        "a.md:8 list.md",
        "a.md:12 dark.png",
        "a.md:13 one.png",
        "a.md:13 two.png",
        "a.md:15 poster.png",
        "a.md:24 shown.md",
        "a.md:26 //127.0.0.1:1/web",
        "a.md:28 note.md",
        "a.md:32 end.md",
    ];
    assert_eq!(found, expected);
}

/// Lines of source files: those that rustdoc links to, and those of GitHub.
#[test]
fn lines_are_places() {
    let dir = Dir::new("lines");
    dir.write("src.html", "<a id=1>1</a> <a id=2>2</a> <a id=10>10</a>");
    dir.write("other.md", "# Other\n\n# 1\n\n# 2");
    dir.write("code.rs", "");
    let good = [
        "src.html#1",
        "src.html#2-10",
        "other.md?plain=1#L3",
        "other.md?plain=1#L1-L3",
        "other.md#2",
        "code.rs#L3-L5",
    ];
    let dead = [
        "src.html#2-3",
        "src.html#3-10",
        "src.html#2-",
        "src.html#-2",
        "src.html#1-2-10",
        "other.md#L3",
        "other.md#1-2",
        "other.md?plain=1#none",
    ];
    dir.write("a.md", list(&good) + &list(&dead));
    let report = report(&dir, &["a.md"]);
    let expected = dead.map(|link| (link.to_owned(), "anchor".to_owned()));
    assert_eq!(kinds(&report), expected.into());
    assert_eq!(number(&report, "good"), good.len() as u64);
}

#[test]
fn offline_asks_nobody() {
    let (server, counts) = site(|_, _| Some(Response::status(404)));
    let dir = Dir::new("offline");
    dir.write("a.md", list(&[server.url(), "a.md".into()]));
    let report = report(&dir, &["--offline", "a.md"]);
    assert_eq!(
        (number(&report, "skipped"), number(&report, "good")),
        (1, 1)
    );
    assert_eq!(number(&report, "requests"), 0);
    assert!(counts.lock().is_empty());
}

// --- The web ------------------------------------------------------------------------------------

/// Each way in which a request can go wrong has its own name.
#[test]
fn errors_are_typed() {
    let (server, _) = site(|request, _| match &*request.path {
        "/circle/a" => Some(Response::redirect("b")),
        "/circle/b" => Some(Response::redirect("a")),
        "/self" => Some(Response::redirect("self")),
        "/nowhere" => Some(Response::status(301)),
        "/file" => Some(Response::redirect("file:///etc/passwd")),
        "/hang-up" => None,
        "/ok" => Some(Response::status(204)),
        "/to-ok" => Some(Response::redirect("/ok")),
        "/to-gone" => Some(Response::redirect("/gone")),
        "/gone" => Some(Response::status(410)),
        _ => {
            let stairs = request.path.strip_prefix("/stairs/");
            let step: Option<u32> = stairs.and_then(|step| step.parse().ok());
            Some(step.map_or(Response::status(404), |step| {
                Response::redirect((step + 1).to_string())
            }))
        }
    });
    // The system accepts for it, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = server.url();
    let tls = url.replace("http:", "https:");
    let timeout = format!("http://{}/", silent.local_addr().unwrap());
    // No name has a label so long, so no server need be asked.
    let dns = format!("http://{}.invalid/", "x".repeat(64));
    let expected: BTreeMap<String, String> = [
        (format!("{url}/missing"), "status"),
        (format!("{url}/to-gone"), "status"),
        (format!("{url}/circle/a"), "redirect-loop"),
        (format!("{url}/self"), "redirect-loop"),
        (format!("{url}/stairs/0"), "too-many-redirects"),
        (format!("{url}/nowhere"), "location"),
        (format!("{url}/file"), "location"),
        (format!("{url}/hang-up"), "connection"),
        ("http://127.0.0.1:1/".to_owned(), "refused"),
        (timeout, "timeout"),
        (dns, "dns"),
        (format!("{tls}/"), "tls"),
    ]
    .map(|(link, kind)| (link, kind.to_owned()))
    .into();
    let dir = Dir::new("typed");
    let good = [format!("{url}/ok"), format!("{url}/to-ok")];
    let links: Vec<&String> = expected.keys().chain(&good).collect();
    dir.write("a.md", list(&links));
    let report = report(&dir, &["--timeout", "1", "--retries", "1", "a.md"]);
    assert_eq!(kinds(&report), expected, "{report:#}");
    assert_eq!(number(&report, "good"), 2);
}

/// With `--ca` the certificates in there are trusted, and no others. A server with another one
/// is reported as TLS refused, and not tried again.
#[test]
fn https_is_checked() {
    let [site, old, other] = [
        include_bytes!("linkcheck/site.pem").as_slice(),
        include_bytes!("linkcheck/old.pem"),
        include_bytes!("linkcheck/other.pem"),
    ]
    .map(tls_site);
    let urls = [&site, &old, &other].map(|(server, _)| server.url().replace("http:", "https:"));
    let dir = Dir::new("https");
    dir.write("ca.pem", include_bytes!("linkcheck/ca.pem"));
    let links = urls.clone().map(|url| format!("{url}/#here"));
    dir.write("a.md", list(&links));
    let trusting = report(&dir, &["--ca", "ca.pem", "a.md"]);
    let bad = [&links[1], &links[2]].map(|link| (link.clone(), "tls".to_owned()));
    assert_eq!(kinds(&trusting), bad.into());
    assert_eq!(attempts(&trusting), 1);
    assert_eq!(
        (number(&trusting, "good"), number(&trusting, "retries")),
        (1, 0)
    );
    let expected = [("HEAD /".to_owned(), 1)];
    assert_eq!(*site.1.lock(), expected.into());
    assert!(old.1.lock().is_empty() && other.1.lock().is_empty());

    // Read, too, and what it links to over a redirect.
    let start = format!("{}/start", urls[0]);
    let crawled = report(&dir, &["--ca", "ca.pem", &start]);
    assert_eq!(
        kinds(&crawled),
        [("/gone".to_owned(), "status".to_owned())].into()
    );
    assert_eq!(number(&crawled, "documents"), 1);

    let suspicious = report(&dir, &["a.md"]);
    assert_eq!(number(&suspicious, "broken"), 3);
    let mut findings = suspicious["findings"].as_array().unwrap().iter();
    assert!(
        findings.all(|finding| finding["kind"] == "tls"),
        "{suspicious:#}"
    );
}

fn tls_site(certificate: &'static [u8]) -> (Server, Counts) {
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("linkcheck/key.pem")).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let config = Arc::new(config.unwrap());
    let wrap = move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    };
    let handler = |request: &Request, _| {
        Some(match &*request.path {
            "/" => Response::html("<p id=here><a href=/gone>"),
            "/start" => Response::redirect("/"),
            _ => Response::status(410),
        })
    };
    site_over(wrap, handler)
}

/// A link in the middle of stairs that another has given up on is a link of its own.
#[test]
fn redirects_count_from_the_link() {
    let (server, counts) = site(|request, _| {
        let step: u32 = request.path[1..].parse().ok()?;
        Some(match step {
            6 => Response::status(200),
            _ => Response::redirect((step + 1).to_string()),
        })
    });
    let dir = Dir::new("stairs");
    let links = [0, 3].map(|step| format!("{}/{step}", server.url()));
    dir.write("a.md", list(&links[..1]));
    dir.write("b.md", list(&links[1..]));
    for inputs in [["a.md", "b.md"], ["b.md", "a.md"]] {
        counts.lock().clear();
        let report = report(&dir, &[&["--redirects", "3"], &inputs[..]].concat());
        let expected = [(links[0].clone(), "too-many-redirects".into())];
        assert_eq!(kinds(&report), expected.into());
        assert_eq!(number(&report, "good"), 1);
        assert_eq!(counts.lock().len(), 7, "steps 0 to 6");
        assert!(counts.lock().values().all(|&count| count == 1));
    }
}

#[test]
fn get_where_head_is_refused() {
    let (server, counts) = site(|request, _| {
        let status = request.path[1..].parse().unwrap();
        let is_refused = request.method == "HEAD" || status == 451;
        Some(Response::status(if is_refused { status } else { 200 }))
    });
    let dir = Dir::new("head");
    let statuses = [
        "400", "401", "403", "404", "405", "406", "410", "429", "451", "500", "501", "503",
    ];
    let links = statuses.map(|status| format!("{}/{status}", server.url()));
    dir.write("a.md", list(&links));
    let report = report(&dir, &["a.md"]);
    assert_eq!(kinds(&report), [(links[8].clone(), "status".into())].into());
    for status in statuses {
        for method in ["HEAD", "GET"] {
            assert_eq!(count(&counts, &format!("{method} /{status}")), 1);
        }
    }
    assert_eq!(
        (number(&report, "requests"), number(&report, "retries")),
        (24, 0)
    );
}

/// A server drops the connection of a HEAD, or keeps silent until GET has come.
#[test]
fn get_where_head_has_no_answer() {
    let (asked, is_asked) = mpsc::channel();
    let is_asked = Mutex::new(is_asked);
    let (server, counts) = site(move |request, _| match (&*request.method, &*request.path) {
        ("HEAD", "/drop") => None,
        ("HEAD", _) => {
            is_asked.lock().recv_timeout(HANG).ok();
            None
        }
        (_, path) => {
            if path == "/hang" {
                asked.send(()).ok();
            }
            Some(Response::status(200))
        }
    });
    let dir = Dir::new("no-head");
    dir.write(
        "a.md",
        list(&["drop", "hang"].map(|path| format!("{}/{path}", server.url()))),
    );
    let report = report(&dir, &["--timeout", "5", "--retries", "0", "a.md"]);
    assert_eq!(number(&report, "good"), 2);
    let expected = ["GET /drop", "GET /hang", "HEAD /drop", "HEAD /hang"];
    assert_eq!(
        *counts.lock(),
        expected.map(|request| (request.to_owned(), 1)).into()
    );
}

/// A time for a retry means nothing if there is none. This failed because the refusal of HEAD was the
/// verdict.
#[test]
fn get_comes_at_once_where_no_retry_follows() {
    let (server, counts) = site(|request, _| {
        let refused = |status| Some(Response::status(status).with("Retry-After", "60"));
        match (&*request.method, &*request.path) {
            ("HEAD", "/none") => refused(405),
            ("HEAD", _) => refused(429),
            _ => Some(Response::status(200)),
        }
    });
    let dir = Dir::new("no-retry");
    let links = ["none", "later"].map(|path| format!("{}/{path}", server.url()));
    dir.write("a.md", list(&links));
    dir.write("b.md", list(&links[..1]));
    let none = report(&dir, &["--retries", "0", "a.md"]);
    assert_eq!(number(&none, "good"), 2);
    // No retry can follow on such a status.
    let some = report(&dir, &["--retries", "2", "b.md"]);
    assert_eq!(number(&some, "good"), 1);
    assert_eq!(number(&some, "retries"), 0);
    let once = ["GET /later", "HEAD /later"].map(|request| (request.to_owned(), 1));
    let in_each = ["GET /none", "HEAD /none"].map(|request| (request.to_owned(), 2));
    let expected = once.into_iter().chain(in_each);
    assert_eq!(*counts.lock(), expected.collect());
}

#[test]
fn a_retry_that_recovers() {
    let (server, counts) = site(|request, count| {
        let is_head = request.method == "HEAD";
        match (&*request.path, count) {
            ("/busy", 1) => Some(Response::status(503)),
            ("/later", 1) if is_head => Some(Response::status(429).with("Retry-After", "0")),
            ("/date", 1) if is_head => {
                let date = "Sun, 06 Nov 1994 08:49:37 GMT";
                Some(Response::status(429).with("Retry-After", date))
            }
            ("/hang-up", 1 | 2) => None,
            _ => Some(Response::status(200)),
        }
    });
    let dir = Dir::new("recovers");
    let paths = ["busy", "later", "date", "hang-up"];
    dir.write(
        "a.md",
        list(&paths.map(|path| format!("{}/{path}", server.url()))),
    );
    let report = report(&dir, &["a.md"]);
    assert_eq!(
        (number(&report, "good"), number(&report, "retries")),
        (4, 5)
    );
    // Only a server that names a time has not been asked with GET in the first attempt.
    for (path, gets) in [("busy", 2), ("later", 1), ("date", 1), ("hang-up", 3)] {
        assert_eq!(count(&counts, &format!("HEAD /{path}")), 1, "{path}");
        assert_eq!(count(&counts, &format!("GET /{path}")), gets, "{path}");
    }
}

/// A server names the second of the next request, and means it.
#[test]
fn a_retry_waits_for_its_date() {
    let due: Arc<Mutex<Option<SystemTime>>> = Arc::default();
    let due_here = Arc::clone(&due);
    let (server, _) = site(move |_, _| {
        let now = SystemTime::now();
        let mut due = due_here.lock();
        // A date has no fractions of a second.
        let due = due.get_or_insert(now + Duration::from_secs(2));
        if now + Duration::from_secs(1) < *due {
            let date = httpdate::fmt_http_date(*due);
            return Some(Response::status(503).with("Retry-After", date));
        }
        Some(Response::status(200))
    });
    let dir = Dir::new("date");
    dir.write("a.md", list(&[server.url()]));
    let report = report(&dir, &["a.md"]);
    assert_eq!(
        (number(&report, "good"), number(&report, "retries")),
        (1, 1)
    );
}

/// The bytes of a name that is no ASCII, as they are.
#[test]
fn a_redirect_may_name_its_target_in_utf8() {
    let (server, _) = site(|request, _| match &*request.path {
        "/" => Some(Response::redirect("/caf\u{e9} 1")),
        "/caf%C3%A9%201" => Some(Response::status(200)),
        _ => Some(Response::status(404)),
    });
    let dir = Dir::new("utf8-location");
    dir.write("a.md", list(&[server.url()]));
    assert_eq!(number(&report(&dir, &["a.md"]), "good"), 1);
}

#[test]
fn statuses_that_are_accepted_are_good() {
    let (server, _) = site(|request, _| Some(Response::status(request.path[1..].parse().ok()?)));
    let dir = Dir::new("accept");
    let links = ["200", "204", "403", "418", "301"].map(|path| format!("{}/{path}", server.url()));
    dir.write("a.md", list(&links));
    for (accept, good) in [
        (&[][..], &[0, 1][..]),
        (&["--accept", "200,403"], &[0, 2]),
        (&["--accept=200..=299,301,400..410"], &[0, 1, 2, 4]),
    ] {
        let report = report(&dir, &[accept, &["a.md"]].concat());
        let broken = kinds(&report);
        let found = (0..links.len()).filter(|&index| !broken.contains_key(&links[index]));
        assert_eq!(found.collect::<Vec<_>>(), good, "{accept:?}");
    }
}

#[test]
fn excluded_links_are_passed_over() {
    let (server, counts) = site(|_, _| Some(Response::status(200)));
    let dir = Dir::new("exclude");
    let url = server.url();
    let links = [
        &format!("{url}/a"),
        &format!("{url}/b"),
        "sub/../bad.md",
        "a.md",
    ];
    dir.write("a.md", list(&links));
    let excluded = report(&dir, &["--exclude", "/b$", "--exclude=^sub/", "a.md"]);
    assert_eq!(
        (number(&excluded, "good"), number(&excluded, "skipped")),
        (2, 2)
    );
    assert_eq!(*counts.lock(), [("HEAD /a".to_owned(), 1)].into());
    let args = [
        "--exclude",
        "^http:",
        "--include",
        "/b$",
        "--exclude",
        "bad",
        "a.md",
    ];
    assert_eq!(number(&report(&dir, &args), "good"), 2);
    assert_eq!(count(&counts, "HEAD /b"), 1);
    let only = report(&dir, &["--include", r"exclude[^/]*/bad\.md$", "a.md"]);
    assert_eq!(
        kinds(&only),
        [("sub/../bad.md".into(), "missing".into())].into()
    );
    assert_eq!(number(&only, "skipped"), 3);
}

#[test]
fn headers_are_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serve = move || {
        let heads = listener.incoming().take(2).map(|stream| {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            stream
                .write_all(b"HTTP/1.1 204 \r\nConnection: close\r\n\r\n")
                .unwrap();
            text(&head).to_lowercase()
        });
        heads.collect::<Vec<_>>()
    };
    let server = thread::Builder::new()
        .name("server".to_owned())
        .spawn(serve)
        .unwrap();
    let dir = Dir::new("headers");
    dir.write("a.md", list(&[url]));
    report(&dir, &["a.md"]);
    let args = [
        "--header",
        "X-One: 1: 2",
        "--header=x-two:b",
        "--user-agent",
        "Mine/1",
        "a.md",
    ];
    report(&dir, &args);
    let heads = server.join().unwrap();
    assert!(heads[0].contains("\r\nuser-agent: linkcheck"), "{heads:?}");
    for line in ["x-one: 1: 2", "x-two: b", "user-agent: mine/1"] {
        assert!(heads[1].contains(&format!("\r\n{line}\r\n")), "{heads:?}");
    }
    assert_eq!(heads[1].matches("user-agent").count(), 1);
}

#[test]
fn a_retry_that_gives_up() {
    let (server, counts) = site(|request, _| {
        let status = if request.path == "/gone" { 410 } else { 500 };
        Some(Response::status(status))
    });
    let dir = Dir::new("gives-up");
    dir.write("a.md", list(&[format!("{}/down", server.url())]));
    for (retries, asked) in [("0", 1), ("3", 4)] {
        counts.lock().clear();
        let report = report(&dir, &["--retries", retries, "a.md"]);
        assert_eq!((number(&report, "broken"), attempts(&report)), (1, asked));
        assert_eq!(count(&counts, "HEAD /down"), 1);
        assert_eq!(u64::from(count(&counts, "GET /down")), asked);
    }
    let output = linkcheck(&dir, &["--retries", "1", "a.md"]);
    assert!(text(&output.stdout).ends_with("HTTP 500 Internal Server Error (2 attempts)\n"));
    // An answer that will not change is not asked for again.
    dir.write("a.md", list(&[format!("{}/gone", server.url())]));
    let report = report(&dir, &["a.md"]);
    assert_eq!((attempts(&report), number(&report, "retries")), (1, 0));
}

/// However often and however it is written, and although it was broken the first time, when HEAD
/// and GET said so.
#[test]
fn each_url_is_asked_once() {
    let (server, counts) = site(|request, _| {
        Some(Response::status(if request.path == "/x" {
            200
        } else {
            410
        }))
    });
    let dir = Dir::new("asked-once");
    let url = server.url();
    let upper = url.replace("http", "HTTP");
    for document in 0..20 {
        let links = [
            format!("{url}/x"),
            format!("{url}/x#{document}"),
            format!("{upper}/a/../x"),
            format!("{url}/gone"),
        ];
        dir.write(format!("{document}.md"), list(&links));
    }
    let report = report(&dir, &["."]);
    assert_eq!(
        (number(&report, "good"), number(&report, "broken")),
        (60, 20)
    );
    let expected = ["GET /gone", "HEAD /gone", "HEAD /x"];
    assert_eq!(
        *counts.lock(),
        expected.map(|request| (request.to_owned(), 1)).into()
    );
    assert_eq!(number(&report, "requests"), 3);
}

/// One host keeps its requests until another has answered all of its own: then as many are with it
/// as it may get, and it never sees more.
#[test]
fn a_host_is_asked_no_more_than_it_likes() {
    const LIMIT: usize = 3;
    const LINKS: usize = 24;
    #[derive(Default)]
    struct Seen {
        inside: usize,
        most: usize,
        elsewhere: usize,
    }
    let seen = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
    let here = Arc::clone(&seen);
    let (slow, _) = site(move |_, _| {
        let (seen, change) = &*here;
        let mut seen = seen.lock();
        seen.inside += 1;
        seen.most = seen.most.max(seen.inside);
        change.notify_all();
        change.wait_while(&mut seen, |seen| {
            seen.elsewhere < LINKS || seen.most < LIMIT
        });
        seen.inside -= 1;
        Some(Response::status(200))
    });
    let there = Arc::clone(&seen);
    let (quick, _) = site(move |_, _| {
        let (seen, change) = &*there;
        seen.lock().elsewhere += 1;
        change.notify_all();
        Some(Response::status(200))
    });
    let dir = Dir::new("per-host");
    let links: Vec<String> = (0..LINKS)
        .flat_map(|link| [&slow, &quick].map(|site| format!("{}/{link}", site.url())))
        .collect();
    dir.write("a.md", list(&links));
    let report = report(&dir, &["--per-host", "3", "--timeout", "60", "a.md"]);
    assert_eq!(number(&report, "good"), 2 * LINKS as u64);
    assert_eq!(seen.0.lock().most, LIMIT);
}

/// A troupe that is full stops the feeder, and nothing is dropped.
#[test]
fn a_full_troupe_holds_the_feeder() {
    let (server, counts) = site(|_, _| Some(Response::status(200)));
    let dir = Dir::new("full");
    let links: Vec<String> = (0..50)
        .map(|link| format!("{}/{link}", server.url()))
        .collect();
    dir.write("a.md", list(&links));
    for (max, mailbox) in [("1", "0"), ("1", "1"), ("2", "0")] {
        counts.lock().clear();
        let args = [
            "--max",
            max,
            "--mailbox",
            mailbox,
            "--per-host",
            "50",
            "a.md",
        ];
        let report = report(&dir, &args);
        assert_eq!(number(&report, "good"), 50);
        assert!(number(&report, "held") > 0, "{report:#}");
        assert!(number(&report, "most_actors") <= max.parse().unwrap());
        assert_eq!(counts.lock().len(), 50);
    }
}

#[test]
fn the_allow_list_allows() {
    let (server, counts) = site(|_, _| Some(Response::status(410)));
    let dir = Dir::new("allow");
    let url = server.url();
    dir.write(
        "a.md",
        list(&[&format!("{url}/a"), &format!("{url}/b"), "c.md", "d.md"]),
    );
    dir.write("allowed", format!("# Known.\n\n{url}/a*\nc.md\nnever/*\n"));
    let output = linkcheck(&dir, &["--json", "--allow-list", "allowed", "a.md"]);
    assert_exit(&output, 1);
    assert_says(&output, "the allow-list's \"never/*\" allowed nothing");
    let report = parse(&output);
    assert_eq!(number(&report, "allowed"), 2);
    let expected = [
        (format!("{url}/b"), "status"),
        ("d.md".to_owned(), "missing"),
    ];
    assert_eq!(
        kinds(&report),
        expected.map(|(link, kind)| (link, kind.to_owned())).into()
    );
    let expected = ["GET /b", "HEAD /b"];
    assert_eq!(
        *counts.lock(),
        expected.map(|request| (request.to_owned(), 1)).into()
    );
}

/// From a URL on: what is near is read, what is farther or elsewhere is asked whether it is there.
#[test]
fn a_site_is_crawled_to_the_depth() {
    let (other, others) = site(|_, _| Some(Response::html("<a href=/not-followed>")));
    let elsewhere = format!("<a href='{}/page'>", other.url());
    let (server, counts) = site(move |request, _| {
        let page = match &*request.path {
            "/start" => return Some(Response::redirect("/")),
            "/" => "<p id=top-of-all><a href=/1><a href=/1#one><a href=/1#two><a href=/image.png>",
            "/1" => "<base href=/deep/><p id=one><a href=2><a href=../#top-of-all><a href=/>",
            "/deep/2" => &format!("<a href=3>{elsewhere}<script>'<a href=/no>'</script>"),
            "/image.png" => return Some(Response::status(200)),
            _ => return Some(Response::status(404)),
        };
        Some(Response::html(page))
    });
    let dir = Dir::new("crawl");
    for (depth, links, documents) in [("0", 4, 1), ("1", 7, 2), ("2", 9, 3), ("9", 9, 3)] {
        counts.lock().clear();
        others.lock().clear();
        let report = report(
            &dir,
            &["--depth", depth, &format!("{}/start", server.url())],
        );
        let found = (number(&report, "links"), number(&report, "documents"));
        assert_eq!(found, (links, documents), "--depth {depth}: {report:#}");
        let mut expected = BTreeMap::new();
        if documents > 1 {
            expected.insert("/1#two".to_owned(), "anchor".to_owned());
        }
        if documents > 2 {
            expected.insert("3".to_owned(), "status".to_owned());
            assert_eq!(*others.lock(), [("HEAD /page".to_owned(), 1)].into());
        }
        assert_eq!(kinds(&report), expected, "--depth {depth}");
        assert!(
            counts.lock().values().all(|&count| count == 1),
            "{counts:?}"
        );
    }
}

/// Where a start URL redirects to is a start, whoever links there and however early. One actor asks
/// in turn, so the other document's links are known before the redirect is, which fails at first.
#[test]
fn where_a_start_redirects_to_is_read() {
    let (to, pages) = site(|request, _| match &*request.path {
        "/home" => Some(Response::html("<p id=here><a href=/below>")),
        "/below" => Some(Response::html("<a href=/gone>")),
        _ => Some(Response::status(410)),
    });
    let home = format!("{}/home", to.url());
    let page = format!(
        "<a href={home}#here><a href={home}#nowhere><a href={}/below>",
        to.url()
    );
    let target = home.clone();
    let (from, _) = site(move |request, count| match (&*request.path, count) {
        ("/", 1) => Some(Response::status(503)),
        ("/", _) => Some(Response::redirect(target.clone())),
        _ => Some(Response::html(page.clone())),
    });
    let dir = Dir::new("redirected");
    dir.write(
        "a.md",
        list(&[
            format!("{home}#here"),
            format!("{home}#nowhere"),
            format!("{}/below", to.url()),
        ]),
    );
    let start = format!("{}/", from.url());
    let expected = [
        (format!("{home}#nowhere"), "anchor".to_owned()),
        ("/gone".to_owned(), "status".to_owned()),
    ];
    for other in ["a.md".to_owned(), format!("{}/other", from.url())] {
        for inputs in [[&*other, &*start], [&*start, &*other]] {
            pages.lock().clear();
            let args = ["--max", "1", "--redirects", "3", "--depth", "1"];
            let report = report(&dir, &[&args, &inputs[..]].concat());
            assert_eq!(kinds(&report), expected.clone().into(), "{inputs:?}");
            assert_eq!(number(&report, "documents"), 3);
            let expected = ["GET /below", "GET /gone", "GET /home", "HEAD /gone"];
            assert_eq!(
                *pages.lock(),
                expected.map(|request| (request.to_owned(), 1)).into()
            );
        }
    }
}

/// Where another site redirects to a page of ours is no level, so it does not decide what is read:
/// what our own pages link to is, and what nobody else links to is asked at the end.
#[test]
fn redirects_from_elsewhere_do_not_decide_what_is_read() {
    let ours: Arc<Mutex<String>> = Arc::default();
    let target = Arc::clone(&ours);
    let (other, _) =
        site(move |request, _| Some(Response::redirect(target.lock().clone() + &request.path)));
    let elsewhere = other.url();
    let (server, counts) = site(move |request, _| {
        let page = match &*request.path {
            "/" => &format!(
                "<a href={elsewhere}/linked><a href={elsewhere}/alone><a href={elsewhere}/gone>\
                 <a href=/linked>"
            ),
            "/linked" => "<a href=/below>",
            "/alone" => "<a href=/not-followed>",
            _ => return Some(Response::status(410)),
        };
        Some(Response::html(page))
    });
    *ours.lock() = server.url();
    let dir = Dir::new("elsewhere");
    let report = report(&dir, &["--depth", "1", &format!("{}/", server.url())]);
    let expected = [
        (format!("{}/gone", other.url()), "status"),
        ("/below".into(), "status"),
    ];
    assert_eq!(
        kinds(&report),
        expected.map(|(link, kind)| (link, kind.to_owned())).into()
    );
    let expected = [
        "GET /",
        "GET /below",
        "GET /gone",
        "GET /linked",
        "HEAD /alone",
        "HEAD /below",
        "HEAD /gone",
    ];
    assert_eq!(
        *counts.lock(),
        expected.map(|request| (request.to_owned(), 1)).into()
    );
}

/// A page of the web has no business with the files of this machine, as its base neither.
#[test]
fn a_page_of_the_web_has_no_files_for_its_base() {
    let (server, _) = site(|request, _| match &*request.path {
        "/" => Some(Response::html("<base href=file:///nowhere/><a href=x>")),
        _ => Some(Response::status(404)),
    });
    let dir = Dir::new("base");
    let report = report(&dir, &["--depth", "0", &format!("{}/", server.url())]);
    assert_eq!(kinds(&report), [("x".into(), "status".into())].into());
}

#[test]
fn a_start_that_is_broken_is_found() {
    let (server, _) = site(|_, _| Some(Response::status(410)));
    let dir = Dir::new("start");
    let url = format!("{}/", server.url());
    let output = linkcheck(&dir, &[&url]);
    assert_exit(&output, 1);
    assert_eq!(text(&output.stdout), format!("{url}: HTTP 410 Gone\n"));
}

/// One that another redirects to, too: it is asked once, and both are told of.
#[test]
fn each_start_that_is_broken_has_a_line() {
    let (server, counts) = site(|request, _| match &*request.path {
        "/1" => Some(Response::redirect("/3")),
        "/2" => Some(Response::status(204)),
        _ => Some(Response::status(410)),
    });
    let dir = Dir::new("starts");
    let [first, second, third] = [1, 2, 3].map(|path| format!("{}/{path}", server.url()));
    let lines = [&first, &third].map(|url| format!("{url}: HTTP 410 Gone\n"));
    for inputs in [
        [&*first, &*second, &*third, &*first],
        [&*third, &*second, &*first, &*third],
    ] {
        counts.lock().clear();
        // No more than one is asked at a time, so the redirect is known before the third is begun.
        let args = ["--max", "1", "--mailbox", "0"];
        let output = linkcheck(&dir, &[&args, &inputs[..]].concat());
        assert_exit(&output, 1);
        assert_eq!(text(&output.stdout), lines.concat());
        assert!(
            counts.lock().values().all(|&count| count == 1),
            "{counts:?}"
        );
    }
}

/// The text of a page must not control the terminal.
#[test]
fn control_characters_are_shown() {
    let dir = Dir::new("control");
    dir.write("a.html", "<a href='\u{1b}[2J'>");
    let output = linkcheck(&dir, &["a.html"]);
    assert_eq!(text(&output.stdout), "a.html:1: \\u{1b}[2J: no such file\n");
}

// --- Its end ------------------------------------------------------------------------------------

/// A signal comes while one request is with a server that never answers, and others wait.
#[test]
fn a_signal_ends_it_at_once() {
    let (asked, is_asked) = mpsc::channel();
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (server, _) = site(move |_, _| {
        asked.send(()).ok();
        gate.lock().recv().ok();
        None
    });
    let dir = Dir::new("signal");
    let links: Vec<String> = (0..9)
        .map(|link| format!("{}/{link}", server.url()))
        .collect();
    dir.write("a.md", list(&links) + "[bad](bad.md)");
    let args = ["--json", "--timeout", "600", "--per-host", "1", "a.md"];
    let child = command(&dir, &args).spawn().unwrap();
    receive(&is_asked);
    signal(&child, "INT");
    let output = end_of(child);
    drop(release);
    assert_exit(&output, 130);
    assert_says(&output, "interrupted");
    let report = parse(&output);
    assert_eq!(report["interrupted"], true);
    assert!(number(&report, "unchecked") >= 9, "{report:#}");
    assert_eq!(number(&report, "links"), 10);
}

/// The only link gets 503, and its retry is a day away. The signal comes just before that answer
/// or at any time after it.
#[test]
fn a_signal_ends_a_wait_for_a_retry() {
    let (answered, is_answered) = mpsc::channel();
    let (server, _) = site(move |request, _| {
        answered.send(request.method.clone()).ok();
        Some(Response::status(503))
    });
    let dir = Dir::new("signal-retry");
    dir.write("a.md", list(&[server.url()]));
    let child = command(&dir, &["--json", "--backoff", "86400", "a.md"])
        .spawn()
        .unwrap();
    receive(&is_answered);
    signal(&child, "TERM");
    let output = end_of(child);
    assert_exit(&output, 130);
    assert_eq!(number(&parse(&output), "unchecked"), 1);
}

/// A page without a length ends where its connection does. One that is cut off in the middle is not
/// taken for a whole one, whose anchors would be missing.
#[test]
fn a_signal_cuts_a_page_off() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (written, is_written) = mpsc::channel();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<a href=#end>";
        // More than the system keeps for a reader that has not begun, less than is parsed at most.
        let body = format!("{head}{}", "<p>".repeat(7 << 20).get(..7 << 20).unwrap());
        stream.write_all(body.as_bytes()).unwrap();
        written.send(()).unwrap();
        // Until the other end hangs up.
        stream.read_to_end(&mut Vec::new()).ok();
        stream.write_all(b"<p id=end>").ok();
    };
    let server = thread::Builder::new()
        .name("server".to_owned())
        .spawn(serve)
        .unwrap();
    let dir = Dir::new("cut-off");
    let child = command(&dir, &["--json", "--timeout", "600", &url])
        .spawn()
        .unwrap();
    receive(&is_written);
    signal(&child, "INT");
    let output = end_of(child);
    server.join().unwrap();
    assert_exit(&output, 130);
    let report = parse(&output);
    assert_eq!(report["findings"], Value::Array(Vec::new()));
    assert_eq!(number(&report, "unchecked"), 1, "the start");
}

/// A connect under way cannot be interrupted, so nobody waits for it. (The fault
/// of the other link is known before anything connects: no work is needed to see it.)
#[test]
#[cfg(target_os = "linux")]
fn a_signal_does_not_wait_for_a_connect() {
    interrupt_in_a_connect("connect", |child| signal(child, "INT"));
}

/// As GNU `timeout` sends it: to the process, and to its group. This failed because the second
/// signal ended the program, and what it had found was lost.
#[test]
#[cfg(target_os = "linux")]
fn one_stop_that_comes_as_two_signals_prints_what_was_found() {
    interrupt_in_a_connect("two-signals", signal_twice);
}

#[cfg(target_os = "linux")]
fn interrupt_in_a_connect(test: &str, interrupt: impl Fn(&Child)) {
    let (address, _listener, _backlog) = crowded();
    let dir = Dir::new(test);
    dir.write(
        "a.md",
        list(&[format!("http://{address}/"), "http://[/".into()]),
    );
    let args = ["--json", "--timeout", "86400", "--svg", "a.svg", "a.md"];
    let child = command(&dir, &args).spawn().unwrap();
    // It has sent its SYN, which is state 2, and has no answer.
    let waiting = format!(":{:04X} 02", address.port());
    eventually(|| {
        fs::read_to_string("/proc/net/tcp")
            .unwrap()
            .contains(&waiting)
    });
    interrupt(&child);
    let output = end_of(child);
    assert_exit(&output, 130);
    let report = parse(&output);
    assert_eq!(
        (number(&report, "unchecked"), number(&report, "broken")),
        (1, 1)
    );
    assert_picture(&dir.0.join("a.svg"));
}

/// A listener that accepts nothing, and has as many connections waiting as the system allows: the
/// next one gets no answer.
#[cfg(target_os = "linux")]
fn crowded() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut backlog = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
        backlog.push(stream);
    }
    (address, listener, backlog)
}

/// On a terminal there is a line of progress, and Ctrl-C. One of the links is broken, another is a day
/// away from its retry.
#[test]
#[cfg(target_os = "linux")]
fn a_terminal_sees_its_progress() {
    if Command::new("script").arg("--version").output().is_err() {
        return process::skip("`script`, which gives it a terminal, is not installed");
    }
    let (server, _) = site(|_, _| Some(Response::status(503)));
    let dir = Dir::new("terminal");
    dir.write("a.md", list(&[&*server.url(), "bad.md", "a.md"]));
    let line = format!("stty cols 120; exec '{PROGRAM}' --max 1 --backoff 86400 a.md");
    let mut script = command_of("script", &dir, &["-q", "-e", "-c", &line, "/dev/null"]);
    let mut child = script.stdin(Stdio::piped()).spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let shown = Arc::new(Mutex::new(Vec::new()));
    let show = Arc::clone(&shown);
    let watch = move || {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = screen.read(&mut bytes) {
            show.lock().extend_from_slice(&bytes[..read]);
        }
    };
    let watch = thread::Builder::new()
        .name("screen".to_owned())
        .spawn(watch)
        .unwrap();
    let progress = "2/3 links, 1 broken, actors 1, queued 0, retrying 1";
    eventually(|| text(&shown.lock()).contains(progress));
    keyboard.write_all(b"\x03").unwrap();
    assert_exit(&end_of(child), 130);
    watch.join().unwrap();
    let shown = text(&shown.lock());
    let (before, after) = shown
        .split_once("a.md:2: bad.md: no such file\r\n")
        .unwrap();
    assert!(
        before.ends_with("\r\u{1b}[2K"),
        "a line of its own: {shown:?}"
    );
    assert!(!after.contains('\u{1b}'), "nothing is wiped out: {shown:?}");
    let shown = after;
    assert!(
        shown.contains("good: 1, broken: 1, allowed: 0, skipped: 0, unchecked: 1"),
        "{shown}"
    );
}

/// The reader of its output is gone before there is any, as at the end of `| head`.
#[test]
fn nobody_reads_its_output() {
    let (asked, is_asked) = mpsc::channel();
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (server, _) = site(move |_, _| {
        asked.send(()).ok();
        gate.lock().recv().ok();
        Some(Response::status(410))
    });
    let dir = Dir::new("closed");
    dir.write("a.md", list(&[server.url()]));
    for args in [&["a.md"][..], &["--json", "a.md"]] {
        let mut child = command(&dir, args).spawn().unwrap();
        receive(&is_asked);
        drop(child.stdout.take());
        // With HEAD, and then with GET.
        release.send(()).unwrap();
        receive(&is_asked);
        release.send(()).unwrap();
        let output = end_of(child);
        assert_exit(&output, 141);
        assert_eq!(text(&output.stderr), "");
    }
    let help = text(&linkcheck(&dir, &["--help"]).stdout);
    assert!(help.contains("\n  141  "), "{help}");
}

// --- The demo and its picture -------------------------------------------------------------------

#[test]
fn the_demo_finds_what_it_says() {
    let dir = Dir::new("demo");
    // Less than what the stalled page takes, and more than the default: tests run side by side.
    let args = ["--demo", "--timeout", "2", "--json", "--svg", "demo.svg"];
    let output = end_of(command(&dir, &args).spawn().unwrap());
    assert_exit(&output, 1);
    let report = parse(&output);
    let mut found: Vec<(String, String)> = Vec::new();
    for (link, kind) in kinds(&report) {
        // The sites have other ports on every run.
        let path = link.splitn(4, '/').nth(3).filter(|_| link.contains("://"));
        let path = path.map(str::to_owned);
        found.push((path.unwrap_or(link), kind));
    }
    found.sort();
    let expected = [
        ("", "refused"),
        ("", "tls"),
        ("13.png", "timeout"),
        ("60.png", "status"),
        ("8#sumary", "anchor"),
        ("circle/a", "redirect-loop"),
        ("missing", "status"),
        ("post/50", "status"),
        ("stairs/0", "too-many-redirects"),
        ("v1/99", "status"),
    ];
    assert_eq!(
        found,
        expected.map(|(link, kind)| (link.to_owned(), kind.to_owned()))
    );
    assert_eq!(
        (number(&report, "documents"), number(&report, "unchecked")),
        (133, 0)
    );
    assert_eq!(
        number(&report, "most_actors"),
        16,
        "it grows to its maximum"
    );
    assert!(number(&report, "held") > 0, "it is full at times");
    assert!(number(&report, "retries") >= 33, "{report:#}");
    assert_picture(&dir.0.join("demo.svg"));
}

#[test]
fn the_picture_in_the_repository_is_one() {
    assert_picture(&Path::new(env!("CARGO_MANIFEST_DIR")).join("demo.svg"));
}

/// That a picture cannot be written is known before the check, not after it.
#[test]
fn a_picture_that_cannot_be_written_costs_no_check() {
    let (server, counts) = site(|_, _| Some(Response::status(200)));
    let dir = Dir::new("no-svg");
    dir.write("a.md", list(&[server.url()]));
    let output = linkcheck(&dir, &["--svg", "no/where.svg", "a.md"]);
    assert_exit(&output, 2);
    assert_says(&output, "--svg: \"no/where.svg\": No such file");
    assert!(counts.lock().is_empty());
}

/// This failed because the file was opened before the rest was looked at.
#[test]
fn a_wrong_command_line_leaves_no_empty_picture() {
    let dir = Dir::new("wrong-svg");
    dir.write("a.md", "");
    for wrong in [["--max", "0"], ["--min", "17"], ["--ca", "no.pem"]] {
        let args = [&["--svg", "a.svg"][..], &wrong, &["a.md"]].concat();
        assert_exit(&linkcheck(&dir, &args), 2);
        assert!(!dir.0.join("a.svg").exists(), "{wrong:?}");
    }
}

/// The disk may be full in the end: the findings are there all the same.
#[test]
#[cfg(target_os = "linux")]
fn a_picture_that_fails_costs_no_findings() {
    let dir = Dir::new("full-disk");
    dir.write("a.md", "[bad](bad.md)");
    let output = linkcheck(&dir, &["--svg", "/dev/full", "a.md"]);
    assert_exit(&output, 2);
    assert_says(&output, "--svg: \"/dev/full\": ");
    assert_eq!(text(&output.stdout), "a.md:1: bad.md: no such file\n");
    assert_says(&output, "links: 1, good: 0, broken: 1");
}

/// The shortest run that there is has a picture, too.
#[test]
fn a_picture_of_next_to_nothing() {
    let dir = Dir::new("svg");
    dir.write("a.md", "[a](a.md)");
    let output = linkcheck(&dir, &["--svg", "a.svg", "--mailbox", "0", "a.md"]);
    assert_exit(&output, 0);
    assert_picture(&dir.0.join("a.svg"));
}

/// Well-formed, not too large, and with all that has to be in it.
#[track_caller]
fn assert_picture(path: &Path) {
    let svg = fs::read_to_string(path).unwrap();
    assert!(svg.len() <= 100_000, "{} bytes", svg.len());
    for words in [
        "seconds",
        "actors",
        "of them busy",
        "queued in mailboxes",
        "backing off before",
    ] {
        assert!(svg.contains(words), "no {words:?}");
    }
    assert_well_formed(&svg);
}

/// Every tag is closed in turn, every attribute quoted, and no text has a bare `<` or `&`.
#[track_caller]
fn assert_well_formed(mut xml: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut roots = 0;
    while let Some((text, rest)) = xml.split_once('<') {
        assert!(!has_bare_ampersand(text), "{text:?}");
        assert!(
            !open.is_empty() || text.trim().is_empty(),
            "text outside: {text:?}"
        );
        let (tag, rest) = rest.split_once('>').expect("a tag ends");
        xml = rest;
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name.trim()));
            continue;
        }
        let (name, attributes) = tag
            .trim_end_matches('/')
            .split_once([' ', '\n'])
            .unwrap_or((tag.trim_end_matches('/'), ""));
        let pieces: Vec<&str> = attributes.split('"').collect();
        assert!(pieces.len() % 2 == 1, "an odd quote: {tag:?}");
        for name in pieces
            .iter()
            .step_by(2)
            .filter(|name| !name.trim().is_empty())
        {
            assert!(name.ends_with('='), "no value: {tag:?}");
        }
        assert!(!has_bare_ampersand(attributes), "{tag:?}");
        roots += usize::from(open.is_empty());
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty() && roots == 1 && xml.trim().is_empty());
}

fn has_bare_ampersand(text: &str) -> bool {
    text.split('&').skip(1).any(|rest| {
        let name = rest.split(';').next().unwrap_or_default();
        let is_name = name.starts_with('#') || ["amp", "lt", "gt", "quot", "apos"].contains(&name);
        !rest.contains(';') || !is_name
    })
}

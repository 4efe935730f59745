//! `--demo`: a flaky web of four sites on loopback. See the table in `main.rs` for what is wrong
//! with it; everything else is well, if sometimes only when asked again.

use std::{
    io,
    net::TcpListener,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::Duration,
};

use troupe_pool::BoxError;
use url::Url;

use crate::server::{Request, Response, Server};

const CHAPTERS: usize = 12;
const SECTIONS: usize = 10;
const POSTS: usize = CHAPTERS * SECTIONS;

/// Longer than the demo's timeout.
const STALLED: Duration = Duration::from_millis(2500);

/// The sites live as long as this.
#[derive(Debug)]
pub(crate) struct Demo {
    docs: Server,
    _others: [Server; 3],
}

impl Demo {
    pub(crate) fn start() -> Result<Self, BoxError> {
        // All addresses first, for the pages name each other.
        let listeners = [listen()?, listen()?, listen()?, listen()?];
        let mut addresses = Vec::new();
        for listener in &listeners {
            addresses.push(format!("http://{}", listener.local_addr()?));
        }
        let [docs, blog, api, images] = listeners;
        let (hits, flaky) = (Hits::default(), Hits::default());
        Ok(Demo {
            docs: Server::start(docs, Ok, move |request| docs_page(request, &addresses))?,
            _others: [
                Server::start(blog, Ok, move |request| blog_post(request, &hits))?,
                Server::start(api, Ok, move |request| api_call(request, &flaky))?,
                Server::start(images, Ok, image)?,
            ],
        })
    }

    pub(crate) fn url(&self) -> Result<Url, url::ParseError> {
        Url::parse(&self.docs.url())
    }
}

fn listen() -> io::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0")
}

/// How often each number has been asked for: twice by a first attempt that fails, with HEAD and GET.
#[derive(Debug)]
struct Hits(Box<[AtomicU32]>);

impl Default for Hits {
    fn default() -> Self {
        Hits((0..=POSTS).map(|_| AtomicU32::new(0)).collect())
    }
}

impl Hits {
    /// The first is 1.
    fn count(&self, number: usize) -> u32 {
        self.0
            .get(number)
            .map_or(1, |hits| 1 + hits.fetch_add(1, Relaxed))
    }
}

/// The site that is crawled: a book of chapters and sections.
fn docs_page(request: &Request, sites: &[String]) -> Option<Response> {
    let parts: Vec<&str> = request.path.split('/').skip(1).collect();
    take_time(20, 60, request);
    Some(match parts[..] {
        [""] => Response::html(contents(sites)),
        ["old"] => Response::redirect("/chapter/1"),
        ["circle", "a"] => Response::redirect("b"),
        ["circle", "b"] => Response::redirect("a"),
        ["stairs", step] => {
            let step: usize = step.parse().ok()?;
            Response::redirect((step + 1).to_string())
        }
        ["chapter", chapter] => Response::html(chapter_page(chapter.parse().ok()?)),
        ["chapter", chapter, section] => {
            let post =
                (chapter.parse::<usize>().ok()? - 1) * SECTIONS + section.parse::<usize>().ok()?;
            Response::html(section_page(post, sites))
        }
        _ => Response::status(404),
    })
}

fn contents(sites: &[String]) -> String {
    let mut page = "<!doctype html>\n<h1 id=contents>Contents</h1>\n".to_owned();
    for chapter in 1..=CHAPTERS {
        page += &format!("<a href=/chapter/{chapter}#summary>Chapter {chapter}</a>\n");
    }
    for (link, text) in [
        ("#contents", "top"),
        ("old", "an old name"),
        ("missing", "a page that is gone"),
        ("circle/a", "a circle"),
        ("stairs/0", "stairs without an end"),
        ("http://127.0.0.1:1/", "a port where nobody listens"),
        ("mailto:docs@example.org", "the author"),
    ] {
        page += &format!("<a href=\"{link}\">{text}</a>\n");
    }
    let plain = sites[0].trim_start_matches("http");
    page + &format!("<a href=\"https{plain}/\">a site without TLS</a>\n")
}

fn chapter_page(chapter: usize) -> String {
    let mut page =
        format!("<!doctype html>\n<h1>Chapter {chapter}</h1>\n<h2 id=summary>Summary</h2>\n");
    for section in 1..=SECTIONS {
        page += &format!("<a href=\"{chapter}/{section}\">Section {section}</a>\n");
    }
    let next = chapter % CHAPTERS + 1;
    let anchor = if chapter == 7 { "sumary" } else { "summary" };
    page + &format!("<a href=\"{next}#{anchor}\">next</a>\n")
}

fn section_page(post: usize, sites: &[String]) -> String {
    let [_, blog, api, images] = sites else {
        return String::new();
    };
    format!(
        "<!doctype html>\n<a href=\"{blog}/post/{post}\">discussion</a>\n\
         <a href=\"{api}/v1/{post}\">raw</a>\n<img src=\"{images}/{post}.png\">\n<a href=/>contents</a>\n"
    )
}

/// One in eight is too busy at first; one is gone, and one hangs up once.
fn blog_post(request: &Request, hits: &Hits) -> Option<Response> {
    let post = number(&request.path)?;
    let hit = hits.count(post);
    take_time(30, 120, request);
    match post {
        50 => Some(Response::status(410)),
        77 if hit <= 2 => None,
        40 if hit == 1 => Some(Response::status(429).with("Retry-After", "1")),
        _ if post % 8 == 3 && hit <= 2 => Some(Response::status(503)),
        _ => Some(Response::html("a post")),
    }
}

/// One in ten fails at first; one always does. None needs the last attempt that the default grants:
/// on a busy machine any may be spent on a timeout.
fn api_call(request: &Request, hits: &Hits) -> Option<Response> {
    let call = number(&request.path)?;
    let hit = hits.count(call);
    take_time(30, 120, request);
    Some(match call {
        99 => Response::status(500),
        _ if call % 10 == 7 && hit <= 2 => Response::status(502),
        _ => Response::html("{}").with("X-Call", call.to_string()),
    })
}

/// One in four is on a server that does not know HEAD; one never comes.
fn image(request: &Request) -> Option<Response> {
    let image = number(&request.path)?;
    if image == 13 {
        pause(STALLED);
    }
    take_time(20, 100, request);
    Some(match image {
        _ if image % 4 == 0 && request.method == "HEAD" => Response::status(405),
        60 => Response::status(404),
        _ => Response::status(200),
    })
}

fn number(path: &str) -> Option<usize> {
    let digits: String = path
        .rsplit('/')
        .next()?
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

/// Between so many milliseconds, the same for the same request.
fn take_time(least: u64, most: u64, request: &Request) {
    let mixed = request.path.bytes().fold(17_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    pause(Duration::from_millis(least + mixed % (most - least)));
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server that takes its time is what the demo is about"
)]
fn pause(time: Duration) {
    thread::sleep(time);
}

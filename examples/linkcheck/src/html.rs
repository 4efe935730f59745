//! The links and the anchors of an HTML document.

use std::{collections::HashSet, convert::Infallible};

use html5gum::{
    Span, Tokenizer,
    emitters::callback::{CallbackEmitter, CallbackEvent},
};

use crate::{
    page::{Anchors, Format, Lines, Page, Written},
    slug::Slugs,
};

/// Relations of a `<link>` whose address is a hint to connect, not a document.
const HINTS: [&str; 2] = ["preconnect", "dns-prefetch"];

pub(crate) fn parse(text: &str) -> Page {
    let lines = Lines::of(text);
    scan(text, Format::Html, |byte| Some(lines.at(byte)))
}

/// Scans HTML: a document, or what a Markdown document is rendered to, whose headings have anchors.
/// `line_of` returns the line of a byte, or `None` if the author did not write it.
pub(crate) fn scan(text: &str, format: Format, line_of: impl Fn(usize) -> Option<usize>) -> Page {
    let mut reader = Reader {
        line_of,
        tag: Tag::default(),
        links: Vec::new(),
        names: HashSet::new(),
        base: None,
        is_refreshed: false,
        heading: None,
        slugs: (format == Format::Markdown).then(Slugs::default),
    };
    let mut emitter = CallbackEmitter::new(
        |event: CallbackEvent<'_>, span: Span<usize>| -> Option<Infallible> {
            reader.take(event, span.start);
            None
        },
    );
    // Links within a script are strings of a program.
    emitter.naively_switch_states(true);
    // It has no tokens of its own to give.
    Tokenizer::new_with_emitter(text, emitter).for_each(|token| match token {
        Ok(never) | Err(never) => match never {},
    });
    reader.end_heading();
    Page {
        is_document: true,
        is_cut_off: false,
        links: reader.links,
        // Fragments of links to this page mean the page that it leads to.
        anchors: if reader.is_refreshed {
            Anchors::Unknown
        } else {
            Anchors::Named(format, reader.names)
        },
        base: reader.base,
    }
}

#[derive(Debug)]
struct Reader<L> {
    line_of: L,
    tag: Tag,
    links: Vec<Written>,
    names: HashSet<String>,
    base: Option<String>,
    is_refreshed: bool,
    /// The text of the heading that is being read.
    heading: Option<String>,
    /// None if headings have no anchors.
    slugs: Option<Slugs>,
}

/// The start tag that is being read.
#[derive(Debug, Default)]
struct Tag {
    name: Vec<u8>,
    attribute: Vec<u8>,
    /// Each attribute that has an address, with its byte and its value.
    found: Vec<(Attribute, usize, String)>,
    is_hint: bool,
    is_refresh: bool,
}

/// An attribute that has an address, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attribute {
    Href,
    XlinkHref,
    Src,
    Data,
    Poster,
    Srcset,
    Imagesrcset,
    /// Of a `<meta>`: after a number of seconds, the browser goes there.
    Content,
}

impl Attribute {
    /// Addresses of what a browser shows, and of where it leads. Those that scripts, styles and
    /// forms ask for are not looked at.
    fn of(tag: &[u8], attribute: &[u8]) -> Option<Self> {
        match (attribute, tag) {
            (b"href", b"a" | b"area" | b"link" | b"base" | b"image") => Some(Attribute::Href),
            (b"xlink:href", b"a" | b"image") => Some(Attribute::XlinkHref),
            (
                b"src",
                b"img" | b"script" | b"iframe" | b"frame" | b"audio" | b"video" | b"source"
                | b"track" | b"embed" | b"input",
            ) => Some(Attribute::Src),
            (b"data", b"object") => Some(Attribute::Data),
            (b"poster", b"video") => Some(Attribute::Poster),
            (b"srcset", b"img" | b"source") => Some(Attribute::Srcset),
            (b"imagesrcset", b"link") => Some(Attribute::Imagesrcset),
            (b"content", b"meta") => Some(Attribute::Content),
            _ => None,
        }
    }
}

impl Tag {
    fn clear(&mut self) {
        self.name.clear();
        self.attribute.clear();
        self.found.clear();
        self.is_hint = false;
        self.is_refresh = false;
    }
}

impl<L: Fn(usize) -> Option<usize>> Reader<L> {
    fn take(&mut self, event: CallbackEvent<'_>, byte: usize) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.tag.clear();
                self.tag.name.extend_from_slice(name);
                if self.slugs.is_some() && is_heading(name) {
                    self.end_heading();
                    self.heading = Some(String::new());
                }
            }
            CallbackEvent::AttributeName { name } => {
                self.tag.attribute.clear();
                self.tag.attribute.extend_from_slice(name);
            }
            CallbackEvent::AttributeValue { value } => {
                self.take_value(&String::from_utf8_lossy(value), byte);
            }
            CallbackEvent::CloseStartTag { .. } => {
                self.take_links();
                // An end tag may have attributes, and they mean nothing.
                self.tag.clear();
            }
            CallbackEvent::String { value } => {
                if let Some(heading) = &mut self.heading {
                    heading.push_str(&String::from_utf8_lossy(value));
                }
            }
            CallbackEvent::EndTag { name } if is_heading(name) => self.end_heading(),
            _ => {}
        }
    }

    fn take_value(&mut self, value: &str, byte: usize) {
        let tag = &mut self.tag;
        let attribute = &*tag.attribute;
        if let Some(attribute) = Attribute::of(&tag.name, attribute) {
            // The first of equal attributes counts.
            if tag.found.iter().all(|(found, ..)| *found != attribute) {
                tag.found.push((attribute, byte, value.to_owned()));
            }
        } else if attribute == b"id" && !tag.name.is_empty()
            || attribute == b"name" && tag.name == b"a"
        {
            self.names.insert(value.to_owned());
        } else if attribute == b"rel" && tag.name == b"link" {
            tag.is_hint = value
                .split_ascii_whitespace()
                .any(|relation| HINTS.contains(&&*relation.to_ascii_lowercase()));
        } else if attribute == b"http-equiv" && tag.name == b"meta" {
            tag.is_refresh = value.eq_ignore_ascii_case("refresh");
        }
    }

    /// The start tag is complete.
    fn take_links(&mut self) {
        if self.tag.is_hint {
            return;
        }
        for (attribute, byte, value) in self.tag.found.drain(..) {
            let Some(line) = (self.line_of)(byte) else {
                continue;
            };
            let mut add = |target: &str| {
                self.links.push(Written {
                    line,
                    target: target.to_owned(),
                });
            };
            match attribute {
                Attribute::Srcset | Attribute::Imagesrcset => candidates(&value).for_each(add),
                Attribute::Content => {
                    if let Some(target) = refresh(&value).filter(|_| self.tag.is_refresh) {
                        add(target);
                        self.is_refreshed = true;
                    }
                }
                _ if self.tag.name == b"base" => {
                    self.base.get_or_insert(value);
                }
                _ => self.links.push(Written {
                    line,
                    target: value,
                }),
            }
        }
    }

    fn end_heading(&mut self) {
        if let (Some(title), Some(slugs)) = (self.heading.take(), &mut self.slugs) {
            self.names.insert(slugs.anchor(&title));
        }
    }
}

fn is_heading(name: &[u8]) -> bool {
    matches!(name, [b'h', b'1'..=b'6'])
}

/// The addresses of a `srcset`: each ends with a comma, or goes to the next blank and has
/// descriptors up to the next comma.
fn candidates(srcset: &str) -> impl Iterator<Item = &str> {
    let mut rest = srcset;
    std::iter::from_fn(move || {
        rest =
            rest.trim_start_matches(|symbol: char| symbol == ',' || symbol.is_ascii_whitespace());
        let end = rest.find(|symbol: char| symbol.is_ascii_whitespace());
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        let address = word.trim_end_matches(',');
        rest = if address.len() < word.len() {
            after
        } else {
            // No descriptor that browsers know has a comma in parentheses.
            after.split_once(',').map_or("", |(_, rest)| rest)
        };
        (!address.is_empty()).then_some(address)
    })
}

/// The address in `<meta http-equiv="refresh" content="0; url='..'">`.
fn refresh(content: &str) -> Option<&str> {
    let content = content.trim_ascii();
    let after = content.trim_start_matches(|symbol: char| symbol == '.' || symbol.is_ascii_digit());
    let rest = after.trim_ascii_start();
    let is_separated = rest.len() < after.len() || rest.starts_with([';', ',']);
    if after.len() == content.len() || !is_separated {
        // There is no time, or no separator after it.
        return None;
    }
    let rest = rest.strip_prefix([';', ',']).unwrap_or(rest);
    let rest = rest.trim_ascii_start();
    let address = match rest.split_once('=') {
        Some((name, address)) if name.trim_end().eq_ignore_ascii_case("url") => {
            address.trim_start()
        }
        _ => rest,
    };
    let address = match address.chars().next() {
        Some(quote @ ('"' | '\'')) => address[1..].split(quote).next()?,
        _ => address,
    };
    (!address.is_empty()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::{Anchors, Page, candidates, parse};

    fn links(page: &Page) -> Vec<(usize, &str)> {
        let links = page.links.iter();
        links.map(|link| (link.line, &*link.target)).collect()
    }

    #[test]
    fn finds_links_anchors_and_the_base() {
        let page = parse(
            "<!doctype html><base href='/sub/'>\n<a name=old href=one?a=1&amp;b=2>x</a>\n\
             <IMG alt='' \n SRC=\"two.png\">\n<!-- <a href=commented> -->\n\
             <script>'<a href=in-a-script>'</script><h2 id=title>t</h2>\n\
             <link rel=preconnect href=https://example.org><a>none</a><a href>empty</a>\n\
             <h2>no anchor</h2><p></p id=end href=end>",
        );
        assert_eq!(links(&page), [(2, "one?a=1&b=2"), (4, "two.png")]);
        assert_eq!(page.base.as_deref(), Some("/sub/"));
        let Anchors::Named(_, names) = page.anchors else {
            panic!("a document has anchors");
        };
        assert_eq!(names, ["old", "title"].map(String::from).into());
    }

    #[test]
    fn finds_every_address_that_a_browser_asks_for() {
        let page = parse(
            "<img src=1 srcset='2, 3 2x,4 3x'>\n<picture><source srcset=\"5 100w,\n 6\"></picture>\n\
             <video poster=7 src=8><track src=9></video>\n<frameset><frame src=10></frameset>\n\
             <input type=image src=11><link rel=preload imagesrcset='12 2x' href=13>\n\
             <svg><a xlink:href=14>x</a><image href=15 /></svg>\n<a href=16 href=no>\n\
             <img srcset='data:,a,b 1x'>",
        );
        let targets: Vec<_> = links(&page).iter().map(|&(_, target)| target).collect();
        let numbers: Vec<_> = (1..=16).map(|number| number.to_string()).collect();
        assert_eq!(targets[..16], numbers);
        assert_eq!(targets[16..], ["data:,a,b"]);
    }

    #[test]
    fn a_srcset_is_taken_apart() {
        let apart = |srcset| candidates(srcset).collect::<Vec<_>>();
        assert_eq!(apart(""), [""; 0]);
        assert_eq!(apart(" , "), [""; 0]);
        assert_eq!(apart("a"), ["a"]);
        assert_eq!(apart("a,b"), ["a,b"], "a comma is a part of an address");
        assert_eq!(apart("a, b"), ["a", "b"]);
        assert_eq!(apart("a 1x,b 2x , c\n3x"), ["a", "b", "c"]);
    }

    /// Its target is checked as a link, and any fragment of the page itself is good.
    #[test]
    fn a_page_that_leads_to_another_is_no_end() {
        for (content, expected) in [
            ("0; URL=new", Some("new")),
            ("0;url='new'", Some("new")),
            ("5, new", Some("new")),
            ("0 url=new", Some("new")),
            (" .5\tnew", Some("new")),
            ("1.5 ; 'new' ", Some("new")),
            ("5;;new", Some(";new")),
            ("5", None),
            ("; url=new", None),
            ("url=new", None),
            ("0url=new", None),
            ("0; url=", None),
        ] {
            let page = parse(&format!("<meta http-equiv=Refresh content=\"{content}\">"));
            assert_eq!(links(&page), Vec::from_iter(expected.map(|new| (1, new))));
            assert_eq!(page.anchors.have("any"), expected.is_some(), "{content}");
        }
        let page = parse("<meta name=description content='0; url=new'>");
        assert_eq!(links(&page), []);
    }
}

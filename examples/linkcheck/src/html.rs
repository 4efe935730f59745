//! The links and the anchors of an HTML document.

use std::{collections::HashSet, convert::Infallible};

use html5gum::{
    Span, Tokenizer,
    emitters::callback::{CallbackEmitter, CallbackEvent},
};

use crate::page::{Anchors, Lines, Page, Written};

/// Where HTML keeps links. `srcset`, and what scripts and styles ask for, are not looked at.
const LINKS: [(&[u8], &[u8]); 11] = [
    (b"a", b"href"),
    (b"area", b"href"),
    (b"link", b"href"),
    (b"img", b"src"),
    (b"script", b"src"),
    (b"iframe", b"src"),
    (b"audio", b"src"),
    (b"video", b"src"),
    (b"source", b"src"),
    (b"embed", b"src"),
    (b"object", b"data"),
];

/// Relations of a `<link>` whose address is a hint to connect, not a document.
const HINTS: [&str; 2] = ["preconnect", "dns-prefetch"];

pub(crate) fn parse(text: &str) -> Page {
    let lines = Lines::of(text);
    let mut names = HashSet::new();
    let (links, base) = scan(text, &mut names, |byte| lines.at(byte));
    Page {
        is_document: true,
        links,
        anchors: Anchors::Named(names),
        base,
    }
}

/// The links and the base of a piece of HTML, which may be a piece of Markdown too. Adds its
/// anchors to `names`.
pub(crate) fn scan(
    text: &str,
    names: &mut HashSet<String>,
    line_of: impl Fn(usize) -> usize,
) -> (Vec<Written>, Option<String>) {
    let (mut links, mut base) = (Vec::new(), None);
    let mut tag = Tag::default();
    let mut emitter = CallbackEmitter::new(
        |event: CallbackEvent<'_>, span: Span<usize>| -> Option<Infallible> {
            match event {
                CallbackEvent::OpenStartTag { name } => {
                    tag = Tag::default();
                    tag.name.extend_from_slice(name);
                }
                CallbackEvent::AttributeName { name } => {
                    tag.attribute.clear();
                    tag.attribute.extend_from_slice(name);
                }
                CallbackEvent::AttributeValue { value } => {
                    let value = String::from_utf8_lossy(value).into_owned();
                    tag.take(value, span.start, names);
                }
                CallbackEvent::CloseStartTag { .. } => match tag.link.take() {
                    Some((_, target)) if tag.name == b"base" => {
                        base.get_or_insert(target);
                    }
                    Some((byte, target)) if !tag.is_hint => links.push(Written {
                        line: line_of(byte),
                        target,
                    }),
                    _ => {}
                },
                _ => {}
            }
            None
        },
    );
    // Links within a script are strings of a program.
    emitter.naively_switch_states(true);
    // It has no tokens of its own to give.
    Tokenizer::new_with_emitter(text, emitter).for_each(|token| match token {
        Ok(never) | Err(never) => match never {},
    });
    (links, base)
}

/// The start tag that is being read.
#[derive(Debug, Default)]
struct Tag {
    name: Vec<u8>,
    attribute: Vec<u8>,
    link: Option<(usize, String)>,
    is_hint: bool,
}

impl Tag {
    fn take(&mut self, value: String, byte: usize, names: &mut HashSet<String>) {
        let (name, attribute) = (&*self.name, &*self.attribute);
        let is_anchor = attribute == b"id" || (name == b"a" && attribute == b"name");
        let is_base = name == b"base" && attribute == b"href";
        if is_anchor {
            names.insert(value);
        } else if is_base || LINKS.contains(&(name, attribute)) {
            self.link.get_or_insert((byte, value));
        } else if name == b"link" && attribute == b"rel" {
            self.is_hint = value
                .split_ascii_whitespace()
                .any(|relation| HINTS.contains(&&*relation.to_ascii_lowercase()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Anchors, parse};

    #[test]
    fn finds_links_anchors_and_the_base() {
        let page = parse(
            "<!doctype html><base href='/sub/'>\n<a name=old href=one?a=1&amp;b=2>x</a>\n\
             <IMG alt='' \n SRC=\"two.png\">\n<!-- <a href=commented> -->\n\
             <script>'<a href=in-a-script>'</script><h2 id=title>t</h2>\n\
             <link rel=preconnect href=https://example.org><a>none</a><a href>empty</a>",
        );
        let links: Vec<_> = page
            .links
            .iter()
            .map(|link| (link.line, &*link.target))
            .collect();
        assert_eq!(links, [(2, "one?a=1&b=2"), (4, "two.png")]);
        assert_eq!(page.base.as_deref(), Some("/sub/"));
        let Anchors::Named(names) = page.anchors else {
            panic!("a document has anchors");
        };
        assert_eq!(names, ["old", "title"].map(String::from).into());
    }
}

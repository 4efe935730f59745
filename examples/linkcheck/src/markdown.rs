//! The links and the anchors of a Markdown document, as GitHub shows it.

use std::collections::HashSet;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::{
    html,
    page::{Anchors, Lines, Page, Written},
};

pub(crate) fn parse(text: &str) -> Page {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM;
    let lines = Lines::of(text);
    let mut links = Vec::new();
    let mut names = HashSet::new();
    let mut heading: Option<String> = None;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(
                Tag::Link {
                    link_type,
                    dest_url,
                    ..
                }
                | Tag::Image {
                    link_type,
                    dest_url,
                    ..
                },
            ) if link_type != LinkType::Email => links.push(Written {
                line: lines.at(range.start),
                target: dest_url.into_string(),
            }),
            // A block as a whole: its events are its lines, and a tag may be longer than a line.
            Event::Start(Tag::HtmlBlock) | Event::InlineHtml(_) => {
                let line_of = |byte| lines.at(range.start + byte);
                let (found, _) = html::scan(&text[range.clone()], &mut names, line_of);
                links.extend(found);
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                if let Some(title) = heading.take() {
                    add_anchor(&mut names, slug(&title));
                }
            }
            Event::Text(piece) | Event::Code(piece) => {
                if let Some(title) = &mut heading {
                    title.push_str(&piece);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(title) = &mut heading {
                    title.push(' ');
                }
            }
            _ => {}
        }
    }
    Page {
        is_document: true,
        links,
        anchors: Anchors::Named(names),
        base: None,
    }
}

/// The second heading of a name gets `-1`, the third `-2`.
fn add_anchor(names: &mut HashSet<String>, slug: String) {
    let mut name = slug.clone();
    let mut times = 0;
    while !names.insert(name) {
        times += 1;
        name = format!("{slug}-{times}");
    }
}

/// GitHub's: lower case, punctuation left out, blanks to hyphens.
fn slug(title: &str) -> String {
    title
        .trim()
        .to_lowercase()
        .chars()
        .filter(|&symbol| symbol.is_alphanumeric() || matches!(symbol, '-' | '_' | ' '))
        .map(|symbol| if symbol == ' ' { '-' } else { symbol })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{parse, slug};

    #[test]
    fn finds_links_of_every_kind() {
        let page = parse(
            "# One [a](a.md)\n\n[b]: b.md 'title'\n\nsee [b], [text][b]\nand ![c](<c d.png>)\n\n\
             `[no](code)` <https://example.org/> <me@example.org>\n\n```\n[no](fenced)\n```\n\n\
             <p>\n<a\nhref=\"d.html\">d</a>\n</p>\n\nan <img src=e.png> and \\[no](escaped\\)\n",
        );
        let links: Vec<_> = page
            .links
            .iter()
            .map(|link| (link.line, &*link.target))
            .collect();
        assert_eq!(
            links,
            [
                (1, "a.md"),
                (5, "b.md"),
                (5, "b.md"),
                (6, "c d.png"),
                (8, "https://example.org/"),
                (16, "d.html"),
                (19, "e.png"),
            ]
        );
    }

    #[test]
    fn anchors_are_those_of_github() {
        let page = parse(
            "# One, `two`: *three*!\n## Same\n## Same\n### Same\nSetext\n===\n\n<a name=\"old\"></a>\n\
             # [linked](x) title\n```\n# no heading\n```\n",
        );
        for name in [
            "one-two-three",
            "same",
            "same-1",
            "same-2",
            "setext",
            "old",
            "linked-title",
        ] {
            assert!(page.anchors.have(name), "{name}");
        }
        assert!(!page.anchors.have("no-heading"));
        assert_eq!(
            slug("What's new_in  C++ \u{e9}\u{c9}?"),
            "whats-new_in--c-\u{e9}\u{e9}"
        );
    }
}

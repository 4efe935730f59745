//! The links and the anchors of a Markdown document, as GitHub shows it.
//!
//! A document is rendered, and then read as any HTML. So HTML in Markdown is what a browser takes
//! it for, however Markdown has cut it up, and its headings are headings too.

use std::{
    cell::Cell,
    fmt::{self, Write},
};

use comrak::{
    Arena, Node, Options,
    html::{self as render, ChildRendering, Context},
    nodes::NodeValue,
    options::Plugins,
    parse_document,
};

use crate::{
    html,
    page::{Format, Lines, Page},
};

/// Tags that GitHub shows as text.
const SHOWN: [&str; 9] = [
    "title",
    "textarea",
    "style",
    "xmp",
    "iframe",
    "noembed",
    "noframes",
    "script",
    "plaintext",
];

pub(crate) fn parse(text: &str) -> Page {
    let options = options();
    let arena = Arena::new();
    let document = parse_document(&arena, text, &options);
    let length = Cell::new(0);
    let mut output = Output {
        html: String::new(),
        length: &length,
    };
    let marks = Marks {
        length: &length,
        marks: Vec::new(),
    };
    let plugins = Plugins::default();
    let rendered = render::format_document_with_formatter(
        document,
        &options,
        &mut output,
        &plugins,
        format_node,
        marks,
    );
    let marks = rendered.map(|marks| marks.marks).unwrap_or_default();
    let html = output.html;
    let lines = Lines::of(&html);
    let mut page = html::scan(&html, Format::Markdown, |byte| {
        let index = marks.partition_point(|mark| mark.byte <= byte);
        let mark = marks[..index].last()?;
        Some(mark.line? + lines.at(byte) - lines.at(mark.byte))
    });
    // GitHub removes `<base>`.
    page.base = None;
    // Footnotes are rendered at the end.
    page.links.sort_by_key(|link| link.line);
    page
}

fn options() -> Options<'static> {
    let mut options = Options::default();
    let extension = &mut options.extension;
    extension.alerts = true;
    extension.autolink = true;
    extension.footnotes = true;
    extension.front_matter_delimiter = Some("---".to_owned());
    extension.strikethrough = true;
    extension.table = true;
    extension.tasklist = true;
    options.render.r#unsafe = true;
    options
}

/// The rendered document, whose length the formatter knows.
struct Output<'l> {
    html: String,
    length: &'l Cell<usize>,
}

impl Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.html.push_str(text);
        self.length.set(self.html.len());
        Ok(())
    }
}

/// Tells which line of the source a byte of the rendered document comes from.
struct Marks<'l> {
    length: &'l Cell<usize>,
    marks: Vec<Mark>,
}

struct Mark {
    /// The first byte that it is about.
    byte: usize,
    /// `None` for what the renderer adds, such as the links to and from a footnote.
    line: Option<usize>,
}

fn format_node(
    context: &mut Context<'_, '_, Marks<'_>>,
    node: Node<'_>,
    entering: bool,
) -> Result<ChildRendering, fmt::Error> {
    let data = node.data();
    let line = data.sourcepos.start.line;
    match &data.value {
        NodeValue::Link(link) if entering => write_tag(context, line, "a href", &link.url)?,
        NodeValue::Link(_) => context.write_str("</a>")?,
        NodeValue::Image(image) if entering => {
            write_tag(context, line, "img src", &image.url)?;
            return Ok(ChildRendering::Skip);
        }
        NodeValue::Image(_) => {}
        NodeValue::HtmlBlock(block) if entering => {
            context.cr()?;
            write_html(context, line, &block.literal)?;
            context.cr()?;
        }
        NodeValue::HtmlInline(literal) if entering => write_html(context, line, literal)?,
        NodeValue::HtmlBlock(_) | NodeValue::HtmlInline(_) => {}
        _ => {
            drop(data);
            return render::format_node_default(context, node, entering);
        }
    }
    Ok(ChildRendering::HTML)
}

/// The address as it is written. comrak would encode it, and the user looks for what is in the
/// document.
fn write_tag(
    context: &mut Context<'_, '_, Marks<'_>>,
    line: usize,
    tag: &str,
    address: &str,
) -> fmt::Result {
    mark(context, Some(line));
    write!(context, "<{tag}=\"")?;
    context.escape(address)?;
    context.write_str("\">")?;
    mark(context, None);
    Ok(())
}

fn write_html(context: &mut Context<'_, '_, Marks<'_>>, line: usize, html: &str) -> fmt::Result {
    mark(context, Some(line));
    let mut pieces = html.split('<');
    context.write_str(pieces.next().unwrap_or_default())?;
    for piece in pieces {
        context.write_str(if is_shown(piece) { "&lt;" } else { "<" })?;
        context.write_str(piece)?;
    }
    mark(context, None);
    Ok(())
}

fn mark(context: &mut Context<'_, '_, Marks<'_>>, line: Option<usize>) {
    let byte = context.user.length.get();
    context.user.marks.push(Mark { byte, line });
}

/// Whether what follows a `<` is the name of a tag that is shown as text.
fn is_shown(tag: &str) -> bool {
    let tag = tag.strip_prefix('/').unwrap_or(tag);
    let end = tag.find(|symbol: char| !symbol.is_ascii_alphanumeric());
    let (name, rest) = tag.split_at(end.unwrap_or(tag.len()));
    let is_whole = rest.starts_with(|symbol: char| symbol == '>' || symbol.is_ascii_whitespace())
        || rest.starts_with("/>");
    is_whole && SHOWN.iter().any(|shown| name.eq_ignore_ascii_case(shown))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::page::Anchors;

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
                (8, "mailto:me@example.org"),
                (16, "d.html"),
                (19, "e.png"),
            ]
        );
    }

    /// A script is shown as text on GitHub, so what is in it is HTML.
    #[test]
    fn tags_that_are_shown_as_text_have_no_links() {
        let page = parse(
            "<script src=no.js><a href=a.md></script>\n\na <ScRiPt\nsrc=no.js> <scripts id=b> </title>\n\n\
             ## The <title> of <xmp/> it\n",
        );
        let targets: Vec<_> = page.links.iter().map(|link| &*link.target).collect();
        assert_eq!(targets, ["a.md"]);
        let Anchors::Named(_, names) = page.anchors else {
            panic!("a document has anchors");
        };
        let expected = ["b", "the-title-of-xmp-it"];
        assert_eq!(names, expected.map(String::from).into());
    }
}

//! The contents of a resource that has answered: its links and its anchors.

use std::{collections::HashSet, path::Path};

use percent_encoding::percent_decode_str;
use url::Url;

#[derive(Debug)]
pub(crate) enum Answer {
    Here(Page),
    Moved(Url),
}

#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Whether it has been parsed.
    pub(crate) is_document: bool,
    /// Whether it is longer than what has been parsed.
    pub(crate) is_cut_off: bool,
    pub(crate) links: Vec<Written>,
    pub(crate) anchors: Anchors,
    /// The base of its relative links, if the document names one.
    pub(crate) base: Option<String>,
}

/// A link as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) line: usize,
    pub(crate) target: String,
}

/// Where a fragment can lead.
#[derive(Debug, Default)]
pub(crate) enum Anchors {
    /// The resource is no document, or was not read: any fragment may be right.
    #[default]
    Unknown,
    Named(Format, HashSet<String>),
}

impl Anchors {
    pub(crate) fn have(&self, fragment: &str) -> bool {
        let Anchors::Named(format, names) = self else {
            return true;
        };
        let decoded = percent_decode_str(fragment).decode_utf8_lossy();
        let is_here = |name| names.contains(name);
        is_here(fragment)
            || is_here(&*decoded)
            || match format {
                // How GitHub renames what it shows, so that it cannot meet a name of its own page.
                Format::Markdown => decoded.strip_prefix("user-content-").is_some_and(is_here),
                // Lines of a source file, as rustdoc links to them: the page marks them itself.
                Format::Html => decoded.split_once('-').is_some_and(|(first, last)| {
                    is_number(first) && is_number(last) && is_here(first) && is_here(last)
                }),
            }
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Markdown,
    Html,
}

impl Format {
    pub(crate) fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match &*extension {
            "md" | "markdown" => Some(Format::Markdown),
            "html" | "htm" | "xhtml" => Some(Format::Html),
            _ => None,
        }
    }

    pub(crate) fn of_media_type(media_type: &str) -> Option<Self> {
        let (name, _) = media_type.split_once(';').unwrap_or((media_type, ""));
        match &*name.trim().to_ascii_lowercase() {
            "text/markdown" => Some(Format::Markdown),
            "text/html" | "application/xhtml+xml" => Some(Format::Html),
            _ => None,
        }
    }
}

/// Finds the line of a byte.
#[derive(Debug)]
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        Lines(text.match_indices('\n').map(|(index, _)| index).collect())
    }

    /// The first line is 1.
    pub(crate) fn at(&self, byte: usize) -> usize {
        1 + self.0.partition_point(|&end| end < byte)
    }
}

//! Reads a document of either format.

use crate::{
    html, markdown,
    page::{Anchors, Format, Page},
};

/// The most bytes of a document that are parsed, which bounds memory. A reader passes one byte
/// more, so that a longer document is noticed and reported.
pub(crate) const MAX_PAGE: usize = 8 << 20;

pub(crate) fn parse(format: Format, bytes: &[u8]) -> Page {
    let is_cut_off = bytes.len() > MAX_PAGE;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_PAGE)]);
    let mut page = match format {
        Format::Markdown => markdown::parse(&text),
        Format::Html => html::parse(&text),
    };
    page.is_cut_off = is_cut_off;
    if is_cut_off {
        // They may be in the rest.
        page.anchors = Anchors::Unknown;
    }
    page
}

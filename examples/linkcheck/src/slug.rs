//! The anchors that GitHub gives to headings.

use std::collections::HashMap;

use finl_unicode::categories::CharacterCategories;

/// The anchors of one document.
///
/// comrak has the same, as `Anchorizer`. But it keeps numbers that are not decimal, as in "mc²",
/// and drops letters that are symbols, as in "Ⓐ". GitHub does neither.
#[derive(Debug, Default)]
pub(crate) struct Slugs {
    /// The anchors so far, each with the last number that was appended to it. An equal heading
    /// continues from there, so that many of them take linear time.
    used: HashMap<String, usize>,
}

impl Slugs {
    /// The second heading with a name gets `-1`, the third `-2`. A number is skipped if another
    /// heading already has that anchor.
    pub(crate) fn anchor(&mut self, title: &str) -> String {
        let slug = slug(title);
        let mut anchor = slug.clone();
        if let Some(&last) = self.used.get(&slug) {
            let mut number = last;
            while self.used.contains_key(&anchor) {
                number += 1;
                anchor = format!("{slug}-{number}");
            }
            self.used.insert(slug, number);
        }
        self.used.insert(anchor.clone(), 0);
        anchor
    }
}

/// In lower case, without punctuation and symbols, and with hyphens for blanks. Blanks at the ends
/// count too: in `# ![logo](logo.png) Tool` only the picture is left out.
fn slug(title: &str) -> String {
    title
        .to_lowercase()
        .chars()
        .filter(|&symbol| is_word(symbol) || matches!(symbol, '-' | ' '))
        .map(|symbol| if symbol == ' ' { '-' } else { symbol })
        .collect()
}

/// `\p{Word}` in the regular expressions of Ruby.
fn is_word(symbol: char) -> bool {
    symbol.is_alphabetic()
        || symbol.is_mark()
        || symbol.is_number_decimal()
        || symbol.is_punctuation_connector()
}

#[cfg(test)]
mod tests {
    use super::{Slugs, slug};

    #[test]
    fn only_words_hyphens_and_blanks_are_kept() {
        for (title, expected) in [
            (
                "What's new_in  C++ \u{e9}\u{c9}?",
                "whats-new_in--c-\u{e9}\u{e9}",
            ),
            (" Tool", "-tool"),
            ("\u{2699}\u{fe0f} Settings", "\u{fe0f}-settings"),
            ("हिन्दी", "हिन्दी"),
            ("ภาษาไทย น้ำ", "ภาษาไทย-น้ำ"),
            ("E = mc\u{b2}", "e--mc"),
            ("1\u{bd} \u{2460} \u{2167} \u{24b6}", "1--\u{2177}-\u{24d0}"),
            ("a\u{203f}b \u{2014} c\td", "a\u{203f}b--cd"),
        ] {
            assert_eq!(slug(title), expected, "{title:?}");
        }
    }

    #[test]
    fn equal_headings_are_numbered() {
        let mut slugs = Slugs::default();
        let titles = [
            "Same", "same", "Same-1", "same!", "same-3", "same", "same-1",
        ];
        let anchors = titles.map(|title| slugs.anchor(title));
        assert_eq!(
            anchors,
            [
                "same", "same-1", "same-1-1", "same-2", "same-3", "same-4", "same-1-2"
            ]
        );
    }
}

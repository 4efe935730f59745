//! `--allow-list FILE`: links that need not work.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// One pattern for each line, in which `*` is any text. A pattern has to fit the whole link, as it
/// is written or as a whole URL. Empty lines, and those that begin with `# `, are for the reader.
#[derive(Debug, Default)]
pub(crate) struct AllowList(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    text: String,
    /// A pattern that allows nothing is likely an oversight, and the user is told.
    is_used: AtomicBool,
}

impl AllowList {
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let patterns =
            lines.filter(|line| !line.is_empty() && *line != "#" && !line.starts_with("# "));
        let patterns = patterns.map(|line| Pattern {
            text: line.to_owned(),
            is_used: AtomicBool::new(false),
        });
        AllowList(patterns.collect())
    }

    pub(crate) fn allows(&self, link: &str) -> bool {
        let pattern = self.0.iter().find(|pattern| fits(&pattern.text, link));
        if let Some(pattern) = pattern {
            pattern.is_used.store(true, Relaxed);
        }
        pattern.is_some()
    }

    pub(crate) fn unused(&self) -> impl Iterator<Item = &str> {
        let unused = self
            .0
            .iter()
            .filter(|pattern| !pattern.is_used.load(Relaxed));
        unused.map(|pattern| &*pattern.text)
    }
}

/// Each piece between two stars is looked for from where the one before was found: the first place
/// is always the best one, so this takes no backtracking.
fn fits(pattern: &str, link: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == link;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inner = link
        .strip_prefix(first)
        .and_then(|link| link.strip_suffix(last));
    let Some(mut inner) = inner else {
        return false;
    };
    middle.split('*').all(|piece| match inner.find(piece) {
        Some(index) => {
            inner = &inner[index + piece.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::{AllowList, fits};

    #[test]
    fn stars_are_any_text() {
        assert!(fits("a", "a") && !fits("a", "ab") && !fits("a", "ba"));
        assert!(fits("*", "") && fits("a*", "abc") && fits("*c", "abc"));
        assert!(fits("a*c", "ac") && !fits("ab*bc", "abc"));
        assert!(fits("a*b*c", "a-b-c") && !fits("a*b*c", "a-c"));
        assert!(fits("*b*b*", "bb") && !fits("*b*b*", "b"));
    }

    #[test]
    fn a_list_knows_what_it_did_not_need() {
        let list = AllowList::parse("# why\n\nhttp://a/*\n  #anchor \nnever\n");
        assert!(list.allows("http://a/b") && list.allows("#anchor") && !list.allows("# why"));
        assert_eq!(list.unused().collect::<Vec<_>>(), ["never"]);
    }
}

//! `--exclude` and `--include`: which links are checked.

use regex::RegexSet;

/// Regular expressions that may be found anywhere in a link, as it is written or as a whole URL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    exclude: RegexSet,
    include: RegexSet,
}

impl Filter {
    pub(crate) fn new(exclude: RegexSet, include: RegexSet) -> Self {
        Filter { exclude, include }
    }

    /// An included link is checked even if it is also excluded. If only `--include` is given, all
    /// other links are excluded.
    pub(crate) fn lets_pass(&self, written: &str, url: &str) -> bool {
        let fits = |set: &RegexSet| set.is_match(written) || set.is_match(url);
        if self.exclude.is_empty() {
            self.include.is_empty() || fits(&self.include)
        } else {
            fits(&self.include) || !fits(&self.exclude)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, RegexSet};

    #[test]
    fn included_links_pass_although_they_are_excluded() {
        let checked = |exclude: &[&str], include: &[&str]| {
            let sets = [exclude, include].map(|patterns| RegexSet::new(patterns).unwrap());
            let [exclude, include] = sets;
            let filter = Filter::new(exclude, include);
            let links = [("a", "http://a/"), ("ab", "http://a/b"), ("c", "http://c/")];
            let passed = links.map(|(written, url)| filter.lets_pass(written, url));
            let names = ["a", "ab", "c"].into_iter().zip(passed);
            names
                .filter_map(|(name, passed)| passed.then_some(name))
                .collect::<Vec<_>>()
        };
        assert_eq!(checked(&[], &[]), ["a", "ab", "c"]);
        assert_eq!(checked(&["^a"], &[]), ["c"]);
        assert_eq!(checked(&["//a/$", "^c$"], &[]), ["ab"]);
        assert_eq!(checked(&[], &["^a"]), ["a", "ab"]);
        assert_eq!(checked(&["a"], &["b$"]), ["ab", "c"]);
    }
}

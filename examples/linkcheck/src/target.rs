//! From what is written in a document to what is to be asked for.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use url::Url;

use crate::{allow::AllowList, error::Broken, filter::Filter};

/// The target of a link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A resource, by its URL without a fragment, and the fragment.
    At(Url, Option<String>),
    /// Nothing that is checked: another scheme, the web with `--offline`, or an excluded link.
    Skipped,
    /// The user says that it need not work.
    Allowed,
    Bad(Broken),
}

#[derive(Debug)]
pub(crate) struct Resolver {
    /// Where a local link that begins with `/` starts.
    pub(crate) root: PathBuf,
    pub(crate) is_offline: bool,
    pub(crate) allowed: Arc<AllowList>,
    pub(crate) filter: Filter,
}

impl Resolver {
    /// The base of the links of a document, which may name one.
    pub(crate) fn base_of(&self, document: &Url, named: Option<&str>) -> Url {
        let base = named.and_then(|base| self.join(document, base.trim()).ok());
        // Browsers ignore these.
        let base = base.filter(|base| !matches!(base.scheme(), "data" | "javascript"));
        // A page of the web does not get to name this machine's files as its base.
        let base = base.filter(|base| base.scheme() != "file" || document.scheme() == "file");
        base.unwrap_or_else(|| document.clone())
    }

    pub(crate) fn resolve(&self, base: &Url, written: &str) -> Target {
        if self.allowed.allows(written) {
            return Target::Allowed;
        }
        let mut url = match self.join(base, written.trim()) {
            Ok(url) => url,
            Err(_) if !self.filter.lets_pass(written, written) => return Target::Skipped,
            Err(error) => return Target::Bad(Broken::Malformed(error.to_string())),
        };
        let is_checked = match url.scheme() {
            "http" | "https" => !self.is_offline,
            // A page of the web has no business with the files of this machine.
            "file" => base.scheme() == "file",
            _ => false,
        } && self.filter.lets_pass(written, url.as_str());
        if self.allowed.allows(url.as_str()) {
            return Target::Allowed;
        } else if !is_checked {
            return Target::Skipped;
        }
        let mut fragment = url.fragment().and_then(anchor_of);
        url.set_fragment(None);
        if url.scheme() == "file" {
            if shows_source(&url) {
                fragment = fragment.filter(|fragment| !is_lines(fragment));
            }
            url.set_query(None);
        }
        Target::At(url, fragment)
    }

    fn join(&self, base: &Url, written: &str) -> Result<Url, url::ParseError> {
        match written.strip_prefix('/') {
            // The scheme is that of the page, which is a file only until it is published.
            Some(rest) if rest.starts_with('/') && base.scheme() == "file" => {
                Url::parse(&format!("https:{written}"))
            }
            Some(rest) if base.scheme() == "file" => folder_url(&self.root)?.join(rest),
            _ => base.join(written),
        }
    }
}

/// The anchor that a fragment asks for; none for the top of the page, for a piece of text, and for a
/// route, which a script on the page understands.
fn anchor_of(fragment: &str) -> Option<String> {
    let (anchor, _) = fragment.split_once(":~:").unwrap_or((fragment, ""));
    let is_top = anchor.is_empty() || anchor.eq_ignore_ascii_case("top");
    let is_route = anchor.starts_with(['/', '!']);
    (!is_top && !is_route).then(|| anchor.to_owned())
}

/// Whether GitHub is asked for the source of a document, whose anchors are its lines.
fn shows_source(url: &Url) -> bool {
    url.query_pairs()
        .any(|pair| pair == ("plain".into(), "1".into()))
}

/// `L3`, `L3-L5` or `L3C1-L5C2`.
fn is_lines(fragment: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_place = |text: &str| {
        text.strip_prefix('L').is_some_and(|place| {
            let (line, column) = place.split_once('C').unwrap_or((place, "1"));
            is_number(line) && is_number(column)
        })
    };
    fragment.splitn(2, '-').all(is_place)
}

/// The URL of a file, the same by whatever path it is reached.
pub(crate) fn file_url(path: &Path) -> Result<Url, url::ParseError> {
    local_url(path, Url::from_file_path)
}

fn folder_url(path: &Path) -> Result<Url, url::ParseError> {
    local_url(path, Url::from_directory_path)
}

fn local_url(
    path: &Path,
    to_url: impl FnOnce(PathBuf) -> Result<Url, ()>,
) -> Result<Url, url::ParseError> {
    // A path that cannot be made absolute is empty, or there is no current folder.
    let path = std::path::absolute(path).map_err(|_| url::ParseError::RelativeUrlWithoutBase)?;
    let url = to_url(path).map_err(|()| url::ParseError::RelativeUrlWithoutBase)?;
    // Parsing takes out the `..`.
    Url::parse(url.as_str())
}

/// Names a document: a file by its path, from the current folder if it is in there.
pub(crate) fn display(url: &Url, current: &Path) -> String {
    match url.to_file_path() {
        Ok(path) if url.scheme() == "file" => {
            let path = path.strip_prefix(current).unwrap_or(&path);
            path.display().to_string()
        }
        _ => url.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Resolver, Target, Url};

    fn resolver() -> Resolver {
        Resolver {
            root: "/site".into(),
            is_offline: false,
            allowed: Default::default(),
            filter: Default::default(),
        }
    }

    fn resolve(base: &str, written: &str) -> Target {
        resolver().resolve(&Url::parse(base).unwrap(), written)
    }

    fn at(url: &str, fragment: Option<&str>) -> Target {
        Target::At(Url::parse(url).unwrap(), fragment.map(str::to_owned))
    }

    #[test]
    fn links_are_resolved_as_browsers_do() {
        let page = "http://host/a/b";
        assert_eq!(resolve(page, "c?d#e"), at("http://host/a/c?d", Some("e")));
        assert_eq!(resolve(page, " //Other/x "), at("http://other/x", None));
        assert_eq!(resolve(page, "../../.."), at("http://host/", None));
        assert_eq!(resolve(page, "#top"), at(page, None));
        assert_eq!(resolve(page, "#a:~:text=b"), at(page, Some("a")));
        assert_eq!(resolve(page, "#/users/1"), at(page, None));
        assert_eq!(resolve(page, "#!users"), at(page, None));
        assert_eq!(resolve(page, "mailto:me@example.org"), Target::Skipped);
        assert_eq!(resolve(page, "file:///etc/passwd"), Target::Skipped);
        assert!(matches!(resolve(page, "http://["), Target::Bad(_)));
    }

    /// They lead to no heading, so they are good in whatever document there is.
    #[test]
    fn lines_of_the_source_are_no_anchors() {
        let page = "file:///site/page.md";
        for lines in ["L3", "L3-L5", "L3C1-L5C20"] {
            let link = format!("other.md?plain=1#{lines}");
            assert_eq!(resolve(page, &link), at("file:///site/other.md", None));
        }
        for link in [
            "?plain=1#a",
            "?plain=1#L3-5",
            "?plain=1#L",
            "?plain=0#L3",
            "#L3",
        ] {
            let (_, fragment) = link.split_once('#').unwrap();
            assert_eq!(resolve(page, link), at(page, Some(fragment)), "{link}");
        }
    }

    #[test]
    fn a_file_has_the_scheme_of_the_web_where_none_is_named() {
        let page = "file:///site/page.html";
        assert_eq!(resolve(page, "//other/x"), at("https://other/x", None));
        assert_eq!(
            resolve("http://a/", "//other/x"),
            at("http://other/x", None)
        );
    }

    #[test]
    fn a_document_may_name_a_base() {
        let base_of = |document: &str, named| {
            let document = Url::parse(document).unwrap();
            resolver().base_of(&document, named).to_string()
        };
        let file = "file:///site/sub/page.html";
        assert_eq!(base_of(file, None), file);
        assert_eq!(base_of(file, Some("../")), "file:///site/");
        assert_eq!(base_of(file, Some("/deep/")), "file:///site/deep/");
        assert_eq!(base_of(file, Some("//cdn/x/")), "https://cdn/x/");
        assert_eq!(base_of("http://a/b", Some("//cdn/")), "http://cdn/");
        assert_eq!(base_of(file, Some("data:text/plain,a")), file);
        assert_eq!(base_of(file, Some("JavaScript:void(0)")), file);
        assert_eq!(base_of("http://a/b", Some("file:///etc/")), "http://a/b");
    }

    #[test]
    fn local_links_are_files() {
        let page = "file:///site/sub/page.md";
        assert_eq!(resolve(page, "#a"), at(page, Some("a")));
        assert_eq!(resolve(page, "/x.md"), at("file:///site/x.md", None));
        assert_eq!(
            resolve(page, "a%20b.md?raw=1"),
            at("file:///site/sub/a%20b.md", None)
        );
        assert_eq!(
            resolve(page, "../a b.md"),
            at("file:///site/a%20b.md", None)
        );
        assert_eq!(resolve(page, "http://x"), at("http://x/", None));
    }
}

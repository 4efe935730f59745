//! From what is written in a document to what is to be asked for.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use url::Url;

use crate::{allow::AllowList, error::Broken};

/// The target of a link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A resource, by its URL without a fragment, and the fragment.
    At(Url, Option<String>),
    /// Nothing that is checked: another scheme, or the web with `--offline`.
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
}

impl Resolver {
    pub(crate) fn resolve(&self, base: &Url, written: &str) -> Target {
        if self.allowed.allows(written) {
            return Target::Allowed;
        }
        let mut url = match self.join(base, written.trim()) {
            Ok(url) => url,
            Err(error) => return Target::Bad(Broken::Malformed(error.to_string())),
        };
        let is_checked = match url.scheme() {
            "http" | "https" => !self.is_offline,
            // A page of the web has no business with the files of this machine.
            "file" => base.scheme() == "file",
            _ => false,
        };
        if self.allowed.allows(url.as_str()) {
            return Target::Allowed;
        } else if !is_checked {
            return Target::Skipped;
        }
        let fragment = url.fragment().and_then(anchor_of);
        url.set_fragment(None);
        if url.scheme() == "file" {
            url.set_query(None);
        }
        Target::At(url, fragment)
    }

    fn join(&self, base: &Url, written: &str) -> Result<Url, url::ParseError> {
        let is_rooted = written.starts_with('/') && !written.starts_with("//");
        match written.strip_prefix('/') {
            Some(rest) if is_rooted && base.scheme() == "file" => {
                folder_url(&self.root)?.join(rest)
            }
            _ => base.join(written),
        }
    }
}

/// The anchor that a fragment asks for; none for the top of the page, and for a piece of text.
fn anchor_of(fragment: &str) -> Option<String> {
    let (anchor, _) = fragment.split_once(":~:").unwrap_or((fragment, ""));
    let is_top = anchor.is_empty() || anchor.eq_ignore_ascii_case("top");
    (!is_top).then(|| anchor.to_owned())
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

    fn resolve(base: &str, written: &str) -> Target {
        let resolver = Resolver {
            root: "/site".into(),
            is_offline: false,
            allowed: Default::default(),
        };
        resolver.resolve(&Url::parse(base).unwrap(), written)
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
        assert_eq!(resolve(page, "mailto:me@example.org"), Target::Skipped);
        assert_eq!(resolve(page, "file:///etc/passwd"), Target::Skipped);
        assert!(matches!(resolve(page, "http://["), Target::Bad(_)));
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

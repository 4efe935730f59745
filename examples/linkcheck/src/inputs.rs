//! The documents and addresses that are to be checked, as the command line names them.

use std::path::{Path, PathBuf};

use url::Url;
use walkdir::{DirEntry, WalkDir};

use crate::{
    error::{Broken, Fatal},
    page::Format,
    target,
};

/// A local document.
#[derive(Debug)]
pub(crate) enum Input {
    At(Url),
    /// A folder that cannot be listed.
    Unreadable(PathBuf, Broken),
}

/// The inputs that a command line asks for. A path that is not there ends the program, before it begins.
#[derive(Debug)]
pub(crate) enum Source {
    Web(Url),
    Path(PathBuf),
}

impl Source {
    pub(crate) fn parse(name: &Path) -> Result<Self, Fatal> {
        let text = name.to_string_lossy();
        if text.starts_with("http://") || text.starts_with("https://") {
            let url = Url::parse(&text).map_err(|error| format!("{text}: {error}"));
            let mut url = url.map_err(|message| Fatal::Usage(message.into()))?;
            url.set_fragment(None);
            return Ok(Source::Web(url));
        }
        match name.metadata() {
            Ok(kind) if !kind.is_dir() && Format::of_path(name).is_none() => Err(Fatal::Usage(
                format!("{name:?}: neither Markdown nor HTML, by its name").into(),
            )),
            Ok(_) => Ok(Source::Path(name.to_owned())),
            Err(error) => Err(Fatal::File {
                option: "",
                path: name.to_owned(),
                error,
            }),
        }
    }
}

/// Lazy: the feeder takes one when it has little else to ask. Folders are walked in sorted order.
pub(crate) fn inputs(paths: Vec<PathBuf>) -> impl Iterator<Item = Input> {
    paths.into_iter().flat_map(|path| walk(&path))
}

fn walk(path: &Path) -> impl Iterator<Item = Input> + use<> {
    WalkDir::new(path)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_passed_over(entry))
        .filter_map(|entry| match entry {
            Ok(entry) if is_document(&entry) => Some(match target::file_url(entry.path()) {
                Ok(url) => Input::At(url),
                Err(error) => {
                    let why = Broken::Malformed(error.to_string());
                    Input::Unreadable(entry.into_path(), why)
                }
            }),
            Ok(_) => None,
            Err(error) => {
                let path = error.path().map(PathBuf::from).unwrap_or_default();
                Some(Input::Unreadable(
                    path,
                    Broken::Unreadable(error.to_string()),
                ))
            }
        })
}

fn is_document(entry: &DirEntry) -> bool {
    Format::of_path(entry.path()).is_some() && entry.path().is_file()
}

/// Hidden folders, and those of build results and of packages, which are not ours to mend.
fn is_passed_over(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let is_cache = || entry.path().join("CACHEDIR.TAG").exists();
    entry.file_type().is_dir() && (name.starts_with('.') || name == "node_modules" || is_cache())
}

//! The files under the paths, in sorted order.

use std::{fs::FileType, io, os::unix::fs::FileTypeExt, path::PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::{
    error::{FileError, Reason},
    hash::is_standard_input,
};

#[derive(Debug)]
pub(crate) enum Found {
    /// A regular file, or anything but a directory that was asked for by name.
    File(PathBuf),
    /// A symbolic link in a directory: so ordinary that a message for each would bury the others.
    Link,
    /// An entry of a directory that may have no end, or no content.
    Other(PathBuf, &'static str),
    /// A directory that cannot be listed, or a path that does not exist.
    Unreadable(FileError),
}

/// Walks one path after the other. Lazy: what is in memory is one listing per level of the tree,
/// for a directory must be read whole to be sorted.
///
/// A path itself is followed if it is a symbolic link, and read whatever it leads to: it was asked
/// for by name.
pub(crate) fn walk(paths: Vec<PathBuf>) -> impl Iterator<Item = Found> {
    paths.into_iter().flat_map(|path| {
        let (input, tree) = if is_standard_input(&path) {
            (Some(Found::File(path)), None)
        } else {
            (None, Some(WalkDir::new(path).sort_by_file_name()))
        };
        let entries = tree.into_iter().flatten();
        input.into_iter().chain(entries.filter_map(classify))
    })
}

/// The listing tells the type of an entry. Only a named path costs a `stat` here, because it may be a
/// link.
fn classify(entry: walkdir::Result<DirEntry>) -> Option<Found> {
    let entry = match entry {
        Ok(entry) => entry,
        Err(error) => return Some(Found::Unreadable(unreadable(error))),
    };
    let kind = entry.file_type();
    let is_named = entry.depth() == 0;
    if kind.is_dir() || is_named && entry.path().is_dir() {
        None
    } else if kind.is_file() || is_named {
        Some(Found::File(entry.into_path()))
    } else if kind.is_symlink() {
        Some(Found::Link)
    } else {
        Some(Found::Other(entry.into_path(), name_of(kind)))
    }
}

fn name_of(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "fifo"
    } else if kind.is_socket() {
        "socket"
    } else if kind.is_block_device() || kind.is_char_device() {
        "device"
    } else {
        "neither file nor directory"
    }
}

fn unreadable(error: walkdir::Error) -> FileError {
    let path = error.path().map(PathBuf::from).unwrap_or_default();
    // Any other error is a loop of links, which a walk that follows none cannot meet.
    let error = error
        .into_io_error()
        .unwrap_or_else(|| io::Error::other("a loop of links"));
    FileError {
        path,
        reason: Reason::List(error),
    }
}

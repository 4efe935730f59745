//! The files under the paths, in sorted order.

use std::{fs::FileType, io, os::unix::fs::FileTypeExt, path::PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::error::{FileError, Reason};

#[derive(Debug)]
pub(crate) enum Found {
    File(PathBuf),
    /// A symbolic link on the way: so ordinary that a message for each would bury the others.
    Link,
    /// An entry without content to hash, or a link that was asked for by name.
    Other(PathBuf, &'static str),
    /// A directory that cannot be listed, or a path that does not exist.
    Unreadable(FileError),
}

/// Walks one path after the other. Lazy: what is in memory is one listing per level of the tree,
/// for a directory must be read whole to be sorted.
///
/// A path that is itself a symbolic link is not followed either: the same tree gives the same
/// list, however it was named.
pub(crate) fn walk(paths: Vec<PathBuf>) -> impl Iterator<Item = Found> {
    paths
        .into_iter()
        .flat_map(|path| {
            WalkDir::new(path)
                .follow_root_links(false)
                .sort_by_file_name()
        })
        .filter_map(|entry| match entry {
            Ok(entry) => classify(entry),
            Err(error) => Some(Found::Unreadable(unreadable(error))),
        })
}

/// The type comes with the listing: no `stat` here, the only one is made by the actor.
fn classify(entry: DirEntry) -> Option<Found> {
    let kind = entry.file_type();
    if kind.is_dir() {
        None
    } else if kind.is_file() {
        Some(Found::File(entry.into_path()))
    } else if kind.is_symlink() && entry.depth() > 0 {
        Some(Found::Link)
    } else {
        Some(Found::Other(entry.into_path(), name_of(kind)))
    }
}

fn name_of(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "symbolic link"
    } else if kind.is_fifo() {
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

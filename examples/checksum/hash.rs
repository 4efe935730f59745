//! The digest of one file: what a work does.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, Read},
    os::fd::AsFd,
    path::Path,
};

use sha2::{Digest as _, Sha256};

use crate::{error::Reason, list::Digest};

thread_local! {
    /// One per actor for its whole life: to allocate and zero it for each file would cost more
    /// than to hash a small one.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 128 * 1024]);
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

/// Whether `path` stands for standard input. A file of that name has another path, as `./-`.
pub(crate) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Hashes the file at `path`. Calls `go_on` with the size of each piece; when that says no, gives
/// up and returns `None`: a file of a terabyte must not hold up a Ctrl-C.
pub(crate) fn hash(path: &Path, go_on: impl FnMut(u64) -> bool) -> Result<Option<Sum>, Reason> {
    let file = open(path).map_err(Reason::Open)?;
    let meta = file.metadata().map_err(Reason::Open)?;
    BUFFER.with_borrow_mut(|buffer| hash_open(&file, meta.len(), buffer, go_on))
}

/// Opens what `path` names. A FIFO waits for its writer, however long that takes.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if is_standard_input(path) {
        // Not `Stdin`, whose buffer would take more than what is hashed.
        Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
    } else {
        File::open(path)
    }
}

/// Hashes `file`, which had `opened` bytes when it was opened.
pub(crate) fn hash_open(
    mut file: &File,
    opened: u64,
    buffer: &mut [u8],
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<Option<Sum>, Reason> {
    let mut hasher = Sha256::new();
    let mut bytes = 0;
    loop {
        let piece = match file.read(buffer) {
            Ok(0) => break,
            Ok(length) => &buffer[..length],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Reason::Read(error)),
        };
        hasher.update(piece);
        bytes += piece.len() as u64;
        if bytes > opened {
            // Here and not at the end, which a file that grows fast enough would not have.
            check_length(file, opened, bytes)?;
        }
        if !go_on(piece.len() as u64) {
            return Ok(None);
        }
    }
    if bytes < opened {
        check_length(file, opened, bytes)?;
    }
    let digest = hasher.finalize().into();
    Ok(Some(Sum { digest, bytes }))
}

/// Fails if the length has changed since the file was opened. If it has not, it never was the size of
/// the content, and what was read is correct: the length is 0 for a pipe and under `/proc`, and 4096
/// under `/sys`.
fn check_length(file: &File, opened: u64, read: u64) -> Result<(), Reason> {
    let meta = file.metadata().map_err(Reason::Read)?;
    if meta.len() == opened {
        return Ok(());
    }
    Err(Reason::Changed { opened, read })
}

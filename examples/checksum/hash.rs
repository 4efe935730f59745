//! The digest of one file: what a work does.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{self, Read},
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

/// Hashes the file at `path`. Calls `go_on` with the size of each piece; when that says no, gives
/// up and returns `None`: a file of a terabyte must not hold up a Ctrl-C.
pub(crate) fn hash(path: &Path, go_on: impl FnMut(u64) -> bool) -> Result<Option<Sum>, Reason> {
    // Before it is opened: to open a fifo is to wait for a writer.
    let meta = fs::metadata(path).map_err(Reason::Open)?;
    if !meta.is_file() {
        return Err(Reason::NotAFile);
    }
    let file = File::open(path).map_err(Reason::Open)?;
    BUFFER.with_borrow_mut(|buffer| hash_open(&file, meta.len(), buffer, go_on))
}

/// Hashes `file`, which had `opened` bytes just before it was opened.
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

/// Fails if the length is another now. If it is not, it never was the size of the content, as
/// under `/proc` (0) and `/sys` (4096), and there is nothing wrong with what was read.
fn check_length(file: &File, opened: u64, read: u64) -> Result<(), Reason> {
    let meta = file.metadata().map_err(Reason::Read)?;
    if meta.len() == opened {
        return Ok(());
    }
    Err(Reason::Changed { opened, read })
}

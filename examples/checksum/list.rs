//! The lines of a list: `sha256sum`'s format, written and parsed. Bytes in, bytes out; no files.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

pub(crate) type Digest = [u8; 32];

/// How many hexadecimal digits a digest has.
const HEX: usize = 2 * size_of::<Digest>();

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) digest: Digest,
    pub(crate) name: PathBuf,
}

/// Writes `digest  name`, with a backslash in front when the name had to be escaped.
pub(crate) fn write_entry(out: &mut Vec<u8>, digest: &Digest, name: &Path) {
    let name = name.as_os_str().as_bytes();
    let special = name
        .iter()
        .any(|byte| matches!(byte, b'\\' | b'\n' | b'\r'));
    if special {
        out.push(b'\\');
    }
    for byte in digest {
        out.push(b"0123456789abcdef"[usize::from(byte >> 4)]);
        out.push(b"0123456789abcdef"[usize::from(byte & 15)]);
    }
    out.extend_from_slice(b"  ");
    write_name(out, name, special);
    out.push(b'\n');
}

/// Writes `name: verdict`. Here `sha256sum` escapes a name only if a line break in it would
/// otherwise make two lines of one.
pub(crate) fn write_verdict(out: &mut Vec<u8>, name: &Path, verdict: &str) {
    let name = name.as_os_str().as_bytes();
    let special = name.contains(&b'\n');
    if special {
        out.push(b'\\');
    }
    write_name(out, name, special);
    out.extend_from_slice(b": ");
    out.extend_from_slice(verdict.as_bytes());
    out.push(b'\n');
}

fn write_name(out: &mut Vec<u8>, name: &[u8], escape: bool) {
    if !escape {
        return out.extend_from_slice(name);
    }
    for &byte in name {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => out.push(byte),
        }
    }
}

/// Parses lines. The lines of all lists are one input to `sha256sum`, and one parser's here.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    separator: Option<Separator>,
}

/// The bytes between a digest and a name. The first line decides: if a list could mix both, the file
/// ` name` could pass for `name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    /// A blank or a tab, as in hand-made lists and in those of BSD's `sha256 -r`.
    Blank,
    /// That, and a blank for text or an asterisk for binary, which are no different on Unix.
    BlankAndMark,
}

impl Parser {
    /// Parses a line without its line break: `digest  name`, `digest *name`, `digest name`, or
    /// BSD's `SHA256 (name) = digest`. `None` if it is none of them.
    pub(crate) fn entry(&mut self, line: &[u8]) -> Option<Entry> {
        let line = trim_blanks(line);
        let (line, is_escaped) = match line.strip_prefix(b"\\") {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        let (digest, name) = match line.strip_prefix(b"SHA256") {
            Some(rest) => split_bsd(rest)?,
            None => self.split_gnu(line)?,
        };
        let name = if is_escaped {
            unescape(name)?
        } else {
            until_nul(name).to_vec()
        };
        Some(Entry {
            digest,
            name: OsString::from_vec(name).into(),
        })
    }

    /// Splits a line that begins with the digest. Every byte behind the separator belongs to the
    /// name.
    fn split_gnu<'l>(&mut self, line: &'l [u8]) -> Option<(Digest, &'l [u8])> {
        let (hex, rest) = line.split_at_checked(HEX)?;
        let (b' ' | b'\t', rest) = rest.split_first()? else {
            return None;
        };
        let digest = parse_digest(hex)?;
        let (separator, name) = match (rest, self.separator) {
            ([], _) => return None,
            ([b' ' | b'*', name @ ..], None | Some(Separator::BlankAndMark))
                if !name.is_empty() =>
            {
                (Separator::BlankAndMark, name)
            }
            // A mark with nothing behind it is a name. Without marks, everything behind the separator
            // is.
            (_, Some(Separator::BlankAndMark)) => return None,
            (name, _) => (Separator::Blank, name),
        };
        self.separator = Some(separator);
        Some((digest, name))
    }
}

/// Splits ` (name) = digest`. The name may hold parentheses itself, so the last one counts.
fn split_bsd(rest: &[u8]) -> Option<(Digest, &[u8])> {
    let rest = rest.strip_prefix(b" ").unwrap_or(rest).strip_prefix(b"(")?;
    let end = rest.iter().rposition(|&byte| byte == b')')?;
    let hex = trim_blanks(trim_blanks(&rest[end + 1..]).strip_prefix(b"=")?);
    Some((parse_digest(until_nul(hex))?, &rest[..end]))
}

/// Neither a name nor a digest has a NUL, so it ends them, as in a list of `sha256sum --zero`.
fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn parse_digest(hex: &[u8]) -> Option<Digest> {
    if hex.len() != HEX {
        return None;
    }
    let mut digest = Digest::default();
    for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(digest)
}

fn nibble(hex: u8) -> Option<u8> {
    char::from(hex)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Undoes [`write_name`]; `None` for a backslash that `write_name` would not have written, or a NUL.
fn unescape(name: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                _ => return None,
            },
            0 => return None,
            _ => byte,
        });
    }
    Some(plain)
}

fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

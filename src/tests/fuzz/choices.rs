//! The bytes from which a program is made.
//!
//! Every byte string makes a valid program. After its end, it continues with zeros, which
//! stand for the simplest choice. A program can therefore be stored, printed and shrunk as
//! its bytes.

use std::fmt;
use std::ops::Range;

use crate::tests::random::Random;

/// The length of a new program varies by this number of bytes.
const LENGTH: usize = 160;

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bytes(pub Vec<u8>);

impl Bytes {
    pub(crate) fn random(random: &mut Random) -> Self {
        let length = 8 + random.below(LENGTH);
        Self((0..length).map(|_| random.next() as u8).collect())
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() % 2 != 0 {
            return None;
        }
        let pairs = digits.chunks(2);
        let bytes: Option<Vec<u8>> = pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        bytes.map(Self)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads choices from bytes, and notes which bytes belong to each element of a list.
#[derive(Debug)]
pub(crate) struct Choices<'a> {
    bytes: &'a [u8],
    at: usize,
    /// One range for each list element, which disappears without these bytes.
    pub(crate) spans: Vec<Range<usize>>,
}

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a Bytes) -> Self {
        Self {
            bytes: &bytes.0,
            at: 0,
            spans: Vec::new(),
        }
    }

    /// Returns a number below `bound`. Zero is the simplest.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(byte) % bound
    }

    /// Returns one of `options`. The first is the simplest.
    pub(crate) fn pick<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.below(options.len())]
    }

    /// Returns the position of the next choice.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Marks the bytes read since `begin` as one element of a list.
    pub(crate) fn span_from(&mut self, begin: usize) {
        self.spans.push(begin..self.at);
    }
}

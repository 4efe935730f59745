//! The lines of lists, read as the work goes on and not beforehand.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
    vec,
};

use crate::{
    hash::{is_standard_input, open},
    list::{Entry, Parser},
};

#[derive(Debug)]
pub(crate) enum Line {
    Entry(Entry),
    /// A line that is none, by its number.
    Improper(Label, u64),
    /// The end of a list, or why it has none.
    End(Label, io::Result<()>),
}

/// How messages call a list.
#[derive(Clone, Debug)]
pub(crate) struct Label(Arc<Path>);

impl Label {
    fn is_standard_input(&self) -> bool {
        is_standard_input(&self.0)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_standard_input() {
            f.write_str("standard input")
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

/// The lines of one list after the other.
#[derive(Debug)]
pub(crate) struct Lines {
    lists: vec::IntoIter<PathBuf>,
    list: Option<List>,
    parser: Parser,
}

impl Lines {
    pub(crate) fn new(lists: Vec<PathBuf>) -> Self {
        Lines {
            lists: lists.into_iter(),
            list: None,
            parser: Parser::default(),
        }
    }
}

impl Iterator for Lines {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let mut list = match self.list.take() {
            Some(list) => list,
            None => {
                let label = Label(self.lists.next()?.into());
                match List::open(label.clone()) {
                    Ok(list) => list,
                    Err(error) => return Some(Line::End(label, Err(error))),
                }
            }
        };
        let line = list.next(&mut self.parser);
        if !matches!(line, Line::End(..)) {
            self.list = Some(list);
        }
        Some(line)
    }
}

#[derive(Debug)]
struct List {
    label: Label,
    source: BufReader<File>,
    number: u64,
}

impl List {
    fn open(label: Label) -> io::Result<Self> {
        let source = BufReader::new(open(&label.0)?);
        Ok(List {
            label,
            source,
            number: 0,
        })
    }

    /// The next line that is neither empty nor a comment.
    fn next(&mut self, parser: &mut Parser) -> Line {
        let mut line = Vec::new();
        loop {
            line.clear();
            match self.source.read_until(b'\n', &mut line) {
                Ok(0) => return Line::End(self.label.clone(), Ok(())),
                Ok(_) => self.number += 1,
                Err(error) => return Line::End(self.label.clone(), Err(error)),
            }
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            return match parser.entry(line) {
                // A list cannot name the input that it comes from.
                Some(entry)
                    if !(self.label.is_standard_input() && is_standard_input(&entry.name)) =>
                {
                    Line::Entry(entry)
                }
                _ => Line::Improper(self.label.clone(), self.number),
            };
        }
    }
}

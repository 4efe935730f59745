//! Standard output: lines, collected into blocks.

use std::io::{self, IsTerminal, Write};

use crate::report::Report;

/// A write for each line would cost more than hashing a small file does. On a terminal each line
/// is shown as it comes, and the progress bar steps aside for it.
#[derive(Debug)]
pub(crate) struct Output<'r> {
    report: &'r Report,
    block: Vec<u8>,
    block_size: usize,
}

impl<'r> Output<'r> {
    pub(crate) fn new(report: &'r Report) -> Self {
        let block_size = if io::stdout().is_terminal() {
            0
        } else {
            64 * 1024
        };
        Output {
            report,
            block: Vec::new(),
            block_size,
        }
    }

    /// Lets `write` append a line.
    pub(crate) fn line(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        write(&mut self.block);
        if self.block.len() > self.block_size {
            self.flush()
        } else {
            Ok(())
        }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        let written = self.report.aside(|| stdout.write_all(&self.block));
        self.block.clear();
        written.and_then(|()| stdout.flush())
    }
}

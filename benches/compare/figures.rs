//! Figures by row and column, and how they pass from a child to its parent.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::measure::median;
use crate::mode::Mode;

/// The columns that a troupe is compared with.
const PEERS: [&str; 4] = ["threadpool", "rusty_pool", "rayon", "tokio"];

/// A workload's name and the mode in which it ran.
pub(crate) type Key = (Mode, &'static str);

/// The figures of one run.
pub(crate) type Run = BTreeMap<Key, Figures>;

/// Figures by row and column, both in the order in which they came.
#[derive(Clone, Default)]
pub(crate) struct Figures(Vec<(String, String, f64)>);

impl Figures {
    pub(crate) fn put(&mut self, row: impl Display, column: impl Display, figure: f64) {
        self.0.push((row.to_string(), column.to_string(), figure));
    }

    pub(crate) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    pub(crate) fn get(&self, row: &str, column: &str) -> Option<f64> {
        let mut cells = self.0.iter();
        cells
            .find(|cell| cell.0 == row && cell.1 == column)
            .map(|cell| cell.2)
    }

    pub(crate) fn rows(&self) -> Vec<&str> {
        distinct(self.0.iter().map(|cell| cell.0.as_str()))
    }

    pub(crate) fn columns(&self) -> Vec<&str> {
        distinct(self.0.iter().map(|cell| cell.1.as_str()))
    }

    /// The figures of these columns alone: they make a table of their own.
    pub(crate) fn of_columns(&self, columns: &[&str]) -> Self {
        let cells = self.0.iter().filter(|cell| columns.contains(&&*cell.1));
        Self(cells.cloned().collect())
    }

    /// The least figure of a peer in that row.
    pub(crate) fn best_peer(&self, row: &str) -> Option<f64> {
        let figures = PEERS.iter().filter_map(|peer| self.get(row, peer));
        figures.min_by(f64::total_cmp)
    }

    /// A column of that row, divided by the best peer.
    pub(crate) fn against_peers(&self, row: &str, column: &str) -> Option<f64> {
        Some(self.get(row, column)? / self.best_peer(row)?)
    }

    /// A column of that row, divided by another one.
    pub(crate) fn ratio(&self, row: &str, column: &str, to: &str) -> Option<f64> {
        Some(self.get(row, column)? / self.get(row, to)?)
    }

    /// The same figures, each the median of several runs.
    pub(crate) fn medians(runs: &[&Self]) -> Self {
        let mut medians = Self::default();
        let Some(first) = runs.first() else {
            return medians;
        };
        for (row, column, _) in &first.0 {
            let figures = runs.iter().filter_map(|run| run.get(row, column));
            medians.put(row, column, median(figures.collect()));
        }
        medians
    }

    /// One line a figure: row, column, figure, with tabs between.
    pub(crate) fn to_lines(&self) -> String {
        let lines = self.0.iter();
        lines
            .map(|(row, column, figure)| format!("{row}\t{column}\t{figure}\n"))
            .collect()
    }

    /// Reads the output of [`to_lines`](Self::to_lines), or returns none if a line is not part of it.
    pub(crate) fn from_lines(text: &str) -> Option<Self> {
        let figures = text.lines().map(|line| {
            let mut fields = line.split('\t');
            let (row, column) = (fields.next()?, fields.next()?);
            let figure = fields.next()?.parse().ok()?;
            Some((row.to_owned(), column.to_owned(), figure))
        });
        figures.collect::<Option<_>>().map(Self)
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

//! The report on one workload in one mode: a table, and bars.

use std::fmt::Write;

use crate::figures::Figures;
use crate::mode::Mode;

/// The report on one workload.
#[derive(Default)]
pub(crate) struct Section {
    /// A description of the figures, in Markdown.
    pub(crate) about: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) bars: Vec<Bar>,
}

/// A table, the first cell of each row being its name.
pub(crate) struct Table {
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// All figures, with so many digits behind the point.
    pub(crate) fn of(figures: &Figures, corner: &str, digits: usize) -> Self {
        let columns = figures.columns();
        let head = [corner].into_iter().chain(columns.iter().copied());
        let rows = figures.rows().into_iter().map(|row| {
            let cells = columns.iter().map(|column| {
                let figure = figures.get(row, column);
                figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}"))
            });
            [row.to_owned()].into_iter().chain(cells).collect()
        });
        Self {
            head: head.map(str::to_owned).collect(),
            rows: rows.collect(),
        }
    }

    /// Adds a column of ratios, one for each row.
    pub(crate) fn with(mut self, head: &str, ratio: impl Fn(&str) -> Option<f64>) -> Self {
        self.head.push(head.to_owned());
        for row in &mut self.rows {
            let cell = ratio(&row[0]);
            row.push(cell.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")));
        }
        self
    }

    pub(crate) fn to_markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut page = line(&self.head);
        let _ = writeln!(page, "|---|{}", "---:|".repeat(self.head.len() - 1));
        page.extend(self.rows.iter().map(|row| line(row)));
        page
    }
}

/// The limit that a figure is compared with.
pub(crate) enum Bar {
    /// A quotient of two figures of this run, which says something on every
    /// machine.
    Ratio(String, f64, f64),
    /// A figure with a unit, which depends on the machine.
    Absolute(String, f64, f64, &'static str),
    /// A ratio that is only shown.
    Shown(String, f64),
}

impl Bar {
    /// A ratio, if all that it is made of has been measured.
    pub(crate) fn ratio(what: impl Into<String>, figure: Option<f64>, bar: f64) -> Option<Self> {
        Some(Self::Ratio(what.into(), figure?, bar))
    }

    /// A ratio that differs from machine to machine, and so is no reason to fail.
    pub(crate) fn times(what: impl Into<String>, figure: Option<f64>, bar: f64) -> Option<Self> {
        Some(Self::Absolute(what.into(), figure?, bar, "times"))
    }

    /// A ratio of works that cost some nanoseconds. On several CPUs these differ by several times,
    /// with what the CPUs share.
    pub(crate) fn ratio_of_costs(
        mode: Mode,
        what: impl Into<String>,
        figure: Option<f64>,
        bar: f64,
    ) -> Option<Self> {
        match mode {
            Mode::All => Self::times(what, figure, bar),
            Mode::One => Self::ratio(what, figure, bar),
        }
    }

    pub(crate) fn what(&self) -> &str {
        match self {
            Self::Ratio(what, ..) | Self::Absolute(what, ..) | Self::Shown(what, _) => what,
        }
    }

    pub(crate) fn figure(&self) -> String {
        match self {
            Self::Ratio(_, figure, _) | Self::Shown(_, figure) => format!("{figure:.2}"),
            Self::Absolute(_, figure, _, "") => format!("{figure:.0}"),
            Self::Absolute(_, figure, _, unit) => format!("{figure:.1} {unit}"),
        }
    }

    fn bar(&self) -> String {
        match self {
            Self::Ratio(_, _, bar) => format!("{bar:.2}"),
            Self::Absolute(_, _, bar, unit) => format!("{bar} {unit}").trim_end().to_owned(),
            Self::Shown(..) => "none".to_owned(),
        }
    }

    fn verdict(&self) -> &'static str {
        match self {
            Self::Shown(..) => "",
            Self::Ratio(_, figure, bar) | Self::Absolute(_, figure, bar, _) => {
                if figure <= bar {
                    "ok"
                } else {
                    "short"
                }
            }
        }
    }

    /// Is this a ratio more than twice its bar? That is more than noise.
    pub(crate) fn is_missed_by_far(&self) -> bool {
        matches!(self, Self::Ratio(_, figure, bar) if *figure > 2.0 * bar)
    }

    /// The bars beside their figures.
    pub(crate) fn table(bars: &[Self]) -> Table {
        let rows = bars.iter().map(|bar| {
            let verdict = bar.verdict().to_owned();
            vec![bar.what().to_owned(), bar.figure(), bar.bar(), verdict]
        });
        Table {
            head: ["", "figure", "bar", "verdict"].map(str::to_owned).into(),
            rows: rows.collect(),
        }
    }
}

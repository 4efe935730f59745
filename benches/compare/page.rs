//! The results as a page of Markdown.

use std::fmt::Write;

use crate::effort::Effort;
use crate::figures::{Figures, Key, Run};
use crate::machine;
use crate::measure::cpus;
use crate::mode::Mode;
use crate::options::Options;
use crate::section::{Bar, Section, Table};

/// The results of all runs.
pub(crate) struct Page {
    runs: usize,
    effort: Effort,
    has_plots: bool,
    medians: Run,
    modes: Vec<ModeResults>,
}

/// The results of one mode.
struct ModeResults {
    mode: Mode,
    /// By name of the workload; the figures are the medians of all runs.
    sections: Vec<(&'static str, Section)>,
    /// The bars of each run.
    runs: Vec<Vec<Bar>>,
}

/// A ratio that is more than twice its bar.
pub(crate) struct Missed {
    pub(crate) key: Key,
    what: String,
    figure: String,
}

impl Missed {
    /// Is this the same ratio, whatever its figure?
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.key, &self.what) == (other.key, &other.what)
    }

    pub(crate) fn text(&self) -> String {
        let ((mode, workload), what, figure) = (self.key, &self.what, &self.figure);
        let mode = mode.name();
        format!(
            "{mode}: {workload}: {what} was {figure} at first, and in no try within twice its bar"
        )
    }
}

impl Page {
    pub(crate) fn new(options: &Options, modes: &[Mode], runs: &[Run]) -> Self {
        let mut medians = Run::new();
        let mut results = Vec::new();
        for &mode in modes {
            let mut sections = Vec::new();
            let mut bars: Vec<Vec<Bar>> = runs.iter().map(|_| Vec::new()).collect();
            for workload in &options.only {
                let key = (mode, workload.name);
                // A workload of which one run has failed has no median.
                let figures: Vec<&Figures> = runs.iter().filter_map(|run| run.get(&key)).collect();
                if figures.len() < runs.len() {
                    continue;
                }
                for (bars, figures) in bars.iter_mut().zip(&figures) {
                    bars.extend((workload.report)(figures, mode).bars);
                }
                let figures = Figures::medians(&figures);
                sections.push((workload.name, (workload.report)(&figures, mode)));
                medians.insert(key, figures);
            }
            results.push(ModeResults {
                mode,
                sections,
                runs: bars,
            });
        }
        Self {
            runs: runs.len(),
            effort: options.effort,
            has_plots: options.out.is_some(),
            medians,
            modes: results,
        }
    }

    /// The figures of one workload, by mode.
    pub(crate) fn figures_of(&self, workload: &str) -> Vec<(Mode, &Figures)> {
        let figures = self.medians.iter();
        figures
            .filter(|((_, name), _)| *name == workload)
            .map(|((mode, _), figures)| (*mode, figures))
            .collect()
    }

    /// The ratios that are more than twice their bars.
    pub(crate) fn missed_by_far(&self) -> Vec<Missed> {
        let mut missed = Vec::new();
        for results in &self.modes {
            for (workload, section) in &results.sections {
                let bars = section.bars.iter().filter(|bar| bar.is_missed_by_far());
                missed.extend(bars.map(|bar| Missed {
                    key: (results.mode, *workload),
                    what: bar.what().to_owned(),
                    figure: bar.figure(),
                }));
            }
        }
        missed
    }

    pub(crate) fn to_markdown(&self, remarks: &[&str], failures: &[String]) -> String {
        let mut page = "# Troupe side by side\n\n".to_owned();
        page += "Written by `cargo bench --bench compare`. Smaller is better everywhere. A ratio \
                 is that of Troupe to another; `short` is a bar that is not met.\n\n";
        if self.effort != Effort::Full {
            page += "**A quick run: the figures say little.**\n\n";
        }
        for (what, value) in machine::facts() {
            let _ = writeln!(page, "- {what}: {value}");
        }
        let _ = writeln!(page, "- all CPUs: {}; runs: {}\n", cpus(), self.runs);
        for line in remarks {
            let _ = writeln!(page, "{line}\n");
        }
        for line in failures {
            let _ = writeln!(page, "**{line}**\n");
        }
        for results in &self.modes {
            results.write_bars(&mut page);
        }
        for results in &self.modes {
            results.write_sections(self.has_plots, &mut page);
        }
        page.truncate(page.trim_end().len());
        page.push('\n');
        page
    }
}

impl ModeResults {
    /// All bars at a glance and, of several runs, all that each run had.
    fn write_bars(&self, page: &mut String) {
        let _ = writeln!(page, "## Bars, {}\n", self.mode.name());
        let mut all = Table {
            head: ["workload", "", "figure", "bar", "verdict"]
                .map(str::to_owned)
                .into(),
            rows: Vec::new(),
        };
        for (workload, section) in &self.sections {
            for row in Bar::table(&section.bars).rows {
                let workload = (*workload).to_owned();
                all.rows.push([workload].into_iter().chain(row).collect());
            }
        }
        let _ = writeln!(page, "{}", all.to_markdown());
        if self.runs.len() < 2 {
            return;
        }
        let _ = writeln!(page, "## Runs, {}\n", self.mode.name());
        let numbers = (1..=self.runs.len()).map(|number| format!("run {number}"));
        let rows = all.rows.iter().enumerate().map(|(index, row)| {
            let runs = self.runs.iter();
            let cells =
                runs.map(|bars| bars.get(index).map_or_else(|| "-".to_owned(), Bar::figure));
            row[..2].iter().cloned().chain(cells).collect()
        });
        let runs = Table {
            head: ["workload".to_owned(), String::new()]
                .into_iter()
                .chain(numbers)
                .collect(),
            rows: rows.collect(),
        };
        let _ = writeln!(page, "{}", runs.to_markdown());
    }

    fn write_sections(&self, has_plots: bool, page: &mut String) {
        for (workload, section) in &self.sections {
            let _ = writeln!(
                page,
                "## {workload}, {}\n\n{}\n",
                self.mode.name(),
                section.about
            );
            for table in &section.tables {
                let _ = writeln!(page, "{}", table.to_markdown());
            }
            if !section.bars.is_empty() {
                let _ = writeln!(page, "{}", Bar::table(&section.bars).to_markdown());
            }
            let plot = match *workload {
                "throughput" => "throughput",
                "mixed" => "sojourn",
                "refusal" => "refusal",
                _ => continue,
            };
            if has_plots {
                let _ = writeln!(page, "![{workload}](plots/{plot}.svg)\n");
            }
        }
    }
}

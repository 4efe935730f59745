//! The plots. White behind everything, so that they can be read on a dark page.

use std::error::Error;
use std::path::Path;

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{
    BLACK, Cartesian2d, ChartBuilder, ChartContext, DrawingArea, IntoDrawingArea, IntoFont,
    IntoLogRange, LineSeries, LogCoord, PathElement, RED, RGBColor, Rectangle, SVGBackend,
    SeriesLabelPosition, Text, WHITE,
};
use plotters::style::Color;

use crate::figures::Figures;
use crate::mode::Mode;

/// Draws the figures of each mode into a file of that folder.
pub(crate) type Plot = fn(&Path, &[(Mode, &Figures)]) -> Outcome;

type Outcome = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

const WIDTH: u32 = 1_000;
const HEIGHT: u32 = 420;

/// The colours of Okabe and Ito, which most people can tell apart.
const COLOURS: [(&str, RGBColor); 7] = [
    ("troupe", RGBColor(213, 94, 0)),
    ("dynamic", RGBColor(230, 159, 0)),
    ("threadpool", RGBColor(0, 114, 178)),
    ("rusty_pool", RGBColor(86, 180, 233)),
    ("rayon", RGBColor(0, 158, 115)),
    ("tokio", RGBColor(204, 121, 167)),
    ("floor", RGBColor(110, 110, 110)),
];

fn colour(name: &str) -> RGBColor {
    let colour = COLOURS.iter().find(|(of, _)| *of == name);
    colour.map_or(BLACK, |(_, colour)| *colour)
}

/// A drawing with a panel for each mode, one below the other.
fn panels<'a>(
    folder: &Path,
    file: &'a mut Option<std::path::PathBuf>,
    name: &str,
    modes: usize,
) -> Result<Vec<Area<'a>>, Box<dyn Error>> {
    let file = file.insert(folder.join(name));
    let height = HEIGHT * u32::try_from(modes)?;
    let root = SVGBackend::new(file, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    Ok(root.split_evenly((modes, 1)))
}

/// The least and the most of all figures, with some air around.
fn range(figures: &Figures) -> std::ops::Range<f64> {
    let rows = figures.rows().into_iter();
    let cells: Vec<f64> = rows
        .flat_map(|row| {
            let columns = figures.columns().into_iter();
            columns.filter_map(move |column| figures.get(row, column))
        })
        .collect();
    let least = cells.iter().copied().fold(f64::INFINITY, f64::min);
    let most = cells.iter().copied().fold(1.0, f64::max);
    (least.max(0.1) * 0.7)..(most * 1.3)
}

/// A group of bars for each cell, one for each contestant.
pub(crate) fn throughput(folder: &Path, modes: &[(Mode, &Figures)]) -> Outcome {
    let mut file = None;
    for (area, (mode, figures)) in panels(folder, &mut file, "throughput.svg", modes.len())?
        .iter()
        .zip(modes)
    {
        let rows = figures.rows();
        let columns = figures.columns();
        let mut chart = chart(
            area,
            &format!("No-op works, {}", mode.name()),
            0.0..rows.len() as f64,
            range(figures),
        )?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(2 * rows.len() + 1)
            .x_label_formatter(&|x| middle_of(&rows, *x))
            .x_desc("actors x producers")
            .y_desc("ns per work (log)")
            .y_label_formatter(&|y| format!("{y:.0}"))
            .draw()?;
        let bottom = range(figures).start;
        let width = 0.86 / columns.len() as f64;
        for (place, column) in columns.iter().enumerate() {
            let colour = colour(column);
            let bars = rows.iter().enumerate().filter_map(|(group, row)| {
                let left = group as f64 + 0.07 + place as f64 * width;
                let corners = [(left, bottom), (left + width, figures.get(row, column)?)];
                Some(Rectangle::new(corners, colour.filled()))
            });
            chart.draw_series(bars)?;
        }
        legend(area, &figures.columns())?;
    }
    Ok(())
}

/// The row in whose middle a mark stands, or nothing.
fn middle_of(rows: &[&str], x: f64) -> String {
    let is_middle = (x.fract() - 0.5).abs() < 1e-6;
    let row = rows.get(x as usize).filter(|_| is_middle);
    row.map_or_else(String::new, |row| (*row).to_owned())
}

/// How long works wait, over the share that waits no longer; the axis of the
/// shares is stretched towards 100 %, where the interesting part is.
pub(crate) fn sojourn(folder: &Path, modes: &[(Mode, &Figures)]) -> Outcome {
    /// How many nines: 0 is 0 %, 1 is 90 %, 2 is 99 %.
    fn nines(percent: f64) -> f64 {
        -(1.0 - percent / 100.0).log10()
    }
    let mut file = None;
    for (area, (mode, figures)) in panels(folder, &mut file, "sojourn.svg", modes.len())?
        .iter()
        .zip(modes)
    {
        let mut chart = chart(
            area,
            &format!("Mixed load, {}", mode.name()),
            0.0..3.0,
            range(figures),
        )?;
        chart
            .configure_mesh()
            .x_labels(4)
            .x_label_formatter(&|x| {
                format!(
                    "{} %",
                    (100_000.0 * (1.0 - 0.1_f64.powf(*x))).round() / 1_000.0
                )
            })
            .x_desc("share of the works that wait no longer")
            .y_desc("us from assign to start (log)")
            .y_label_formatter(&|y| format!("{y:.0}"))
            .draw()?;
        for column in figures.columns() {
            let points = figures.rows().into_iter().filter_map(|row| {
                let percent: f64 = row.strip_prefix('p')?.parse().ok()?;
                Some((nines(percent), figures.get(row, column)?))
            });
            let colour = colour(column);
            let style = colour.stroke_width(if column == "troupe" { 3 } else { 2 });
            chart.draw_series(LineSeries::new(points, style))?;
        }
        legend(area, &figures.columns())?;
    }
    Ok(())
}

/// The cost of a refusal, over the number of actors.
pub(crate) fn refusal(folder: &Path, modes: &[(Mode, &Figures)]) -> Outcome {
    const BAR: f64 = 15.0;
    let mut file = None;
    let panels = panels(folder, &mut file, "refusal.svg", 1)?;
    let Some(area) = panels.first() else {
        return Ok(());
    };
    let points = |figures: &Figures| -> Vec<(f64, f64)> {
        let rows = figures.rows().into_iter();
        rows.filter_map(|row| Some((row.parse().ok()?, figures.get(row, "troupe")?)))
            .collect()
    };
    let all: Vec<(f64, f64)> = modes
        .iter()
        .flat_map(|(_, figures)| points(figures))
        .collect();
    let most = all.iter().fold(1.0_f64, |most, (x, _)| most.max(*x));
    let dearest = all.iter().fold(BAR, |most, (_, y)| most.max(*y));
    let mut chart = ChartBuilder::on(area)
        .caption("A refusal, every place being taken", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d((1.0..most).log_scale(), 0.0..dearest * 1.2)?;
    chart
        .configure_mesh()
        .x_desc("actors (log)")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_desc("ns per refused assign")
        .draw()?;
    for (mode, figures) in modes {
        let colour = colour(match mode {
            Mode::All => "troupe",
            Mode::One => "threadpool",
        });
        let style = colour.stroke_width(3);
        chart
            .draw_series(LineSeries::new(points(figures), style))?
            .label(mode.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], style));
    }
    chart
        .draw_series(LineSeries::new(
            [(1.0, BAR), (most, BAR)],
            RED.stroke_width(1),
        ))?
        .label("bar")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 14, y)], RED));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, LogCoord<f64>>>;

/// A chart whose vertical axis is logarithmic.
fn chart<'a, 'b>(
    area: &'a Area<'b>,
    caption: &str,
    x: std::ops::Range<f64>,
    y: std::ops::Range<f64>,
) -> Result<Chart<'a, 'b>, Box<dyn Error>> {
    let chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 20).into_font())
        .margin(12)
        .margin_right(140)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(x, y.log_scale())?;
    Ok(chart)
}

/// The meaning of the colours, in the margin on the right.
fn legend(area: &Area<'_>, names: &[&str]) -> Outcome {
    let left = WIDTH as i32 - 126;
    for (line, name) in names.iter().enumerate() {
        let top = 50 + 22 * line as i32;
        let patch = [(left, top), (left + 12, top + 12)];
        area.draw(&Rectangle::new(patch, colour(name).filled()))?;
        let style = ("sans-serif", 15).into_font().color(&BLACK);
        area.draw(&Text::new((*name).to_owned(), (left + 18, top), style))?;
    }
    Ok(())
}

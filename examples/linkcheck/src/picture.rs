//! `--svg FILE`: the pool over time.

use std::{error::Error, path::Path};

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::{
        BLACK, Cartesian2d, ChartBuilder, ChartContext, DashedLineSeries, DrawingArea,
        IntoDrawingArea, IntoFont, LineSeries, PathElement, Polygon, RGBColor, SVGBackend,
        SeriesLabelPosition, Text, WHITE,
    },
    style::Color,
};
use troupe_pool::Config;

use crate::sample::Sample;

type Drawn = Result<(), Box<dyn Error>>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// The colours of Okabe and Ito, which most people can tell apart.
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const RED: RGBColor = RGBColor(213, 94, 0);
const GREY: RGBColor = RGBColor(90, 90, 90);

const SIZE: (u32, u32) = (1000, 500);

/// A curve: its name, its colour, whether the area below it is filled, and its values.
type Curve = (&'static str, RGBColor, bool, fn(&Sample) -> usize);

/// Draws into a file: above the actors, below what waits.
pub(crate) fn draw(file: &Path, title: &str, config: &Config, samples: &[Sample]) -> Drawn {
    // White, so that it can be read on a dark page as well.
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(title, ("sans-serif", 19))?;
    let (above, below) = root.split_vertically(235);
    panel(
        &above,
        "actors",
        (config.max, format!("max {}", config.max)),
        [
            ("actors", BLUE, true, |sample| sample.actors),
            ("of them busy", ORANGE, false, |sample| sample.busy),
        ],
        samples,
    )?;
    let bound = config.max * config.mailbox_size;
    panel(
        &below,
        "links that wait",
        (bound, format!("bound {bound}: the feeder waits")),
        [
            ("queued in mailboxes", GREEN, true, |sample| sample.queued),
            ("backing off before a retry", RED, false, |sample| {
                sample.retrying
            }),
        ],
        samples,
    )?;
    root.present()?;
    Ok(())
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    unit: &str,
    (bound, bound_name): (usize, String),
    curves: [Curve; 2],
    samples: &[Sample],
) -> Drawn {
    let end = samples.last().map_or(1.0, |sample| sample.at.as_secs_f64());
    let values = samples
        .iter()
        .flat_map(|sample| curves.map(|(.., value)| value(sample)));
    let most = values.fold(bound, usize::max) as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .margin_right(20)
        .x_label_area_size(38)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..end.max(0.1), 0.0..most * 1.45)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_desc("seconds")
        .y_desc(unit)
        .y_labels(5)
        .x_label_formatter(&|second| format!("{second}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .label_style(("sans-serif", 14))
        .draw()?;
    for curve in curves {
        draw_curve(&mut chart, curve, samples)?;
    }
    let bound = bound as f64;
    let line = [(0.0, bound), (end, bound)];
    chart.draw_series(DashedLineSeries::new(line, 6, 4, GREY.stroke_width(1)))?;
    let style = ("sans-serif", 13).into_font().color(&GREY);
    let above = (end * 0.005, bound + most * 0.11);
    chart.draw_series([Text::new(bound_name, above, style)])?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}

fn draw_curve(chart: &mut Chart<'_, '_>, curve: Curve, samples: &[Sample]) -> Drawn {
    let (name, colour, is_filled, value) = curve;
    let points = steps(samples, value);
    if is_filled {
        let mut area = points.clone();
        let ends = [points.last(), points.first()].into_iter().flatten();
        area.extend(ends.map(|&(at, _)| (at, 0.0)));
        chart.draw_series([Polygon::new(area, colour.mix(0.2))])?;
    }
    chart
        .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
        .label(name)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
    Ok(())
}

/// A gauge keeps its value until it has another: a corner for each change, and none between.
fn steps(samples: &[Sample], value: fn(&Sample) -> usize) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for sample in samples {
        let (at, value) = (sample.at.as_secs_f64(), value(sample) as f64);
        match points.last().copied() {
            Some((_, before)) if before == value => {}
            Some((_, before)) => points.extend([(at, before), (at, value)]),
            None => points.push((at, value)),
        }
    }
    if let (Some(&(_, value)), Some(sample)) = (points.last(), samples.last()) {
        points.push((sample.at.as_secs_f64(), value));
    }
    points
}

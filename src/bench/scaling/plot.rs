//! Plots how training scales: throughput over ranks at the top, and the phases of a step at the bottom.

use plotters::prelude::*;

use super::report::{Point, Scaling};
use ternflock_base::error::{Error, Result};
use ternflock_report::Phases;
use ternflock_report::plot::{
    Area, BLUE, Drawn, GREEN, GREY, Mark, ORANGE, PURPLE, VERMILION, beside_legend, colour, decades,
    has_place,
};

/// Width and height of the picture in pixels.
const SIZE: (u32, u32) = (860, 760);
/// The height of a chart of speeds.
const HEIGHT: u32 = 380;

/// The horizontal axis of a speed plot.
#[derive(Clone, Copy)]
enum Over {
    Ranks,
    Nodes,
}

impl Over {
    fn name(self) -> &'static str {
        match self {
            Over::Ranks => "ranks",
            Over::Nodes => "nodes",
        }
    }
}

/// A phase of a step, its colour, and its seconds.
type PhaseBar = (&'static str, RGBColor, fn(&Phases) -> f64);

/// The phases of a step, in the order of a step.
const PHASE_BARS: [PhaseBar; 6] = [
    ("compute", BLUE, |phases| phases.compute),
    ("encode", GREEN, |phases| phases.encode),
    ("wait", GREY, |phases| phases.wait),
    ("wire", VERMILION, |phases| phases.exchange),
    ("decode", ORANGE, |phases| phases.decode),
    ("update", PURPLE, |phases| phases.update),
];

/// `scaling` as the text of an SVG file.
///
/// # Errors
/// If nothing was measured, or drawing fails.
pub fn plot(scaling: &Scaling) -> Result<String> {
    if speeds(scaling).next().is_none() {
        return Err(Error::Usage("nothing was measured that could be drawn".into()));
    }
    let mut text = String::new();
    draw(&mut text, scaling)
        .map_err(|error| Error::Usage(format!("the picture cannot be drawn: {error}")))?;
    Ok(text)
}

/// The speeds of several forecasts by number of nodes, as the text of an SVG file: one named chart per forecast.
///
/// # Errors
/// Those of [`plot`].
pub fn plot_rates(charts: &[(&str, &Scaling)]) -> Result<String> {
    if charts.iter().any(|(_, scaling)| speeds(scaling).next().is_none()) {
        return Err(Error::Usage("nothing was measured that could be drawn".into()));
    }
    let mut text = String::new();
    draw_rates(&mut text, charts)
        .map_err(|error| Error::Usage(format!("the picture cannot be drawn: {error}")))?;
    Ok(text)
}

/// The speeds that a logarithmic axis can show, without those of ways that took no measurable time or did
/// nothing.
fn speeds(scaling: &Scaling) -> impl Iterator<Item = f64> {
    let all = scaling.points.iter().flat_map(|point| point.ways.iter().map(|way| way.rate));
    all.filter(|rate| has_place(*rate))
}

fn draw_rates(text: &mut String, charts: &[(&str, &Scaling)]) -> Drawn {
    let size = (SIZE.0, HEIGHT * charts.len() as u32);
    let root = SVGBackend::with_string(text, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, (name, scaling)) in root.split_evenly((charts.len(), 1)).iter().zip(charts) {
        throughput(area, &format!("{}, {name}", scaling.job), scaling, Over::Nodes)?;
    }
    root.present()?;
    Ok(())
}

fn draw(text: &mut String, scaling: &Scaling) -> Drawn {
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, below) = root.split_vertically(HEIGHT);
    throughput(&above, &scaling.job, scaling, Over::Ranks)?;
    split(&below, scaling)?;
    root.present()?;
    Ok(())
}

fn throughput(area: &Area, name: &str, scaling: &Scaling, over: Over) -> Drawn {
    let at = |point: &Point| match over {
        Over::Ranks => point.ranks as f64,
        Over::Nodes => point.hosts as f64,
    };
    let places: Vec<f64> = scaling.points.iter().map(at).collect();
    let (fewest, most) =
        places.iter().fold((f64::INFINITY, 0.0f64), |(low, high), &at| (low.min(at), high.max(at)));
    let (slowest, fastest) =
        (speeds(scaling).fold(f64::INFINITY, f64::min), speeds(scaling).fold(0.0, f64::max));
    let line: Vec<_> = scaling.points.iter().map(|point| (at(point), ideal(scaling, point.ranks))).collect();
    let line = with_place(line);
    let top = (line.iter().map(|(_, rate)| *rate).fold(fastest, f64::max) * 1.3).min(f64::MAX);
    let (bottom, ways) = ((slowest * 0.75).max(f64::MIN_POSITIVE), scaling.ways());
    let mut entries = vec![("in proportion".to_owned(), Mark::Line(GREY, 1))];
    entries.extend(
        ways.iter().enumerate().map(|(number, way)| ((*way).to_owned(), Mark::Line(colour(number), 2))),
    );
    let unit = scaling.points.first().map_or("samples", |point| &point.unit);
    let mut chart = ChartBuilder::on(&beside_legend(area, &entries)?)
        .caption(format!("{name}: {unit}/s by {}", over.name()), ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(80)
        .build_cartesian_2d(
            (fewest * 0.9..most * 1.1).log_scale().with_key_points(apart(places)),
            (bottom..top).log_scale().with_key_points(decades(bottom, top)),
        )?;
    chart
        .configure_mesh()
        .x_desc(over.name())
        .x_label_formatter(&|place| format!("{place:.0}"))
        .y_label_formatter(&|rate| rate_label(*rate))
        .y_desc(format!("{unit}/s"))
        .light_line_style(WHITE.mix(0.0))
        .draw()?;
    chart.draw_series(LineSeries::new(line, GREY))?;
    for (number, name) in ways.into_iter().enumerate() {
        let of_way = |point: &Point| Some((at(point), point.ways.iter().find(|way| way.way == name)?.rate));
        let points = with_place(scaling.points.iter().filter_map(of_way).collect());
        chart.draw_series(LineSeries::new(points.iter().copied(), colour(number).stroke_width(2)))?;
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, colour(number).filled())))?;
    }
    Ok(())
}

/// Perfect scaling to `ranks`: the speed of the fastest method on the fewest ranks, times the ratio of ranks.
fn ideal(scaling: &Scaling, ranks: usize) -> f64 {
    ranks as f64 / scaling.efficiency(1, 1.0)
}

/// Those of `points` whose speed a logarithmic axis can show, from left to right.
fn with_place(mut points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    points.retain(|(_, rate)| has_place(*rate));
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// The `places` for which a logarithmic axis has room for labels: the first, and each one that is a quarter more than
/// the one before it.
fn apart(mut places: Vec<f64>) -> Vec<f64> {
    places.sort_by(f64::total_cmp);
    let mut apart: Vec<f64> = Vec::new();
    for place in places {
        if apart.last().is_none_or(|last| place >= 1.25 * last) {
            apart.push(place);
        }
    }
    apart
}

/// A speed, formatted to fit next to an axis.
fn rate_label(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{} M", rate / 1e6),
        rate if rate >= 1e3 => format!("{} k", rate / 1e3),
        rate => format!("{rate}"),
    }
}

fn split(area: &Area, scaling: &Scaling) -> Drawn {
    // With more bars, their names would overlap.
    let is_crowded = scaling.points.iter().map(|point| point.ways.len()).sum::<usize>() > 9;
    let caption = match is_crowded {
        true => "time per step by phase and number of ranks; methods in the order above",
        false => "time per step by phase (overlapping work is counted twice)",
    };
    let bars: Vec<(String, Phases)> = scaling
        .points
        .iter()
        .flat_map(|point| {
            point.ways.iter().map(|way| {
                let name =
                    if is_crowded { point.ranks.to_string() } else { format!("{} {}", point.ranks, way.way) };
                (name, way.mean_phases())
            })
        })
        .collect();
    // Values that are not finite have no height.
    let height = |part: fn(&Phases) -> f64, phases: &Phases| {
        Some(1e3 * part(phases)).filter(|height| height.is_finite()).unwrap_or(0.0)
    };
    let all = |phases: &Phases| PHASE_BARS.iter().map(|(_, _, part)| height(*part, phases)).sum::<f64>();
    let highest = bars.iter().map(|(_, phases)| all(phases)).fold(0.0, f64::max);
    let entries = PHASE_BARS.map(|(name, colour, _)| (name.to_owned(), Mark::Filled(colour)));
    let mut chart = ChartBuilder::on(&beside_legend(area, &entries)?)
        .caption(caption, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(80)
        .build_cartesian_2d(0.0..bars.len() as f64, 0.0..highest * 1.05)?;
    let label = |at: &f64| {
        let named =
            bars.get((*at - 0.5).round().max(0.0) as usize).filter(|_| (at.fract() - 0.5).abs() < 0.01);
        named.map_or(String::new(), |(name, _)| name.clone())
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(2 * bars.len() + 1)
        .x_label_formatter(&label)
        .x_label_style(("sans-serif", 10))
        .y_desc("ms")
        .light_line_style(WHITE.mix(0.0))
        .draw()?;
    let mut bottoms = vec![0.0; bars.len()];
    for (_, colour, part) in PHASE_BARS {
        let boxes = bars.iter().zip(&mut bottoms).enumerate().map(|(place, ((_, phases), bottom))| {
            let low = *bottom;
            *bottom += height(part, phases);
            let corners = [(place as f64 + 0.15, low), (place as f64 + 0.85, *bottom)];
            Rectangle::new(corners, colour.filled())
        });
        chart.draw_series(boxes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

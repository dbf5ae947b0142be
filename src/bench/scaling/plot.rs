//! How training scales, as a picture: above, throughput over ranks; below, where the time of a step goes.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::report::Scaling;
use crate::error::{Error, Result};
use crate::report::Phases;

/// Of the picture, in pixels.
const SIZE: (u32, u32) = (760, 760);
/// Of a chart of speeds.
const HEIGHT: u32 = 380;

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A part of a step, its colour, and its seconds.
type Part = (&'static str, RGBColor, fn(&Phases) -> f64);

/// The parts of a step, in the order of a step.
const PARTS: [Part; 6] = [
    ("compute", RGBColor(70, 110, 170), |phases| phases.compute),
    ("encode", RGBColor(120, 180, 120), |phases| phases.encode),
    ("wait", RGBColor(200, 200, 200), |phases| phases.wait),
    ("wire", RGBColor(205, 95, 80), |phases| phases.exchange),
    ("decode", RGBColor(225, 190, 90), |phases| phases.decode),
    ("update", RGBColor(140, 110, 160), |phases| phases.update),
];

/// `scaling` as the text of an SVG file.
///
/// # Errors
/// When nothing was measured, or the picture cannot be made.
pub fn plot(scaling: &Scaling) -> Result<String> {
    if scaling.points.iter().all(|point| point.ways.is_empty()) {
        return Err(Error::Usage("nothing was measured that could be drawn".into()));
    }
    let mut text = String::new();
    draw(&mut text, scaling)
        .map_err(|error| Error::Usage(format!("the picture cannot be drawn: {error}")))?;
    Ok(text)
}

/// The speeds of several measurements or predictions, a chart each with its name, as the text of an SVG file.
///
/// # Errors
/// Those of [`plot`].
pub fn plot_rates(charts: &[(&str, &Scaling)]) -> Result<String> {
    if charts.iter().any(|(_, scaling)| scaling.points.iter().all(|point| point.ways.is_empty())) {
        return Err(Error::Usage("nothing was measured that could be drawn".into()));
    }
    let mut text = String::new();
    draw_rates(&mut text, charts)
        .map_err(|error| Error::Usage(format!("the picture cannot be drawn: {error}")))?;
    Ok(text)
}

fn draw_rates(text: &mut String, charts: &[(&str, &Scaling)]) -> Drawn {
    let size = (SIZE.0, HEIGHT * charts.len() as u32);
    let root = SVGBackend::with_string(text, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, (name, scaling)) in root.split_evenly((charts.len(), 1)).iter().zip(charts) {
        throughput(area, &format!("{}, {name}", scaling.job), scaling)?;
    }
    root.present()?;
    Ok(())
}

fn draw(text: &mut String, scaling: &Scaling) -> Drawn {
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, below) = root.split_vertically(HEIGHT);
    throughput(&above, &scaling.job, scaling)?;
    split(&below, scaling)?;
    root.present()?;
    Ok(())
}

fn throughput(area: &Area, name: &str, scaling: &Scaling) -> Drawn {
    let rates = || scaling.points.iter().flat_map(|point| point.ways.iter().map(|way| way.rate));
    let ranks = || scaling.points.iter().map(|point| point.ranks as f64);
    let (fewest, most) = (ranks().fold(f64::INFINITY, f64::min), ranks().fold(0.0, f64::max));
    let (slowest, fastest) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
    let ideal = |ranks: f64| ranks / scaling.efficiency(1, 1.0);
    let top = fastest.max(ideal(most)) * 1.2;
    let unit = scaling.points.first().map_or("samples", |point| &point.unit);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{name}: {unit}/s by ranks"), ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(70)
        .build_cartesian_2d((fewest * 0.9..most * 1.1).log_scale(), (slowest * 0.8..top).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("ranks")
        .x_label_formatter(&|ranks| format!("{ranks:.0}"))
        .y_label_formatter(&|rate| format!("{rate:.0}"))
        .y_desc(format!("{unit}/s"))
        .light_line_style(WHITE.mix(0.0))
        .draw()?;
    let line = [fewest, most].map(|ranks| (ranks, ideal(ranks)));
    chart
        .draw_series(LineSeries::new(line, BLACK.mix(0.4)))?
        .label("as fast as there are ranks")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], BLACK.mix(0.4)));
    for (number, name) in scaling.ways().into_iter().enumerate() {
        let colour = Palette99::pick(number).mix(1.0);
        let mut points: Vec<(f64, f64)> = scaling
            .points
            .iter()
            .filter_map(|point| {
                let way = point.ways.iter().find(|way| way.way == name)?;
                Some((point.ranks as f64, way.rate))
            })
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}

fn split(area: &Area, scaling: &Scaling) -> Drawn {
    // Names of more bars would run into each other.
    let is_crowded = scaling.points.iter().map(|point| point.ways.len()).sum::<usize>() > 9;
    let caption = match is_crowded {
        true => format!("a step's time by ranks, each with {}", scaling.ways().join(", ")),
        false => "where the time of a step goes (what overlaps is counted twice)".into(),
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
    let highest = bars.iter().map(|(_, phases)| 1e3 * phases.busy()).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(70)
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
    for (name, colour, part) in PARTS {
        let boxes = bars.iter().zip(&mut bottoms).enumerate().map(|(place, ((_, phases), bottom))| {
            let low = *bottom;
            *bottom += 1e3 * part(phases);
            let corners = [(place as f64 + 0.15, low), (place as f64 + 0.85, *bottom)];
            Rectangle::new(corners, colour.filled())
        });
        chart
            .draw_series(boxes)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 12, y + 4)], colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Mode, Point, WayTime};
    use super::*;

    fn scaling(ranks: &[usize]) -> Scaling {
        let way = |way: &str| WayTime {
            way: way.into(),
            step_s: 0.1,
            fastest_s: 0.1,
            slowest_s: 0.1,
            rate: 100.0,
            bytes_sent: vec![0],
            phases: vec![Phases { compute: 0.07, exchange: 0.03, ..Phases::default() }],
        };
        let point = |&ranks: &usize| Point {
            ranks,
            hosts: ranks,
            threads: 1,
            global_batch: 8,
            parameters: 1,
            unit: "tokens".into(),
            ways: vec![way("ring_f32"), way("ring_ternary")],
        };
        Scaling { job: "a <job>".into(), mode: Mode::Weak, points: ranks.iter().map(point).collect() }
    }

    #[test]
    fn ways_become_lines_and_bars() {
        let text = plot(&scaling(&[1, 4])).unwrap();
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"), "{text}");
        for part in [
            "a &lt;job&gt;: tokens/s by ranks",
            "ring_ternary",
            "4 ring_f32",
            "wire",
            "as fast as there are ranks",
        ] {
            assert!(text.contains(part), "no {part}");
        }
        let crowded = plot(&scaling(&[1, 2, 3, 4, 5])).unwrap();
        assert!(crowded.contains("each with ring_f32, ring_ternary") && !crowded.contains("4 ring_f32"));
        // One number of ranks is a line of no length.
        assert!(plot(&scaling(&[3])).is_ok());
        assert!(plot(&Scaling { points: Vec::new(), ..scaling(&[]) }).is_err());
    }
}

//! Plots slices.

use plotters::prelude::*;

use super::Slice;
use ternflock_base::error::{Error, Result};
use ternflock_report::plot::{GREY, Mark, beside_legend, colour};

/// Width and height of the picture in pixels.
const SIZE: (u32, u32) = (760, 420);

/// `slices` in one picture, as the text of an SVG file, under the heading `title`.
///
/// # Errors
/// If there is no finite loss to draw, or drawing fails.
pub fn plot(title: &str, slices: &[Slice]) -> Result<String> {
    let finite =
        || slices.iter().flat_map(|slice| slice.loss.iter().copied().filter(|loss| loss.is_finite()));
    let far = slices.iter().flat_map(|slice| &slice.t).fold(0.0f64, |far, t| far.max(t.abs()));
    let (low, high) = finite()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), loss| (low.min(loss), high.max(loss)));
    if low > high || far == 0.0 {
        return Err(Error::Usage("there is no finite loss along the slices to draw".into()));
    }
    let margin = (0.05 * (high - low)).max(1e-6);
    let mut text = String::new();
    draw(&mut text, title, slices, far, low - margin..high + margin)
        .map_err(|error| Error::Usage(format!("the picture cannot be drawn: {error}")))?;
    Ok(text)
}

fn draw(
    text: &mut String,
    title: &str,
    slices: &[Slice],
    far: f64,
    losses: std::ops::Range<f64>,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let lines = slices.iter().enumerate();
    let mut entries: Vec<_> = lines
        .map(|(number, slice)| (format!("direction {}", slice.direction + 1), Mark::Line(colour(number), 2)))
        .collect();
    entries.push(("the network".into(), Mark::Line(GREY, 1)));
    let (low, high) = (losses.start, losses.end);
    let mut chart = ChartBuilder::on(&beside_legend(&root, &entries)?)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(-far..far, losses)?;
    chart
        .configure_mesh()
        .x_desc("distance along a filter-normalised direction")
        .y_desc("mean loss (nats)")
        .light_line_style(WHITE.mix(0.0))
        .draw()?;
    chart.draw_series(LineSeries::new([(0.0, low), (0.0, high)], GREY))?;
    for (number, slice) in slices.iter().enumerate() {
        // The line is interrupted where the loss is not finite.
        let points: Vec<_> = slice.t.iter().copied().zip(slice.loss.iter().copied()).collect();
        for piece in points.split(|(_, loss)| !loss.is_finite()) {
            chart.draw_series(LineSeries::new(piece.iter().copied(), colour(number).stroke_width(2)))?;
        }
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_become_lines() {
        let slice =
            |direction: u64, loss: &[f64]| Slice { direction, t: vec![-1.0, 0.0, 1.0], loss: loss.to_vec() };
        let whole = slice(0, &[2.0, 1.0, 3.0]);
        let broken = slice(1, &[2.0, f64::INFINITY, 3.0]);
        let text = plot("a <network>", &[whole, broken]).unwrap();
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"), "{text}");
        assert!(text.contains("a &lt;network&gt;") && text.contains("mean loss (nats)"));
        assert!(text.matches("<polyline").count() >= 3);
        for name in ["direction 1", "direction 2", "the network"] {
            assert!(text.contains(name), "no {name} in {text}");
        }
        let error = plot("x", &[slice(0, &[f64::NAN; 3])]).unwrap_err().to_string();
        assert!(error.contains("no finite loss"), "{error}");
    }
}

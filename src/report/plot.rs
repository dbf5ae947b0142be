//! What all plots share: colours, and a legend next to the chart, where it hides no point.

use plotters::coord::Shift;
use plotters::prelude::*;

/// A drawing area.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The result of drawing.
pub type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Blue.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
/// Vermilion.
pub const VERMILION: RGBColor = RGBColor(213, 94, 0);
/// Bluish green.
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
/// Reddish purple.
pub const PURPLE: RGBColor = RGBColor(204, 121, 167);
/// Sky blue.
pub const SKY: RGBColor = RGBColor(86, 180, 233);
/// Orange.
pub const ORANGE: RGBColor = RGBColor(230, 159, 0);
/// Grey, for context.
pub const GREY: RGBColor = RGBColor(153, 153, 153);

/// The colours of Okabe and Ito (2008), which colour-blind readers can tell apart, without their yellow, which is hard
/// to see on white.
const COLOURS: [RGBColor; 7] = [BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE, BLACK];

/// The colour of line `number`; they repeat after seven.
pub fn colour(number: usize) -> RGBColor {
    COLOURS[number % COLOURS.len()]
}

/// The mark before a name in a legend.
#[derive(Clone, Copy)]
pub enum Mark {
    /// A line of this colour and width.
    Line(RGBColor, u32),
    /// A filled box.
    Filled(RGBColor),
}

/// The height of a legend row in pixels, and the width of the mark before its name.
const ROW: i32 = 18;
const MARK: i32 = 16;
/// An upper bound on the average width of a letter of [`SIZE`].
const LETTER: f64 = 7.0;
const SIZE: i32 = 12;

/// Cuts space for a legend off the right of `area`, writes `entries` there, and returns the space for the chart. A
/// legend that does not fit ends with the number of further entries.
pub fn beside_legend<'a>(
    area: &Area<'a>,
    entries: &[(String, Mark)],
) -> Result<Area<'a>, Box<dyn std::error::Error>> {
    let longest = entries.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let (width, height) = area.dim_in_pixel();
    let room = (longest as f64 * LETTER) as i32 + MARK + 24;
    let (chart, legend) = area.split_horizontally(width as i32 - room);
    let top = 40;
    let fit = ((height as i32 - top) / ROW).max(1) as usize;
    let shown = if entries.len() > fit { fit - 1 } else { entries.len() };
    let rows = (0..).map(|row| top + ROW * row);
    for ((name, mark), y) in entries[..shown].iter().zip(rows.clone()) {
        match *mark {
            Mark::Line(colour, width) => {
                let ends = [(4, y), (4 + MARK, y)];
                legend.draw(&PathElement::new(ends, colour.stroke_width(width)))?;
            }
            Mark::Filled(colour) => {
                legend.draw(&Rectangle::new([(4, y - 5), (4 + MARK - 4, y + 5)], colour.filled()))?;
            }
        }
        write(&legend, name, y)?;
    }
    if shown < entries.len() {
        write(&legend, &format!("and {} more", entries.len() - shown), top + ROW * shown as i32)?;
    }
    Ok(chart)
}

fn write(legend: &Area, text: &str, y: i32) -> Drawn {
    let place = (4 + MARK + 6, y - SIZE / 2);
    legend.draw(&Text::new(text.to_owned(), place, ("sans-serif", SIZE)))?;
    Ok(())
}

/// Whether a logarithmic axis can show `value`: it is finite and above 0.
pub fn has_place(value: f64) -> bool {
    value > 0.0 && value.is_finite()
}

/// The grid lines of a logarithmic axis from `low` to `high`: at 1, 2 and 5 times the powers of ten, or only at the
/// powers if these would be too many. None if
/// an end of the axis [has no place](has_place) on it.
pub fn decades(low: f64, high: f64) -> Vec<f64> {
    const MOST: usize = 10;
    if !has_place(low) || !has_place(high) {
        return Vec::new();
    }
    let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let steps = |factors: &[f64]| -> Vec<f64> {
        let all =
            powers.clone().flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
        all.filter(|at| (low..=high).contains(at)).collect()
    };
    let fine = steps(&[1.0, 2.0, 5.0]);
    if fine.len() > MOST { steps(&[1.0]) } else { fine }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(entries: usize) -> String {
        let mut text = String::new();
        let root = SVGBackend::with_string(&mut text, (400, 200)).into_drawing_area();
        let entries: Vec<_> = (0..entries).map(|n| (format!("line {n}"), Mark::Line(colour(n), 2))).collect();
        let chart = beside_legend(&root, &entries).unwrap();
        assert!(chart.dim_in_pixel().0 < 330 && chart.dim_in_pixel().1 == 200);
        root.present().unwrap();
        drop((chart, root));
        text
    }

    #[test]
    fn a_legend_has_all_names_or_says_how_many_more() {
        let text = drawn(3);
        assert!((0..3).all(|n| text.contains(&format!("line {n}"))) && !text.contains("more"), "{text}");
        let text = drawn(30);
        assert!(
            text.contains("line 6") && !text.contains("line 7\n") && text.contains("and 23 more"),
            "{text}"
        );
    }

    #[test]
    fn no_colour_is_yellow_and_neighbours_differ() {
        assert!(COLOURS.iter().all(|RGBColor(red, green, _)| *red < 231 || *green < 200));
        assert!((0..20).all(|n| colour(n) != colour(n + 1)));
    }

    #[test]
    fn a_logarithmic_axis_has_round_numbers() {
        assert_eq!(decades(30.0, 600.0), [50.0, 100.0, 200.0, 500.0]);
        assert_eq!(decades(1.0, 1e6), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6]);
        assert_eq!(decades(f64::MIN_POSITIVE, f64::MAX).len(), 616);
    }

    #[test]
    fn an_axis_to_zero_or_infinity_has_no_lines() {
        for bad in [0.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert!(!has_place(bad));
            assert!(decades(bad, 10.0).is_empty() && decades(1.0, bad).is_empty(), "{bad}");
        }
    }
}

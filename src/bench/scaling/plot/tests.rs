//! Plots are SVG text, so the tests check what they contain and where.

use super::super::{Mode, WayTime};
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
        interference: None,
        ways: vec![way("ring_f32"), way("ring_ternary")],
    };
    Scaling { job: "a <job>".into(), mode: Mode::Weak, points: ranks.iter().map(point).collect() }
}

#[test]
fn ways_become_lines_and_bars() {
    let text = plot(&scaling(&[1, 4])).unwrap();
    assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"), "{text}");
    for part in ["a &lt;job&gt;: tokens/s by ranks", "ring_ternary", "4 ring_f32", "wire", "in proportion"] {
        assert!(text.contains(part), "no {part}");
    }
    let crowded = plot(&scaling(&[1, 2, 3, 4, 5])).unwrap();
    assert!(crowded.contains("methods in the order above") && !crowded.contains("4 ring_f32"));
    // With a single number of ranks, a line has no length.
    assert!(plot(&scaling(&[3])).is_ok());
    assert!(plot(&Scaling { points: Vec::new(), ..scaling(&[]) }).is_err());
}

/// Speeds that a logarithmic axis cannot show and times that are not finite are left out; the others are drawn as before.
#[test]
fn speeds_of_zero_and_infinity_are_left_out() {
    let circles = |text: &str| text.matches("<circle").count();
    assert_eq!(circles(&plot(&scaling(&[1, 2, 4])).unwrap()), 6);
    for bad in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        for place in 0..3 {
            let mut some = scaling(&[1, 2, 4]);
            let way = &mut some.points[place].ways[0];
            (way.rate, way.phases[0].wait) = (bad, f64::NEG_INFINITY);
            for text in [plot(&some).unwrap(), plot_rates(&[("x", &some)]).unwrap()] {
                assert_eq!(circles(&text), 5, "{bad}, point {place}");
                assert!(!text.contains("NaN") && !text.contains("inf"), "{bad}, point {place}: {text}");
                assert!(text.contains("\n100\n"), "{bad}, point {place}: {text}");
            }
        }
        let mut none = scaling(&[1, 2]);
        none.points.iter_mut().flat_map(|point| &mut point.ways).for_each(|way| way.rate = bad);
        for message in [plot(&none).unwrap_err(), plot_rates(&[("x", &none)]).unwrap_err()] {
            assert!(message.to_string().contains("nothing was measured that could be drawn"), "{message}");
        }
    }
}

/// The legend is to the right of both charts, so that it covers no point, and no line is yellow.
#[test]
fn the_legend_hides_no_point() {
    let numbers = |text: &str, element: &str, attribute: &str| -> Vec<f64> {
        let elements = text.split('<').filter(|part| part.starts_with(element));
        let values =
            elements.filter_map(|part| part.split(&format!(" {attribute}=\"")).nth(1)?.split('"').next());
        values.filter_map(|value| value.parse().ok()).collect()
    };
    let text = plot(&scaling(&[1, 2, 4])).unwrap();
    let furthest = numbers(&text, "circle", "cx").into_iter().fold(0.0, f64::max);
    let marks =
        text.split('<').filter(|part| part.contains("ring_ternary") || part.contains("in proportion"));
    let marks: Vec<&str> = marks
        .filter(|part| !part.contains("1 ring") && !part.contains("2 ring") && !part.contains("4 ring"))
        .collect();
    assert_eq!(marks.len(), 2, "{marks:?}");
    for mark in marks {
        assert!(numbers(mark, "text", "x")[0] > furthest, "{mark} {furthest}");
    }
}

/// Both axes are logarithmic: doubling the nodes always covers the same distance, and so does a tenfold speed.
#[test]
fn forecasts_have_logarithmic_axes_of_nodes() {
    let mut scaling = scaling(&[1, 2, 4, 8, 16]);
    for (number, point) in scaling.points.iter_mut().enumerate() {
        point.hosts = point.ranks;
        point.ways.iter_mut().for_each(|way| way.rate = 10f64.powi(number as i32));
    }
    let text = plot_rates(&[("1gbit,100us", &scaling)]).unwrap();
    assert!(text.contains("a &lt;job&gt;, 1gbit,100us: tokens/s by nodes"), "{text}");
    let places = |attribute: &str| -> Vec<f64> {
        let circles = text.split('<').filter(|part| part.starts_with("circle"));
        let value =
            |circle: &str| circle.split(&format!(" {attribute}=\"")).nth(1)?.split('"').next()?.parse().ok();
        circles.take(5).map(|circle| value(circle).unwrap()).collect()
    };
    for places in [places("cx"), places("cy")] {
        let steps: Vec<f64> = places.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
        assert!(steps.iter().all(|step| (step - steps[0]).abs() <= 1.5 && *step > 20.0), "{steps:?}");
    }
    for label in ["16", "10 k", "100"] {
        assert!(text.contains(&format!("\n{label}\n")), "no label {label} in {text}");
    }
}

//! The words of `ternflock eval --sharpness`.

use std::path::PathBuf;

use clap::Args;

/// Options for the flatness of the minimum.
#[derive(Args, Debug)]
#[command(next_help_heading = "Sharpness")]
pub struct Landscape {
    /// Measure how sharp the minimum is: how much the training loss can rise within epsilon (|w| + 1) of each
    /// weight w, in percent (Keskar et al. 2017), and the loss along random directions (Li et al. 2018).
    #[arg(long)]
    pub sharpness: bool,
    /// The half width of the box around weights of 0.
    #[arg(long, value_name = "X", requires = "sharpness", default_value_t = 5e-4, value_parser = small)]
    pub epsilon: f64,
    /// Steps of the maximiser.
    #[arg(long, value_name = "N", requires = "sharpness", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub iterations: u32,
    /// The number of repeats, each from another point in the box; the highest point of all counts.
    #[arg(long, value_name = "N", requires = "sharpness", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeats: u32,
    /// The number of training samples (tokens of a text), from the first one on, over which the loss is
    /// averaged.
    #[arg(long, value_name = "N", requires = "sharpness", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    pub samples: u32,
    /// The number of directions along which the loss is computed; 0: none.
    #[arg(long, value_name = "N", requires = "sharpness", default_value_t = 2, value_parser = clap::value_parser!(u32).range(..=100))]
    pub slices: u32,
    /// The range along a direction, from -X to X, relative to the norm of the weights.
    #[arg(long, value_name = "X", requires = "sharpness", default_value_t = 0.5, value_parser = far)]
    pub range: f64,
    /// The number of points per direction; odd, because the middle one is the network.
    #[arg(long, value_name = "N", requires = "sharpness", default_value_t = 21, value_parser = points)]
    pub points: usize,
    /// The seed for the starting points of the maximiser and for the directions.
    #[arg(long, value_name = "N", requires = "sharpness", default_value_t = 1)]
    pub seed: u64,
    /// Plot the slices into this file.
    #[arg(long, value_name = "FILE", requires = "sharpness")]
    pub svg: Option<PathBuf>,
}

fn small(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(epsilon) if epsilon > 0.0 && epsilon <= 1.0 => Ok(epsilon),
        _ => Err("a number above 0 and at most 1 is needed".into()),
    }
}

fn far(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(range) if range > 0.0 && range <= 1000.0 => Ok(range),
        _ => Err("a number above 0 and at most 1000 is needed".into()),
    }
}

fn points(text: &str) -> Result<usize, String> {
    match text.parse::<u16>() {
        Ok(points) if points >= 3 && points % 2 == 1 => Ok(points.into()),
        _ => Err("an odd number from 3 to 65535 is needed".into()),
    }
}

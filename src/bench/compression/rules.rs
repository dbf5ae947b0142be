//! Rules for the threshold at which a gradient is clipped, and for the scale of its ternaries.

use ternflock_collectives::codec::Moments;
use ternflock_job::{self as job, ClipSigmaOver};

/// TernGrad's c, for jobs that turn clipping off.
const PUBLISHED: f32 = crate::CLIP_SIGMA;

/// A rule for clipping at c standard deviations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Of all elements of the tensor, as published.
    Elements,
    /// Of the elements that are not zero.
    Nonzero,
    /// Of the elements of rows that are not all zero.
    TouchedRows,
    /// No clipping: where an element is above the threshold of [`Rule::TouchedRows`], its row has a scale of its own and three
    /// ternaries per element (`exchange.row_scales`).
    RowScales,
    /// Of each row, which also has a scale of its own however small it is. The format does not have this; it is only measured.
    EveryRow,
    /// No clipping.
    Unclipped,
}

impl Rule {
    /// All of them, the published one first.
    pub const ALL: [Rule; 6] =
        [Rule::Elements, Rule::Nonzero, Rule::TouchedRows, Rule::RowScales, Rule::EveryRow, Rule::Unclipped];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Elements => "elements",
            Rule::Nonzero => "nonzero",
            Rule::TouchedRows => "touched_rows",
            Rule::RowScales => "row_scales",
            Rule::EveryRow => "every_row",
            Rule::Unclipped => "unclipped",
        }
    }

    /// The rule by which a run of `job` clips a tensor, with scales of rows if `row_scales` is set.
    pub fn of(job: &job::Exchange, sparse_rows: bool, row_scales: bool) -> Rule {
        match job.clip_sigma_over {
            _ if job.clip_sigma == 0.0 => Rule::Unclipped,
            _ if row_scales => Rule::RowScales,
            ClipSigmaOver::TouchedRows if sparse_rows => Rule::TouchedRows,
            ClipSigmaOver::TouchedRows | ClipSigmaOver::Elements => Rule::Elements,
        }
    }

    /// Elements per scale of a tensor of `elements` elements in rows of `row`.
    pub fn group(self, elements: usize, row: usize) -> usize {
        match self {
            Rule::EveryRow => row,
            _ => elements,
        }
        .max(1)
    }

    /// The threshold of one rank and its scale, for the elements that share a scale.
    pub fn clip(self, values: &[f32], row: usize, clip_sigma: f64) -> (f32, f32) {
        let moments = match self {
            Rule::TouchedRows | Rule::RowScales => Moments::of_touched_rows(values, row.max(1)),
            Rule::Nonzero => {
                let nonzero: Vec<f32> = values.iter().copied().filter(|value| *value != 0.0).collect();
                Moments::of(&nonzero)
            }
            Rule::Elements | Rule::EveryRow | Rule::Unclipped => Moments::of(values),
        };
        let clip = match self {
            Rule::Unclipped => moments.clip(0.0),
            _ if clip_sigma == 0.0 => moments.clip(PUBLISHED),
            _ => moments.clip(clip_sigma as f32),
        };
        (clip, moments.scale(clip))
    }

    /// The scale of its own that `row` gives a rank whose threshold for the tensor is `clip`, if it does.
    pub fn own_scale(self, row: &[f32], clip: f32) -> Option<f32> {
        let largest = row.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        (self == Rule::RowScales && largest > clip).then_some(largest)
    }
}

//! Rows of a table as samples: vectors of numbers, each with a class or with values.

use super::encoder::{Encoder, Problem};
use super::encoding::{Encoding, InputColumn};
use super::read::Table;
use crate::feed::Facts;
use crate::samples::Samples;
use ternflock_base::error::{Error, Result};
use ternflock_nn::{Shape, TargetKind, Targets};
use xxhash_rust::xxh3::xxh3_64;

/// Rows of a table. The cells are in memory: 4 bytes per number or category.
#[derive(Debug)]
pub struct TableSamples {
    /// For each column the number of its inputs, and whether it holds a category.
    columns: Vec<(usize, bool)>,
    /// `[N, C]` for C columns: numbers, and the positions of categories among the inputs of their column.
    cells: Vec<f32>,
    /// F, the number of inputs.
    features: usize,
    targets: TableTargets,
}

/// What the rows of a table predict.
#[derive(Clone, Debug, PartialEq)]
pub enum TableTargets {
    /// `[N]`: classes, whose names are known.
    Labels {
        /// The class of each row.
        labels: Vec<usize>,
        /// The names of the classes.
        names: Vec<String>,
    },
    /// `[N, K]`.
    Values {
        /// Row by row.
        values: Vec<f32>,
        /// K.
        width: usize,
    },
}

impl TableSamples {
    /// The rows `rows` of `table`, whose columns `inputs` are those of `encoding`, with `targets`, one per row.
    ///
    /// # Errors
    /// If a cell has no value or an unknown category, and `encoding` refuses those.
    pub fn new(
        table: &Table,
        inputs: &[usize],
        encoding: &Encoding,
        rows: &[usize],
        targets: TableTargets,
    ) -> Result<TableSamples> {
        TableSamples::with_problems(table, inputs, encoding, rows, targets, |row, place, problem| {
            let column = &table.columns[inputs[place]];
            let described = problem.described(column, &encoding.inputs[place]);
            Err(table.places.error(row, &column.name, &described))
        })
    }

    /// Like [`TableSamples::new`], but calls `refuse` for a cell that cannot be used, with the row, the position in `inputs`
    /// and the problem. If it accepts the problem, the cell is 0.
    pub fn with_problems(
        table: &Table,
        inputs: &[usize],
        encoding: &Encoding,
        rows: &[usize],
        targets: TableTargets,
        mut refuse: impl FnMut(usize, usize, Problem) -> Result<()>,
    ) -> Result<TableSamples> {
        let width = inputs.len();
        let mut cells = vec![0.0; rows.len() * width];
        for (place, (&at, how)) in inputs.iter().zip(&encoding.inputs).enumerate() {
            let column = &table.columns[at];
            let encoder = Encoder::new(column, how).map_err(|problem| {
                table.places.error(rows.first().copied().unwrap_or(0), &column.name, &problem)
            })?;
            for (&row, out) in rows.iter().zip(cells.iter_mut().skip(place).step_by(width.max(1))) {
                match encoder.cell(row) {
                    Ok(cell) => *out = cell,
                    Err(problem) => refuse(row, place, problem)?,
                }
            }
        }
        let is_category = |column: &InputColumn| matches!(column, InputColumn::Category { .. });
        let columns = encoding.inputs.iter().map(|column| (column.width(), is_category(column))).collect();
        Ok(TableSamples { columns, cells, features: encoding.features(), targets })
    }
}

impl Samples for TableSamples {
    fn input(&self) -> Shape {
        Shape::Vector { features: self.features }
    }

    fn target(&self) -> TargetKind {
        match &self.targets {
            TableTargets::Labels { names, .. } => TargetKind::Class(names.len()),
            TableTargets::Values { width, .. } => TargetKind::Values(*width),
        }
    }

    fn len(&self) -> usize {
        self.cells.len() / self.columns.len().max(1)
    }

    fn read(&self, numbers: &[usize], inputs: &mut [f32], targets: &mut Targets) -> Result<()> {
        if inputs.len() != numbers.len() * self.features {
            return Err(Error::Shape {
                layer: "data".into(),
                operation: "read".into(),
                message: format!("{} rows of {} do not fit {}", numbers.len(), self.features, inputs.len()),
            });
        }
        let width = self.columns.len();
        for (&number, mut out) in numbers.iter().zip(inputs.chunks_exact_mut(self.features)) {
            for (&(inputs, is_category), &cell) in self.columns.iter().zip(&self.cells[number * width..]) {
                let (own, rest) = out.split_at_mut(inputs);
                match is_category {
                    false => own[0] = cell,
                    true => {
                        own.iter_mut().enumerate().for_each(|(at, input)| *input = one(at as f32 == cell))
                    }
                }
                out = rest;
            }
        }
        targets.labels.clear();
        targets.values.clear();
        match &self.targets {
            TableTargets::Labels { labels, .. } => {
                targets.width = 0;
                targets.labels.extend(numbers.iter().map(|&number| labels[number]));
            }
            TableTargets::Values { values, width } => {
                targets.width = *width;
                numbers.iter().for_each(|number| targets.values.extend(&values[number * width..][..*width]));
            }
        }
        Ok(())
    }

    fn labels(&self) -> Option<Vec<usize>> {
        match &self.targets {
            TableTargets::Labels { labels, .. } => Some(labels.clone()),
            TableTargets::Values { .. } => None,
        }
    }

    fn class_names(&self) -> Option<&[String]> {
        match &self.targets {
            TableTargets::Labels { names, .. } => Some(names),
            TableTargets::Values { .. } => None,
        }
    }

    fn hash(&self) -> u64 {
        let widths: Vec<u64> = self.columns.iter().map(|(width, _)| *width as u64).collect();
        let targets = match &self.targets {
            TableTargets::Labels { labels, .. } => xxh3_64(bytemuck::cast_slice(labels)),
            TableTargets::Values { values, .. } => xxh3_64(bytemuck::cast_slice(values)),
        };
        let cells = xxh3_64(bytemuck::cast_slice(&self.cells));
        xxh3_64(bytemuck::cast_slice(&[xxh3_64(bytemuck::cast_slice(&widths)), cells, targets]))
    }

    fn facts(&self) -> Facts {
        vec![
            ("samples", self.len().to_string()),
            ("shape", self.features.to_string()),
            ("targets", self.target().described()),
            ("contents", format!("{:016x}", self.hash())),
        ]
    }
}

fn one(is_one: bool) -> f32 {
    f32::from(u8::from(is_one))
}

//! The words of `ternflock bench compression`.

use std::path::PathBuf;

use clap::Args;

/// `ternflock bench compression`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock bench compression jobs/lenet-digits.toml
  ternflock bench compression jobs/lstm-ptb.toml --ranks 4 --at 20,160 --threads 2
  ternflock bench compression jobs/lstm-kjv.toml --set exchange.keep_float=[] --json

The ranks are simulated one after another in this process, with the samples that real ranks would read. They average
their gradients exactly, so all rules are measured on the same gradients. The figures follow from the expectation of
stochastic rounding; nothing is drawn. Of a job with stages, the first one is measured.

For the mean of ternaries q and the mean gradient g:
  angle     between E[q] and g, in degrees: clipping changes the direction
  norm      |E[q]| / |g|: clipping makes the step shorter
  clipped   the share of the elements that are not zero that are clipped
  zeros     the share of elements that are zero on a rank
  bits      bits per element of one rank's ternaries if they are entropy-coded
  variance  E|q - E[q]|^2 / |g|^2: the noise of rounding
  norm of q the root of E|q|^2 / |g|^2: what optimizer.clip_norm sees

The rules clip at exchange.clip_sigma (2.5 if that is 0) standard deviations of
  elements      all elements of a tensor, as published
  nonzero       those that are not zero
  touched_rows  those in rows that are not all zero
  row_scales    as touched_rows; large rows have own scales, none is clipped
  every_row     those in the same row, with a scale of its own (not for jobs)
  unclipped     no clipping
The rule row_scales is that of exchange.row_scales: three ternaries per element in rows with a scale of their own. An
asterisk marks the rule that the job uses for a tensor; `job` is that choice for all tensors together.")]
pub struct Compression {
    /// The job file. Nothing is evaluated, and no run directory is written.
    pub job: PathBuf,
    /// Ranks to simulate; each needs the memory of a rank.
    #[arg(long, value_name = "P", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub ranks: u16,
    /// The steps whose gradients are measured, from 1; the figures are pooled over them.
    #[arg(long, value_name = "STEP,...", value_delimiter = ',', default_value = "20", value_parser = clap::value_parser!(u64).range(1..))]
    pub at: Vec<u64>,
    /// Override a value of the job, as for `ternflock train`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Compute threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
}

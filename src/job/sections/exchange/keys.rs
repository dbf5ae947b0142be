//! The keys of `[exchange]`.

use serde_json::json;

use super::choices::{Algorithm, AutoAmong, ClipSigmaOver, Coding, Gradients, Overlap};
use crate::syntax::{Given, Key, Rule, Section, above, at_least};

pub(super) const GRADIENTS: Key<Gradients> = Key::new(
    "gradients",
    Given(|| Gradients::Ternary),
    "The averaging method. `\"ternary\"`: TernGrad, 2 bits per element before they are summed. `\"float32\"`: uncompressed. \
     `\"powersgd\"`: factors of low rank with error feedback ([algorithms.md](algorithms.md#powersgd)). `\"auto\"`: the \
     fastest method that `auto_among` allows, chosen from measured costs when a run begins; a resumed run keeps the choice \
     ([guide](how-to/slow-networks.md)).",
);

pub(super) const AUTO_AMONG: Key<AutoAmong> = Key::new(
    "auto_among",
    Given(|| AutoAmong::Exact),
    "The methods among which `gradients = \"auto\"` chooses. `\"exact\"`: those whose result is the mean, up to the rounding \
     of float32 sums; today only `\"float32\"`. `\"all\"`: every method; the log says what the chosen one gives up.",
);

pub(super) const ALGORITHM: Key<Algorithm> = Key::new(
    "algorithm",
    Given(|| Algorithm::RingTernary),
    "The all-reduce that sums ternary gradients ([algorithms.md](algorithms.md)). `\"auto\"` measures the \
     machine and uses the fastest. All give the same bits. No effect without ternary gradients or with one rank.",
);

pub(super) const CODING: Key<Coding> = Key::new(
    "coding",
    Given(|| Coding::Auto),
    "Whether messages of ternary gradients and of their sums are entropy-coded, which is lossless \
     ([algorithms.md](algorithms.md#coded-segments-coding)). `\"auto\"`: those between nodes, if a measurement at the start \
     shows that coding takes less time than it saves. `\"always\"`: all. The result is the same, bit for bit. No effect \
     without ternary gradients or with one rank.",
);

pub(super) const CLIP_SIGMA: Key<f64> = Key::new(
    "clip_sigma",
    Given(|| 2.5),
    "Clips the gradient of each ternary tensor at this many of its standard deviations. 0: no clipping; the \
     scale is the largest magnitude.",
)
.such(Rule::Such {
    must_be: "0 or at least 0.001",
    holds: |&clip| clip == 0.0 || clip >= 0.001,
    schema: || json!({ "anyOf": [{ "const": 0 }, { "minimum": 0.001 }] }),
})
.origin("TernGrad (c = 2.5)");

pub(super) const CLIP_SIGMA_OVER: Key<ClipSigmaOver> = Key::new(
    "clip_sigma_over",
    Given(|| ClipSigmaOver::TouchedRows),
    "The elements whose standard deviation `clip_sigma` multiplies, for an embedding that shares its weight with no \
     other layer. `\"touched_rows\"`: those of the rows that the rank's samples read, because all other rows have a \
     gradient of zero ([algorithms.md](algorithms.md#sigma-of-sparse-gradients)). `\"elements\"`: all, as published. \
     All other tensors use all of their elements. A run that began before this key existed resumes with \
     `\"elements\"`.",
);

pub(super) const MIN_ELEMENTS: Key<usize> = Key::new(
    "min_elements",
    Given(|| 512),
    "Tensors with fewer elements travel as float32. 0 or 1: no tensor is too small.",
)
.origin("see below");

pub(super) const KEEP_FLOAT: Key<Vec<String>> = Key::new(
    "keep_float",
    Given(|| vec!["logits".to_owned()]),
    "Layers whose weights and biases travel as float32, including weights that they share with other layers. \
     `\"logits\"` always means the network's output layer; any other entry is a layer's name.",
)
.origin("TernGrad's code leaves its logits layer out unless told otherwise");

pub(super) const ROW_SCALES: Key<Vec<String>> = Key::new(
    "row_scales",
    Given(Vec::new),
    "Layers whose ternary tensors may have several scales: a row (the weights of one unit, or an element of a bias) whose \
     largest element is above the clipping threshold of its tensor is not clipped but gets a scale of its own and three \
     ternaries per element ([algorithms.md](algorithms.md#row-scales)). Names of layers, `\"logits\"` for the output layer, \
     or `\"embeddings\"` for the tables of all embeddings. No effect on tensors that do not travel as ternaries (see \
     `keep_float`), or with `clip_sigma = 0`.",
);

pub(super) const LOW_RANK: Key<Vec<String>> = Key::new(
    "low_rank",
    Given(Vec::new),
    "Layers whose matrices travel as PowerSGD's factors with `powersgd_rank` columns and error feedback, next to ternary or \
     float32 gradients of the others: names of layers, or `\"logits\"`. Their vectors travel like those of other layers. \
     A layer cannot also be in `keep_float`. No effect with `gradients = \"powersgd\"`, which compresses all layers in \
     this way, or where `\"auto\"` has chosen float32. `low_rank` of a stage is something else: it factorises layers.",
);

pub(super) const OVERLAP: Key<Overlap> = Key::new(
    "overlap",
    Given(|| Overlap::Auto),
    "Whether gradients are averaged while the backward pass still computes those of earlier layers. \
     `\"auto\"`: if the ranks are on several nodes. The result is the same, bit for bit.",
);

pub(super) const BUCKET_ELEMENTS: Key<usize> = Key::new(
    "bucket_elements",
    Given(|| 1 << 18),
    "The gradients of layers, from the last layer on, are exchanged together once they have this many elements. \
     This decides how float32 sums are rounded.",
)
.within(at_least(1.0));

pub(super) const EVERY: Key<u64> = Key::new(
    "every",
    Given(|| 1),
    "Steps from one exchange to the next. Above 1: local steps. Each rank takes this number of steps with the gradients \
     of its own samples; then the ranks average the movements of their parameters ([guide](how-to/local-steps.md)).",
)
.within(at_least(1.0));

pub(super) const EVERY_START: Key<u64> = Key::new(
    "every_start",
    Given(|| 0),
    "The step of the run from which `every` applies (post-local SGD). Before it, the ranks average their gradients in \
     each step.",
);

pub(super) const ERROR_FEEDBACK: Key<bool> = Key::new(
    "error_feedback",
    Given(|| false),
    "Adds the rounding error of a ternary gradient to the gradient of the next step. Ternaries are then \
     rounded to the nearest value, not at random. With `every` above 1, this applies to the movements of parameters, and \
     the default is `true`. No effect on `\"powersgd\"`, which always has error feedback.",
);

pub(super) const POWERSGD_RANK: Key<usize> = Key::new(
    "powersgd_rank",
    Given(|| 4),
    "The rank r of PowerSGD's factors, their number of columns (not a rank of MPI), with `\"powersgd\"` and in the layers of \
     `low_rank`: a matrix of m x n travels as r (m + n) numbers. Matrices for which that is not less than m n, and \
     vectors, are not compressed in this way.",
)
.within(at_least(1.0).and_at_most(64.0));

pub(super) const POWERSGD_START: Key<u64> = Key::new(
    "powersgd_start",
    Given(|| 0),
    "The step at which PowerSGD begins, with `\"powersgd\"` and in the layers of `low_rank`. Before it, their matrices are \
     averaged in float32.",
)
.origin("PowerSGD (no such steps); PyTorch's hook has 1,000");

pub(super) const VERIFY_EVERY: Key<u64> = Key::new(
    "verify_every",
    Given(|| 100),
    "Steps between checks that all ranks hold the same parameters, bit for bit. 0: never.",
);

pub(super) const WARN_AFTER: Key<f64> = Key::new(
    "warn_after",
    Given(|| 30.0),
    "Seconds a rank waits for another before a warning names the late rank. The warning is repeated each \
     time the wait has doubled. More than `timeout`: no warning.",
)
.within(above(0.0).and_at_most(1e6));

pub(super) const TIMEOUT: Key<f64> = Key::new(
    "timeout",
    Given(|| 300.0),
    "Seconds a rank waits for another before the job ends with exit code 7. The message names the late rank. This also \
     applies while another rank reads data or writes a checkpoint, and while MPI starts and ends (`docs/failures.md`).",
)
.within(above(0.0).and_at_most(1e6));

/// The section `[exchange]`.
pub(crate) const SECTION: Section = Section::new(
    "exchange",
    "How the ranks average their gradients.",
    &[
        &[
            &GRADIENTS,
            &AUTO_AMONG,
            &ALGORITHM,
            &CODING,
            &CLIP_SIGMA,
            &CLIP_SIGMA_OVER,
            &MIN_ELEMENTS,
            &KEEP_FLOAT,
            &ROW_SCALES,
            &LOW_RANK,
            &OVERLAP,
            &BUCKET_ELEMENTS,
        ],
        &[
            &EVERY,
            &EVERY_START,
            &ERROR_FEEDBACK,
            &POWERSGD_RANK,
            &POWERSGD_START,
            &VERIFY_EVERY,
            &WARN_AFTER,
            &TIMEOUT,
        ],
    ],
);

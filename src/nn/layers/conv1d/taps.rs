//! Where the windows of a convolution over time lie.

use serde::{Deserialize, Serialize};

use ternflock_base::text::plural;

/// Zeros before and after a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a whole number of at least 0, \"same\" or \"causal\"")]
pub enum Padding {
    /// This many steps at each end.
    Steps(usize),
    /// As many as the rule needs.
    Rule(PaddingRule),
}

/// A rule for the padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaddingRule {
    /// The output has T / stride steps, rounded up. If the number of zeros is odd, there is one more after the sequence than before it.
    Same,
    /// All zeros before the sequence, so that no step of the output sees a later step of the input.
    Causal,
}

impl Default for Padding {
    fn default() -> Padding {
        Padding::Steps(0)
    }
}

/// The places of the windows over a sequence of T steps. The padded sequence is split into lines of `dilation` steps,
/// so that the taps of a window are below each other, as in a column of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taps {
    /// T.
    pub steps: usize,
    /// Steps of zeros before the sequence.
    pub before: usize,
    /// Steps from one tap to the next, which is the length of a line.
    pub dilation: usize,
    /// Lines of the padded sequence; the last is filled up with zeros.
    pub lines: usize,
    /// Lines of the output.
    pub output_lines: usize,
    /// Steps of the output. Any more in the last lines see only a part of a window.
    pub outputs: usize,
}

impl Taps {
    /// `kernel`, `stride` and `dilation` are at least 1.
    pub fn new(
        steps: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        padding: Padding,
    ) -> Result<Taps, String> {
        if stride > 1 && dilation > 1 {
            return Err("a layer with a stride above 1 cannot have a dilation above 1".into());
        }
        let span = dilation * (kernel - 1) + 1;
        let (before, after) = match padding {
            Padding::Steps(each) if each >= span => {
                let size = if dilation > 1 { "the steps that the kernel spans," } else { "the kernel" };
                return Err(format!("padding {each} must be smaller than {size} {span}"));
            }
            Padding::Steps(each) => (each, each),
            Padding::Rule(PaddingRule::Causal) => (span - 1, 0),
            Padding::Rule(PaddingRule::Same) => {
                let zeros = ((steps.div_ceil(stride) - 1) * stride + span).saturating_sub(steps);
                (zeros / 2, zeros.div_ceil(2))
            }
        };
        let padded = steps + before + after;
        let Some(room) = padded.checked_sub(span) else {
            return Err(format!(
                "a kernel that spans {} does not fit a sequence of {} with its padding",
                plural(span, "step"),
                plural(padded, "step")
            ));
        };
        let lines = padded.div_ceil(dilation);
        let output_lines = (lines - kernel) / stride + 1;
        Ok(Taps { steps, before, dilation, lines, output_lines, outputs: room / stride + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taps(steps: usize, kernel: usize, stride: usize, dilation: usize, padding: &str) -> Taps {
        let padding = serde_json::from_str(padding).unwrap();
        Taps::new(steps, kernel, stride, dilation, padding).unwrap()
    }

    /// (zeros before, steps of the output).
    fn sizes(taps: Taps) -> (usize, usize) {
        (taps.before, taps.outputs)
    }

    #[test]
    fn rules_give_the_sizes_of_pytorch_and_keras() {
        assert_eq!(sizes(taps(7, 3, 1, 1, "0")), (0, 5));
        assert_eq!(sizes(taps(7, 3, 2, 1, "1")), (1, 4));
        assert_eq!(sizes(taps(7, 3, 1, 1, r#""same""#)), (1, 7));
        assert_eq!(sizes(taps(7, 4, 1, 1, r#""same""#)), (1, 7));
        assert_eq!(sizes(taps(7, 3, 1, 3, r#""same""#)), (3, 7));
        // 2 windows of 4 steps cover 7, from the first step on.
        assert_eq!(sizes(taps(7, 4, 4, 1, r#""same""#)), (0, 2));
        assert_eq!(sizes(taps(7, 3, 1, 2, r#""causal""#)), (4, 7));
        assert_eq!(sizes(taps(7, 3, 2, 1, r#""causal""#)), (2, 4));
        // A kernel shorter than the stride: nothing is padded.
        assert_eq!(sizes(taps(9, 1, 3, 1, r#""same""#)), (0, 3));
    }

    /// 7 steps in lines of 3: a kernel of 2 taps gives 4 outputs, of which the third line of the input would add 2.
    #[test]
    fn lines_hold_every_output() {
        let taps = taps(7, 2, 1, 3, "0");
        assert_eq!((taps.lines, taps.output_lines, taps.outputs), (3, 2, 4));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |steps, kernel, stride, dilation, padding, part: &str| {
            let message = Taps::new(steps, kernel, stride, dilation, padding).unwrap_err();
            assert!(message.contains(part), "{message}");
        };
        refused(9, 3, 2, 2, Padding::default(), "cannot have a dilation");
        refused(9, 3, 1, 1, Padding::Steps(3), "padding 3 must be smaller than the kernel 3");
        refused(
            9,
            3,
            1,
            2,
            Padding::Steps(5),
            "padding 5 must be smaller than the steps that the kernel spans, 5",
        );
        refused(2, 2, 1, 2, Padding::default(), "spans 3 steps does not fit a sequence of 2 steps");
        for wrong in ["-1", r#""full""#, "[1, 2]"] {
            let message = serde_json::from_str::<Padding>(wrong).unwrap_err().to_string();
            assert!(message.contains(r#"at least 0, "same" or "causal""#), "{message}");
        }
    }
}

//! Networks for ImageNet (Russakovsky et al., 2015), for forecasts without a job file.

use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::suggest;
use ternflock_job::{Loaded, find_preset, parse};

/// A network with its usual batch size.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// The preset.
    pub name: &'static str,
    side: usize,
    /// Samples per rank.
    batch: usize,
}

/// All of them.
pub const MODELS: [Model; 4] = [
    Model { name: "alexnet", side: 227, batch: 128 },
    Model { name: "googlenet", side: 224, batch: 64 },
    Model { name: "vgg-a", side: 224, batch: 32 },
    Model { name: "resnet-50", side: 224, batch: 32 },
];

/// A job that trains the network called `name` on random images for `ranks` ranks, with the overrides `sets`.
/// Its batch is that of one rank.
///
/// # Errors
/// [`Error::Usage`] if there is no such network; those of [`parse`].
pub fn job_of(name: &str, sets: &[String], ranks: usize) -> Result<Loaded> {
    let model = MODELS.into_iter().find(|model| find_preset(name) == Ok(model.name));
    let Model { name: preset, side, batch } = model.ok_or_else(|| unknown(name))?;
    let samples = batch * ranks;
    let text = format!(
        "[data]\ndataset = \"synthetic\"\nshape = [3, {side}, {side}]\nclasses = 1000\nsamples = {samples}\n\
         [model]\npreset = \"{preset}\"\n[train]\nsteps = 1\nglobal_batch = {batch}\n\
         [optimizer]\nlearning_rate = 1e-4\nmomentum = 0.9\n"
    );
    parse(format!("--model {name}"), &text, sets, Some(preset))
}

/// The error for a `name` that is not in [`MODELS`]: a typo, or another preset.
fn unknown(name: &str) -> Error {
    let known = MODELS.map(|model| model.name);
    Error::Usage(match find_preset(name) {
        Ok(preset) => {
            let all = known.map(|name| format!("`{name}`")).join(", ");
            format!(
                "--model: `{preset}` needs a job file that names its data; without one, the choices are {all}"
            )
        }
        Err(_) => format!("--model: there is no `{name}`; {}", suggest(name, &known)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_a_preset_by_any_of_its_names() {
        for (said, preset) in
            [("resnet50", "resnet-50"), ("resnet-50", "resnet-50"), ("vgga", "vgg-a"), ("alexnet", "alexnet")]
        {
            let job = job_of(said, &[], 2).unwrap().job;
            assert_eq!((job.name.as_str(), job.model.preset.as_deref()), (preset, Some(preset)));
        }
        let message = |name: &str| job_of(name, &[], 1).unwrap_err().to_string();
        assert_eq!(message("resnt50"), "--model: there is no `resnt50`; did you mean `resnet-50`?");
        // A preset, but not for ImageNet.
        assert!(
            message("lenet").ends_with("the choices are `alexnet`, `googlenet`, `vgg-a`, `resnet-50`"),
            "{}",
            message("lenet")
        );
    }
}

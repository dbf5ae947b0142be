//! Safetensors: <https://huggingface.co/docs/safetensors>.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView};

use super::Exporter;
use super::names::{bytes, named};
use ternflock_checkpoint::Snapshot;

/// The parameters as float32, and the network's graph as metadata.
pub struct Safetensors;

impl Exporter for Safetensors {
    fn name(&self) -> &'static str {
        "safetensors"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["safetensors"]
    }

    fn summary(&self) -> &'static str {
        "PyTorch, JAX, candle: safetensors.torch.load_file(FILE)"
    }

    fn encode(&self, snapshot: &Snapshot) -> Result<Vec<u8>, String> {
        let tensors: Vec<_> =
            named(snapshot)?.into_iter().map(|(name, tensor)| (name, tensor, bytes(tensor))).collect();
        let views = tensors.iter().map(|(name, tensor, bytes)| {
            TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map(|view| (name, view))
        });
        let views: Vec<_> = views.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let metadata = HashMap::from([
            ("network".to_owned(), snapshot.network.clone()),
            ("step".to_owned(), snapshot.progress.step.to_string()),
            ("ternflock".to_owned(), snapshot.origin.program_version.clone()),
        ]);
        safetensors::serialize(views, Some(metadata)).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::names::tests::snapshot;

    /// The file is read by hand, as the specification describes it.
    #[test]
    fn the_file_is_as_specified() {
        let snapshot = snapshot(&[("a/weight", &[2, 3]), ("a/bias", &[2]), ("b/scale", &[])]);
        let file = Safetensors.encode(&snapshot).unwrap();
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let (header, data) = file[8..].split_at(length);
        let header: Value = serde_json::from_slice(header).unwrap();
        assert_eq!(header["__metadata__"]["network"], r#"{"input":[1]}"#);
        assert_eq!(header["__metadata__"]["step"], "7");
        let mut size = 0;
        for tensor in &snapshot.parameters {
            let entry = &header[tensor.name.replace('/', ".")];
            assert_eq!(entry["dtype"], "F32");
            assert_eq!(entry["shape"], Value::from(tensor.shape.clone()));
            let [start, end] = [0, 1].map(|i| entry["data_offsets"][i].as_u64().unwrap() as usize);
            assert_eq!(data[start..end], bytes(tensor));
            size += end - start;
        }
        assert_eq!(size, data.len());
    }
}

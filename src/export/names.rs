//! The names of tensors in other programs.

use std::collections::HashMap;

use ternflock_checkpoint::{Snapshot, Tensor};

/// The parameters of `snapshot` with their names, `layer.tensor` as in PyTorch.
///
/// # Errors
/// If two tensors would have the same name.
pub fn named(snapshot: &Snapshot) -> Result<Vec<(String, &Tensor)>, String> {
    let tensors: Vec<(String, &Tensor)> =
        snapshot.parameters.iter().map(|tensor| (tensor.name.replace('/', "."), tensor)).collect();
    let mut seen = HashMap::new();
    for (name, tensor) in &tensors {
        if let Some(other) = seen.insert(name, &tensor.name) {
            return Err(format!(
                "the tensors {other} and {} would both be called {name}; rename one of the layers",
                tensor.name
            ));
        }
    }
    Ok(tensors)
}

/// The elements of `tensor` as little-endian float32.
pub fn bytes(tensor: &Tensor) -> Vec<u8> {
    tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
pub mod tests {
    use ternflock_checkpoint::{Origin, Progress};

    use super::*;

    /// A snapshot with these tensors, whose elements are 0.5, 1.5, 2.5 and so on.
    pub fn snapshot(tensors: &[(&str, &[usize])]) -> Snapshot {
        let tensor = |&(name, shape): &(&str, &[usize])| Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: (0..shape.iter().product()).map(|i: usize| i as f32 + 0.5).collect(),
        };
        Snapshot {
            origin: Origin { program_version: "0.1.0".into(), created: "2020-01-02T03:04:05Z".into() },
            network: r#"{"input":[1]}"#.into(),
            job: "name = \"a\"".into(),
            parameters: tensors.iter().map(tensor).collect(),
            optimizer: Vec::new(),
            recurrent_state: Vec::new(),
            vocabulary: Vec::new(),
            preparation: String::new(),
            data: Default::default(),
            progress: Progress { step: 7, ..Progress::default() },
        }
    }

    #[test]
    fn names_are_those_of_pytorch_and_unique() {
        let two = snapshot(&[("conv1/weight", &[2, 1]), ("conv1/bias", &[2])]);
        let names: Vec<String> = named(&two).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["conv1.weight", "conv1.bias"]);
        let same = snapshot(&[("a.b/c", &[1]), ("a/b.c", &[1])]);
        let message = named(&same).unwrap_err();
        assert_eq!(
            message,
            "the tensors a.b/c and a/b.c would both be called a.b.c; rename one of the layers"
        );
    }
}

use super::*;
use ternflock_job::presets;
use ternflock_nn::coupling::Axis;
use ternflock_nn::parameters::{count, statistics_table, table};

const MNIST: Shape = Shape::Image { channels: 1, height: 28, width: 28 };
const CIFAR: Shape = Shape::Image { channels: 3, height: 32, width: 32 };
const IMAGENET: Shape = Shape::Image { channels: 3, height: 227, width: 227 };
const IMAGENET_224: Shape = Shape::Image { channels: 3, height: 224, width: 224 };
const PTB: Shape = Shape::Tokens { steps: 20, vocabulary: 10_000 };

/// The numbers of trained parameters and of other stored values.
#[test]
fn presets_have_their_published_shapes() {
    let cases = [
        ("lenet", MNIST, 10, 431_080, 0, "ip2"),
        ("mlp", MNIST, 10, 545_810, 0, "ip3"),
        ("convnet-quick", CIFAR, 10, 145_578, 0, "ip2"),
        ("convnet-full", CIFAR, 10, 89_578, 0, "ip1"),
        ("resnet-20", CIFAR, 10, 269_722, 1_376, "fc"),
        ("resnet-32", CIFAR, 10, 464_154, 2_272, "fc"),
        ("resnet-44", CIFAR, 10, 658_586, 3_168, "fc"),
        ("resnet-56", CIFAR, 10, 853_018, 4_064, "fc"),
        ("resnet-50", IMAGENET_224, 1000, 25_557_032, 53_120, "fc"),
        ("vgg", CIFAR, 10, 3_248_202, 0, "fc2"),
        ("vgg-a", IMAGENET_224, 1000, 132_863_336, 0, "fc8"),
        ("alexnet", IMAGENET, 1000, 60_965_224, 0, "fc8"),
        ("googlenet", IMAGENET_224, 1000, 6_998_552, 0, "fc"),
        // PyTorch's counts minus the second bias of each of the two levels: 8 H.
        ("lstm-small", PTB, 10_000, 4_653_200 - 8 * 200, 0, "logits"),
        ("lstm-medium", PTB, 10_000, 19_780_400 - 8 * 650, 0, "logits"),
        ("lstm-large", PTB, 10_000, 66_034_000 - 8 * 1500, 0, "logits"),
        ("rhn", PTB, 10_000, 23_482_400, 0, "logits"),
    ];
    assert!(presets().eq(cases.iter().map(|(name, ..)| *name)));
    for (name, input, classes, parameters, statistics, logits) in cases {
        let graph = preset(name, input, classes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(count(&table(&graph).unwrap()), parameters, "{name}");
        assert_eq!(count(&statistics_table(&graph).unwrap()), statistics, "{name}");
        let output = match input {
            Shape::Tokens { steps, .. } => Shape::Sequence { steps, features: classes },
            _ => Shape::Vector { features: classes },
        };
        assert_eq!(graph.output(), output, "{name}");
        assert_eq!(graph.logits_layer().unwrap(), Some(logits), "{name}");
        assert_eq!(Graph::from_json(&graph.to_json()).unwrap(), graph, "{name}");
    }
}

/// Multiply-adds of a forward pass per sample. The known figure for ResNet-20 is 41 million.
#[test]
fn the_work_is_the_published_one() {
    let work = |name: &str, input: Shape, classes: usize| -> u64 {
        let graph = preset(name, input, classes).unwrap();
        (0..graph.layers().len()).map(|layer| graph.multiply_adds(layer).unwrap()).sum()
    };
    assert_eq!(work("lenet", MNIST, 10), 2_293_000);
    assert_eq!(work("resnet-20", CIFAR, 10), 40_551_040);
    assert_eq!(work("resnet-50", IMAGENET_224, 1000), 4_089_184_256);
    assert_eq!(work("vgg-a", IMAGENET_224, 1000), 7_609_090_048);
}

#[test]
fn images_too_small_name_the_layer_and_the_shape() {
    let small = Shape::Image { channels: 1, height: 8, width: 8 };
    let error = preset("lenet", small, 10).unwrap_err().to_string();
    let image = preset("lstm-small", MNIST, 10).unwrap_err().to_string();
    assert!(image.contains("embedding") && image.contains("takes tokens, got images of 1x28x28"), "{image}");
    assert!(error.contains("conv2") && error.contains("kernel of height 5 does not fit height 2"), "{error}");
}

/// Every layer declares what each axis of its tensors counts, and the length of the axis matches.
#[test]
fn couplings_fit_the_tensors() {
    for name in presets() {
        let (input, classes) = match name {
            "lenet" | "mlp" => (MNIST, 10),
            "alexnet" => (IMAGENET, 10),
            "resnet-50" | "vgg-a" | "googlenet" => (IMAGENET_224, 10),
            name if name.starts_with("lstm") || name == "rhn" => (PTB, 10_000),
            _ => (CIFAR, 10),
        };
        let graph = preset(name, input, classes).unwrap();
        for index in 0..graph.layers().len() {
            let mut tensors = graph.parameters(index).unwrap();
            tensors.extend(graph.tied_spec(index).unwrap());
            tensors.extend(graph.statistics(index).unwrap());
            let (units, read) =
                (graph.shape(index + 1).units(), graph.shape(graph.sources(index)[0]).units());
            for tensor in &tensors {
                let axes = &tensor.axes;
                assert_eq!(tensor.shape.len(), axes.len(), "{name}, layer {index}, {}", tensor.name);
                for (&size, axis) in tensor.shape.iter().zip(axes) {
                    let groups = if name == "alexnet" && *axis == Axis::Reads { read / size } else { 1 };
                    let counted = match axis {
                        Axis::Free => size,
                        Axis::Makes(times) => times * units,
                        Axis::ReadsOwn => units,
                        Axis::Reads => read / groups,
                        Axis::ReadsAt(places) => places.len(),
                    };
                    assert_eq!(size, counted, "{name}, layer {index}, {}: {axis:?}", tensor.name);
                }
            }
        }
    }
}

#[test]
fn an_unknown_preset_is_refused_with_the_list() {
    let error = preset("lennet", Shape::Vector { features: 1 }, 10).unwrap_err();
    assert!(error.to_string().contains("lenet"));
}

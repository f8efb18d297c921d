use super::super::tensor::Elements;
use super::*;
use crate::proto::GraphProto;

/// Why there is no model; models are too long for the message of a failure.
fn error(tensors: BTreeMap<String, Tensor>, architecture: Architecture) -> OnnxError {
    model(tensors, architecture, CLASSES).map(drop).unwrap_err()
}

/// A state dict of the architecture, grown from nothing by giving what is said to be missing.
fn grown(architecture: Architecture) -> BTreeMap<String, Tensor> {
    let mut tensors = BTreeMap::new();
    loop {
        match model(tensors.clone(), architecture, CLASSES) {
            Err(OnnxError::Tensor {
                name,
                expected,
                found: None,
                ..
            }) => {
                // A half is a variance too.
                let elements = Elements::F32(vec![0.5; expected.iter().product()]);
                let shape = expected;
                assert!(tensors.insert(name, Tensor { shape, elements }).is_none());
            }
            Err(error) => panic!("{error}"),
            Ok(_) => return tensors,
        }
    }
}

fn graph(tensors: BTreeMap<String, Tensor>, architecture: Architecture) -> GraphProto {
    model(tensors, architecture, CLASSES).unwrap().graph.unwrap()
}

fn count(graph: &GraphProto, operator: &str) -> usize {
    graph.node.iter().filter(|node| node.is(operator)).count()
}

#[test]
fn architectures_are_as_large_as_their_publisher_says() {
    // The published files have 334 and 370 tensors, the counters of the 50 and 56 batch norms among them.
    for (architecture, tensors, convolutions, excitations) in [
        (Architecture::MiniFasNetV2, 284, 49, 0),
        (Architecture::MiniFasNetV1Se, 314, 55, 3),
    ] {
        let grown = grown(architecture);
        assert_eq!(grown.len(), tensors);
        let graph = graph(grown, architecture);
        assert_eq!(count(&graph, "Conv"), convolutions);
        assert_eq!(count(&graph, "Sigmoid"), excitations);
        assert_eq!(count(&graph, "Add"), 12);
        assert_eq!(count(&graph, "PRelu"), 33);
        assert_eq!(
            graph.input[0].shape(),
            Some(vec![None, Some(3), Some(80), Some(80)])
        );
        assert_eq!(graph.output[0].shape(), Some(vec![None, Some(3)]));
    }
}

#[test]
fn every_value_is_made_before_it_is_read() {
    let architecture = Architecture::MiniFasNetV1Se;
    let graph = graph(grown(architecture), architecture);
    let mut known: Vec<&str> = graph.constants().into_keys().collect();
    assert_eq!(
        known.len(),
        graph.initializer.len(),
        "each constant has its own name"
    );
    known.push("input");
    for node in &graph.node {
        for input in &node.input {
            assert!(known.contains(&input.as_str()), "{input}");
        }
        for output in &node.output {
            assert!(!known.contains(&output.as_str()), "{output} is made twice");
            known.push(output);
        }
    }
    assert_eq!(known.last(), Some(&"logits"));
}

#[test]
fn a_batch_norm_becomes_part_of_the_convolution_before_it() {
    let architecture = Architecture::MiniFasNetV2;
    let mut tensors = grown(architecture);
    let mut set = |name: &str, value: f32| {
        let tensor = tensors.get_mut(name).unwrap();
        tensor.elements = Elements::F32(vec![value; tensor.shape.iter().product()]);
    };
    set("conv1.conv.weight", 3.0);
    set("conv1.bn.weight", 2.0);
    set("conv1.bn.bias", 7.0);
    set("conv1.bn.running_mean", 5.0);
    set("conv1.bn.running_var", 4.0);
    let graph = graph(tensors, architecture);
    let constants = graph.constants();
    let scale = 2.0 / (4.0f64 + 1e-5).sqrt();
    let weight = constants["conv1.conv.weight"].f32s().unwrap();
    assert_eq!(weight, vec![(3.0 * scale) as f32; 32 * 27]);
    let bias = constants["conv1.conv.bias"].f32s().unwrap();
    assert_eq!(bias, vec![(7.0 - 5.0 * scale) as f32; 32]);
    assert_eq!(constants["conv1.prelu.weight"].dims, [32, 1, 1]);
    assert!(!constants.keys().any(|name| name.contains(".bn.")));
}

#[test]
fn the_prefix_and_the_counters_of_training_are_passed_over() {
    let architecture = Architecture::MiniFasNetV2;
    let plain = grown(architecture);
    let counter = Tensor {
        shape: Vec::new(),
        elements: Elements::I64(vec![7]),
    };
    let mut trained = plain.clone();
    trained.insert("bn.num_batches_tracked".to_owned(), counter.clone());
    trained.insert("conv1.bn.num_batches_tracked".to_owned(), counter.clone());
    let trained: BTreeMap<_, _> = trained
        .into_iter()
        .map(|(name, tensor)| (format!("module.{name}"), tensor))
        .collect();
    let written = |tensors| file::write(&model(tensors, architecture, CLASSES).unwrap());
    assert_eq!(written(trained), written(plain.clone()));

    let mut stray = plain;
    stray.insert("conv9.bn.num_batches_tracked".to_owned(), counter);
    let error = error(stray, architecture).to_string();
    assert!(error.contains("conv9.bn.num_batches_tracked"), "{error}");
}

#[test]
fn what_is_wrong_with_a_tensor_is_told_by_name() {
    let architecture = Architecture::MiniFasNetV2;
    let of = |shape: &[usize], value: f32| Tensor {
        shape: shape.to_vec(),
        elements: Elements::F32(vec![value; shape.iter().product()]),
    };
    let mut good = grown(architecture);
    good.insert("bn.weight".to_owned(), of(&[128], 4.0));
    let spoilt = |name: &str, tensor: Tensor| {
        let mut tensors = good.clone();
        tensors.insert(name.to_owned(), tensor);
        error(tensors, architecture).to_string()
    };
    assert_eq!(
        spoilt("prob.weight", of(&[2, 128], 0.5)),
        "minifasnet-v2 needs a tensor 'prob.weight' of shape [3, 128], found [2, 128]"
    );
    assert_eq!(
        spoilt("FTGenerator.ft.0.weight", of(&[1], 0.5)),
        "1 tensors that minifasnet-v2 does not have, such as FTGenerator.ft.0.weight"
    );
    for value in [f32::NAN, f32::INFINITY] {
        assert_eq!(
            spoilt("conv1.prelu.weight", of(&[32], value)),
            "tensor 'conv1.prelu.weight': not all of its elements are finite"
        );
    }
    assert_eq!(
        spoilt("bn.running_var", of(&[128], -0.5)),
        "tensor 'bn.running_var': a variance is negative"
    );
    assert_eq!(
        spoilt("linear.weight", of(&[128, 512], f32::MAX)),
        "tensor 'linear.weight': with bn it goes beyond the range of f32"
    );
    let whole = Tensor {
        shape: vec![32],
        elements: Elements::I64(vec![1; 32]),
    };
    assert_eq!(
        spoilt("conv1.prelu.weight", whole),
        "tensor 'conv1.prelu.weight': its elements are whole numbers of 64 bits, not f32"
    );
    let mut without = good.clone();
    without.remove("conv_5.model.1.project.bn.bias");
    assert_eq!(
        error(without, architecture).to_string(),
        "minifasnet-v2 needs a tensor 'conv_5.model.1.project.bn.bias' of shape [128], which is missing"
    );
}

#[test]
fn one_architecture_is_not_taken_for_the_other() {
    let [v2, v1se] = Architecture::ALL;
    assert!(matches!(
        error(grown(v2), v1se),
        OnnxError::Tensor { found: Some(_), .. }
    ));
    assert!(matches!(
        error(grown(v1se), v2),
        OnnxError::Tensor { found: Some(_), .. }
    ));
}

#[test]
fn architectures_go_by_their_names_in_manifests() {
    for architecture in Architecture::ALL {
        assert_eq!(architecture.as_str().parse(), Ok(architecture));
    }
    let error = "resnet-50".parse::<Architecture>().unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown architecture 'resnet-50'; known are minifasnet-v2 and minifasnet-v1se"
    );
}

#[test]
fn classes_may_be_others_than_the_publishers() {
    let architecture = Architecture::MiniFasNetV1Se;
    let mut tensors = grown(architecture);
    let prob = tensors.get_mut("prob.weight").unwrap();
    (prob.shape, prob.elements) = (vec![2, 128], Elements::F32(vec![0.5; 256]));
    let two = model(tensors.clone(), architecture, 2).unwrap().graph.unwrap();
    assert_eq!(two.output[0].shape(), Some(vec![None, Some(2)]));
    assert_eq!(
        error(tensors, architecture).to_string(),
        "minifasnet-v1se needs a tensor 'prob.weight' of shape [3, 128], found [2, 128]"
    );
}

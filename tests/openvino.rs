//! With OpenVINO, on what `make setup-openvino` brings: scores are those of the CPU provider, and what OpenVINO cannot
//! execute is refused. `make test-openvino` runs this and the agreement with the reference.

use std::path::Path;
use std::process::ExitCode;

use likeness::{Engine, VerifyOptions, default_passes};
use likeness_engine::packs::{DEFAULT_PACK, StoreSearch};
use likeness_engine::runtime::{
    Execution, LibrarySearch, ModelSession, Provider, ProviderOptions, Runtime, RuntimeError,
};
use likeness_onnx::proto::{
    DimensionProto, DimensionValue, GraphProto, NodeProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto, data_type,
};
use likeness_onnx::{model, write};
use likeness_testing::{Failed, Outcome, Suite, ensure};

mod support;

use likeness_testing::http::Form;
use support::captures;
use support::process::{Process, likeness};
use support::server::Server;

/// How far apart scores of the two providers may be: their kernels round differently.
const TOLERANCE: f64 = 5e-4;

/// Selfie and photo of one person, of two, and of the same image.
const PAIRS: [(&str, &str); 3] = [
    ("faces/img2.jpg", "faces/img11.jpg"),
    ("faces/img2.jpg", "faces/img17.jpg"),
    ("faces/img11.jpg", "faces/img11.jpg"),
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    let mut test = |name, test: fn(&Path) -> Outcome| suite.with_provider(name, "openvino", test);
    test("scores_are_those_of_the_cpu_provider", scores);
    test("doctor_names_provider_device_and_library", doctor);
    test("a_device_that_is_not_there_is_refused", absent_device);
    test("a_model_that_it_cannot_execute_whole_is_refused", partial);
    test("answers_do_not_depend_on_the_shapes_before", shapes);
    test("the_service_answers_with_it_and_says_so", serve);
    test("compiled_models_are_kept_where_a_folder_is_named", cache);
    suite.run()
}

fn scores(shared: &Path) -> Outcome {
    for (selfie, photo) in PAIRS {
        let on = |provider: &str| -> Result<Vec<f64>, Failed> {
            let ended = Process::run(
                likeness()
                    .args(["verify", "--provider", provider])
                    .args([selfie, photo].map(|name| shared.join("data").join(name))),
            )?;
            let line = ended.stdout.lines().next().unwrap_or_default();
            let found = captures("* match * (similarity *), liveness *, profile *", line);
            let numbers = found.ok_or_else(|| format!("{ended:?}"))?;
            Ok(numbers[1..4]
                .iter()
                .map(|number| number.parse())
                .collect::<Result<_, _>>()?)
        };
        let (cpu, openvino) = (on("cpu")?, on("openvino")?);
        for (cpu, openvino) in cpu.iter().zip(openvino) {
            ensure!(
                (cpu - openvino).abs() <= TOLERANCE,
                "{selfie}, {photo}: {openvino} instead of {cpu}"
            );
        }
    }
    Ok(())
}

fn doctor(_: &Path) -> Outcome {
    let ended = Process::run(likeness().args(["doctor", "--provider", "openvino"]))?;
    ensure!(ended.code == Some(0), "{ended:?}");
    for line in [
        "onnxruntime-openvino/libonnxruntime.so\n",
        "  ok    provider: openvino on CPU, f32\n",
        "No problem found.\n",
    ] {
        ensure!(ended.stdout.contains(line), "{ended:?}");
    }
    Ok(())
}

fn serve(shared: &Path) -> Outcome {
    let server = Server::start(|command| {
        command.args(["--provider", "openvino", "--workers", "2"]);
    })?;
    ensure!(
        server
            .ready
            .contains("provider openvino on CPU, ONNX Runtime 1.24."),
        "{}",
        server.ready
    );
    // As many at once as there are workers, and as many again that wait for one.
    let answers: Vec<Result<String, Failed>> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| verified(&server, shared)))
            .collect();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap_or_else(|_| Err("a caller panicked".into())))
            .collect()
    });
    let mut scores = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
    scores.dedup();
    ensure!(scores.len() == 1, "{scores:?}");
    Ok(())
}

/// What the service answers, but for ids and times, for the first of [`PAIRS`].
fn verified(server: &Server, shared: &Path) -> Result<String, Failed> {
    let read = |name: &str| std::fs::read(shared.join("data").join(name));
    let form = Form::pair(&read(PAIRS[0].0)?, &read(PAIRS[0].1)?);
    let answer = server.post("/v0.2/biometric-verification", &form)?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(format!("{:?}", answer.json()?.without_meta()))
}

/// Number 99 is nowhere.
fn absent_device(_: &Path) -> Outcome {
    let flags = ["--provider", "openvino", "--set", "engine.device_type=GPU.99"];
    let ended = Process::run(likeness().args(["verify", "a.jpg", "b.jpg"]).args(flags))?;
    ensure!(
        ended.code == Some(1) && ended.stderr.contains("openvino") && ended.stderr.contains("GPU.99"),
        "{ended:?}"
    );
    Ok(())
}

fn runtime(options: ProviderOptions) -> Result<Runtime, Failed> {
    Ok(Runtime::load(
        &LibrarySearch::new(),
        Execution::new(Provider::OpenVino, options),
    )?)
}

/// A model whose one operator, the determinant of matrices, OpenVINO does not have.
fn determinant() -> Vec<u8> {
    let value = |name: &str, sizes: &[i64]| {
        let dim = sizes.iter().map(|&size| DimensionProto {
            value: Some(DimensionValue::Fixed(size)),
            ..DimensionProto::default()
        });
        ValueInfoProto {
            name: name.to_owned(),
            r#type: Some(TypeProto {
                tensor_type: Some(TensorTypeProto {
                    elem_type: data_type::FLOAT,
                    shape: Some(TensorShapeProto { dim: dim.collect() }),
                }),
                ..TypeProto::default()
            }),
            ..ValueInfoProto::default()
        }
    };
    let graph = GraphProto {
        name: "determinant".to_owned(),
        node: vec![NodeProto {
            op_type: "Det".to_owned(),
            input: vec!["x".to_owned()],
            output: vec!["y".to_owned()],
            ..NodeProto::default()
        }],
        input: vec![value("x", &[1, 3, 4, 4])],
        output: vec![value("y", &[1, 3])],
        ..GraphProto::default()
    };
    write(&model(graph))
}

fn partial(_: &Path) -> Outcome {
    let onnx = determinant();
    match runtime(ProviderOptions::default())?.open("determinant", &onnx) {
        Err(error @ RuntimeError::ProviderPartial { .. }) => {
            let said = error.to_string();
            ensure!(
                said.starts_with(
                    "execution provider 'openvino' cannot execute the whole of model determinant: parts of it would run on \
                     the CPU\nuse another provider, or allow it with the provider's option cpu_nodes = true\n"
                ),
                "{said}"
            );
        }
        other => return Err(format!("{other:?}").into()),
    }
    let allowed = runtime(ProviderOptions {
        cpu_nodes: Some(true),
        ..ProviderOptions::default()
    })?;
    let mut session = allowed.open("determinant", &onnx)?;
    let identity: Vec<f32> = (0..48)
        .map(|place| if place % 16 % 5 == 0 { 1.0 } else { 0.0 })
        .collect();
    let answer = session.run([1, 3, 4, 4], &identity)?;
    ensure!(answer.get("y")?.numbers == [1.0; 3], "{answer:?}");
    Ok(())
}

/// More shapes than a model has sessions for, each before and after the others.
fn shapes(shared: &Path) -> Outcome {
    let runtime = runtime(ProviderOptions::default())?;
    let pack = StoreSearch::new()
        .find()?
        .load(DEFAULT_PACK)?
        .optimized(&default_passes(Provider::OpenVino));
    let mut session = runtime.open("yunet_n", pack.model("yunet_n")?)?;
    let first: Vec<Vec<f32>> = (1..=20)
        .map(|width| answer(&mut session, width))
        .collect::<Result<_, _>>()?;
    for (width, first) in (1..=20).zip(&first) {
        ensure!(answer(&mut session, width)? == *first, "width {width}");
    }
    let engine = Engine::builder()
        .provider(Provider::OpenVino)
        .workers(1)
        .build()?;
    let info = engine.labels();
    ensure!(
        (
            info.provider.as_str(),
            info.device.as_str(),
            info.precision.as_str()
        ) == ("openvino", "CPU", "f32"),
        "{info:?}"
    );
    let read = |name: &str| std::fs::read(shared.join("data").join(name));
    let (selfie, photo) = (read(PAIRS[0].0)?, read(PAIRS[0].1)?);
    let before = engine.verify(&selfie, &photo, &VerifyOptions::default())?;
    let after = engine.verify(&selfie, &photo, &VerifyOptions::default())?;
    ensure!(
        (before.similarity, before.liveness) == (after.similarity, after.liveness),
        "{before:?} and {after:?}"
    );
    Ok(())
}

fn answer(session: &mut ModelSession, width: usize) -> Result<Vec<f32>, Failed> {
    let width = 32 * width;
    let pixels: Vec<f32> = (0..3 * 64 * width)
        .map(|place| (place % width, place / width % 64, place / width / 64))
        .map(|(x, y, c)| ((x * 7 + y * 13 + c * 29) % 256) as f32)
        .collect();
    let outputs = session.run([1, 3, 64, width], &pixels)?;
    Ok(outputs
        .all()
        .iter()
        .flat_map(|output| output.numbers.clone())
        .collect())
}

fn cache(_: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let runtime = runtime(ProviderOptions {
        cache_folder: Some(folder.path().to_owned()),
        ..ProviderOptions::default()
    })?;
    let pack = StoreSearch::new().find()?.load(DEFAULT_PACK)?;
    runtime.open("minifasnet_v2", pack.model("minifasnet_v2")?)?;
    ensure!(folder.path().read_dir()?.next().is_some(), "nothing is kept");
    Ok(())
}

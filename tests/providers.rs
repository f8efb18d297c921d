//! The real binary, asked for execution providers that are not there and for options that they do not have: it says what
//! there is and ends. Nothing else takes the place of what was asked for.

use std::process::ExitCode;

use likeness_testing::{Failed, Outcome, Suite, ensure, library};

mod support;

use support::for_each;
use support::process::{Ended, Process, likeness};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_any_models("a_provider_that_the_library_lacks_is_refused", lacking);
    suite.test("configuration_and_environment_name_the_provider_too", configured);
    suite.test("options_that_the_provider_does_not_have_are_refused", options);
    suite.test("options_are_written_as_name_and_value", usage);
    suite.run()
}

/// What it offers: Apple's has Core ML.
const OFFERED: &str = if cfg!(target_os = "macos") {
    "cpu, coreml"
} else {
    "cpu"
};

/// Every command that opens models, on files that need not be there: the provider comes first.
const COMMANDS: [&[&str]; 5] = [
    &["verify", "a.jpg", "b.jpg"],
    &["liveness", "a.jpg"],
    &["serve", "--listen", "127.0.0.1:0"],
    &["models", "check"],
    &["doctor"],
];

fn run(arguments: &[&str]) -> Result<Ended, Failed> {
    Process::run(likeness().args(arguments).arg("--ort-lib").arg(library()))
}

/// What was said on standard error; `doctor` reports on standard output.
fn said(command: &str, ended: &Ended) -> String {
    if command == "doctor" {
        ended.stdout.replace("\n        ", "\n")
    } else {
        ended.stderr.clone()
    }
}

fn lacking() -> Outcome {
    let library = library().display().to_string();
    for_each(COMMANDS.map(|command| (command[0], command)), |command| {
        for (name, advice) in [
            (
                "openvino",
                "run `make setup-openvino` and name no other library, or name the one of the wheel \
              onnxruntime-openvino with --ort-lib FILE or ORT_DYLIB_PATH=FILE",
            ),
            (
                "cuda",
                "run `make setup-cuda` on a machine with NVIDIA's driver and name no other library, or name the one of the \
              wheel onnxruntime-gpu with --ort-lib FILE or ORT_DYLIB_PATH=FILE",
            ),
        ] {
            let ended = run(&[command, &["--provider", name]].concat())?;
            ensure!(ended.code == Some(1), "{ended:?}");
            let said = said(command[0], &ended);
            let whole =
                format!(" at {library} has no execution provider '{name}'; it offers: {OFFERED}\n{advice}\n");
            ensure!(
                said.contains("the ONNX Runtime 1.") && said.contains(&whole),
                "{said:?}\ninstead of\n{whole:?}"
            );
        }
        Ok(())
    })
}

fn configured() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("likeness.toml");
    std::fs::write(&file, "[engine]\nprovider = 'openvino'\n")?;
    let serve = |extra: &[&str]| {
        Process::run(
            likeness()
                .args(["serve", "--listen", "127.0.0.1:0", "--config"])
                .arg(&file)
                .arg("--ort-lib")
                .arg(library())
                .args(extra),
        )
    };
    let lacks = |ended: &Ended, name: &str| {
        ended.code == Some(1)
            && ended
                .stderr
                .contains(&format!("has no execution provider '{name}'"))
    };
    let ended = serve(&[])?;
    ensure!(lacks(&ended, "openvino"), "{ended:?}");
    // The command line wins.
    let ended = serve(&["--provider", "cuda"])?;
    ensure!(lacks(&ended, "cuda"), "{ended:?}");
    for command in COMMANDS {
        let ended = Process::run(
            likeness()
                .args(command)
                .arg("--ort-lib")
                .arg(library())
                .env("LIKENESS__ENGINE__PROVIDER", "openvino"),
        )?;
        let said = said(command[0], &ended);
        ensure!(
            ended.code == Some(1) && said.contains("has no execution provider 'openvino'"),
            "{command:?}: {ended:?}"
        );
    }
    Ok(())
}

fn options() -> Outcome {
    let cases: [(&[&str], &str); 4] = [
        (
            &["--set", "engine.threads=2"],
            "configuration: engine.threads (set by --set): provider cpu: it is an option of openvino",
        ),
        (
            &["--provider", "cuda", "--set", "engine.device_type=GPU"],
            "configuration: engine.device_type (set by --set): provider cuda: it is an option of openvino, coreml",
        ),
        (
            &["--provider", "openvino", "--set", "engine.device_type=AUTO"],
            "configuration: engine.device_type (set by --set): provider openvino: 'AUTO': it must be one device: CPU, GPU, GPU.0, GPU.1 and so \
             on, or NPU",
        ),
        (
            &["--provider", "openvino", "--set", "engine.precision=f16"],
            "configuration: engine.precision (set by --set): provider openvino: f16 is for device_type GPU or NPU",
        ),
    ];
    for command in COMMANDS {
        for (flags, expected) in cases {
            let ended = run(&[command, flags].concat())?;
            let said = said(command[0], &ended);
            ensure!(
                ended.code == Some(1) && said.contains(expected),
                "{command:?} {flags:?}: {ended:?}"
            );
        }
    }
    Ok(())
}

fn usage() -> Outcome {
    for (option, expected) in [
        ("engine.threads", "must be written SECTION.KEY=VALUE"),
        (
            "engine.threads=many",
            "engine.threads (set by --set): expected u16",
        ),
        (
            "engine.theads=1",
            "engine.theads (set by --set): unknown key; did you mean `threads`?",
        ),
    ] {
        let ended = run(&["doctor", "--set", option])?;
        ensure!(
            ended.code == Some(2) && ended.stderr.contains(expected),
            "{ended:?}"
        );
    }
    Ok(())
}

//! The container image's file tree, the manifests for Kubernetes, systemd and Compose, and the bill of materials, tested outside
//! a container.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use likeness::packs::DEFAULT_PACK;
use likeness::server::Config;
use likeness_testing::http::Form;
use likeness_testing::{Failed, Outcome, Suite, ensure, workspace};
use serde_json::Value;

use support::image;
use support::process::{Process, likeness};
use support::server::{APP, Server};

#[path = "packaging/chart.rs"]
mod chart;
#[path = "packaging/healthcheck.rs"]
mod healthcheck;
#[path = "packaging/schemas.rs"]
mod schemas;
mod support;
#[path = "packaging/unit.rs"]
mod unit;

/// As in the Dockerfile: an id without an entry in any `/etc/passwd`.
const USER: &str = "10001";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models(
        "the_images_tree_serves_as_an_unknown_user_from_read_only_folders",
        tree,
    );
    suite.test("the_bill_of_materials_names_shipped_components_alone", bill);
    suite.test(
        "the_dockerfile_copies_existing_files_and_runs_as_an_unknown_user",
        dockerfile,
    );
    suite.with_program("the_manifests_are_complete", "kubectl", manifests);
    suite.test("memory_limits_follow_from_the_formula", memory);
    chart::tests(&mut suite);
    healthcheck::tests(&mut suite);
    schemas::tests(&mut suite);
    unit::tests(&mut suite);
    suite.run()
}

fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(workspace().join(script)).current_dir(workspace());
    command
}

fn done(command: &mut Command) -> Result<String, Failed> {
    let ended = Process::run(command)?;
    ensure!(ended.code == Some(0), "{ended:?}");
    Ok(ended.stdout)
}

fn tree(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    // Other users may enter this folder, but not write to it.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    let root = folder.path().join("root");
    done(python("scripts/image/rootfs.py").arg(&root))?;
    for (path, entry) in walk(&root)? {
        let writable = entry.permissions().mode() & 0o022 != 0;
        ensure!(!writable, "{} is writable for others", path.display());
        ensure!(
            !path.starts_with(root.join("var")),
            "{} would belong to root in the image",
            path.display()
        );
        let name = path.to_string_lossy().to_ascii_lowercase();
        ensure!(
            ![".jpg", ".png", ".webp"].iter().any(|end| name.ends_with(end)),
            "{name} is an image"
        );
    }
    let configuration = std::fs::read_to_string(root.join("etc/likeness/likeness.toml"))?;
    ensure!(
        configuration.contains("\ndata_folder = \"/var/lib/likeness\"\n"),
        "commands would look for the database in their working directory"
    );

    serves(shared, &root, &User::OF_THE_IMAGE)?;
    // As OpenShift assigns one: any user, of group 0, which may write to the volume.
    serves(shared, &root, &User::ASSIGNED)
}

/// Who the pod or container runs as.
struct User {
    user: &'static str,
    group: &'static str,
    /// Of the volume: its owner and its mode.
    volume: (&'static str, u32),
}

impl User {
    const OF_THE_IMAGE: Self = Self {
        user: USER,
        group: USER,
        volume: (USER, 0o700),
    };
    const ASSIGNED: Self = Self {
        user: "1000660000",
        group: "0",
        volume: ("0:0", 0o770),
    };
}

/// The file tree serves as this user, or as whoever runs the test where that is not root.
fn serves(shared: &Path, root: &Path, user: &User) -> Outcome {
    let data = tempfile::tempdir()?;
    let is_root = done(Command::new("id").arg("-u"))?.trim() == "0";
    if is_root {
        let (owner, mode) = user.volume;
        done(Command::new("chown").arg(owner).arg(data.path()))?;
        std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(mode))?;
    }
    let binary = root.join("usr/local/bin/likeness");
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", user.user, "--regid", user.group, "--clear-groups"])
            .arg(&binary);
        command
    } else {
        Command::new(&binary)
    };
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--workers", "1", "--config"])
        .arg(root.join("etc/likeness/likeness.toml"))
        .current_dir(data.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LIKENESS_MODELS", root.join("usr/share/likeness/models"))
        .env("LIKENESS__DATA_FOLDER", data.path())
        .env("LIKENESS_APPS", format!("{}:{}", APP.id, APP.key));
    let server = Server::start_command(&mut command)?;
    let form = Form::pair(
        &image(shared, "faces/img2.jpg")?,
        &image(shared, "faces/img11.jpg")?,
    );
    let response = server.post("/v0.2/biometric-verification", &form)?;
    ensure!(response.status == 200, "{response:?}");
    ensure!(data.path().join("likeness.db").is_file(), "there is no database");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id()))?;
    let cores = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap_or_default();
    ensure!(cores.split_whitespace().nth(4) == Some("0"), "{cores}");
    server.terminate()?;
    ensure!(server.wait()?.code() == Some(0), "it does not end well");
    Ok(())
}

fn walk(folder: &Path) -> Result<Vec<(std::path::PathBuf, std::fs::Metadata)>, Failed> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                waiting.push(entry.path());
            }
            found.push((entry.path(), metadata));
        }
    }
    Ok(found)
}

fn bill() -> Outcome {
    let bill: Value = serde_json::from_str(&done(&mut python("scripts/sbom.py"))?)?;
    ensure!(
        bill["bomFormat"] == "CycloneDX" && bill["specVersion"] == "1.6",
        "{}",
        bill["bomFormat"]
    );
    let components = bill["components"].as_array().ok_or("no components")?;
    let names: BTreeSet<&str> = components
        .iter()
        .filter_map(|component| component["name"].as_str())
        .collect();
    let embedded = "utoipa-swagger-ui-vendored";
    for shipped in [
        "axum",
        "ort",
        "sqlx",
        "rustls",
        "onnxruntime",
        "likeness-server",
        embedded,
    ] {
        ensure!(names.contains(shipped), "{shipped} is missing");
    }
    for tool in ["criterion", "proptest", "insta", "rcgen"] {
        ensure!(!names.contains(tool), "{tool} is in no binary");
    }
    let models = components
        .iter()
        .filter(|component| component["type"] == "machine-learning-model");
    let models: BTreeSet<&str> = models.filter_map(|model| model["name"].as_str()).collect();
    let published = published_models()?;
    ensure!(
        !published.is_empty() && models.iter().eq(&published),
        "{models:?} instead of {published:?}"
    );
    for component in components {
        ensure!(
            !component["licenses"].is_null(),
            "{} has no licence",
            component["name"]
        );
    }
    Ok(())
}

/// The published files of the pack that set-up has brought.
fn published_models() -> Result<BTreeSet<String>, Failed> {
    let chosen = std::fs::read_to_string(workspace().join(".setup/pack")).unwrap_or_default();
    let pack = if chosen.is_empty() { DEFAULT_PACK } else { &chosen };
    let text = std::fs::read_to_string(workspace().join("models").join(pack).join("pack.toml"))?;
    let lines = text.lines().filter_map(|line| line.strip_prefix("[sources.\""));
    Ok(lines
        .filter_map(|line| line.strip_suffix("\"]"))
        .map(str::to_owned)
        .collect())
}

fn dockerfile() -> Outcome {
    let text = std::fs::read_to_string(workspace().join("Dockerfile"))?;
    let allowed = std::fs::read_to_string(workspace().join(".dockerignore"))?;
    for line in allowed.lines().filter_map(|line| line.strip_prefix('!')) {
        ensure!(
            workspace().join(line).exists(),
            ".dockerignore lets in {line}, which is not there"
        );
    }
    let script = "scripts/image/rootfs.py";
    ensure!(
        text.contains(script) && workspace().join(script).is_file(),
        "{script}"
    );
    let user = text
        .lines()
        .rfind(|line| line.starts_with("USER "))
        .unwrap_or_default();
    ensure!(user == format!("USER {USER}:{USER}"), "{user}");
    let makefile = std::fs::read_to_string(workspace().join("Makefile"))?;
    for target in ["setup:", "build:", "models:"] {
        ensure!(
            makefile.lines().any(|line| line.starts_with(target)),
            "make has no {target}"
        );
    }
    // Of two copies to one place, the first one's owner stays: the service could not write to its volume.
    let state: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("COPY ") && line.contains("--chown="))
        .collect();
    ensure!(
        state
            == [format!(
                "COPY --from=build --chown={USER}:{USER} /state/ /var/lib/likeness/"
            )],
        "{state:?}"
    );
    let healthcheck = text
        .lines()
        .any(|line| line.starts_with("HEALTHCHECK ") && line.contains("\"healthcheck\""));
    ensure!(healthcheck, "there is no health check");
    let (_, run) = text.rsplit_once("\nFROM ").ok_or("one stage")?;
    for label in ["version", "revision", "created", "source", "base.name"] {
        let label = format!("org.opencontainers.image.{label}=\"${{");
        let (_, argument) = run.split_once(&label).ok_or_else(|| format!("no {label}"))?;
        let (argument, _) = argument.split_once("}\"").ok_or("no end of an argument")?;
        // An argument that its own stage does not declare is empty.
        let declared = run
            .lines()
            .filter_map(|line| line.strip_prefix("ARG "))
            .any(|line| line.split('=').next() == Some(argument));
        ensure!(declared, "the last stage has no ARG {argument}");
        ensure!(
            argument == "RUN_IMAGE" || makefile.contains(&format!("--build-arg {argument}=")),
            "`make image` sets no {argument}"
        );
    }
    // Base images, which are pinned by digest, are named in one place, which a build argument replaces.
    for line in text.lines().filter_map(|line| line.strip_prefix("FROM ")) {
        ensure!(line.starts_with("${"), "FROM {line}");
    }
    Ok(())
}

/// Every memory limit in the manifests and the guide is what the settings come to.
fn memory() -> Outcome {
    const MIB: u64 = 1024 * 1024;
    let read = |name: &str| std::fs::read_to_string(workspace().join(name));
    let config = Config::default();
    let with = |workers| config.memory_bytes(workers) / MIB;
    let (worker, program) = (with(2) - with(1), 2 * with(1) - with(2));

    let deployment = read("deploy/kubernetes/deployment.yaml")?;
    let limits = format!("limits: {{cpu: \"2\", memory: {}Mi}}", with(2));
    ensure!(
        deployment.contains(&limits),
        "the deployment does not have {limits}"
    );
    let alerts = read("deploy/prometheus/alerts.yml")?;
    let bound = format!("({program} + likeness_workers * {worker}) * 1024 * 1024");
    ensure!(alerts.contains(&bound), "the alert does not have {bound}");

    let guide = read("docs/operate.md")?;
    let thousands = |mib: u64| format!("{},{:03}", mib / 1000, mib % 1000);
    let decode = config.image_limits.max_decode_bytes / MIB;
    let fixed = worker - 2 * decode - (config.request_limits.body_bytes / MIB) * 16;
    for text in [
        format!("{program} + workers x ({fixed} + 2 x decode) + requests x body"),
        format!(
            "With the defaults that is {} MiB for two workers",
            thousands(with(2))
        ),
        format!("| `image_limits.max_decode_bytes` | {decode} MiB |"),
    ] {
        ensure!(guide.contains(&text), "docs/operate.md does not say: {text}");
    }
    Ok(())
}

fn manifests(kubectl: &Path) -> Outcome {
    let render = |folder: &str| {
        done(
            Command::new(kubectl)
                .arg("kustomize")
                .arg(workspace().join(folder)),
        )
    };
    let kinds = |rendered: &str| -> BTreeSet<String> {
        rendered
            .lines()
            .filter_map(|line| line.strip_prefix("kind: ").map(str::to_owned))
            .collect()
    };
    let monitoring = render("deploy/kubernetes/monitoring")?;
    ensure!(
        kinds(&monitoring) == BTreeSet::from(["PodMonitor".to_owned()]),
        "{monitoring}"
    );
    let rendered = render("deploy/kubernetes")?;
    let kinds = kinds(&rendered);
    ensure!(
        !kinds.contains("PodMonitor"),
        "a cluster without the Prometheus operator refuses it"
    );
    for kind in [
        "Namespace",
        "ConfigMap",
        "Deployment",
        "Service",
        "Ingress",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "NetworkPolicy",
    ] {
        ensure!(kinds.contains(kind), "there is no {kind}");
    }
    ensure!(
        !kinds.contains("Secret"),
        "the example of a secret would be applied"
    );
    for line in [
        "readOnlyRootFilesystem: true",
        "runAsNonRoot: true",
        "enableServiceLinks: false",
        "topologySpreadConstraints:",
        "startupProbe:",
    ] {
        ensure!(rendered.contains(line), "no {line}");
    }
    for line in ["runAsUser:", "runAsGroup:", "fsGroup:"] {
        ensure!(!rendered.contains(line), "{line} is the cluster's to choose");
    }
    // The configuration in there is one that the service takes.
    let config = std::fs::read_to_string(workspace().join("deploy/kubernetes/config.yaml"))?;
    let (_, config) = config
        .split_once("likeness.toml: |\n")
        .ok_or("no likeness.toml")?;
    let file = tempfile::NamedTempFile::new()?;
    let text: String = config
        .lines()
        .map(|line| format!("{}\n", line.trim_start_matches("    ")))
        .collect();
    std::fs::write(file.path(), text)?;
    done(
        likeness()
            .args(["config", "check", "--config"])
            .arg(file.path())
            .env("LIKENESS_ADMIN_TOKEN", "example"),
    )?;
    Ok(())
}

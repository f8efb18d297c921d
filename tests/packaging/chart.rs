//! Helm's chart: linted, rendered, valid for Kubernetes, and the same as the files for kustomize. No cluster has installed it.

use std::path::{Path, PathBuf};
use std::process::Command;

use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq, for_each, workspace};

use super::schemas::{check, spoil, yaml};
use super::support::process::{Ended, Process};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_python("chart::it_has_no_finding_of_helms_lint", "helm", linted);
    suite.with_python(
        "chart::it_makes_what_the_files_for_kustomize_make",
        "helm",
        compared,
    );
    suite.with_pythons(
        "chart::all_that_it_renders_is_valid_for_kubernetes",
        ["helm", "schemas"],
        rendered,
    );
    suite.with_python("chart::values_that_it_does_not_know_are_refused", "helm", refused);
    suite.test("chart::it_has_the_version_of_the_program", version);
}

fn folder() -> PathBuf {
    workspace().join("deploy/helm/likeness")
}

/// Runs `scripts/check_chart.py`.
fn chart<'a>(python: &Path, task: &str, paths: impl IntoIterator<Item = &'a Path>) -> Result<Ended, Failed> {
    let mut command = Command::new(python);
    command.arg(workspace().join("scripts/check_chart.py")).arg(task);
    Process::run(command.args(paths))
}

fn done(ended: &Ended) -> Outcome {
    ensure!(ended.code == Some(0), "{}", ended.stderr);
    Ok(())
}

/// Values that leave nothing as it is by default.
const OTHER: &str = r#"
replicas: 3
image: {repository: registry.example/own, digest: "sha256:DIGEST", pullPolicy: Always, pullSecrets: [{name: registry}]}
secret: own-secret
rootsConfigMap: own-roots
config: |
  listen = "0.0.0.0:8080"
env: [{name: LIKENESS__ENGINE__PACK, value: branch-1}]
packVolume: {persistentVolumeClaim: {claimName: packs, readOnly: true}}
data: {sizeLimit: 1Gi}
resources: {limits: {cpu: "4", memory: 4480Mi}}
terminationGracePeriodSeconds: 60
podSecurityContext: {runAsNonRoot: true, runAsUser: 10001, fsGroup: 0}
probes: {scheme: HTTPS}
topologySpread: {topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}
podAnnotations: {example: "yes"}
podLabels: {team: identity}
nodeSelector: {kubernetes.io/arch: amd64}
tolerations: [{key: dedicated, operator: Exists}]
affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}}
priorityClassName: high
serviceAccountName: likeness
ingress: {className: "", host: faces.example, tlsSecret: "", annotations: {}}
autoscaling: {enabled: false}
disruptionBudget: {maxUnavailable: 50%}
networkPolicy: {database: {to: [{namespaceSelector: {}}], port: 6432}}
monitoring: {podMonitor: true, interval: 30s}
"#;

/// Nothing but what serves.
const LEAST: &str = "
ingress: {enabled: false}
autoscaling: {enabled: false}
disruptionBudget: {enabled: false}
networkPolicy: {enabled: false}
topologySpread: {enabled: false}
";

/// Writes values into a file.
fn values(text: &str) -> Result<tempfile::NamedTempFile, Failed> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), text.replace("DIGEST", &"a1".repeat(32)))?;
    Ok(file)
}

fn linted(python: &Path) -> Outcome {
    done(&chart(python, "lint", [&*folder()])?)?;
    for_each([("other", OTHER), ("least", LEAST)], |text| {
        done(&chart(python, "lint", [&*folder(), values(text)?.path()])?)
    })
}

fn compared(python: &Path) -> Outcome {
    let kustomization = workspace().join("deploy/kubernetes/kustomization.yaml");
    let monitoring = workspace().join("deploy/kubernetes/monitoring/kustomization.yaml");
    done(&chart(
        python,
        "compare",
        [&*folder(), &kustomization, &monitoring],
    )?)?;
    // A difference is noticed.
    let copy = tempfile::tempdir()?;
    for file in yaml(&workspace().join("deploy/kubernetes"))? {
        let name = file.file_name().ok_or("no name")?;
        let text = std::fs::read_to_string(&file)?;
        let text = text.replace("failureThreshold: 60", "failureThreshold: 61");
        std::fs::write(copy.path().join(name), text)?;
    }
    // The monitoring has a kustomization of its own, with the same name.
    let spoilt = copy.path().join("kustomization.yaml");
    std::fs::copy(&kustomization, &spoilt)?;
    let ended = chart(python, "compare", [&*folder(), &spoilt, &monitoring])?;
    ensure!(
        ended.code == Some(1)
            && ended
                .stderr
                .contains("failureThreshold: 60 in the chart, 61 for kustomize"),
        "{ended:?}"
    );
    Ok(())
}

fn rendered(helm: &Path, schemas: &Path) -> Outcome {
    let kinds = |text: Option<&str>| -> Result<Vec<String>, Failed> {
        let rendered = tempfile::tempdir()?;
        let file = text.map(values).transpose()?;
        let (folder, values) = (folder(), file.as_ref().map(tempfile::NamedTempFile::path));
        let paths = [&*folder, rendered.path()].into_iter().chain(values);
        done(&chart(helm, "render", paths)?)?;
        let files = yaml(rendered.path())?;
        done(&check(schemas, "kubernetes", &files)?)?;
        let mut kinds = Vec::new();
        for file in files {
            let text = std::fs::read_to_string(file)?;
            kinds.extend(
                text.lines()
                    .filter_map(|line| line.strip_prefix("kind: ").map(str::to_owned)),
            );
            ensure!(!text.contains("kind: Secret"), "the chart makes a secret");
        }
        kinds.sort();
        Ok(kinds)
    };
    let all = [
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Ingress",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "Service",
    ];
    ensure_eq!(kinds(None)?, all);
    ensure_eq!(
        kinds(Some(OTHER))?,
        [
            "ConfigMap",
            "Deployment",
            "Ingress",
            "NetworkPolicy",
            "PodDisruptionBudget",
            "PodMonitor",
            "Service",
            "Service"
        ]
    );
    ensure_eq!(
        kinds(Some(LEAST))?,
        ["ConfigMap", "Deployment", "Service", "Service"]
    );

    // What is wrong by the schemas is noticed.
    let spoilt = tempfile::tempdir()?;
    done(&chart(helm, "render", [&*folder(), spoilt.path()])?)?;
    let file = spoilt.path().join("deployment.yaml");
    let text = spoil(&std::fs::read_to_string(&file)?, "startupProbe:", "startProbe:")?;
    std::fs::write(&file, text)?;
    let ended = check(schemas, "kubernetes", &[file])?;
    ensure!(
        ended.code == Some(1) && ended.stderr.contains("'startProbe' was unexpected"),
        "{ended:?}"
    );
    Ok(())
}

fn refused(python: &Path) -> Outcome {
    for_each(
        [
            ("unknown", ("replica: 3", "replica")),
            ("no number", ("replicas: two", "/replicas")),
            ("no digest", ("image: {digest: latest}", "/image/digest")),
            (
                "no database",
                (
                    "networkPolicy: {database: {to: []}}",
                    "/networkPolicy/database/to",
                ),
            ),
        ],
        |(text, complaint)| {
            let folder_of = tempfile::tempdir()?;
            let ended = chart(
                python,
                "render",
                [&*folder(), folder_of.path(), values(text)?.path()],
            )?;
            ensure!(
                ended.code == Some(1) && ended.stderr.contains(complaint),
                "{complaint}: {ended:?}"
            );
            Ok(())
        },
    )
}

fn version() -> Outcome {
    let chart = std::fs::read_to_string(folder().join("Chart.yaml"))?;
    let expected = format!("\nappVersion: {}\n", env!("CARGO_PKG_VERSION"));
    ensure!(chart.contains(&expected), "{chart}");
    Ok(())
}

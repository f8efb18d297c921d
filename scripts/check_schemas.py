"""What is deployed, against the schemas of those who read it. To be run by the environment `schemas` (scripts/environment.py).

    check_schemas.py kubernetes FILE ...   each document, strictly: fields that Kubernetes does not know are errors
    check_schemas.py compose FILE ...      the Compose specification
    check_schemas.py sbom FILE ...         CycloneDX

The schemas are those that the packages kubernetes-validate, check-jsonschema and cyclonedx-python-lib carry. Of the latter two
nothing else is used. Names each violation, and ends with 1 where there is one.
"""

import importlib.util
import json
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml
from referencing import Registry, Resource

# The oldest and the newest of the schemas there: what both take, clusters between them take.
KUBERNETES = ("1.25", kubernetes_validate.latest_version())
# kubectl's own, which reads it strictly; and a kind that the Prometheus operator brings, whose schema no package here carries.
NOT_KUBERNETES = ("kustomize.config.k8s.io/", "monitoring.coreos.com/")


def kubernetes(file):
    for document in yaml.safe_load_all(file.read_text()):
        if document["apiVersion"].startswith(NOT_KUBERNETES):
            continue
        for version in KUBERNETES:
            where = f"{document['kind']}, Kubernetes {version}"
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{where}: {error.json_path}: {error.message}"
            except kubernetes_validate.SchemaNotFoundError as error:
                yield f"{where}: {error.message}"


def compose(file):
    schema = json.loads((package("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    yield from violations(schema, yaml.safe_load(file.read_text()))


def sbom(file):
    bill = json.loads(file.read_text())
    folder = package("cyclonedx") / "schema/_res"
    schema = json.loads((folder / f"bom-{bill['specVersion']}.SNAPSHOT.schema.json").read_text())
    # Its schemas name each other by their files.
    others = [(path.name, json.loads(path.read_text())) for path in folder.glob("*.SNAPSHOT.schema.json")]
    base = schema["$id"].rsplit("/", 1)[0]
    registry = Registry().with_resources((f"{base}/{name}", Resource.from_contents(other)) for name, other in others)
    yield from violations(schema, bill, registry)


def violations(schema, document, registry=Registry()):
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    for error in kind(schema, registry=registry, format_checker=kind.FORMAT_CHECKER).iter_errors(document):
        yield f"{error.json_path}: {error.message}"


def package(name):
    """The folder of a package, of which nothing is run."""
    return Path(importlib.util.find_spec(name).origin).parent


def main():
    checks = {check.__name__: check for check in (kubernetes, compose, sbom)}
    if len(sys.argv) < 3 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    found = [f"{name}: {violation}" for name in sys.argv[2:] for violation in checks[sys.argv[1]](Path(name))]
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()

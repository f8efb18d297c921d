#!/usr/bin/env python3
"""Makes edgeface_xs.onnx, the file that the pack edge-1 leaves to its operator, and checks such a file.

    export_edgeface.py export edgeface_xs_q.pt edgeface_xs.onnx [--fixture FIXTURE.npz]
    export_edgeface.py check edgeface_xs.onnx --fixture FIXTURE.npz

`export` reads the checkpoint that EdgeFace's authors publish: a state dict of timm's edgenext_x_small whose linear layers have
8 bits. It turns their weights into 32 bits, exports the network (input [1,3,112,112] named `input`, RGB, (x - 127.5) / 127.5;
output [1,512] named `embedding`, not of unit length; opset 13), and compares the file's outputs with PyTorch's. `check` compares a
file's outputs with the fixture: `crops_bgr_u8` (faces aligned to the ArcFace template, 112 pixels a side, blue first) and
`embeddings`. No number may differ by more than 1e-4, or nothing is written.

A checkpoint is a pickle, which can execute code when it is read: use one from its authors. Its licence is contradictory
(models/edge-1/README.md).

Requirements of `export`, for Python 3.8 to 3.11:  torch==2.0.1 torchvision==0.15.2 timm==0.6.13 onnx==1.14.1 numpy==1.24.4
onnxruntime==1.16.3. `check` needs numpy and onnxruntime of any version.
"""

import argparse
import hashlib
import os
import re
import sys
import tempfile
from pathlib import Path

TOLERANCE = 1e-4
SIDE = 112
DIMENSIONS = 512
OPSET = 13
PACKED = "._packed_params._packed_params"
MANIFEST = Path(__file__).resolve().parent.parent / "models/edge-1/pack.toml"


def float_weights(checkpoint):
    """The state dict with the linear layers of 8 bits as layers of 32."""
    layers = {name[: -len(PACKED)] for name in checkpoint if name.endswith(PACKED)}
    of_layers = tuple(layer + part for layer in layers for part in (".scale", ".zero_point", "._packed_params.dtype"))
    weights = {}
    for name, value in checkpoint.items():
        if name.endswith(PACKED):
            weight, bias = value
            weights[name[: -len(PACKED)] + ".weight"] = weight.dequantize()
            if bias is not None:
                weights[name[: -len(PACKED)] + ".bias"] = bias.detach()
        elif name not in of_layers:
            weights[name] = value
    return weights


def network(path):
    """EdgeFace-XS with the weights of a checkpoint."""
    import timm
    import torch

    class EdgeFace(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = timm.create_model("edgenext_x_small", num_classes=DIMENSIONS)

        def forward(self, faces):
            return self.model(faces)

    model = EdgeFace().eval()
    try:
        model.load_state_dict(float_weights(torch.load(path, map_location="cpu")), strict=True)
    except (RuntimeError, AttributeError, TypeError) as error:
        sys.exit(f"{path} is no checkpoint of EdgeFace-XS with linear layers of 8 bits: {error}")
    return model


def read_fixture(path):
    """Faces as the network takes them, and what it makes of each."""
    import numpy

    with numpy.load(path) as fixture:
        crops, embeddings = fixture["crops_bgr_u8"], fixture["embeddings"]
    if crops.shape[1:] != (SIDE, SIDE, 3) or embeddings.shape != (len(crops), DIMENSIONS) or not len(crops):
        sys.exit(f"{path}: crops of {crops.shape} and embeddings of {embeddings.shape} are no fixture of EdgeFace-XS")
    faces = (crops[..., ::-1].astype(numpy.float32) - 127.5) / 127.5
    return numpy.ascontiguousarray(faces.transpose(0, 3, 1, 2)), embeddings


def compare(onnx, faces, expected, with_what):
    """Ends the program where the outputs of the file are not the expected ones."""
    import numpy
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    (name,) = [given.name for given in session.get_inputs()]
    found = numpy.concatenate([session.run(None, {name: faces[at : at + 1]})[0] for at in range(len(faces))])
    if found.shape != expected.shape:
        sys.exit(f"{onnx}: outputs of {found.shape} and not {expected.shape}")
    largest = float(numpy.abs(found - expected).max())
    # Also where it is no number.
    if not largest <= TOLERANCE:
        sys.exit(f"{onnx}: off by {largest:.2g} from {with_what}, more than {TOLERANCE}")
    print(f"{len(faces)} faces: at most {largest:.2g} off from {with_what}")


def report(onnx):
    """Prints the checksum, and whether it is the one that edge-1 names."""
    found = hashlib.sha256(onnx.read_bytes()).hexdigest()
    named = re.search(r'edgeface_xs\.onnx"\].*?sha256 = "(\w+)"', MANIFEST.read_text(), re.DOTALL)
    print(f"{onnx}: {onnx.stat().st_size} bytes, SHA-256 {found}")
    if not named or named.group(1) != found:
        print(
            "edge-1 names another checksum: for these bytes copy models/edge-1/pack.toml under another name, and make cohort and "
            "calibrations with `likeness calibrate` (docs/packs.md)"
        )


def export(checkpoint, out, fixture):
    import numpy
    import torch

    model = network(checkpoint)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        made = Path(folder) / out.name
        names = {"input_names": ["input"], "output_names": ["embedding"]}
        torch.onnx.export(model, torch.zeros(1, 3, SIDE, SIDE), str(made), opset_version=OPSET, **names)
        noise = numpy.random.RandomState(0).uniform(-1, 1, (4, 3, SIDE, SIDE)).astype(numpy.float32)
        with torch.no_grad():
            compare(made, noise, model(torch.from_numpy(noise)).numpy(), "PyTorch on noise")
        if fixture:
            compare(made, *read_fixture(fixture), fixture)
        os.replace(made, out)
    report(out)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    actions = arguments.add_subparsers(dest="action", required=True)
    making = actions.add_parser("export", help="make the file of a checkpoint")
    making.add_argument("checkpoint", type=Path)
    making.add_argument("out", type=Path)
    making.add_argument("--fixture", type=Path, help="faces and their embeddings (.npz)")
    checking = actions.add_parser("check", help="compare a file with the fixture")
    checking.add_argument("onnx", type=Path)
    checking.add_argument("--fixture", type=Path, required=True, help="faces and their embeddings (.npz)")
    given = arguments.parse_args()
    if given.action == "export":
        export(given.checkpoint, given.out, given.fixture)
    else:
        compare(given.onnx, *read_fixture(given.fixture), given.fixture)
        report(given.onnx)


if __name__ == "__main__":
    main()

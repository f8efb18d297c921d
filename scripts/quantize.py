#!/usr/bin/env python3
"""Makes variants of smaller numbers of the models that `precision inputs FOLDER` has written to a folder, which is
target/release/precision of the tool `precision`.

    quantize.py FOLDER [MODEL ...]      of all its models, or of these

Each becomes FOLDER/MODEL.VARIANT.onnx:

    fp16            weights and sums of 16 bits, input and output of 32
    bf16            the same with the other 16 bits
    int8-qdq        weights and maps of 8 bits, as QuantizeLinear and DequantizeLinear around each operator
    int8-qoperator  the same as operators of 8 bits
    int8-ends-fp32  the same, but the model's first and last operators stay as they are; where that was worth trying

The 8 bits are fitted to FOLDER/MODEL.3xHEIGHTxWIDTH.f32, what the product gives the model for pictures (static). Weights
have a scale for each output channel. A map's range leaves out one in 100,000 numbers at either end, which outliers would
stretch. Maps are unsigned: with signed ones ONNX Runtime's kernels for x86-64 are slower than with FP32. The base is the model
of FOLDER/int8-base, whose multiplications by a number for each channel are as they were published: 8 bits do not gain by
making a whole map of it.
"""

import logging
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from environment import enter, locked

SIXTEEN_BITS = ("fp16", "bf16")
# Versions of ONNX's operators from which on there are 8 bits by channel, and convolutions of bf16.
EIGHT_BITS_OPSET = 13
BFLOAT16_OPSET = 22
PERCENTILE = 99.999
# So many operators at the start and at the end stay in FP32. With one operator alone in 8 bits, embeddings of training pictures
# have a cosine of 0.62 to 0.85 to what they were where it is one of the three before the last, 0.997 where it is one of the
# start, and above 0.999 where it is any other.
ENDS = {"face-reidentification-retail-0095": (6, 4)}


def in_sixteen_bits(model, kind):
    """The model with weights and maps of 16 bits."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    if kind == "fp16":
        return convert_float_to_float16(model, keep_io_types=True)
    return in_bfloat16(model)


def in_bfloat16(model):
    """No tool of ONNX Runtime makes these: casts behind the input and before the outputs, constants in between."""
    import ml_dtypes
    from onnx import TensorProto as types, helper, numpy_helper, version_converter
    made = version_converter.convert_version(model, BFLOAT16_OPSET)
    graph = made.graph
    # Sizes of Resize stay as they are: its operator takes no others.
    sizes = {name for node in graph.node if node.op_type == "Resize" for name in node.input[1:]}
    for constant in graph.initializer:
        if constant.data_type == types.FLOAT and constant.name not in sizes:
            numbers = numpy_helper.to_array(constant).astype(ml_dtypes.bfloat16)
            constant.CopyFrom(numpy_helper.from_array(numbers, constant.name))
    for value in graph.value_info:
        if value.type.tensor_type.elem_type == types.FLOAT:
            value.type.tensor_type.elem_type = types.BFLOAT16
    inside = {value.name: f"{value.name}_bf16" for value in [*graph.input, *graph.output]}
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = inside.get(name, name)
    for value in graph.input:
        graph.node.insert(0, helper.make_node("Cast", [value.name], [inside[value.name]], to=types.BFLOAT16))
    for value in graph.output:
        graph.node.append(helper.make_node("Cast", [inside[value.name]], [value.name], to=types.FLOAT))
    return made


def pictures(folder, name):
    """What the product gives the model: one array of [1,3,height,width] for each picture."""
    import numpy
    file = next(folder.glob(f"{name}.3x*.f32"))
    shape = tuple(map(int, file.name.split(".")[-2].split("x")))
    return numpy.fromfile(file, "<f4").reshape(-1, 1, *shape)


def in_eight_bits(folder, name, form, made, ends=None):
    """Fits the 8 bits to the pictures and writes the model to `made`."""
    import onnx
    from onnx import version_converter
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Pictures(CalibrationDataReader):
        def __init__(self, given, pictures):
            self.rest = iter({given: picture} for picture in pictures)

        def get_next(self):
            return next(self.rest, None)

    model = onnx.load(folder / "int8-base" / f"{name}.onnx")
    if model.opset_import[0].version < EIGHT_BITS_OPSET:
        model = version_converter.convert_version(model, EIGHT_BITS_OPSET)
    with tempfile.TemporaryDirectory() as temporary:
        base, prepared = Path(temporary) / "base.onnx", Path(temporary) / "prepared.onnx"
        onnx.save(model, base)
        quant_pre_process(base, prepared, skip_symbolic_shape=True)
        nodes = [node.name for node in onnx.load(prepared).graph.node]
        kept = nodes[:ends[0]] + nodes[-ends[1]:] if ends else []
        with redirect_stdout(sys.stderr):
            quantize_static(
                prepared, made, Pictures(model.graph.input[0].name, pictures(folder, name)), quant_format=QuantFormat[form],
                per_channel=True, nodes_to_exclude=kept, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.Percentile, calibration_providers=["CPUExecutionProvider"],
                extra_options={"CalibPercentile": PERCENTILE})


def main():
    enter(locked("quantize"))
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    import onnx
    logging.disable(logging.WARNING)
    folder = Path(sys.argv[1])
    names = sys.argv[2:] or sorted(file.stem for file in (folder / "int8-base").glob("*.onnx"))
    for name in names:
        for kind in SIXTEEN_BITS:
            print(f"{name}: {kind}", file=sys.stderr)
            onnx.save(in_sixteen_bits(onnx.load(folder / f"{name}.onnx"), kind), folder / f"{name}.{kind}.onnx")
        for form in ("QDQ", "QOperator"):
            print(f"{name}: int8-{form.lower()}", file=sys.stderr)
            in_eight_bits(folder, name, form, folder / f"{name}.int8-{form.lower()}.onnx")
        if name in ENDS:
            print(f"{name}: int8-ends-fp32", file=sys.stderr)
            in_eight_bits(folder, name, "QOperator", folder / f"{name}.int8-ends-fp32.onnx", ENDS[name])


if __name__ == "__main__":
    main()

"""deployment_check.py FOLDER POINT..: features of the same images by the supernet (FOLDER/all --at POINT), the
program FOLDER/POINT, the shared library FOLDER/libPOINT.so and the ONNX file FOLDER/POINT.onnx. Prints the
largest differences from the supernet, as shares of its largest feature; fails above 1e-5."""
import ctypes
import re
import subprocess
import sys

import numpy
import onnxruntime

folder, points = sys.argv[1], sys.argv[2:]


def by_program(program, *flags):
    subprocess.run([program, *flags, f"{folder}/images.npy", "-o", f"{folder}/features.npy"], check=True)
    return numpy.load(f"{folder}/features.npy")


def by_library(name, images, dimension):
    library = ctypes.CDLL(f"{folder}/lib{name}.so")
    bytes_of = getattr(library, f"{name}_workspace_bytes")
    bytes_of.restype = ctypes.c_size_t
    space = numpy.zeros(bytes_of() + 64, numpy.uint8)
    start = space.ctypes.data + -space.ctypes.data % 64
    features = numpy.zeros((len(images), dimension), numpy.float32)
    pointer = lambda array: array.ctypes.data_as(ctypes.c_void_p)
    status = getattr(library, f"{name}_features")(
        pointer(images), ctypes.c_int64(len(images)), pointer(features), ctypes.c_void_p(start), 2)
    assert status == 0
    return features


worst = 0.0
random = numpy.random.default_rng(0)
for point in points:
    session = onnxruntime.InferenceSession(f"{folder}/{point}.onnx", providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0]
    images = random.standard_normal([23] + image.shape[1:]).astype(numpy.float32)
    numpy.save(f"{folder}/images.npy", images)
    supernet = by_program(f"{folder}/all", "--at", point)
    results = [by_program(f"{folder}/{point}"),
               by_library(re.sub(r"\W", "_", point), images, supernet.shape[1]),
               session.run(None, {image.name: images})[0]]
    differences = [float(numpy.abs(r - supernet).max() / numpy.abs(supernet).max()) for r in results]
    worst = max([worst, *differences])
    print(f"{point:20s} program {differences[0]:.1e}  shared library {differences[1]:.1e}  ONNX {differences[2]:.1e}")
sys.exit(worst > 1e-5)

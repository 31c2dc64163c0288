"""onnx_check.py FILE.onnx PROGRAM: the features of random images by ONNX Runtime and by a compiled
program agree within 1e-5 of the largest, at several batch sizes. Needs onnx, onnxruntime, numpy."""
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime

path, program = sys.argv[1:]
onnx.checker.check_model(onnx.load(path), full_check=True)
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
image = session.get_inputs()[0]
random = numpy.random.default_rng(0)
worst = 0.0
with tempfile.TemporaryDirectory() as folder:
    for batch in (1, 3, 17):
        images = random.standard_normal([batch] + image.shape[1:]).astype(numpy.float32)
        numpy.save(f"{folder}/images.npy", images)
        subprocess.run([program, f"{folder}/images.npy", "-o", f"{folder}/ours.npy"], check=True)
        ours = numpy.load(f"{folder}/ours.npy")
        theirs = session.run(None, {image.name: images})[0]
        worst = max(worst, float(numpy.abs(ours - theirs).max() / numpy.abs(theirs).max()))
print(f"{path}: largest difference {worst:.1e} of the largest feature")
sys.exit(worst > 1e-5)

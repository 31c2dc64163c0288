"""inference_onnx.py MODEL.onnx THREADS BATCH SECONDS: times ONNX Runtime; prints the median and the
shortest time of a run in ms."""
import statistics
import sys
import time

import numpy
import onnxruntime

path, threads, batch, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
image = session.get_inputs()[0]
images = numpy.random.default_rng(0).standard_normal([batch] + image.shape[1:]).astype(numpy.float32)
for _ in range(2):
    session.run(None, {image.name: images})
times = []
while sum(times) < seconds or len(times) < 3:
    start = time.perf_counter()
    session.run(None, {image.name: images})
    times.append(time.perf_counter() - start)
print(f"{1e3 * statistics.median(times):.3f} {1e3 * min(times):.3f}")

"""What OpenVINO answers to a model in memory."""

import sys

import onnx


def compiled(model, shape, path):
    sys.modules.setdefault("openvino_telemetry", None)  # importing openvino would send a usage report
    import openvino as ov

    onnx.save(model, path)
    core = ov.Core()
    read = core.read_model(path)
    read.reshape(list(shape))
    properties = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "CACHE_DIR": ""}
    return core.compile_model(read, "CPU", {"PERFORMANCE_HINT": "LATENCY", **properties})


def answers(model, images, path):
    """Logits of images (n, C, H, W)."""
    return compiled(model, images.shape, path).create_infer_request().infer({0: images})[0]

"""Trains the classifier of classify.py on simulated readings, and writes it as ONNX: train.py DIRECTORY

A network with one hidden layer of random features, of which only the last layer is trained, in closed form (an
"extreme learning machine"). Needs numpy and onnx; the device needs neither this file nor onnx.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = ["calm", "busy", "strained"]
# Mean and deviation of load and of memory used in MB, for each class.
REGIMES = [((0.4, 0.3), (900, 500)), ((3, 1), (2500, 900)), ((9, 3), (6000, 1500))]
HIDDEN = 1024
SAMPLES = 4000


def simulate(random):
    labels = random.integers(len(CLASSES), size=SAMPLES)
    regimes = np.array(REGIMES)[labels]
    return np.abs(random.normal(regimes[:, :, 0], regimes[:, :, 1])), labels


def train(readings, labels, random):
    """The network's weights, and how many of the labels it gets right."""
    centre, scale = readings.mean(axis=0), readings.std(axis=0)
    project = random.normal(size=(2, HIDDEN))
    mix = random.normal(size=(HIDDEN, HIDDEN)) / HIDDEN**0.5
    features = np.tanh(np.tanh((readings - centre) / scale @ project) @ mix)
    wanted = np.eye(len(CLASSES))[labels]
    ridge = np.eye(HIDDEN)
    decide = np.linalg.solve(features.T @ features + ridge, features.T @ wanted)
    accuracy = ((features @ decide).argmax(axis=1) == labels).mean()
    weights = {"centre": centre, "scale": scale, "project": project, "mix": mix, "decide": decide}
    return weights, accuracy


def export(weights, directory):
    steps = [
        helper.make_node("Sub", ["reading", "centre"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "project"], ["projected"]),
        helper.make_node("Tanh", ["projected"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "mix"], ["mixed"]),
        helper.make_node("Tanh", ["mixed"], ["features"]),
        helper.make_node("MatMul", ["features", "decide"], ["scores"]),
    ]
    graph = helper.make_graph(
        steps,
        "classify",
        [helper.make_tensor_value_info("reading", TensorProto.FLOAT, ["readings", 2])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["readings", len(CLASSES)])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])
    helper.set_model_props(model, {"classes": ",".join(CLASSES)})
    onnx.checker.check_model(model)
    file = directory / "model.weights"
    # What is there would not be overwritten, but added to.
    file.unlink(missing_ok=True)
    # The weights in a file of their own: the runtime maps it, so that all instances have it in memory once.
    onnx.save_model(
        model,
        directory / "model.onnx",
        save_as_external_data=True,
        location=file.name,
        size_threshold=1024,
    )
    # It is written as a secret.
    file.chmod(0o644)


def main():
    directory = Path(sys.argv[1])
    random = np.random.default_rng(20261123)
    readings, labels = simulate(random)
    weights, accuracy = train(readings, labels, random)
    print(f"{accuracy:.1%} of {SAMPLES} simulated readings are classified right")
    export(weights, directory)


if __name__ == "__main__":
    main()

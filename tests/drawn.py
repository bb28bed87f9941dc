"""Pictures and a small model that the reading tests make for themselves.

The model compares a cell with each of the 33 characters as `draw` draws them, so that the tests know what is right.
With 34 outputs it compares it with `BLOT`, too, and takes what looks like that for no legible character.
"""

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vinscribe.charset import CHARSET
from vinscribe.views import NUM_VIEWS, views

METADATA = {
    "charset": CHARSET,
    "input": '{"name": "cells"}',
    "temperature": "1.0",
    "network": "templates",
    "training": "{}",
    "data": "{}",
    "vinscribe_version": "0.1.0",
}


def draw(char, size=28):
    """White on black, uint8 (size, size), placed as EMNIST does: the longer side 24/28 of the picture, centred."""
    big = np.zeros((400, 400), np.uint8)
    cv2.putText(big, char, (100, 300), cv2.FONT_HERSHEY_SIMPLEX, 8, 255, 24, cv2.LINE_AA)
    x, y, width, height = cv2.boundingRect(big)
    side = max(width, height) * 28 // 24
    top, left = (side - height) // 2, (side - width) // 2
    square = np.zeros((side, side), np.uint8)
    square[top : top + height, left : left + width] = big[y : y + height, x : x + width]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA if size < side else cv2.INTER_LINEAR)


BLOT = "#"


def write_model(path, metadata=METADATA, size=28, num_outputs=33, cells_shape=None, input_name="cells"):
    shape = cells_shape or ("n", 1, size, size)
    cells = np.stack([views(draw(char), size) for char in CHARSET + BLOT], axis=1)  # as in VINs
    templates = cells.reshape(NUM_VIEWS, len(CHARSET + BLOT), size**2).astype(np.float32)
    templates -= templates.mean(axis=2, keepdims=True)
    templates /= np.linalg.norm(templates, axis=2, keepdims=True)
    templates = templates[:, np.arange(num_outputs) % len(CHARSET + BLOT)]
    weights = templates.reshape(-1, size**2).T.copy()
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", [input_name], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["fits"]),
            helper.make_node("Reshape", ["fits", "by_view"], ["fits_by_view"]),
            helper.make_node("ReduceMax", ["fits_by_view"], ["logits"], axes=[1], keepdims=0),
            helper.make_node("Softmax", ["logits"], ["probs"], axis=1),
        ],
        "templates",
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("probs", TensorProto.FLOAT, [shape[0], num_outputs])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([-1, NUM_VIEWS, num_outputs]), "by_view"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, dict(metadata))
    onnx.save(model, str(path))
    return str(path)

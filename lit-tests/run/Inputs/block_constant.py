"""block_constant.py OUT: a block whose weight and scale are constants, inputs for it, its results, and results with one value wrong."""
import json
import os
import struct
import sys

out = sys.argv[1]
WEIGHT = [[1, 2, 0, 0], [0, 1, 0, 3], [0, 0, -1, 0], [2, 0, 0, 1]]
X = [[1, 2, 3, 4], [0, -1, 5, 0], [7, 7, -2, 1]]


def safetensors(name, tensors):
    header, blob = {}, b""
    for key, (shape, values) in tensors.items():
        data = struct.pack(f"<{len(values)}f", *values)
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header).encode()
    with open(os.path.join(out, name), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + blob)


product = [sum(x * w[column] for x, w in zip(row, WEIGHT)) * 0.25 for row in X for column in range(4)]
with open(os.path.join(out, "block.mlir"), "w") as file:
    file.write(f"""
func.func @main(%x: tensor<3x4xf32> {{fiar.name = "x"}}) -> (tensor<3x4xf32> {{fiar.name = "scaled"}}, tensor<4xf32> {{fiar.name = "shown"}}) {{
  %w = stablehlo.constant dense<{[[float(v) for v in row] for row in WEIGHT]}> : tensor<4x4xf32>
  %s = stablehlo.constant dense<0.25> : tensor<f32>
  %v = stablehlo.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<3x4xf32>, tensor<4x4xf32>) -> tensor<3x4xf32>
  %1 = stablehlo.broadcast_in_dim %s, dims = [] : (tensor<f32>) -> tensor<3x4xf32>
  %2 = stablehlo.multiply %0, %1 : tensor<3x4xf32>
  return %2, %v : tensor<3x4xf32>, tensor<4xf32>
}}
""")
safetensors("inputs.safetensors", {"x": ([3, 4], [float(v) for row in X for v in row])})
results = {"scaled": ([3, 4], product), "shown": ([4], [1.0, 2.0, 3.0, 4.0])}
safetensors("results.safetensors", results)
safetensors("wrong.safetensors", {**results, "scaled": ([3, 4], [product[0] + 1] + product[1:])})

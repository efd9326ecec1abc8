"""What all peers of `cargo xtask bench peer` share: the process, and its files.

The process is a worker. It prints its settings once it is warm; then for each line on its standard input it prints
a line: for `go` it does an iteration and prints the milliseconds that an inner step took, for `peak` it prints the most
MB that it ever held, of device memory where it has a device. At the end of the input it writes the results of the last
iteration. A worker that cannot go on prints why, after `cannot run: `.

Tensors are exchanged as (type, shape, bytes), so that no peer needs more than its framework.
"""

import argparse
import json
import os
import sys
import traceback


def arguments(learners, tasks):
    parser = argparse.ArgumentParser()
    parser.add_argument("learner", choices=learners)
    parser.add_argument("task", choices=tasks)
    parser.add_argument("inputs", help="the case, a safetensors file")
    parser.add_argument("results", help="where the results go, a safetensors file")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--tf32", action="store_true", help="round factors of products to TF32")
    parser.add_argument("--threads", type=int, default=1, help="at most so many threads of the CPU")
    return parser.parse_args()


def serve(results_file, prepare):
    """`prepare()` returns settings in words, a function that iterates, and one that tells the peak."""
    # What libraries print must not pass for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(text):
        print(text, file=answers, flush=True)

    try:
        settings, iterate, peak = prepare()
        answer(settings)
        results = None
        for line in sys.stdin:
            if line.strip() == "peak":
                answer(peak())
            else:
                ms, results = iterate()
                answer(ms)
        write(results_file, results)
    except Exception as error:
        traceback.print_exc()
        answer(f"cannot run: {reason(error)}")
        sys.exit(1)


def reason(error):
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


def resident_peak():
    """The most MB of RAM that this process ever held."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("/proc/self/status has no line `VmHWM`")


def read(file, to_tensor):
    """The tensors of a safetensors file, each made by `to_tensor(type, shape, bytes)`."""
    with open(file, "rb") as source:
        header = json.loads(source.read(int.from_bytes(source.read(8), "little")))
        data = source.read()
    header.pop("__metadata__", None)

    def tensor(entry):
        start, end = entry["data_offsets"]
        return to_tensor(entry["dtype"], entry["shape"], bytearray(data[start:end]))

    return {name: tensor(entry) for name, entry in header.items()}


def write(file, tensors):
    """Writes {name: (shape, bytes)} of f32 tensors."""
    header, end = {}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + len(data)]}
        end += len(data)
    head = json.dumps(header).encode()
    with open(file, "wb") as target:
        target.write(len(head).to_bytes(8, "little") + head)
        for _, data in tensors.values():
            target.write(data)


def grouped(tensors):
    """The case: the learner's parameters under `learner`, the others beside."""
    prefix = "learner/"
    case = {n: t for n, t in tensors.items() if not n.startswith(prefix)}
    case["learner"] = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    return case

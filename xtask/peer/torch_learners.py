"""The learners in PyTorch: functions of named parameters. And what its peers need beside."""

import ctypes
import time

import torch
import torch.nn.functional as F

import worker


def weight(params, layer):
    """Weight norm w = g·v/‖v‖, folded into the weights: computed once a step."""
    v, g = params[f"{layer}.weight"], params[f"{layer}.g"]
    scale = g / torch.linalg.vector_norm(v.flatten(1), dim=1)
    return v * scale.view(-1, *[1] * (v.dim() - 1))


class MeanNorm:
    """Mean-only batch norm x − mean + bias, with the batch's own means or with `running` ones."""

    def __init__(self, params, running=None):
        self.params, self.running = params, running
        self.means = {}

    def __call__(self, layer, x):
        images = x.dim() == 4
        if self.running is None:
            self.means[layer] = mean = x.mean((0, 2, 3) if images else 0)
        else:
            mean = self.running[layer]
        shift = self.params[f"{layer}.bias"] - mean
        return x + (shift[:, None, None] if images else shift)


def conv2_fc(params, x, norm):
    for i in (1, 2):
        x = F.conv2d(x, weight(params, f"conv{i}"), padding=1)
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        x = F.leaky_relu(norm(f"bn{i}", x), 0.1, inplace=True)
    x = F.linear(x.flatten(1), weight(params, "fc1"))
    x = F.leaky_relu(norm("bn3", x), 0.1, inplace=True)
    return F.linear(x, weight(params, "fc2"), params["fc2.bias"])


def conv5_gap(params, x, norm):
    for i, stride in enumerate((1, 2, 1, 2, 1), start=1):
        x = F.conv2d(x, weight(params, f"conv{i}"), stride=stride, padding=1)
        x = F.leaky_relu(norm(f"bn{i}", x), 0.1, inplace=True)
    return F.linear(x.mean((2, 3)), weight(params, "fc"), params["fc.bias"])


LEARNERS = {"conv2_fc": conv2_fc, "conv5_gap": conv5_gap}


def loss_of(learner, params, images, labels, running=None):
    """The loss on a batch, and the means that its norms saw."""
    norm = MeanNorm(params, running)
    return F.cross_entropy(learner(params, images, norm), labels), norm.means


# --- The process ---


TYPES = {"F32": torch.float32, "I64": torch.int64}
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def load(args):
    """The case, on the device."""
    # cuDNN's own settings stay as they come, but for TF32, which both sides use or neither.
    torch.backends.cuda.matmul.allow_tf32 = args.tf32
    torch.backends.cudnn.allow_tf32 = args.tf32
    if args.device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("PyTorch finds no CUDA device")

    def tensor(dtype, shape, data):
        return torch.frombuffer(data, dtype=TYPES[dtype]).view(shape).to(args.device)

    case = worker.grouped(worker.read(args.inputs, tensor))
    case["images"] = list(case["images"])
    return case


def laid_out(case, layout):
    """The case with its images and convolution weights in this memory format."""

    def of(t):
        return t.contiguous(memory_format=LAYOUTS[layout]) if t.dim() == 4 else t

    images = [of(x) for x in case["images"]]
    learner = {name: of(p) for name, p in case["learner"].items()}
    return case | {"images": images, "learner": learner, "meta_images": of(case["meta_images"])}


def timed(args, iterate, steps):
    """Milliseconds a step, and the results: from an idle device to an idle device."""
    wait = torch.cuda.synchronize if args.device == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    results = iterate(steps)
    wait()
    return (time.perf_counter() - start) * 1e3 / steps, results


def version(args):
    """What runs, for the settings."""
    if args.device == "cpu":
        return f"PyTorch {torch.__version__}"
    return f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"


def exported(results):
    def data(t):
        t = t.detach().to("cpu", torch.float32).contiguous()
        return t.shape, ctypes.string_at(t.data_ptr(), t.nbytes)

    return {name: data(t) for name, t in results.items()}


def peak(args):
    """MB: of tensors on a GPU from now on, of RAM on a CPU."""
    if args.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return lambda: torch.cuda.max_memory_allocated() / 1e6
    return worker.resident_peak

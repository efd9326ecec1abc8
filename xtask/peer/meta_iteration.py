"""A meta-iteration in plain PyTorch: the peer of `cargo xtask bench peer`.

Eager mode, `create_graph=True`, one backward pass at the end. The process is a worker: it prints its
settings once it is warm, then for each line on its standard input it does an iteration and
prints the milliseconds that an inner step took. At the end of the input it writes the results of the
last iteration.
"""

import argparse
import itertools
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file


# --- Learners: functions of named parameters ---


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


# --- Iterations ---


def meta(learner, case, steps):
    """`steps` steps of momentum SGD, the meta-loss, its gradient by images, rates and momenta."""
    params = {name: p.detach().requires_grad_() for name, p in case["learner"].items()}
    velocity = {name: torch.zeros_like(p) for name, p in params.items()}
    images = [x.detach().requires_grad_() for x in case["images"][:steps]]
    lr = case["lr"][:steps].detach().requires_grad_()
    momentum = case["momentum"][:steps].detach().requires_grad_()
    losses = []
    for t in range(steps):
        loss, means = loss_of(learner, params, images[t], case["labels"][t])
        losses.append(loss.detach())
        grads = torch.autograd.grad(loss, list(params.values()), create_graph=True)
        for (name, v), g in zip(velocity.items(), grads):
            velocity[name] = momentum[t] * v + g
        params = {name: p - lr[t] * velocity[name] for name, p in params.items()}
    # The running means keep nothing of earlier batches, so they are the last batch's.
    loss, _ = loss_of(learner, params, case["meta_images"], case["meta_labels"], means)
    *by_images, by_lr, by_momentum = torch.autograd.grad(loss, [*images, lr, momentum])
    return {
        "meta_loss": loss.detach().view(1),
        "inner_losses": torch.stack(losses),
        "grad/images": torch.stack(by_images),
        "grad/lr": by_lr,
        "grad/momentum": by_momentum,
    }


def plain(learner, case, steps):
    """`steps` steps of momentum SGD, in place."""
    params = {name: p.clone().requires_grad_() for name, p in case["learner"].items()}
    velocity = {name: torch.zeros_like(p) for name, p in params.items()}
    for t, (lr, momentum) in enumerate(zip(case["lr"].tolist(), case["momentum"].tolist())):
        if t == steps:
            break
        loss, _ = loss_of(learner, params, case["images"][t], case["labels"][t])
        grads = torch.autograd.grad(loss, list(params.values()))
        with torch.no_grad():
            for p, v, g in zip(params.values(), velocity.values(), grads):
                p.sub_(v.mul_(momentum).add_(g), alpha=lr)
    first = case["learner"]
    change = [(params[name].detach() - first[name]).flatten() for name in sorted(params)]
    return {"change": torch.cat(change)}


TASKS = {"meta": meta, "plain": plain}


# --- The worker ---


def load(file):
    tensors = load_file(file)
    prefix = "learner/"
    learner = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    case = {n: t for n, t in tensors.items() if not n.startswith(prefix)}
    case["images"] = list(case["images"])
    case["learner"] = learner
    return case


def laid_out(case, layout):
    """The case with its images and convolution weights in this memory format."""

    def of(t):
        return t.contiguous(memory_format=layout) if t.dim() == 4 else t

    images = [of(x) for x in case["images"]]
    learner = {name: of(p) for name, p in case["learner"].items()}
    return case | {"images": images, "learner": learner, "meta_images": of(case["meta_images"])}


def timed(iterate, steps):
    """Milliseconds a step, and the results."""
    start = time.perf_counter()
    results = iterate(steps)
    return (time.perf_counter() - start) * 1e3 / steps, results


LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def fastest(task, learner, case, cores):
    """The fastest memory format and number of threads, each judged by the best of short runs."""
    steps = min(2, len(case["images"]))
    threads = sorted({cores, *(2**i for i in range(cores.bit_length() - 1)), 1})
    best = None
    for layout, count in itertools.product(LAYOUTS, threads):
        torch.set_num_threads(count)
        candidate = laid_out(case, LAYOUTS[layout])
        ms = min(timed(lambda n: task(learner, candidate, n), steps)[0] for _ in range(2))
        if best is None or ms < best[0]:
            best = (ms, layout, count)
    return best[1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("learner", choices=LEARNERS)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("inputs", help="the case, a safetensors file")
    parser.add_argument("results", help="where the results go, a safetensors file")
    parser.add_argument("--threads", type=int, required=True, help="at most so many threads")
    args = parser.parse_args()

    task, learner, case = TASKS[args.task], LEARNERS[args.learner], load(args.inputs)
    layout, threads = fastest(task, learner, case, args.threads)
    torch.set_num_threads(threads)
    case = laid_out(case, LAYOUTS[layout])
    steps = len(case["images"])

    def iterate(steps):
        return task(learner, case, steps)

    results = iterate(steps)
    print(f"threads: {threads}, memory format: {layout}", flush=True)
    for _ in sys.stdin:
        ms, results = timed(iterate, steps)
        print(ms, flush=True)
    save_file({name: t.contiguous() for name, t in results.items()}, args.results)


if __name__ == "__main__":
    main()

"""The same meta-iteration in JAX: one jitted function, a scan over the steps, differentiated in reverse."""

import functools
import os
import time

# The peers share the device: none may take most of its memory at once.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import worker

LEARNERS = {}
TASKS = ["meta", "meta-every", "plain"]


def learner(function):
    LEARNERS[function.__name__] = function
    return function


# --- Learners: functions of named parameters; see torch_learners.py ---


def weight(params, layer):
    v, g = params[f"{layer}.weight"], params[f"{layer}.g"]
    norm = jnp.sqrt(jnp.sum(v * v, axis=tuple(range(1, v.ndim))))
    return v * (g / norm).reshape(-1, *[1] * (v.ndim - 1))


def mean_norm(params, running, means, layer, x):
    images = x.ndim == 4
    mean = means[layer] = x.mean((0, 2, 3) if images else 0) if running is None else running[layer]
    shift = params[f"{layer}.bias"] - mean
    return x + (shift[:, None, None] if images else shift)


def conv(x, w, stride=1):
    return jax.lax.conv_general_dilated(x, w, (stride, stride), [(1, 1), (1, 1)])


def leaky_relu(x):
    return jnp.where(x >= 0, x, 0.1 * x)


def max_pool(x):
    pad = ((0, 0), (0, 0), (1, 1), (1, 1))
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 3, 3), (1, 1, 2, 2), pad)


@learner
def conv2_fc(params, x, norm):
    for i in (1, 2):
        x = max_pool(conv(x, weight(params, f"conv{i}")))
        x = leaky_relu(norm(f"bn{i}", x))
    x = x.reshape(len(x), -1) @ weight(params, "fc1").T
    x = leaky_relu(norm("bn3", x))
    return x @ weight(params, "fc2").T + params["fc2.bias"]


@learner
def conv5_gap(params, x, norm):
    for i, stride in enumerate((1, 2, 1, 2, 1), start=1):
        x = conv(x, weight(params, f"conv{i}"), stride)
        x = leaky_relu(norm(f"bn{i}", x))
    return x.mean((2, 3)) @ weight(params, "fc").T + params["fc.bias"]


def loss_of(learner, params, images, labels, running=None):
    means = {}
    logits = learner(params, images, functools.partial(mean_norm, params, running, means))
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)
    return -picked.mean(), means


# --- Iterations ---


def taught(learner, case, every, learned):
    """The meta-loss and all else that `learned` (images, rates, momenta) leads to."""
    params = case["learner"]
    velocity = jax.tree.map(jnp.zeros_like, params)

    def judged(params, means):
        return loss_of(learner, params, case["meta_images"], case["meta_labels"], means)[0]

    def step(state, lesson):
        params, velocity, _ = state
        images, labels, lr, momentum = lesson
        gradient = jax.value_and_grad(functools.partial(loss_of, learner), has_aux=True)
        (loss, means), grads = gradient(params, images, labels)
        velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, grads)
        params = jax.tree.map(lambda p, v: p - lr * v, params, velocity)
        return (params, velocity, means), (loss, judged(params, means) if every else 0.0)

    images, lr, momentum = learned
    means = jax.eval_shape(functools.partial(loss_of, learner), params, images[0], case["labels"][0])[1]
    means = jax.tree.map(lambda m: jnp.zeros(m.shape, m.dtype), means)
    lessons = (images, case["labels"], lr, momentum)
    (params, _, means), (losses, meta) = jax.lax.scan(step, (params, velocity, means), lessons)
    return (meta.sum() if every else judged(params, means)), (losses, params)


def meta(learner, every, case):
    learned = (case["images"], case["lr"], case["momentum"])
    gradient = jax.value_and_grad(functools.partial(taught, learner, case, every), has_aux=True)
    (loss, (losses, _)), (images, lr, momentum) = gradient(learned)
    return {
        "meta_loss": loss.reshape(1),
        "inner_losses": losses,
        "grad/images": images,
        "grad/lr": lr,
        "grad/momentum": momentum,
    }


def plain(learner, case):
    learned = (case["images"], case["lr"], case["momentum"])
    _, (_, params) = taught(learner, case, False, learned)
    first = case["learner"]
    return {"change": jnp.concatenate([(params[n] - first[n]).ravel() for n in sorted(params)])}


# --- The worker ---


def peak(device):
    if device.platform == "cpu":
        return worker.resident_peak
    return lambda: device.memory_stats()["peak_bytes_in_use"] / 1e6


def main():
    args = worker.arguments(LEARNERS, TASKS)

    def prepare():
        global jax, jnp
        import jax
        import jax.numpy as jnp
        import numpy as np

        device = jax.devices("gpu" if args.device == "cuda" else "cpu")[0]
        # On a GPU, the default precision would be TF32.
        jax.config.update("jax_default_matmul_precision", "tensorfloat32" if args.tf32 else "float32")

        def tensor(dtype, shape, data):
            array = np.frombuffer(data, {"F32": np.float32, "I64": np.int64}[dtype]).reshape(shape)
            return jax.device_put(array if dtype == "F32" else array.astype(np.int32), device)

        case = worker.grouped(worker.read(args.inputs, tensor))
        learner = LEARNERS[args.learner]
        if args.task == "plain":
            task = functools.partial(plain, learner)
        else:
            task = functools.partial(meta, learner, args.task == "meta-every")
        task = jax.jit(task)
        steps = len(case["images"])

        def iterate():
            start = time.perf_counter()
            results = jax.block_until_ready(task(case))
            ms = (time.perf_counter() - start) * 1e3 / steps
            exported = {name: np.asarray(t, np.float32) for name, t in results.items()}
            return ms, {name: (t.shape, t.tobytes()) for name, t in exported.items()}

        iterate()
        iterate()
        return f"JAX {jax.__version__}, {device.device_kind}", iterate, peak(device)

    worker.serve(args.results, prepare)


if __name__ == "__main__":
    main()

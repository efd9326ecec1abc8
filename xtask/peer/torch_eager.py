"""A meta-iteration in plain PyTorch: the peer of `cargo xtask bench peer`.

Eager mode, `create_graph=True`, one backward pass at the end.
"""

import functools
import itertools

import torch

import worker
from torch_learners import LAYOUTS, LEARNERS, exported, laid_out, load, loss_of, peak, timed, version


# --- Iterations ---


def meta(learner, case, steps, every=False):
    """`steps` steps of momentum SGD, the meta-loss (after the last, or the sum over all), its gradient by images, rates and
    momenta."""
    params = {name: p.detach().requires_grad_() for name, p in case["learner"].items()}
    velocity = {name: torch.zeros_like(p) for name, p in params.items()}
    images = [x.detach().requires_grad_() for x in case["images"][:steps]]
    lr = case["lr"][:steps].detach().requires_grad_()
    momentum = case["momentum"][:steps].detach().requires_grad_()
    losses, judged = [], []
    for t in range(steps):
        loss, means = loss_of(learner, params, images[t], case["labels"][t])
        losses.append(loss.detach())
        grads = torch.autograd.grad(loss, list(params.values()), create_graph=True)
        for (name, v), g in zip(velocity.items(), grads):
            velocity[name] = momentum[t] * v + g
        params = {name: p - lr[t] * velocity[name] for name, p in params.items()}
        if every or t == steps - 1:
            # The running means keep nothing of earlier batches, so they are the last batch's.
            judged.append(loss_of(learner, params, case["meta_images"], case["meta_labels"], means)[0])
    loss = sum(judged)
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
    rates = list(zip(case["lr"].tolist(), case["momentum"].tolist()))
    for t, (lr, momentum) in enumerate(rates[:steps]):
        loss, _ = loss_of(learner, params, case["images"][t], case["labels"][t])
        grads = torch.autograd.grad(loss, list(params.values()))
        with torch.no_grad():
            for p, v, g in zip(params.values(), velocity.values(), grads):
                p.sub_(v.mul_(momentum).add_(g), alpha=lr)
    first = case["learner"]
    change = [(params[name].detach() - first[name]).flatten() for name in sorted(params)]
    return {"change": torch.cat(change)}


TASKS = {"meta": meta, "meta-every": functools.partial(meta, every=True), "plain": plain}


# --- The worker ---


def fastest(task, learner, case, args):
    """The fastest memory format and number of threads, each judged by the best of short runs."""
    steps = min(2, len(case["images"]))
    cores = args.threads
    threads = sorted({cores, *(2**i for i in range(cores.bit_length() - 1)), 1})
    best = None
    for layout, count in itertools.product(LAYOUTS, threads):
        torch.set_num_threads(count)
        candidate = laid_out(case, layout)
        ms = min(timed(args, lambda n: task(learner, candidate, n), steps)[0] for _ in range(3))
        if best is None or ms < best[0]:
            best = (ms, layout, count)
    return best[1:]


def main():
    args = worker.arguments(LEARNERS, TASKS)

    def prepare():
        task, learner, case = TASKS[args.task], LEARNERS[args.learner], load(args)
        layout, threads = fastest(task, learner, case, args)
        torch.set_num_threads(threads)
        case = laid_out(case, layout)
        steps = len(case["images"])

        def iterate():
            ms, results = timed(args, lambda n: task(learner, case, n), steps)
            return ms, exported(results)

        iterate()
        return f"{version(args)}, threads: {threads}, memory format: {layout}", iterate, peak(args)

    worker.serve(args.results, prepare)


if __name__ == "__main__":
    main()

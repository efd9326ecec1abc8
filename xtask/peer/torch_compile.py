"""The same meta-iteration through `torch.compile`.

What is compiled is a step as a function (`torch.func.grad` inside), and the judging; autograd differentiates the
compiled step, which is how far compilation goes with a gradient of a gradient. The faster of the modes `default` and
`reduce-overhead` (CUDA graphs) counts, with the memory format that eager mode is fastest with.
"""

import functools

import torch

import torch_eager
import worker
from torch_learners import LEARNERS, exported, laid_out, load, loss_of, peak, timed, version


def step(learner, params, velocity, images, labels, lr, momentum):
    """A step of momentum SGD: parameters, velocity, loss and means."""
    loss = functools.partial(loss_of, learner)
    grads, (loss, means) = torch.func.grad_and_value(loss, has_aux=True)(params, images, labels)
    velocity = {name: momentum * v + grads[name] for name, v in velocity.items()}
    params = {name: p - lr * velocity[name] for name, p in params.items()}
    return params, velocity, loss, means


def compiled(learner, mode):
    compile = functools.partial(torch.compile, mode=mode, fullgraph=True, dynamic=False)
    functions = functools.partial(step, learner), functools.partial(loss_of, learner)
    # CUDA graphs keep results where the next step's go.
    return *map(compile, functions), mode == "reduce-overhead"


def meta(functions, case, steps, every=False):
    step, judge, _ = functions
    # All require gradients, so that the first step is the same graph as the others.
    params = {name: p.detach().requires_grad_() for name, p in case["learner"].items()}
    velocity = {name: torch.zeros_like(p).requires_grad_() for name, p in params.items()}
    images = [x.detach().requires_grad_() for x in case["images"][:steps]]
    lr = [r.detach().requires_grad_() for r in case["lr"][:steps]]
    momentum = [m.detach().requires_grad_() for m in case["momentum"][:steps]]
    losses, judged = [], []
    torch.compiler.cudagraph_mark_step_begin()
    for t in range(steps):
        params, velocity, loss, means = step(params, velocity, images[t], case["labels"][t], lr[t], momentum[t])
        losses.append(loss.detach())
        if every or t == steps - 1:
            judged.append(judge(params, case["meta_images"], case["meta_labels"], means)[0])
    loss = sum(judged)
    grads = torch.autograd.grad(loss, [*images, *lr, *momentum])
    return {
        "meta_loss": loss.detach().view(1),
        "inner_losses": torch.stack(losses),
        "grad/images": torch.stack(grads[:steps]),
        "grad/lr": torch.stack(grads[steps : 2 * steps]),
        "grad/momentum": torch.stack(grads[2 * steps :]),
    }


@torch.no_grad()
def plain(functions, case, steps):
    step, _, graphs = functions
    first = params = case["learner"]
    velocity = {name: torch.zeros_like(p) for name, p in params.items()}
    for t in range(steps):
        torch.compiler.cudagraph_mark_step_begin()
        params, velocity, *_ = step(params, velocity, case["images"][t], case["labels"][t], case["lr"][t], case["momentum"][t])
        if graphs:
            params = {name: p.clone() for name, p in params.items()}
            velocity = {name: v.clone() for name, v in velocity.items()}
    change = [(params[name] - first[name]).flatten() for name in sorted(params)]
    return {"change": torch.cat(change)}


TASKS = {"meta": meta, "meta-every": functools.partial(meta, every=True), "plain": plain}


def main():
    args = worker.arguments(LEARNERS, TASKS)

    def prepare():
        torch.set_num_threads(args.threads)
        learner, task, case = LEARNERS[args.learner], TASKS[args.task], load(args)
        layout, _ = torch_eager.fastest(torch_eager.TASKS[args.task], learner, case, args)
        torch.set_num_threads(args.threads)
        case = laid_out(case, layout)
        steps = len(case["images"])
        best, failed = None, []
        for mode in ["default", "reduce-overhead"] if args.device == "cuda" else ["default"]:
            try:
                functions = compiled(learner, mode)

                def iterate(functions=functions):
                    ms, results = timed(args, lambda n: task(functions, case, n), steps)
                    return ms, exported(results)

                ms = min(iterate()[0] for _ in range(4))
            except Exception as error:
                failed.append(f"mode {mode}: {worker.reason(error)}")
                continue
            if best is None or ms < best[0]:
                best = (ms, mode, iterate)
        if best is None:
            raise RuntimeError("; ".join(failed))
        _, mode, iterate = best
        return "; ".join([f"{version(args)}, mode: {mode}, memory format: {layout}", *failed]), iterate, peak(args)

    worker.serve(args.results, prepare)


if __name__ == "__main__":
    main()

//! The passes: each walks the nodes once, forward or backward.

use super::{Graph, Value};
use crate::ops::{Forward, Kept, Op};
use crate::tensors::add;
use crate::{Error, Result};
use candle_core::Tensor;

/// What a forward pass leaves for the passes after it.
#[derive(Debug)]
pub struct Trace {
    output: Tensor,
    /// The shape of every value.
    dims: Vec<Vec<usize>>,
    kept: Vec<Kept>,
    observed: Vec<Tensor>,
    /// The adjoint of each node's output, where its operation asked for it:
    /// filled in by [`Graph::backward_keeping`].
    adjoints: Vec<Option<Tensor>>,
    /// The nodes from whose adjoint that of their argument is computed again.
    restoring: Vec<bool>,
}

impl Trace {
    /// The graph's output.
    pub fn output(&self) -> &Tensor {
        &self.output
    }

    /// The observed values, in the order in which they were asked for.
    pub fn observed(&self) -> &[Tensor] {
        &self.observed
    }

    /// Fails unless what stands for a value, by its number, has its shape: kernels trust it.
    fn check(&self, what: &'static str, value: usize, tensor: &Tensor) -> Result<()> {
        let (expected, found) = (&self.dims[value], tensor.dims());
        if expected == found {
            return Ok(());
        }
        Err(Error::shape(
            what,
            format!("expected the shape {expected:?} of its value, found {found:?}"),
        ))
    }

    /// Bytes of the tensors held, not counting those that `others` hold, and none twice.
    pub fn bytes(&self, others: &[&Tensor]) -> usize {
        let mut seen: std::collections::HashSet<_> = others.iter().map(|t| t.id()).collect();
        let held =
            self.kept.iter().flat_map(|kept| kept.args.iter().chain(&kept.output).chain(&kept.aux));
        held.chain(self.adjoints.iter().flatten())
            .chain([&self.output])
            .chain(&self.observed)
            .filter(|t| seen.insert(t.id()))
            .map(|t| t.elem_count() * t.dtype().size_in_bytes())
            .sum()
    }
}

/// The tangents of a graph's values: what [`Graph::backward_tangent`] needs.
#[derive(Debug)]
pub struct Tangents(Vec<Option<Tensor>>);

/// A span for what one operation does in a pass, at level TRACE: with the arguments' sizes
/// and the multiply-adds of so many products. It costs nothing where nobody listens.
pub(crate) fn span<'a>(
    pass: &'static str,
    op: &dyn Op,
    args: impl Iterator<Item = &'a [usize]> + Clone,
    products: usize,
) -> tracing::Span {
    tracing::trace_span!(
        "op",
        pass,
        op = op.name(),
        input = ?args.clone().next().unwrap_or(&[]),
        multiply_adds = op.multiply_adds(&args.collect::<Vec<_>>()) * products as u64
    )
}

/// The shapes of the arguments.
fn dims(kept: &Kept) -> impl Iterator<Item = &[usize]> + Clone {
    kept.arg_dims.iter().map(Vec::as_slice)
}

impl Graph {
    /// Computes every value, keeping for later passes what the operations ask
    /// for, and the values of `observe`.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] when an operation does not take what the leaves have come to.
    ///
    /// # Panics
    /// When `leaves` are not as many as the graph's.
    pub fn forward(&self, leaves: &[Tensor], observe: &[Value]) -> Result<Trace> {
        let mut kept = Vec::with_capacity(self.nodes.len());
        let mut dims: Vec<_> = leaves.iter().map(|leaf| leaf.dims().to_vec()).collect();
        let values = [&[self.output], observe].concat();
        let mut values = self.run(leaves, &values, |op, args, forward| {
            dims.push(forward.y.dims().to_vec());
            kept.push(Kept::new(op, args, forward));
        })?;
        let observed = values.split_off(1);
        let output = values.remove(0);
        Ok(Trace {
            output,
            dims,
            observed,
            adjoints: vec![None; kept.len()],
            restoring: vec![false; kept.len()],
            kept,
        })
    }

    /// Computes the output only.
    ///
    /// # Errors
    /// As [`Graph::forward`].
    ///
    /// # Panics
    /// When `leaves` are not as many as the graph's.
    pub fn infer(&self, leaves: &[Tensor]) -> Result<Tensor> {
        Ok(self.values(leaves, &[self.output])?.remove(0))
    }

    /// Computes these values only, in the order in which they are asked for.
    ///
    /// # Errors
    /// As [`Graph::forward`].
    ///
    /// # Panics
    /// When `leaves` are not as many as the graph's.
    pub fn values(&self, leaves: &[Tensor], of: &[Value]) -> Result<Vec<Tensor>> {
        self.run(leaves, of, |_, _, _| ())
    }

    /// Runs the nodes in order, and returns the values `of`. Any other value goes as soon as its
    /// last use is over.
    fn run(
        &self,
        leaves: &[Tensor],
        of: &[Value],
        mut each: impl FnMut(&dyn Op, &[&Tensor], &Forward),
    ) -> Result<Vec<Tensor>> {
        assert_eq!(leaves.len(), self.leaves, "one tensor for each leaf");
        let mut last_use = vec![usize::MAX; self.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            for arg in &node.args {
                last_use[self.index(*arg)] = i;
            }
        }
        for value in of {
            last_use[self.index(*value)] = usize::MAX;
        }
        let mut values: Vec<Option<Tensor>> = leaves.iter().cloned().map(Some).collect();
        for (i, node) in self.nodes.iter().enumerate() {
            let args: Vec<&Tensor> = node
                .args
                .iter()
                .map(|a| values[self.index(*a)].as_ref().expect("dropped after its last use only"))
                .collect();
            // Kernels trust the shapes: on a device they would read beyond.
            node.op.shape(&args.iter().map(|a| a.dims()).collect::<Vec<_>>())?;
            let span = span("forward", &*node.op, args.iter().map(|a| a.dims()), 1);
            let forward = span.in_scope(|| node.op.forward(&args))?;
            each(&*node.op, &args, &forward);
            values.push(Some(forward.y));
            for arg in &node.args {
                if last_use[self.index(*arg)] == i && self.index(*arg) >= self.leaves {
                    values[self.index(*arg)] = None;
                }
            }
        }
        let value =
            |v: &Value| values[self.index(*v)].clone().expect("no value of `of` is dropped");
        Ok(of.iter().map(value).collect())
    }

    /// Adjoints of the wanted leaves, from adjoints `seeds` of any values.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] when a seed has not the shape of its value.
    ///
    /// # Panics
    /// When `wants` are not as many as the graph's leaves.
    pub fn backward(
        &self,
        trace: &Trace,
        seeds: &[(Value, Tensor)],
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        self.walk_back(trace, seeds, wants, &self.reach(wants), |_, _| ())
    }

    /// As [`Graph::backward`], and the trace keeps what
    /// [`Graph::backward_tangent`] will need to find the leaves `later`.
    ///
    /// # Errors
    /// As [`Graph::backward`].
    ///
    /// # Panics
    /// When `wants` or `later` are not as many as the graph's leaves.
    pub fn backward_keeping(
        &self,
        trace: &mut Trace,
        seeds: &[(Value, Tensor)],
        wants: &[bool],
        later: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let later = self.reach(later);
        let keeps = |node: usize| self.nodes[node].op.keep().adjoint && later[self.leaves + node];
        // Adjoints must come as far as the wanted leaves and as the nodes that keep theirs.
        let mut needed = wants.to_vec();
        for (i, node) in self.nodes.iter().enumerate() {
            needed.push(keeps(i) || node.args.iter().any(|a| needed[self.index(*a)]));
        }
        let restored = self.restored(seeds);
        let mut restoring = vec![false; self.nodes.len()];
        for (i, restored) in restored.iter().enumerate() {
            if let (true, &Some(by)) = (keeps(i), restored) {
                restoring[by] = true;
            }
        }
        let mut kept = vec![None; self.nodes.len()];
        let adjoints = self.walk_back(trace, seeds, wants, &needed, |i, gy| {
            let keeps = restoring[i] || (keeps(i) && restored[i].is_none());
            kept[i] = keeps.then_some(gy);
        })?;
        for (node, kept) in self.nodes.iter().zip(&mut trace.kept) {
            if node.op.aux_is_for_backward() {
                kept.aux.clear();
            }
        }
        trace.adjoints = kept;
        trace.restoring = restoring;
        Ok(adjoints)
    }

    /// For each node, the one from whose smaller adjoint its own can be had again
    /// at little cost: the only one that uses it.
    fn restored(&self, seeds: &[(Value, Tensor)]) -> Vec<Option<usize>> {
        let mut users = vec![Vec::new(); self.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            node.args.iter().for_each(|arg| users[self.index(*arg)].push(i));
        }
        // What a seed adds to comes from more than the user.
        seeds.iter().for_each(|(value, _)| users[self.index(*value)].clear());
        let nodes = users[self.leaves..].iter();
        nodes
            .map(|users| match users[..] {
                [user] if self.nodes[user].op.restores_adjoint() => Some(user),
                _ => None,
            })
            .collect()
    }

    /// Walks the nodes backward as far as the values `needed`, and hands each
    /// node's adjoint on to `done` after its last use.
    fn walk_back(
        &self,
        trace: &Trace,
        seeds: &[(Value, Tensor)],
        wants: &[bool],
        needed: &[bool],
        mut done: impl FnMut(usize, Tensor),
    ) -> Result<Vec<Option<Tensor>>> {
        let mut adjoints = self.seeded(trace, seeds)?;
        for (i, node) in self.nodes.iter().enumerate().rev() {
            let Some(gy) = adjoints[self.leaves + i].take() else { continue };
            let wanted: Vec<bool> = node
                .args
                .iter()
                .map(|a| {
                    let a = self.index(*a);
                    wants.get(a).copied().unwrap_or(needed[a])
                })
                .collect();
            if wanted.contains(&true) {
                let kept = &trace.kept[i];
                let products = wanted.iter().filter(|w| **w).count();
                let span = span("backward", &*node.op, dims(kept), products);
                let sums = self.take(&mut adjoints, &node.args);
                let sums = span.in_scope(|| node.op.add_backward(kept, &gy, &wanted, sums))?;
                self.accumulate(&mut adjoints, &node.args, sums)?;
            }
            done(i, gy);
        }
        adjoints.truncate(self.leaves);
        Ok(adjoints)
    }

    /// Tangents of all values that others depend on, from tangents of the leaves (`None`: zero).
    ///
    /// # Errors
    /// [`crate::Error::Shape`] when a tangent has not the shape of its leaf.
    ///
    /// # Panics
    /// When `leaves` are not as many as the graph's.
    pub fn tangent(&self, trace: &Trace, leaves: &[Option<Tensor>]) -> Result<Tangents> {
        assert_eq!(leaves.len(), self.leaves, "one tangent for each leaf");
        for (leaf, tangent) in leaves.iter().enumerate() {
            tangent.iter().try_for_each(|tangent| trace.check("a tangent", leaf, tangent))?;
        }
        let mut tangents = leaves.to_vec();
        let used = self.used();
        for (i, node) in self.nodes.iter().enumerate() {
            if !used[self.leaves + i] {
                tangents.push(None);
                continue;
            }
            let args: Vec<Option<&Tensor>> =
                node.args.iter().map(|a| tangents[self.index(*a)].as_ref()).collect();
            let kept = &trace.kept[i];
            let span = span("tangent", &*node.op, dims(kept), args.iter().flatten().count());
            let tangent = span.in_scope(|| node.op.tangent(kept, &args))?;
            tangents.push(tangent);
        }
        Ok(Tangents(tangents))
    }

    /// Tangents of what [`Graph::backward_keeping`] gave for the same trace, where the
    /// leaves move along `tangents` and the seeds along `seeds` (those not named: not at all).
    ///
    /// For the output's adjoint held fixed, this is the adjoint of the
    /// output's tangent: the gradient of the derivative along a direction.
    ///
    /// # Errors
    /// As [`Graph::backward`].
    ///
    /// # Panics
    /// When `wants` are not as many as the graph's leaves.
    pub fn backward_tangent(
        &self,
        trace: &Trace,
        tangents: &Tangents,
        seeds: &[(Value, Tensor)],
        wants: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let reach = self.reach(wants);
        let mut adjoints = self.seeded(trace, seeds)?;
        let mut restored = vec![None; self.len()];
        for (i, node) in self.nodes.iter().enumerate().rev() {
            let wanted: Vec<bool> = node.args.iter().map(|a| reach[self.index(*a)]).collect();
            let dgy = adjoints[self.leaves + i].take();
            if !wanted.contains(&true) {
                continue;
            }
            let args: Vec<Option<&Tensor>> =
                node.args.iter().map(|a| tangents.0[self.index(*a)].as_ref()).collect();
            let kept = restored[self.leaves + i].take().or_else(|| trace.adjoints[i].clone());
            if let (true, Some(gy)) = (trace.restoring[i], &kept) {
                let kept = &trace.kept[i];
                let span = span("backward again", &*node.op, dims(kept), 0);
                let again = span.in_scope(|| node.op.backward(kept, gy, &wanted))?;
                for (arg, adjoint) in node.args.iter().zip(again) {
                    restored[self.index(*arg)] = adjoint;
                }
            }
            let gy = match (kept, &dgy) {
                (Some(gy), _) => gy,
                (None, None) => continue,
                // Not on the way from the first seeds: its adjoint was zero.
                (None, Some(dgy)) if node.op.keep().adjoint => dgy.zeros_like()?,
                // An operation that did not ask for its adjoint does not look at it.
                (None, Some(dgy)) => dgy.clone(),
            };
            let (kept, dgy) = (&trace.kept[i], dgy.as_ref());
            // By the product rule: each adjoint's tangent has a share of the output's, and one of each other argument's.
            let products = (0..wanted.len()).filter(|&i| wanted[i]).map(|i| {
                let others = args.iter().enumerate().filter(|(j, a)| *j != i && a.is_some());
                usize::from(dgy.is_some()) + others.count()
            });
            let span = span("backward_tangent", &*node.op, dims(kept), products.sum());
            let sums = self.take(&mut adjoints, &node.args);
            let sums = span
                .in_scope(|| node.op.add_backward_tangent(kept, &args, &gy, dgy, &wanted, sums))?;
            self.accumulate(&mut adjoints, &node.args, sums)?;
        }
        adjoints.truncate(self.leaves);
        Ok(adjoints)
    }

    fn seeded(&self, trace: &Trace, seeds: &[(Value, Tensor)]) -> Result<Vec<Option<Tensor>>> {
        let mut adjoints = vec![None; self.len()];
        for (value, seed) in seeds {
            trace.check("an adjoint", self.index(*value), seed)?;
            self.accumulate(&mut adjoints, &[*value], vec![Some(seed.clone())])?;
        }
        Ok(adjoints)
    }

    /// What has come to these values so far; nothing to the second place of one that stands twice.
    fn take(&self, adjoints: &mut [Option<Tensor>], values: &[Value]) -> Vec<Option<Tensor>> {
        values.iter().map(|value| adjoints[self.index(*value)].take()).collect()
    }

    /// Adds each share to the adjoint of its value.
    fn accumulate(
        &self,
        adjoints: &mut [Option<Tensor>],
        values: &[Value],
        shares: Vec<Option<Tensor>>,
    ) -> Result<()> {
        for (value, share) in values.iter().zip(shares) {
            let Some(share) = share else { continue };
            let slot = &mut adjoints[self.index(*value)];
            *slot = Some(match slot.take() {
                Some(sum) => add(&sum, &share)?,
                None => share,
            });
        }
        Ok(())
    }
}

//! Times a meta-iteration's steps: `step WIDTHS BATCH STEPS [recompute]`.
use candle_core::{DType, Device, Tensor};
use gtn_core::data::*;
use gtn_core::inner::*;
use gtn_core::learner::*;
use gtn_core::meta::*;
use gtn_core::network::Params;
use gtn_core::seed::*;
use std::time::Instant;

struct S(Vec<Batch>);
impl Syllabus for S {
    fn steps(&self) -> usize {
        self.0.len()
    }
    fn lesson(&mut self, t: usize) -> gtn_core::Result<(Batch, Rates)> {
        Ok((self.0[t].clone(), Rates { lr: 0.02, momentum: 0.5 }))
    }
    fn learn(&mut self, _: usize, _: LessonAdjoint) -> gtn_core::Result<()> {
        Ok(())
    }
    fn learns_targets(&self) -> bool {
        false
    }
}
struct E(Batch, usize, bool);
impl Exam for E {
    fn batch(&mut self, t: usize) -> gtn_core::Result<Option<Batch>> {
        Ok((self.2 || t + 1 == self.1).then(|| self.0.clone()))
    }
}
fn main() -> gtn_core::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let spec: LearnerSpec = args[1].parse()?;
    let batch: usize = args[2].parse().unwrap();
    let steps: usize = args[3].parse().unwrap();
    let keep = args.get(4).map(String::as_str) != Some("recompute");
    let conv5 = args[1].starts_with("conv5");
    let (c, hw) = if conv5 { (3, 32) } else { (1, 28) };
    let image = ImageShape { channels: c, height: hw, width: hw };
    let net = spec.network(Seed(0), image, 10)?;
    let mut rng = Seed(1).rng();
    let mut mk = || -> gtn_core::Result<Batch> {
        let images = normal(&[batch, c, hw, hw], DType::F32, &Device::Cpu, &mut rng)?;
        let labels: Vec<u32> = (0..batch as u32).map(|i| i % 10).collect();
        Ok(Batch { images, targets: one_hot(&labels, 10, DType::F32, &Device::Cpu)? })
    };
    let batches: Vec<Batch> = (0..steps).map(|_| mk()).collect::<gtn_core::Result<_>>()?;
    let real = mk()?;
    let params = Params::init(net.params(), DType::F32, &Device::Cpu, &mut rng)?;
    let activations =
        if keep { Activations::KeepWithin { bytes: 8 << 30 } } else { Activations::Recompute };
    for _ in 0..5 {
        let t = Instant::now();
        let m = meta_gradient(
            &net,
            InnerOptimizer::Sgd,
            &params,
            &mut S(batches.clone()),
            &mut E(real.clone(), steps, false),
            activations,
        )?;
        let meta = t.elapsed().as_secs_f64() * 1e3 / steps as f64;
        let t = Instant::now();
        for b in &batches {
            net.learn(&params, b, false)?;
        }
        let plain = t.elapsed().as_secs_f64() * 1e3 / steps as f64;
        println!("meta {meta:.1} ms a step, plain {plain:.1} ms, loss {}", m.meta_loss);
    }
    let _: Option<Tensor> = None;
    Ok(())
}

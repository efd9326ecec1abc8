//! Checks of an operation's four functions against each other by central
//! differences in f64, and of a CUDA device, where there is one, against the CPU.

use super::{Kept, Op};
use crate::device::cuda_or_skip;
use crate::layout::{channels_first, channels_last};
use candle_core::{DType, Device, Tensor};
use proptest::test_runner::TestCaseError;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Half the distance between the two points of a central difference.
const H: f64 = 1e-5;

/// Largest error allowed, relative to the largest element (or 1).
const TOLERANCE: f64 = 1e-7;

/// Arguments to check an operation at, with directions to move them along.
pub(crate) struct Case {
    args: Vec<Tensor>,
    seed: u64,
}

impl Case {
    /// Arguments that are at least a few [`H`] away from any kink of the operation.
    pub(crate) fn smooth(args: Vec<Tensor>, seed: u64) -> Self {
        Self { args, seed }
    }
}

/// Elements drawn evenly from −1 to 1.
pub(crate) fn uniform(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let data: Vec<f64> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_vec(data, shape, &Device::Cpu).unwrap()
}

/// Elements that differ from each other, and from zero, by at least 0.0025.
pub(crate) fn distinct(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let n: usize = shape.iter().product();
    let mut data: Vec<f64> = (0..n).map(|i| (i as f64 - n as f64 / 2.0 + 0.25) * 0.01).collect();
    for i in (1..n).rev() {
        data.swap(i, rng.random_range(0..=i));
    }
    Tensor::from_vec(data, shape, &Device::Cpu).unwrap()
}

fn step(x: &Tensor, direction: Option<&Tensor>, h: f64) -> Tensor {
    match direction {
        Some(d) => (x + (d * h).unwrap()).unwrap(),
        None => x.clone(),
    }
}

fn shifted(args: &[Tensor], directions: &[Option<&Tensor>], h: f64) -> Vec<Tensor> {
    args.iter().zip(directions).map(|(x, d)| step(x, *d, h)).collect()
}

fn run(op: &dyn Op, args: &[Tensor]) -> (Tensor, Kept) {
    let args: Vec<&Tensor> = args.iter().collect();
    let forward = op.forward(&args).unwrap();
    let kept = Kept::new(op, &args, &forward);
    (forward.y, kept)
}

fn difference(plus: &Tensor, minus: &Tensor) -> Tensor {
    ((plus - minus).unwrap() / (2.0 * H)).unwrap()
}

fn close(what: &str, ours: Option<&Tensor>, expected: &Tensor) -> Result<(), TestCaseError> {
    within(TOLERANCE, what, ours, expected)
}

fn within(
    tolerance: f64,
    what: &str,
    ours: Option<&Tensor>,
    expected: &Tensor,
) -> Result<(), TestCaseError> {
    let zero = expected.zeros_like().unwrap();
    let ours = ours.unwrap_or(&zero);
    if ours.dims() != expected.dims() {
        return Err(TestCaseError::fail(format!(
            "{what}: shape {:?}, expected {:?}",
            ours.dims(),
            expected.dims()
        )));
    }
    let flat = |t: &Tensor| {
        let t = t.to_device(&Device::Cpu).unwrap().to_dtype(DType::F64).unwrap();
        t.flatten_all().unwrap().to_vec1::<f64>().unwrap()
    };
    let (ours, expected) = (flat(ours), flat(expected));
    let scale = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (a, b)) in ours.iter().zip(&expected).enumerate() {
        let error = (a - b).abs();
        if error.is_nan() || error > tolerance * scale {
            return Err(TestCaseError::fail(format!("{what}: element {i} is {a}, expected {b}")));
        }
    }
    Ok(())
}

/// Everything that an operation computes: in a CUDA device's order of memory if asked for.
fn everything(
    op: &dyn Op,
    case: &Case,
    to: &Device,
    dtype: DType,
    last: bool,
) -> Vec<Option<Tensor>> {
    let place = |t: &Tensor| {
        let t = t.to_dtype(dtype).unwrap().to_device(to).unwrap();
        if last { channels_first(channels_last(&t).unwrap()).unwrap() } else { t }
    };
    let args: Vec<Tensor> = case.args.iter().map(place).collect();
    let (y, kept) = run(op, &args);
    let draw = |like: &Tensor, i: u64| place(&uniform(like.dims(), case.seed.wrapping_add(i)));
    let along: Vec<Tensor> = (100..).zip(&args).map(|(i, arg)| draw(arg, i)).collect();
    let (gy, dgy) = (draw(&y, 200), draw(&y, 300));
    let every = vec![true; args.len()];
    let mut all = op.backward(&kept, &gy, &every).unwrap();
    let sums: Vec<_> = (400..).zip(&args).map(|(i, arg)| Some(draw(arg, i))).collect();
    all.extend(op.add_backward(&kept, &gy, &every, sums.clone()).unwrap());
    let mut moves = vec![along.iter().map(Some).collect::<Vec<_>>()];
    for i in 0..args.len() {
        let mut one = vec![None; args.len()];
        one[i] = Some(&along[i]);
        moves.push(one);
    }
    for along in &moves {
        all.push(op.tangent(&kept, along).unwrap());
        for dgy in [Some(&dgy), None] {
            all.extend(op.backward_tangent(&kept, along, &gy, dgy, &every).unwrap());
            let sums = sums.clone();
            all.extend(op.add_backward_tangent(&kept, along, &gy, dgy, &every, sums).unwrap());
        }
    }
    all.push(Some(y));
    all
}

/// Checks that a CUDA device, where there is one, computes what the CPU does.
pub(crate) fn check_on_cuda(op: &dyn Op, case: &Case) -> Result<(), TestCaseError> {
    let Some(device) = cuda_or_skip() else { return Ok(()) };
    for (dtype, tolerance) in [(DType::F64, 1e-9), (DType::F32, 1e-4)] {
        let expected = everything(op, case, &Device::Cpu, dtype, false);
        let found = everything(op, case, device, dtype, case.seed % 2 == 1);
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let what = format!("{} on CUDA in {dtype:?}, result {i}", op.name());
            match (found, expected) {
                (Some(found), None) => {
                    within(tolerance, &what, Some(found), &found.zeros_like().unwrap())?;
                }
                (found, Some(expected)) => within(tolerance, &what, found.as_ref(), expected)?,
                (None, None) => {}
            }
        }
    }
    Ok(())
}

/// Checks first derivative, tangent, and derivative of the tangent.
pub(crate) fn check(op: &dyn Op, case: Case) -> Result<(), TestCaseError> {
    check_on_cuda(op, &case)?;
    let Case { args, seed } = case;
    let n = args.len();
    let (y, kept) = run(op, &args);
    assert_eq!(y.dtype(), DType::F64);
    let shapes: Vec<&[usize]> = args.iter().map(Tensor::dims).collect();
    assert_eq!(op.shape(&shapes).unwrap(), y.dims(), "{}: shape()", op.name());

    let directions: Vec<Tensor> =
        (0..n).map(|i| uniform(args[i].dims(), seed.wrapping_add(100 + i as u64))).collect();
    let gy = uniform(y.dims(), seed.wrapping_add(200));
    let dgy = uniform(y.dims(), seed.wrapping_add(300));
    let every = vec![true; n];
    let sums: Vec<_> =
        (400..).zip(&args).map(|(i, x)| uniform(x.dims(), seed.wrapping_add(i))).collect();
    let some: Vec<_> = sums.iter().cloned().map(Some).collect();
    let on_sums = |what: &str, added: Vec<Option<Tensor>>, shares: &[Option<Tensor>]| {
        for (added, (sum, share)) in added.iter().zip(sums.iter().zip(shares)) {
            let expected = share.as_ref().map_or(sum.clone(), |share| (sum + share).unwrap());
            close(&format!("{} {what} on sums", op.name()), added.as_ref(), &expected)?;
        }
        Ok::<_, TestCaseError>(())
    };

    // First derivative, one argument at a time.
    let adjoints = op.backward(&kept, &gy, &every).unwrap();
    on_sums("backward", op.add_backward(&kept, &gy, &every, some.clone()).unwrap(), &adjoints)?;
    for i in 0..n {
        let mut along = vec![None; n];
        along[i] = Some(&directions[i]);
        let [plus, minus] = [H, -H].map(|h| run(op, &shifted(&args, &along, h)).0);
        // The sum of differences: two sums differ by their rounding, too, which is much where there are many terms.
        let expected = (difference(&plus, &minus) * &gy).unwrap().sum_all().unwrap();
        let ours = match &adjoints[i] {
            Some(a) => (a * &directions[i]).unwrap().sum_all().unwrap(),
            None => expected.zeros_like().unwrap(),
        };
        close(&format!("{} backward, argument {i}", op.name()), Some(&ours), &expected)?;

        let mut one = vec![false; n];
        one[i] = true;
        let alone = op.backward(&kept, &gy, &one).unwrap();
        for (j, adjoint) in alone.iter().enumerate() {
            if j != i {
                assert!(adjoint.is_none(), "{}: unwanted adjoint {j}", op.name());
            } else if let Some(expected) = &adjoints[i] {
                close(&format!("{} backward of {i} alone", op.name()), adjoint.as_ref(), expected)?;
            }
        }
    }

    // The tangents: all arguments moving together, then each by itself.
    let mut moves = vec![directions.iter().map(Some).collect::<Vec<_>>()];
    for i in 0..n {
        let mut one = vec![None; n];
        one[i] = Some(&directions[i]);
        moves.push(one);
    }
    for (which, along) in moves.iter().enumerate() {
        let (plus, kept_plus) = run(op, &shifted(&args, along, H));
        let (minus, kept_minus) = run(op, &shifted(&args, along, -H));
        let dy = op.tangent(&kept, along).unwrap();
        close(
            &format!("{} tangent, move {which}", op.name()),
            dy.as_ref(),
            &difference(&plus, &minus),
        )?;
        for dgy in [Some(&dgy), None] {
            let ours = op.backward_tangent(&kept, along, &gy, dgy, &every).unwrap();
            let added = op.add_backward_tangent(&kept, along, &gy, dgy, &every, some.clone());
            on_sums("backward_tangent", added.unwrap(), &ours)?;
            let plus = op.backward(&kept_plus, &step(&gy, dgy, H), &every).unwrap();
            let minus = op.backward(&kept_minus, &step(&gy, dgy, -H), &every).unwrap();
            for i in 0..n {
                if let (Some(plus), Some(minus)) = (&plus[i], &minus[i]) {
                    close(
                        &format!(
                            "{} backward_tangent, argument {i}, move {which}, adjoint moving: {}",
                            op.name(),
                            dgy.is_some()
                        ),
                        ours[i].as_ref(),
                        &difference(plus, minus),
                    )?;
                }
                let mut one = vec![false; n];
                one[i] = true;
                let alone = op.backward_tangent(&kept, along, &gy, dgy, &one).unwrap();
                for (j, adjoint) in alone.iter().enumerate() {
                    match (j == i, &ours[i]) {
                        (false, _) => assert!(adjoint.is_none(), "{}: unwanted {j}", op.name()),
                        (true, Some(expected)) => {
                            close("one adjoint alone", adjoint.as_ref(), expected)?;
                        }
                        (true, None) => {}
                    }
                }
            }
        }
    }
    Ok(())
}

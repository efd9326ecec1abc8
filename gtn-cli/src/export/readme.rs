//! `README.txt`: what is in the folder, and how to train with it.

use gtn_core::inner::InnerOptimizer;

use super::Format;
use super::idx;
use super::teaching::Teaching;

pub(crate) fn readme(teaching: &Teaching, format: Format) -> String {
    let Teaching { steps, batch, image: [channels, height, width], classes, .. } = teaching;
    let (files, load) = match format {
        Format::Safetensors => (ARRAYS, SAFETENSORS.to_string()),
        Format::Npz => (ARRAYS, NPZ.to_string()),
        Format::Idx => (
            BYTES,
            IDX.replace("IMAGES", idx::images_name(*channels)).replace("LABELS", idx::LABELS),
        ),
        Format::Png => (BYTES, PNG.to_string()),
    };
    let (rule, optimizer) = match teaching.optimizer {
        InnerOptimizer::Sgd => (SGD, TORCH_SGD),
        InnerOptimizer::RmsProp => (RMSPROP, OWN_RULE),
        InnerOptimizer::Adam => (ADAM, OWN_RULE),
    };
    format!(
        "A synthetic training set, made by a Generative Teaching Network (arXiv 1912.07768).\n\n\
         {steps} steps of {batch} images ({channels}x{height}x{width}), {} classes, in the order a learner \
         meets them: step after step.\n{files}\n\
         teaching.json: classes, optimizer, learning rate and momentum of each step, and the\n\
         mean and std to normalize real images by: (pixel / 255 - mean) / std, for each channel.\n\
         The rule of a step, with learning rate a, momentum m, gradient g:\n{rule}\n\n\
         In Python, with a freshly initialized `net`:\n\n{load}{optimizer}",
        classes.len(),
    )
}

const ARRAYS: &str = "\
Arrays: images (T, B, C, H, W) float32, normalized; labels (T, B) int64, the likeliest class;
targets (T, B, K) float32, the probability of each class; lr, momentum (T) and mean, std (C) float64.";

const BYTES: &str = "\
Pixels are 8-bit, which rounds and clamps them, and labels are the likeliest class only; the
formats npz and safetensors keep images and soft labels as they were made.";

const SGD: &str = "    v = m v + g;  w = w - a v  (v = 0 at first)";
const RMSPROP: &str =
    "    s = 0.9 s + 0.1 g^2;  v = m v + g / sqrt(s + 1e-5);  w = w - a v  (s = v = 0 at first)";
const ADAM: &str = "    \
u = m u + (1 - m) g;  s = 0.9 s + 0.1 g^2;  (u = s = 0 at first; t = 1, 2, ...)
    w = w - a sqrt(1 - 0.9^t) / (1 - m^t) u / (sqrt(s + 1e-5) + 1e-5)";

const SAFETENSORS: &str = "\
import torch, safetensors.torch
data = safetensors.torch.load_file('teaching.safetensors')
images, targets, lr, momentum = (data[k] for k in ('images', 'targets', 'lr', 'momentum'))
";

const NPZ: &str = "\
import numpy as np, torch
data = np.load('teaching.npz')
images, targets, lr, momentum = (torch.from_numpy(data[k]) for k in ('images', 'targets', 'lr', 'momentum'))
";

const IDX: &str = "\
import json, numpy as np, torch
def idx(name):
    raw = open(name, 'rb').read()
    return np.frombuffer(raw, np.uint8, -1, 4 + 4 * raw[3]).reshape(np.frombuffer(raw, '>u4', raw[3], 4))
t = json.load(open('teaching.json'))
mean, std = (np.array(t['normalization'][k]).reshape(-1, 1, 1) for k in ('mean', 'std'))
images = idx('IMAGES').reshape(t['steps'], t['batch'], *t['image'])
images = torch.from_numpy((images / 255 - mean) / std).float()
targets = torch.from_numpy(idx('LABELS').reshape(t['steps'], t['batch']).astype('int64'))
lr, momentum = torch.tensor(t['lr']), torch.tensor(t['momentum'])
";

const PNG: &str = "\
import json, pathlib, numpy as np, torch
from PIL import Image
t = json.load(open('teaching.json'))
files = sorted(pathlib.Path('train').glob('*/*.png'), key=lambda file: file.name)
mean, std = (np.array(t['normalization'][k]) for k in ('mean', 'std'))
c, h, w = t['image']
images = np.stack([np.array(Image.open(file)).reshape(h, w, c) for file in files])
images = ((images / 255 - mean) / std).transpose(0, 3, 1, 2).reshape(t['steps'], t['batch'], c, h, w)
images = torch.from_numpy(images).float()
targets = [t['classes'].index(file.parent.name) for file in files]
targets = torch.tensor(targets).reshape(t['steps'], t['batch'])
lr, momentum = torch.tensor(t['lr']), torch.tensor(t['momentum'])
";

const TORCH_SGD: &str = "\
optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
for x, y, a, m in zip(images, targets, lr, momentum):
    optimizer.param_groups[0].update(lr=a.item(), momentum=m.item())
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()
";

const OWN_RULE: &str = "\
for x, y, a, m in zip(images, targets, lr, momentum):
    net.zero_grad()
    torch.nn.functional.cross_entropy(net(x), y).backward()
    ...  # the rule above, for each w in net.parameters() with g = w.grad
";

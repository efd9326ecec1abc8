use super::*;
use clap::ValueEnum;
use gtn_core::recipe::{LateSpec, OuterOptimizer};
use gtn_core::teacher::TeacherSpec;

fn text(text: &str) -> Layer {
    Layer::parse("test.toml", text).unwrap()
}

fn set(pairs: &[&str]) -> Layer {
    let overrides: Vec<Override> = pairs.iter().map(|pair| pair.parse().unwrap()).collect();
    Layer::overrides(&overrides).unwrap()
}

fn refused(layers: &[Layer]) -> String {
    let error = RunConfig::load(layers).unwrap_err();
    assert_eq!(crate::error::exit_code(&error), std::process::ExitCode::from(2), "{error}");
    error.to_string()
}

#[test]
fn presets_are_complete_and_survive_writing() {
    for preset in Preset::value_variants() {
        assert_eq!(preset.to_possible_value().unwrap().get_name(), preset.name());
        let config = RunConfig::load(&[preset.layer().unwrap()]).unwrap();
        let written = text(&config.to_toml().unwrap());
        assert_eq!(RunConfig::load(&[written]).unwrap(), config, "{}", preset.name());
    }
}

#[test]
fn the_paper_preset_is_the_default_on_mnist() {
    let mut paper = RunConfig::load(&[Preset::MnistPaper.layer().unwrap()]).unwrap();
    assert_eq!(paper.data.path, "data/mnist");
    paper.data.path = "digits".into();
    paper.recipe.seed = 0;
    // It is meant for a GPU, whose memory is larger.
    assert!(paper.run.keep_activations > RunConfig::default().run.keep_activations);
    paper.run.keep_activations = RunConfig::default().run.keep_activations;
    assert_eq!(paper, RunConfig::default());
}

#[test]
fn later_layers_win_key_by_key() {
    let file = text("iterations = 7\n[inner]\nsteps = 4\nbatch = 8");
    let config = RunConfig::load(&[file, set(&["inner.steps=8", "data.path=some/where"])]).unwrap();
    assert_eq!(
        (config.recipe.iterations, config.recipe.inner.steps, config.recipe.inner.batch),
        (7, 8, 8)
    );
    assert_eq!(config.data.path, "some/where");
    assert_eq!(config.recipe.inner.momentum, RunConfig::default().recipe.inner.momentum);
}

#[test]
fn keys_of_a_table_need_not_name_its_kind() {
    let config = RunConfig::load(&[text("[learner]\nwidths = [8, [8, 16], 32]")]).unwrap();
    assert_eq!(config.recipe.learner.to_string(), "conv2_fc:8,8-16,32");
    let config = RunConfig::load(&[set(&["learner.weight_norm=false"])]).unwrap();
    assert_eq!(config.recipe.learner.to_string(), "conv2_fc:64,128,256");
    assert!(!config.recipe.learner.normalization().weight_norm);
}

#[test]
fn learners_can_be_those_of_a_search_space() {
    let config = RunConfig::load(&[text("[learner]\nspace = 'cell:nodes=3'")]).unwrap();
    assert_eq!(config.recipe.learner.to_string(), "cell:nodes=3,channels=8,repeats=1");
    let written = text(&config.to_toml().unwrap());
    assert_eq!(RunConfig::load(&[written]).unwrap(), config);
    let message = refused(&[set(&["learner.space=micro"])]);
    assert_eq!(
        message,
        "command line: learner.space: `micro` is no search space: expected macro, cell or nb201"
    );
    let message = refused(&[set(&["learner.space=macro", "learner.widths=[1,2,3]"])]);
    assert!(message.starts_with("command line: unknown key `learner.widths`"), "{message}");
}

#[test]
fn what_a_configuration_may_leave_out_is_known() {
    let config = RunConfig::load(&[set(&[
        "outer.optimizer=adam",
        "meta.late.share=0.5",
        "teacher.learned_pixels=false",
    ])])
    .unwrap();
    assert_eq!(config.recipe.outer.optimizer, OuterOptimizer::Adam);
    assert_eq!(config.recipe.meta.late, Some(LateSpec { share: 0.5, batch: 512 }));
    let plain = RunConfig::default().to_toml().unwrap();
    assert!(!plain.contains("optimizer = \"adam\"") && !plain.contains("late"), "{plain}");
    let muon = RunConfig::load(&[set(&["outer.optimizer=muon"])]).unwrap();
    assert_eq!(RunConfig::load(&[text(&muon.to_toml().unwrap())]).unwrap(), muon);
}

#[test]
fn another_kind_takes_nothing_over() {
    let file = text("[teacher]\nkind = 'generator'\nnoise = 5");
    let pixels = RunConfig::load(&[file, set(&["teacher.kind=pixels"])]).unwrap();
    assert_eq!(pixels.recipe.teacher, TeacherSpec::Pixels { learned_labels: false });
    let message = refused(&[set(&["teacher.kind=pixels", "teacher.noise=5"])]);
    // Nothing is like it: what there is instead is told.
    let known = "`kind`, `learned_labels`";
    assert_eq!(message, format!("command line: unknown key `teacher.noise`; known there: {known}"));
}

#[test]
fn unknown_keys_are_named_and_the_nearest_suggested() {
    for (given, unknown, meant) in [
        ("inner.stpes=8", "inner.stpes", "inner.steps"),
        ("steps=8", "steps", "inner.steps"),
        ("lerner.widths=[1,2,3]", "lerner", "learner"),
        ("learner.width=[1,2,3]", "learner.width", "learner.widths"),
        ("learner.prest=conv2_fc", "learner.prest", "learner.preset"),
        ("learner.weightnorm=false", "learner.weightnorm", "learner.weight_norm"),
        ("outer.finallr=0.5", "outer.finallr", "outer.final_lr"),
        ("iteration=3", "iteration", "iterations"),
        ("run.validate=3", "run.validate", "run.validate_every"),
        ("data.validations=3", "data.validations", "data.validation"),
    ] {
        let expected = format!("command line: unknown key `{unknown}`; did you mean `{meant}`?");
        assert_eq!(refused(&[set(&[given])]), expected);
    }
    let message = refused(&[text("[inner]\nlr = 0.1\nmomentun = 0.5")]);
    assert_eq!(message, "test.toml: unknown key `inner.momentun`; did you mean `inner.momentum`?");
}

#[test]
fn wrong_types_name_key_found_and_expected() {
    for (given, expected) in [
        (
            "inner.steps=ten",
            "inner.steps: expected a whole number, 0 or more, found string \"ten\"",
        ),
        ("inner.steps=-3", "inner.steps: expected a whole number, 0 or more, found integer `-3`"),
        ("outer.lr=high", "outer.lr: expected a number, found string \"high\""),
        ("inner=3", "inner: expected a table, found integer `3`"),
        (
            "teacher.noise=1.5",
            "teacher.noise: expected a whole number, 0 or more, found floating point `1.5`",
        ),
        ("data.flip=1", "data.flip: expected true or false, found integer `1`"),
        ("learner.weight_norm=1", "learner.weight_norm: expected true or false, found integer `1`"),
        ("seed.x=1", "seed.x: expected a whole number, 0 or more, found map"),
        ("teacher=real", "teacher: expected a table, found string \"real\""),
        (
            "learner.widths=[[4,4,4],4,4]",
            "learner.widths: expected a number, or a range [least, most] to draw it from",
        ),
    ] {
        assert_eq!(refused(&[set(&[given])]), format!("command line: {expected}"));
    }
    for (given, starts) in [
        ("learner.widths=[1,2]", "learner.widths: "),
        ("learner.widths=[1,2,wide]", "learner.widths: "),
        ("teacher.kind=genrator", "teacher.kind: unknown variant `genrator`, expected one of"),
        ("teacher.curriculum=half", "teacher.curriculum: unknown variant `half`, expected one of"),
    ] {
        let message = refused(&[set(&[given])]);
        assert!(message.starts_with(&format!("command line: {starts}")), "{message}");
    }
    // Two at fault, the same fault: the first is named.
    let message = refused(&[set(&["inner.steps=x", "inner.batch=x"])]);
    assert!(message.starts_with("command line: inner.batch: "), "{message}");
    // A kind whose other keys are in order is not to blame, nor are they.
    let message = refused(&[set(&["learner.preset=custom", "learner.layers=[]", "outer.lr=x"])]);
    assert!(message.starts_with("command line: outer.lr: "), "{message}");
    let message = refused(&[set(&["learner.preset=custom", "inner.lr=0.1"])]);
    assert!(
        message.starts_with("command line: learner.preset: missing field `layers`"),
        "{message}"
    );
}

#[test]
fn values_out_of_range_are_refused() {
    for (given, key) in [
        ("inner.steps=0", "inner.steps"),
        ("iterations=0", "iterations"),
        ("run.checkpoint_every=0", "run.checkpoint_every"),
        ("run.validate_every=0", "run.validate_every"),
        ("data.path=", "data.path"),
    ] {
        let message = refused(&[set(&[given])]);
        assert!(message.contains(key), "{message}");
    }
}

#[test]
fn text_that_is_no_toml_is_refused_with_its_line() {
    let error = Layer::parse("test.toml", "seed = 1\ninner = [").unwrap_err().to_string();
    assert!(error.starts_with("test.toml, line 2: "), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn the_first_difference_is_found() {
    let base = RunConfig::default();
    assert_eq!(base.difference(&base).unwrap(), None);
    let other = RunConfig::load(&[set(&["inner.steps=8", "outer.lr=0.5"])]).unwrap();
    let difference = base.difference(&other).unwrap().unwrap();
    assert_eq!(
        difference,
        Difference { key: "inner.steps".into(), here: "32".into(), there: "8".into() }
    );
    let pixels = RunConfig::load(&[set(&["teacher.kind=pixels"])]).unwrap();
    let difference = pixels.difference(&base).unwrap().unwrap();
    assert_eq!((difference.key.as_str(), difference.here.as_str()), ("teacher.kind", "\"pixels\""));
}

#[test]
fn a_layer_can_be_one_table_of_a_file() {
    for file in
        ["widths = [1, 2, 3]", "seed = 4\n[learner]\nwidths = [1, 2, 3]\n[inner]\nsteps = 2"]
    {
        let config = RunConfig::load(&[text(file).section("learner")]).unwrap();
        assert_eq!(config.recipe.learner.to_string(), "conv2_fc:1,2,3");
        assert_eq!(config.recipe.seed, 0);
    }
}

#[test]
fn a_learner_of_layers_survives_writing() {
    let file = "[learner]
        preset = 'custom'
        weight_norm = false
        layers = [
            { op = 'conv', name = 'a', channels = 4, kernel = [1, 7], padding = [0, 3] },
            { op = 'mark', value = 'a' },
            { op = 'max_pool', kernel = 2, stride = 1, padding = 'same' },
            { op = 'mark', value = 'b' },
            { op = 'sum', of = ['a', 'b'] },
            { op = 'classifier', name = 'fc' },
        ]";
    let config = RunConfig::load(&[text(file)]).unwrap();
    assert_eq!(config.recipe.learner.to_string(), "custom (6 layers)");
    let written = text(&config.to_toml().unwrap());
    assert_eq!(RunConfig::load(&[written]).unwrap(), config);
}

#[test]
fn a_layer_with_an_unknown_key_is_refused() {
    for op in ["global_avg_pool", "mean_norm', name = 'norm"] {
        let layers = format!("[{{ op = '{op}', odd = 3 }}, {{ op = 'classifier', name = 'fc' }}]");
        let message = refused(&[text(&format!("[learner]\npreset = 'custom'\nlayers = {layers}"))]);
        assert!(message.contains("unknown field `"), "{message}");
    }
}

//! A target in one profile: which of its parts are done, and doing the others.

use super::folder::{Folder, read};
use super::origin::Origin;
use super::part::{Bench, Part, Record, Results};
use super::profile::Profile;
use super::report::Report;
use super::source::{Data, Library};
use super::targets::Target;
use super::worklog::{Worklog, words};
use anyhow::{Context, Result, ensure};
use candle_core::Device;
use gtn_cli::commands::train::Ended;
use gtn_cli::interrupt::Interrupt;
use gtn_cli::run_dir::write_whole;
use std::path::{Path, PathBuf};

/// A target in one profile.
pub(super) struct Study {
    pub(super) target: &'static dyn Target,
    pub(super) profile: Profile,
    pub(super) folder: Folder,
    /// Those that take hours only where they were asked for or begun.
    pub(super) parts: Vec<Box<dyn Part>>,
    /// Whether the built-in digits stand in for its data set.
    pub(super) on_stand_in: bool,
}

/// What the parts that are done found.
pub(super) struct Findings {
    pub(super) report: Report,
    /// By the parts' names, in their order.
    pub(super) records: Vec<(String, Record)>,
    /// The names of the parts that are not done.
    pub(super) missing: Vec<String>,
}

/// Keys of a training that decide nothing: how much memory it takes, and how often it saves and looks.
const IDLE: [&str; 3] = ["keep_activations", "checkpoint_every", "validate_every"];

/// The lines of a configuration that decide a result.
fn decisive(config: &str) -> Vec<&str> {
    let key =
        |line: &&str| line.split_once(" =").map(|(key, _)| key).unwrap_or_default().to_owned();
    config.lines().filter(|line| !IDLE.contains(&key(line).as_str())).collect()
}

/// What all parts are measured with.
pub(super) struct Lab {
    pub(super) library: Library,
    pub(super) device: Device,
    pub(super) interrupt: Interrupt,
    pub(super) origin: Origin,
}

impl Study {
    /// A target in a profile, its results beneath `out`; with the parts that take hours if `long`.
    ///
    /// # Errors
    /// When the settings cannot be; the tests see to it that they can.
    pub(super) fn new(
        target: &'static dyn Target,
        profile: Profile,
        out: &Path,
        library: &Library,
        long: bool,
    ) -> Result<Self> {
        let folder = Folder::new(out, target.name(), profile);
        let mut parts = target
            .parts(target.settings(profile), &library.label(target.source(profile)))
            .with_context(|| format!("the settings of {}, {}", target.name(), profile.name()))?;
        let begun = |part: &dyn Part| folder.config(part.id()).exists();
        parts.retain(|part| long || !part.is_long() || begun(part.as_ref()));
        Ok(Self { target, profile, folder, parts, on_stand_in: library.is_stand_in() })
    }

    /// A target in a profile as it lies beneath `out`: on a data set or on what stands in for it, whichever more was measured on.
    ///
    /// # Errors
    /// When the settings cannot be, or results are damaged.
    pub(super) fn found(target: &'static dyn Target, profile: Profile, out: &Path) -> Result<Self> {
        let of = |data| Self::new(target, profile, out, &Library::new(data, profile), false);
        let usual = of(None)?;
        if !usual.on_stand_in {
            return Ok(usual);
        }
        let given = of(Some(Path::new("data")))?;
        Ok(if given.done()? > usual.done()? { given } else { usual })
    }

    /// Whether a part was begun.
    pub(super) fn has_begun(&self) -> bool {
        self.parts.iter().any(|part| self.folder.config(part.id()).exists())
    }

    /// The records of the parts that are done, with these settings, in their order; `None` for the others.
    pub(super) fn records(&self) -> Result<Vec<Option<Record>>> {
        self.parts.iter().map(|part| self.record(part.as_ref())).collect()
    }

    /// How many parts are done.
    pub(super) fn done(&self) -> Result<usize> {
        Ok(self.records()?.iter().flatten().count())
    }

    fn record(&self, part: &dyn Part) -> Result<Option<Record>> {
        if self.difference(part)?.is_some() {
            return Ok(None);
        }
        let path = self.folder.result(part.id());
        let parsed = read(&path)?.map(|text| serde_json::from_str(&text)).transpose();
        parsed.with_context(|| format!("{} is damaged; remove it", path.display()))
    }

    /// What the parts that are done found.
    fn results(&self, records: &[Option<Record>]) -> Results {
        let all = self.parts.iter().zip(records);
        let done = all.filter_map(|(part, record)| {
            Some((part.id().to_owned(), record.as_ref()?.result.clone()))
        });
        Results(done.collect())
    }

    /// Sees to it that what is measured belongs to what was.
    ///
    /// # Errors
    /// When what was begun is of other settings or of other images, or something that went into it is gone.
    pub(super) fn check(&self, lab: &Lab) -> Result<()> {
        for part in &self.parts {
            self.check_settings(part.as_ref())?;
        }
        let records = self.records()?;
        for (part, _) in self.parts.iter().zip(&records).filter(|(_, record)| record.is_none()) {
            self.check_those_after(part.as_ref())?;
        }
        if records.iter().any(Option::is_none) {
            self.check_data(&records, lab.library.open(self.target.source(self.profile))?)?;
        }
        Ok(())
    }

    /// Measures the parts that are not done, once all is [checked](Self::check), and tells of each as soon as it is done.
    ///
    /// # Errors
    /// When a part fails, or telling does.
    pub(super) fn measure(&self, lab: &Lab, mut tell: impl FnMut() -> Result<()>) -> Result<Ended> {
        let mut records = self.records()?;
        for (index, part) in self.parts.iter().enumerate() {
            if records[index].is_some() {
                continue;
            }
            if lab.interrupt.raised() {
                return Ok(Ended::Interrupted);
            }
            tracing::info!(
                "{}, {}: part {} of {}, {}{}",
                self.target.name(),
                self.profile.name(),
                index + 1,
                self.parts.len(),
                part.id(),
                self.time_left(&records).map_or(String::new(), |left| format!(
                    "; about {} left for this target",
                    words(left)
                ))
            );
            let measured = self.measure_part(part.as_ref(), &self.results(&records), lab);
            let measured = measured.with_context(|| format!("part {}", part.id()))?;
            if measured == Ended::Interrupted {
                return Ok(Ended::Interrupted);
            }
            records[index] = self.record(part.as_ref())?;
            tell()?;
        }
        Ok(Ended::Finished)
    }

    fn measure_part(&self, part: &dyn Part, results: &Results, lab: &Lab) -> Result<Ended> {
        let data = lab.library.open(self.target.source(self.profile))?;
        write_whole(&self.folder.config(part.id()), part.config()?.as_bytes())?;
        let bench = Bench {
            dataset: &data.dataset,
            device: &lab.device,
            folder: &self.folder,
            interrupt: &lab.interrupt,
            results,
        };
        if !part.prepare(&bench)? {
            return Ok(Ended::Interrupted);
        }
        let worklog = Worklog::open(&self.folder.worklog(part.id()), &lab.origin)?;
        let measured = worklog.during(|| part.measure(&bench))??;
        let Some(result) = measured else { return Ok(Ended::Interrupted) };
        let record = Record {
            data: data.about.clone(),
            origin: worklog.origin(),
            seconds: worklog.seconds(),
            result,
        };
        let text = serde_json::to_string_pretty(&record)? + "\n";
        write_whole(&self.folder.result(part.id()), text.as_bytes())?;
        Ok(Ended::Finished)
    }

    /// Fails where a part was begun with other settings, and something came of it that would be lost.
    fn check_settings(&self, part: &dyn Part) -> Result<()> {
        let Some((there, here)) = self.difference(part)? else { return Ok(()) };
        let made = self.made_by(part.id());
        ensure!(
            made.is_empty(),
            "{} was begun with other settings (`{there}`, now `{here}`); remove {} to measure it anew, or choose another folder with --out",
            self.folder.config(part.id()).display(),
            made.join(" and ")
        );
        Ok(())
    }

    /// The results that were measured with other settings, and so are not told.
    ///
    /// # Errors
    /// When a configuration cannot be.
    pub(super) fn left_out(&self) -> Result<Vec<PathBuf>> {
        let mut left_out = Vec::new();
        for part in &self.parts {
            let result = self.folder.result(part.id());
            if result.exists() && self.difference(part.as_ref())?.is_some() {
                left_out.push(result);
            }
        }
        Ok(left_out)
    }

    /// Fails where something came already of parts that take up what this one, which is not done, will find.
    fn check_those_after(&self, part: &dyn Part) -> Result<()> {
        let after = self.parts.iter().filter(|other| other.takes_up().contains(&part.id().into()));
        let made: Vec<String> = after.flat_map(|other| self.made_by(other.id())).collect();
        ensure!(
            made.is_empty(),
            "{} is not there, but has gone into what was measured after it; put it back, or remove {} to measure that anew, too",
            self.folder.result(part.id()).display(),
            made.join(" and ")
        );
        Ok(())
    }

    /// Fails where a part was measured on other images.
    fn check_data(&self, records: &[Option<Record>], data: &Data) -> Result<()> {
        for (part, record) in self.parts.iter().zip(records) {
            let digest = record.as_ref().and_then(|record| record.data.digest.as_ref());
            ensure!(
                digest.is_none() || digest == data.about.digest.as_ref(),
                "{} was measured on other images than those of {}; give the same data set with --data, or choose another folder with --out",
                self.folder.result(part.id()).display(),
                data.dataset.name()
            );
        }
        Ok(())
    }

    /// The files and folders that measuring a part has left.
    fn made_by(&self, part: &str) -> Vec<String> {
        let made = [self.folder.result(part), self.folder.run(part), self.folder.worklog(part)];
        let there = made.iter().filter(|path| path.exists());
        there.map(|path| path.display().to_string()).collect()
    }

    /// Where the settings with which a part was begun differ from the present ones, if they do: there and here.
    fn difference(&self, part: &dyn Part) -> Result<Option<(String, String)>> {
        let path = self.folder.config(part.id());
        let here = part.config()?;
        let there = match read(&path)? {
            Some(there) => there,
            // Of which settings a result without them is, nobody knows.
            None if self.folder.result(part.id()).exists() => String::new(),
            None => return Ok(None),
        };
        let (there, here) = (decisive(&there), decisive(&here));
        if there == here {
            return Ok(None);
        }
        let none = if there.is_empty() { "none" } else { "fewer or more lines" };
        let differ = there.into_iter().zip(here).find(|(there, here)| there != here);
        let (there, here) = differ.unwrap_or((none, "these"));
        Ok(Some((there.to_owned(), here.to_owned())))
    }

    /// Seconds that the parts that are not done will take, judging by the others.
    fn time_left(&self, records: &[Option<Record>]) -> Option<f64> {
        let (mut seconds, mut done, mut left) = (0.0, 0.0, 0.0);
        for (part, record) in self.parts.iter().zip(records) {
            match record {
                Some(record) => {
                    seconds += record.seconds;
                    done += part.work();
                }
                None => left += part.work(),
            }
        }
        (done > 0.0).then(|| seconds / done * left)
    }

    /// What was found, once enough parts are done to tell.
    pub(super) fn findings(&self) -> Result<Option<Findings>> {
        let records = self.records()?;
        let results = self.results(&records);
        let ids = self.parts.iter().map(|part| part.id().to_owned());
        let (done, missing): (Vec<_>, Vec<_>) =
            ids.zip(records).partition(|(_, record)| record.is_some());
        if done.is_empty() || !(missing.is_empty() || self.target.tells_early()) {
            return Ok(None);
        }
        let report = self.target.report(self.target.settings(self.profile), &results);
        let report = report.with_context(|| self.folder.path().display().to_string())?;
        let records = done.into_iter().filter_map(|(id, record)| Some((id, record?))).collect();
        let missing = missing.into_iter().map(|(id, _)| id).collect();
        Ok(Some(Findings { report, records, missing }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::*;
    use serde_json::{Value, json};
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static MEASURED: AtomicUsize = AtomicUsize::new(0);

    struct Counted(String);

    impl Part for Counted {
        fn id(&self) -> &str {
            &self.0
        }

        fn config(&self) -> Result<String> {
            Ok(format!("name = '{}'\n", self.0))
        }

        fn takes_up(&self) -> Vec<String> {
            if self.0 == "c" { vec!["b".into()] } else { Vec::new() }
        }

        fn is_long(&self) -> bool {
            self.0 == "long"
        }

        fn work(&self) -> f64 {
            1.0
        }

        fn measure(&self, bench: &Bench<'_>) -> Result<Option<Value>> {
            assert!(self.0 == "a" || bench.results.get::<Value>("a").is_ok(), "done before");
            assert!(bench.results.get::<Value>(&self.0).is_err(), "not done yet");
            // The second part is interrupted when it is first measured.
            let before = MEASURED.fetch_add(1, Ordering::SeqCst);
            Ok((before != 1).then(|| json!({ "before": before })))
        }
    }

    struct Counting;

    impl Target for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }

        fn measures(&self) -> &'static str {
            "how often parts are measured"
        }

        fn published(&self) -> &'static str {
            "once"
        }

        fn source(&self, _profile: Profile) -> Source {
            Source::Mnist
        }

        fn settings(&self, _profile: Profile) -> &'static str {
            ""
        }

        fn parts(&self, _settings: &str, _data: &str) -> Result<Vec<Box<dyn Part>>> {
            Ok(["a", "b", "c", "long"].map(|id| Box::new(Counted(id.into())) as _).into())
        }

        fn report(&self, _settings: &str, results: &Results) -> Result<Report> {
            let value: Value = results.get("c")?;
            Ok(Report { remarks: vec![value.to_string()], ..Report::default() })
        }
    }

    /// Whoever changes settings, or what a configuration says of itself, measures anew or changes nothing.
    #[test]
    fn published_results_are_of_the_present_settings() {
        let results = crate::root().join("results");
        for profile in [Profile::Cpu, Profile::Cuda] {
            for target in super::super::targets::TARGETS {
                let study = Study::found(target, profile, &results).unwrap();
                assert_eq!(study.left_out().unwrap(), [] as [PathBuf; 0], "{}", target.name());
            }
        }
    }

    #[test]
    fn each_part_is_measured_once_and_never_under_other_settings() {
        let out = tempfile::tempdir().unwrap();
        let lab = Lab {
            library: Library::new(None, Profile::Smoke),
            device: Device::Cpu,
            interrupt: Interrupt::listen().unwrap(),
            origin: Origin::here(&Device::Cpu),
        };
        let with =
            |long| Study::new(&Counting, Profile::Smoke, out.path(), &lab.library, long).unwrap();
        let study = || with(false);
        assert!(!study().has_begun());
        let told = Cell::new(0);
        let measure = || {
            let tell = || {
                told.set(told.get() + 1);
                assert_eq!(study().done()?, told.get());
                Ok(())
            };
            study().measure(&lab, tell).unwrap()
        };
        assert_eq!(measure(), Ended::Interrupted);
        assert!(study().has_begun() && study().findings().unwrap().is_none());
        assert_eq!(measure(), Ended::Finished);
        assert_eq!(measure(), Ended::Finished);
        assert_eq!(MEASURED.load(Ordering::SeqCst), 4);
        assert_eq!(told.get(), 3);
        let Findings { report, records, missing } = study().findings().unwrap().unwrap();
        assert_eq!(report.remarks, [r#"{"before":3}"#]);
        assert_eq!((records.len(), missing), (3, vec![]));

        let (result, kept) = (study().folder.result("b"), out.path().join("b.json"));
        std::fs::rename(&result, &kept).unwrap();
        let message = study().check(&lab).unwrap_err().to_string();
        let after = study().folder.result("c").display().to_string();
        assert!(message.contains("b.json is not there, but has gone into"), "{message}");
        assert!(message.contains(&format!("remove {after} and ")), "{message}");
        std::fs::rename(&kept, &result).unwrap();

        study().check(&lab).unwrap();
        let text = std::fs::read_to_string(&result).unwrap();
        let digest = lab.library.open(Source::Mnist).unwrap().about.digest.clone().unwrap();
        std::fs::write(&result, text.replace(&digest, "0")).unwrap();
        std::fs::remove_file(study().folder.result("c")).unwrap();
        let message = study().check(&lab).unwrap_err().to_string();
        assert!(message.contains("b.json was measured on other images than those of"), "{message}");
        std::fs::write(&result, text).unwrap();

        let config = std::fs::read_to_string(study().folder.config("b")).unwrap();
        std::fs::remove_file(study().folder.config("b")).unwrap();
        let message = study().check(&lab).unwrap_err().to_string();
        assert!(message.contains("(`none`, now `these`)"), "{message}");
        std::fs::write(study().folder.config("b"), config).unwrap();
        assert!(study().left_out().unwrap().is_empty());
        told.set(2);
        assert_eq!(measure(), Ended::Finished);

        std::fs::write(study().folder.config("b"), "name = 'other'\n").unwrap();
        assert_eq!(study().left_out().unwrap(), [study().folder.result("b")]);
        let message = study().check(&lab).unwrap_err().to_string();
        assert!(message.contains("(`name = 'other'`, now `name = 'b'`)"), "{message}");
        assert!(study().findings().unwrap().is_none(), "what was found otherwise is not told");

        assert_eq!((study().parts.len(), with(true).parts.len()), (3, 4));
        write_whole(&study().folder.config("long"), b"name = 'long'\n").unwrap();
        assert_eq!(study().parts.len(), 4, "what was begun belongs to it");
    }
}

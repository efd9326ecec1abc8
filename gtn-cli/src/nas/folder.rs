//! Folders of searches and of correlations: a configuration, and results line by line.

use crate::config::{Config, Layer};
use crate::error::Usage;
use crate::run_dir::{free, vacant, write_whole};
use anyhow::{Context, Result};
use gtn_nas::{Entry, Journal};
use serde::de::DeserializeOwned;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder whose configuration is the file of this name.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    config: &'static str,
}

impl Folder {
    /// The folder at `path`, whose configuration is called `config`.
    #[must_use]
    pub fn at(path: &Path, config: &'static str) -> Self {
        Self { path: path.to_owned(), config }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether something was begun in it.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.file(self.config).is_file()
    }

    /// Fails where nothing was begun in it.
    ///
    /// # Errors
    /// [`Usage`] then.
    pub fn expect_begun(&self) -> Result<()> {
        if self.is_begun() {
            return Ok(());
        }
        Err(Usage::error(format!(
            "there is no {} in {}; give the folder that was written with --out",
            self.config,
            self.path.display()
        )))
    }

    /// Its configuration.
    ///
    /// # Errors
    /// [`Usage`] when there is none or it is damaged.
    pub fn read<C: Config>(&self) -> Result<C> {
        self.expect_begun()?;
        C::load(&[Layer::file(&self.file(self.config))?])
    }

    /// The configuration to go on with: that of the folder, where `resume` says so and there is one,
    /// under `layers`. `extended` makes alike what may differ then: how long to go on, and where teacher and data lie.
    ///
    /// # Errors
    /// [`Usage`] when the folder is in use and must not be, or another key differs.
    pub fn begin<C: Config>(
        &self,
        mut layers: Vec<Layer>,
        resume: bool,
        mut extended: impl FnMut(&mut C, &C),
    ) -> Result<C> {
        if !resume || !self.is_begun() {
            if !resume {
                vacant(&self.path)?;
            } else {
                free(&self.path, self.config)?;
                tracing::warn!("nothing was begun in {} yet, so this begins", self.path.display());
            }
            return C::load(&layers);
        }
        let there: C = self.read()?;
        layers.insert(0, Layer::file(&self.file(self.config))?);
        let config = C::load(&layers)?;
        let mut alike = config.clone();
        extended(&mut alike, &there);
        match alike.difference(&there)? {
            None => Ok(config),
            Some(other) => Err(Usage::error(format!(
                "{} was begun with {} = {}, not {}; resume with its own configuration (--resume --out alone), or choose another --out",
                self.path.display(),
                other.key,
                other.there,
                other.here
            ))),
        }
    }

    /// Writes the configuration.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, config: &impl Config) -> Result<()> {
        write_whole(&self.file(self.config), config.to_toml()?.as_bytes())
    }

    /// What a JSON file in it holds, if it is there.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.file(name);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let read = serde_json::from_slice(&text);
        read.map(Some).with_context(|| {
            format!("{} is damaged; remove it, and run again what wrote it", path.display())
        })
    }

    /// Writes the folder's page. Returns where.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_report(&self, page: &str) -> Result<PathBuf> {
        let path = self.file("report.html");
        write_whole(&path, page.as_bytes())?;
        Ok(path)
    }

    /// A journal in it, to go on with. A last line that was damaged is told about.
    ///
    /// # Errors
    /// When another line is damaged, or the file cannot be written.
    pub fn journal<T: Entry>(&self, name: &str) -> Result<Journal<T>> {
        let (journal, mended) = Journal::open(&self.file(name))?;
        if let Some(mended) = mended {
            tracing::warn!("{mended}");
        }
        Ok(journal)
    }
}

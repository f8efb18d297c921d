//! The same tests over each of the databases.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

use crate::postgres::{Postgres, programs};
use crate::{Failed, Outcome, Suite, any_models, program};

/// An empty database of a test's own.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    /// With the file, where there is one.
    _folder: Option<TempDir>,
    /// What runs the database, where something does.
    server: Option<Arc<Postgres>>,
}

impl TestDatabase {
    /// An SQLite database in a folder that goes with it.
    ///
    /// # Errors
    /// No folder can be made.
    pub fn sqlite() -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        Ok(Self {
            url: format!("sqlite:{}", folder.path().join("likeness.db").display()),
            _folder: Some(folder),
            server: None,
        })
    }

    /// For `database.url`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether several machines could share it.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.server.is_some()
    }
}

/// The PostgreSQL server of one test binary, started by the first test that needs it.
#[derive(Debug, Default)]
pub(crate) struct SharedPostgres {
    server: Mutex<Option<Arc<Postgres>>>,
}

impl SharedPostgres {
    fn get(&self) -> Result<Arc<Postgres>, Failed> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = &*server {
            return Ok(Arc::clone(server));
        }
        let started = Arc::new(Postgres::start_new()?);
        Ok(Arc::clone(server.insert(started)))
    }

    pub(crate) fn end(&self) {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Suite {
    /// A test that needs a PostgreSQL server. It shares the server with the others of its binary; [`Postgres::new_database`]
    /// gives it a database of its own.
    pub fn with_postgres(
        &mut self,
        name: impl Into<String>,
        test: impl FnOnce(&Postgres) -> Outcome + Send + 'static,
    ) {
        if programs().is_none() {
            self.skip(name, "needs PostgreSQL");
            return;
        }
        let shared = Arc::clone(&self.postgres);
        self.test(name, move || test(&*shared.get()?));
    }

    /// Like [`with_postgres`](Self::with_postgres), for a test that needs some model pack as well.
    pub fn with_any_models_and_postgres(
        &mut self,
        name: impl Into<String>,
        test: impl FnOnce(&Postgres) -> Outcome + Send + 'static,
    ) {
        match any_models() {
            Ok(()) => self.with_postgres(name, test),
            Err(reason) => self.skip(name, reason),
        }
    }

    /// Like [`with_any_models_and_postgres`](Self::with_any_models_and_postgres), for a test that needs a program as well, whose
    /// path it gets.
    pub fn with_any_models_postgres_and_program(
        &mut self,
        name: impl Into<String>,
        needed: &'static str,
        test: impl FnOnce(&Postgres, &Path) -> Outcome + Send + 'static,
    ) {
        match program(needed) {
            Ok(path) => self.with_any_models_and_postgres(name, move |server| test(server, &path)),
            Err(reason) => self.skip(name, reason),
        }
    }

    /// Like [`with_databases`](Self::with_databases), for a test that needs some model pack as well.
    pub fn with_any_models_and_databases(
        &mut self,
        name: &str,
        test: impl Fn(&TestDatabase) -> Outcome + Clone + Send + 'static,
    ) {
        match any_models() {
            Ok(()) => self.with_databases(name, test),
            Err(reason) => self.skip(name, reason),
        }
    }

    /// The same test twice: over an SQLite file, and over PostgreSQL where that is there. Each has a new, empty database.
    pub fn with_databases(
        &mut self,
        name: &str,
        test: impl Fn(&TestDatabase) -> Outcome + Clone + Send + 'static,
    ) {
        let on_sqlite = test.clone();
        self.test(format!("{name}_on_sqlite"), move || {
            on_sqlite(&TestDatabase::sqlite()?)
        });
        let shared = Arc::clone(&self.postgres);
        self.with_postgres(format!("{name}_on_postgres"), move |server| {
            let database = TestDatabase {
                url: server.new_database()?,
                _folder: None,
                server: Some(shared.get()?),
            };
            test(&database)
        });
    }
}

//! What an app may do, ready for use.

use likeness_engine::decision::Profile;
use likeness_storage::apps::{AppEndpoint, AppLimits, AppSettings};

/// What an app may do.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) disabled: bool,
    pub(crate) default_profile: Profile,
    /// Of a liveness verification, 0..=1.
    pub(crate) threshold_floor: f64,
    /// How much it may ask for.
    pub(crate) limits: AppLimits,
    /// `None`: all.
    endpoints: Option<Vec<AppEndpoint>>,
    /// All that a request may name, the default one among them.
    profiles: Vec<Profile>,
}

/// A profile that an app names and the configuration does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnknownProfile(pub(super) String);

impl App {
    /// The app of these settings, with the service's profiles.
    pub(super) fn new(id: &str, settings: &AppSettings, known: &[Profile]) -> Result<Self, UnknownProfile> {
        let find = |name: &String| {
            known
                .iter()
                .find(|profile| profile.name() == name)
                .cloned()
                .ok_or_else(|| UnknownProfile(name.clone()))
        };
        let default_profile = match &settings.default_profile {
            Some(name) => find(name)?,
            None => Profile::default(),
        };
        let mut profiles = match &settings.profiles {
            Some(names) => names.iter().map(find).collect::<Result<Vec<_>, _>>()?,
            None => known.to_vec(),
        };
        if !profiles.contains(&default_profile) {
            profiles.insert(0, default_profile.clone());
        }
        Ok(Self {
            id: id.to_owned(),
            disabled: settings.disabled,
            default_profile,
            threshold_floor: settings.liveness_threshold_floor,
            limits: settings.limits,
            endpoints: settings.endpoints.clone(),
            profiles,
        })
    }

    /// A disabled app, whatever its settings are.
    pub(super) fn refused(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            disabled: true,
            default_profile: Profile::default(),
            threshold_floor: 0.0,
            limits: AppLimits::none(),
            endpoints: None,
            profiles: Vec::new(),
        }
    }

    /// An app with these limits and nothing else that is special of it.
    #[cfg(test)]
    pub(crate) fn with_limits(id: &str, profile: Profile, limits: AppLimits) -> Self {
        Self {
            disabled: false,
            default_profile: profile,
            limits,
            ..Self::refused(id)
        }
    }

    /// The profile of this name, where the app may use it.
    pub(crate) fn profile(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name() == name)
    }

    /// What the app may ask for, for messages.
    pub(crate) fn profile_names(&self) -> String {
        let names: Vec<&str> = self.profiles.iter().map(Profile::name).collect();
        names.join(", ")
    }

    /// Whether the app may call this.
    pub(crate) fn may_call(&self, endpoint: AppEndpoint) -> bool {
        self.endpoints
            .as_ref()
            .is_none_or(|allowed| allowed.contains(&endpoint))
    }
}

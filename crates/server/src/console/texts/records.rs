//! The texts of the pages about recorded verifications.

pub(in crate::console) use super::{APP, AS_TABLE, COPY, LIVENESS};

pub(in crate::console) const VERIFICATIONS: &str = "Verifications";
pub(in crate::console) const WHAT_IF: &str = "What if";
pub(in crate::console) const DISTRIBUTIONS: &str = "Scores and outcomes";
pub(in crate::console) const RECORD: &str = "Audit record";

pub(in crate::console) const LEAD: &str =
    "Every request to a verification endpoint, as the audit log has it, the latest first.";
pub(in crate::console) const AUDIT_OFF: &str = "The audit log is off (audit.enabled = false): no new verification is recorded. \
    Records from before are shown.";
pub(in crate::console) const BACKFILL: &str =
    "Older records are being made searchable; this page is incomplete until then:";
pub(in crate::console) const BACKFILL_OFF: &str =
    "Some older records are not searchable. They become so while the audit log is on:";
pub(in crate::console) const BACKFILL_LEFT: &str = "left";
pub(in crate::console) const NO_RECORDS: &str = "No verification has been recorded yet.";
pub(in crate::console) const NO_RECORDS_HELP: &str = "Verify two images on the page Try, or send a request to the API. Its record \
    is here a moment later.";
pub(in crate::console) const NONE_FOUND: &str = "No record matches this filter.";
pub(in crate::console) const CLEAR_FILTER: &str = "Clear the filter";
pub(in crate::console) const NO_RESPONSE: &str = "The database did not respond in time. Choose a shorter period or a single filter, \
    then try again.";
pub(in crate::console) const FAILED: &str = "The database cannot be read:";

pub(in crate::console) const FILTER: &str = "Filter";
pub(in crate::console) const SINCE: &str = "From (UTC)";
pub(in crate::console) const UNTIL: &str = "To, this day included (UTC)";
pub(in crate::console) const NO_TIME: &str =
    "Write a day such as 2026-11-25, or a time such as 2026-11-25T08:00:00Z.";
pub(in crate::console) const ENDPOINT: &str = "Endpoint";
pub(in crate::console) const PROFILE: &str = "Profile";
pub(in crate::console) const OUTCOME: &str = "Outcome";
pub(in crate::console) const CODE: &str = "Code";
pub(in crate::console) const ID: &str = "Request or correlation ID";
pub(in crate::console) const ALL: &str = "All";
pub(in crate::console) const SHOW: &str = "Show";
pub(in crate::console) const NEWER: &str = "Newer";
pub(in crate::console) const OLDER: &str = "Older";
pub(in crate::console) const LATEST: &str = "Latest";
pub(in crate::console) const PAGES: &str = "Pages of records";
pub(in crate::console) const EXPORT: &str = "Export all that match:";
pub(in crate::console) const CSV: &str = "CSV";
pub(in crate::console) const JSON_LINES: &str = "JSON lines";

pub(in crate::console) const TIME: &str = "Time";
pub(in crate::console) const CODES: &str = "Codes";
pub(in crate::console) const FACE_MATCH: &str = "Match confidence";
pub(in crate::console) const DURATION: &str = "Duration (ms)";
pub(in crate::console) const REQUEST: &str = "Request ID";
pub(in crate::console) const CORRELATION: &str = "Correlation ID";
pub(in crate::console) const STATUS: &str = "Status";
pub(in crate::console) const ERROR: &str = "Error";
pub(in crate::console) const KIND: &str = "Kind";

pub(in crate::console) const NO_RECORD: &str = "There is no such record: its number is wrong, or it was removed when its retention \
    ended.";
pub(in crate::console) const WITHHELD: &str = "The client received another status than recorded here:";
pub(in crate::console) const CHAIN: &str = "Place in the hash chain";
pub(in crate::console) const INSTANCE: &str = "Instance";
pub(in crate::console) const NUMBER: &str = "Number";
pub(in crate::console) const HASH: &str = "Hash";
pub(in crate::console) const PREVIOUS: &str = "Record before";
pub(in crate::console) const NEXT: &str = "Record after";
pub(in crate::console) const CONTENT: &str = "Content";
pub(in crate::console) const UNCHANGED: &str = "The hash is that of the record.";
pub(in crate::console) const CHANGED: &str = "The hash is not that of the record: it was changed, or hashed with another \
    audit.chain_key.";
pub(in crate::console) const COLUMNS_DIFFER: &str = "The columns of the database differ from the record.";
pub(in crate::console) const INTACT: &str = "Linked: the hashes match.";
pub(in crate::console) const BROKEN: &str = "Not linked: the hashes do not match.";
pub(in crate::console) const FIRST: &str = "None: this is the first record of its chain.";
pub(in crate::console) const CHECKPOINT: &str =
    "Removed by retention; the checkpoint matches, and its seal is valid.";
pub(in crate::console) const CHECKPOINT_PLAIN: &str = "Removed by retention; the checkpoint matches. Checkpoints \
    have no seal without audit.chain_key.";
pub(in crate::console) const UNSEALED: &str =
    "Removed; the checkpoint is not sealed with the audit.chain_key of this service.";
pub(in crate::console) const MISSING: &str = "Missing from the database.";
pub(in crate::console) const LAST: &str = "None yet: this is the last record of its chain in the database.";
pub(in crate::console) const VERIFY_ALL: &str = "This checks one record. The command “likeness audit verify” checks the whole \
    chain.";
pub(in crate::console) const EVERYTHING: &str = "Everything recorded";

pub(in crate::console) const DISTRIBUTIONS_LEAD: &str = "How the recorded scores and outcomes of the records that match are \
    distributed, with the thresholds of the profile as it is now.";
pub(in crate::console) const ALL_RECORDS: &str = "All records that match:";
pub(in crate::console) const SAMPLE: &str = "A random sample of the records that match:";
pub(in crate::console) const ONE_IN: &str = "records, one in";
pub(in crate::console) const THRESHOLDS_OF: &str = "Thresholds drawn in:";
pub(in crate::console) const NO_PROFILE: &str =
    "The settings have no profile of this name any more, so no thresholds are drawn in.";
pub(in crate::console) const BY_DAY: &str = "Share of pass, review and reject by day (UTC)";
pub(in crate::console) const DAYS_SHOWN: &str = "The latest days with records:";
pub(in crate::console) const DAY: &str = "Day";
pub(in crate::console) const SCORE: &str = "Score";
pub(in crate::console) const RECORDS: &str = "Records";
pub(in crate::console) const REJECT_BELOW: &str = "reject below";
pub(in crate::console) const REVIEW_BELOW: &str = "review below";

pub(in crate::console) const PASS: &str = "Pass";
pub(in crate::console) const WARNING: &str = "Pass with warnings";
pub(in crate::console) const REVIEW: &str = "Review";
pub(in crate::console) const REJECT: &str = "Reject";

pub(in crate::console) const WHAT_IF_LEAD: &str = "How recorded biometric verifications would have come out under other \
    thresholds. Nothing is changed. Each finding of image quality counts as the profile has it now.";
pub(in crate::console) const FACE_MATCH_REJECT: &str = "Match confidence: reject below";
pub(in crate::console) const FACE_MATCH_REVIEW: &str = "Match confidence: review below";
pub(in crate::console) const LIVENESS_REJECT: &str = "Liveness: reject below";
pub(in crate::console) const LIVENESS_REVIEW: &str = "Liveness: review below";
pub(in crate::console) const RECOUNT: &str = "Recount";
pub(in crate::console) const RECORDED: &str = "Recorded";
pub(in crate::console) const AS_NOW: &str = "Profile as it is now";
pub(in crate::console) const AS_CHOSEN: &str = "These thresholds";
pub(in crate::console) const TOTAL: &str = "Total";
pub(in crate::console) const NOT_COUNTED: &str =
    "Records of a newer version, whose codes this one does not know, are not counted:";
pub(in crate::console) const NOTHING_TO_COUNT: &str =
    "No biometric verification with this profile was recorded in this period.";
pub(in crate::console) const TOML: &str = "The profile, for the settings file";
pub(in crate::console) const NOT_A_NUMBER: &str = "must be a number from 0 to 1";

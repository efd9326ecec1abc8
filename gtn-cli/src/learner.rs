//! The learners that a run can be about.

use gtn_core::learner::LearnerSpec;

/// What `[learner]` in a configuration describes: the family from which fresh learners are drawn.
pub type Learner = LearnerSpec;
